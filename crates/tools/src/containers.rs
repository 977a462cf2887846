//! The command lines of Docker, Compose and Kamal.

use std::collections::BTreeMap;

use crate::deed::CommandEffect;
use crate::migrations::migrates;
use crate::tool::{ComposeCall, KamalCall, Tool};
use shell::Arguments;
use workflow::Value;
use workflow::{Fact, Line};

pub(crate) fn docker(
    words: &[String],
    program: &str,
    env: &BTreeMap<String, String>,
    at: &Line,
) -> Vec<CommandEffect> {
    // `docker --host ssh://… compose`: the options before the command.
    let mut at_command = 0;
    while let Some(word) = words.get(at_command).filter(|word| word.starts_with('-')) {
        let valued = matches!(
            word.as_str(),
            "-H" | "--host" | "--context" | "-c" | "--config" | "-l"
        );
        at_command += if valued { 2 } else { 1 };
    }
    let words = words.get(at_command..).unwrap_or_default();
    let Some((first, rest)) = words.split_first() else {
        return Vec::new();
    };
    let arguments = Arguments {
        words: rest,
        valued: "-t --tag -f --file --build-arg --platform --target --cache-from --cache-to --name -p \
            --publish -e --env -v --volume --network --restart --env-file -l --label --mount \
            --user -u --memory -m --hostname -h -w --add-host --log-opt --log-driver --cpus -c \
            --compose-file --image",
    };
    let deploys = |tool: Tool| vec![CommandEffect::Deploys(Box::new(tool))];
    let image = |name: &str, pushed| CommandEffect::Image {
        name: Value::new(name),
        pushed,
        at: None,
    };
    match first.as_str() {
        "compose" => compose(rest, program, env, at),
        "build" => arguments
            .all(&["-t", "--tag"])
            .into_iter()
            .map(|name| image(name, false))
            .collect(),
        "buildx" if rest.first().is_some_and(|word| word == "build") => {
            let pushed = arguments.has("--push");
            arguments
                .all(&["-t", "--tag"])
                .into_iter()
                .map(|name| image(name, pushed))
                .collect()
        }
        "push" => arguments
            .operands()
            .last()
            .map(|name| image(name, true))
            .into_iter()
            .collect(),
        "stack" if rest.first().is_some_and(|word| word == "deploy") => {
            let stack = arguments.operands().last().map(|name| Value::new(*name));
            deploys(Tool::Swarm {
                stack: stack.unwrap_or_default(),
            })
        }
        "service" if rest.first().is_some_and(|word| word == "update") => {
            let service = arguments.operands().last().map(|name| Value::new(*name));
            deploys(Tool::Swarm {
                stack: service.unwrap_or_default(),
            })
        }
        "restart" | "load" => deploys(Tool::Commands),
        "run" | "exec" if migrates(rest) => vec![CommandEffect::Migrates],
        "run"
            if arguments.has("-d")
                || arguments.has("--detach")
                || rest
                    .iter()
                    .any(|word| word.starts_with("-d") || word == "-itd" || word == "-td") =>
        {
            let operands = arguments.operands();
            deploys(Tool::Container {
                name: arguments.one(&["--name"]).map(Value::new),
                image: operands
                    .first()
                    .map(|name| Value::new(*name))
                    .unwrap_or_default(),
                sudo: program.starts_with("sudo "),
            })
        }
        _ => Vec::new(),
    }
}

pub(crate) fn compose(
    words: &[String],
    program: &str,
    env: &BTreeMap<String, String>,
    at: &Line,
) -> Vec<CommandEffect> {
    const BEFORE: [&str; 12] = [
        "-f",
        "--file",
        "-p",
        "--project-name",
        "--env-file",
        "--profile",
        "--project-directory",
        "-H",
        "--host",
        "--parallel",
        "--ansi",
        "-c",
    ];
    let mut command = 0;
    while let Some(word) = words.get(command).filter(|word| word.starts_with('-')) {
        command += if BEFORE.contains(&word.as_str()) {
            2
        } else {
            1
        };
    }
    let before = Arguments {
        words: &words[..command.min(words.len())],
        valued: "",
    };
    let Some((verb, rest)) = words.get(command..).and_then(<[String]>::split_first) else {
        return Vec::new();
    };
    let after = Arguments {
        words: rest,
        valued: "-t --timeout --scale --pull --build-arg --wait-timeout --exit-code-from --attach \
            --no-attach -e --env --name -u --user -v -p --entrypoint -w",
    };
    let texts = |found: Vec<&str>| -> Vec<Fact<String>> {
        found
            .into_iter()
            .map(|text| Fact::new(text.to_owned(), at.clone()))
            .collect()
    };
    let mut files = texts(before.all(&["-f", "--file"]));
    if files.is_empty()
        && let Some(named) = env.get("COMPOSE_FILE")
    {
        files = texts(named.split(':').collect());
    }
    let mut profiles = texts(before.all(&["--profile"]));
    if profiles.is_empty()
        && let Some(named) = env.get("COMPOSE_PROFILES")
    {
        profiles = texts(named.split(',').collect());
    }
    let project = before
        .one(&["-p", "--project-name"])
        .or_else(|| env.get("COMPOSE_PROJECT_NAME").map(String::as_str));
    // Where a variable names them, or holds an option, which services they are is not known.
    let mut services = texts(after.operands());
    if services.iter().any(|name| is_unknown(&name.value)) {
        services.clear();
    }
    let call = ComposeCall {
        files,
        project: project.map(|name| Fact::new(Value::new(name), at.clone())),
        env_files: texts(before.all(&["--env-file"])),
        profiles,
        services,
        no_deps: after.has("--no-deps"),
        builds: (verb == "build" || after.has("--build")).then(|| at.clone()),
        build_arguments: after
            .all(&["--build-arg"])
            .into_iter()
            .map(|text| Fact::new(Value::new(text), at.clone()))
            .collect(),
        known_files: Vec::new(),
        standing: Vec::new(),
        lasting: Vec::new(),
        sudo: program.starts_with("sudo "),
    };
    match verb.as_str() {
        "run" => {
            let migration = after.operands().iter().any(|word| word.contains("migrat"));
            if migration && migrates(rest) {
                vec![CommandEffect::Migrates]
            } else {
                Vec::new()
            }
        }
        "up" | "restart" | "start" | "build" | "pull" | "create" => {
            vec![CommandEffect::Deploys(Box::new(Tool::Compose(call)))]
        }
        "exec" if migrates(rest) => vec![CommandEffect::Migrates],
        _ => Vec::new(),
    }
}

/// Whether a variable of a shell is in a word, whose value nothing tells.
fn is_unknown(word: &str) -> bool {
    word.replace("${{", "").contains('$')
}

pub(crate) fn kamal(
    words: &[String],
    program: &str,
    env: &BTreeMap<String, String>,
) -> Vec<CommandEffect> {
    let arguments = Arguments {
        words,
        valued: "-d --destination -c --config-file --version",
    };
    let operands = arguments.operands();
    if matches!(operands[..], ["app", "exec", ..]) && migrates(words) {
        return vec![CommandEffect::Migrates];
    }
    if !matches!(operands.first(), Some(&"deploy" | &"redeploy" | &"setup")) {
        return Vec::new();
    }
    let destination = arguments
        .one(&["-d", "--destination"])
        .or_else(|| env.get("KAMAL_DESTINATION").map(String::as_str));
    vec![CommandEffect::Deploys(Box::new(Tool::Kamal(KamalCall {
        config: arguments.one(&["-c", "--config-file"]).map(str::to_owned),
        destination: destination.map(Value::new),
        service: None,
        image: None,
        registry: None,
        hosts: Vec::new(),
        user: None,
        proxy: None,
        program: program.to_owned(),
    })))]
}

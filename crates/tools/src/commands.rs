//! Commands: what a command line does, by its program.

use std::collections::BTreeMap;

use crate::clusters::{aws, helm, kubectl};
use crate::containers::{compose, docker, kamal};
use crate::deed::CommandEffect;
use crate::migrations::{migrates, only_tells};
use crate::tool::{
    APP_SERVICE_BACK, ByHand, DOKKU_BACK, FLY_BACK, HEROKU_BACK, HelmCall, PlatformCall,
    SERVERLESS_BACK, Tool, Undo, VERCEL_BACK,
};
use crate::web::{web, web_request};
use shell::Arguments;
use workflow::Value;
use workflow::{Fact, Line};

/// What a command line does; its first word is the program's name.
#[expect(clippy::too_many_lines, reason = "a table: a row for each program")]
pub fn deeds(
    words: &[String],
    program: &str,
    env: &BTreeMap<String, String>,
    at: &Line,
) -> Vec<CommandEffect> {
    let Some((name, rest)) = words.split_first() else {
        return Vec::new();
    };
    let name = package(name);
    let plain = |valued: &'static str| Arguments {
        words: rest,
        valued,
    };
    let first = rest.first().map(String::as_str).unwrap_or_default();
    let second = rest.get(1).map(String::as_str).unwrap_or_default();
    let deploys = |tool: Tool| vec![CommandEffect::Deploys(Box::new(tool))];
    let fact = |text: &str| Fact::new(Value::new(text), at.clone());
    let value = |text: Option<&str>| text.map(Value::new);
    let app = |names: &[&str]| plain("").one(names).map(fact);
    let platform = |name, app: Option<Fact<Value>>, back| {
        deploys(Tool::Platform(PlatformCall {
            name,
            app,
            back,
            ..PlatformCall::default()
        }))
    };
    // Options in a variable of the shell are not known, and one of them may name another app or environment.
    let is_open = rest.windows(2).any(|pair| {
        let is_variable = pair[1].starts_with('$') && !pair[1].starts_with("${{");
        is_variable && !pair[0].starts_with('-')
    });
    let undone = |name, app: Option<Fact<Value>>, back, undo: Undo| {
        deploys(Tool::Platform(PlatformCall {
            name,
            app,
            back,
            undo: (!is_open).then_some(undo),
            ..PlatformCall::default()
        }))
    };
    // The same option again, where the deploying call has it.
    let again = |option: &'static str, names: &[&str]| {
        let value = plain("").one(names)?;
        Some((option, Value::new(value)))
    };
    let azure_app = || {
        platform(
            "Azure App Service",
            app(&["-n", "--name"]),
            APP_SERVICE_BACK,
        )
    };
    match name {
        "docker" | "podman" | "nerdctl" => docker(rest, program, env, at),
        "docker-compose" | "podman-compose" => compose(rest, program, env, at),
        "kamal" | "mrsk" => kamal(rest, program, env),
        "kubectl" | "oc" => kubectl(rest, at),
        "helm" => helm(rest, at),
        "kustomize" if (first, second) == ("edit", "set") => {
            let pairs = rest.iter().skip(3).filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(_, image)| CommandEffect::Image {
                    name: Value::new(image),
                    pushed: false,
                    at: None,
                })
                .collect()
        }
        "helmfile" if matches!(first, "apply" | "sync") => deploys(Tool::Helm(HelmCall {
            release: Value::default(),
            chart: Value::new("helmfile"),
            namespace: None,
            values: Vec::new(),
            context: None,
            kubeconfig: None,
        })),
        "aws" => aws(rest, at),
        "systemctl" | "service" => systemd(name, rest, at),
        "supervisorctl" if matches!(first, "restart" | "start" | "update") => {
            deploys(Tool::Supervisor {
                program: Value::new(second),
            })
        }
        // By SSH, to the machines of its own file.
        "pm2" if first == "deploy" => deploys(Tool::Other {
            name: "pm2 deploy".to_owned(),
        }),
        "pm2"
            if matches!(
                first,
                "reload"
                    | "restart"
                    | "start"
                    | "startOrReload"
                    | "startOrRestart"
                    | "startOrGracefulReload"
                    | "gracefulReload"
            ) =>
        {
            let only = plain("").one(&["--only", "--name"]);
            let is_file = [
                ".js", ".cjs", ".mjs", ".json", ".yml", ".yaml", ".ts", ".py", ".sh",
            ]
            .iter()
            .any(|end| second.ends_with(end));
            let operand =
                (!second.starts_with('-') && !is_file && second != "npm").then_some(second);
            deploys(Tool::Pm2 {
                app: value(only.or(operand).filter(|app| !app.is_empty())),
            })
        }
        "dep" | "deployer" if first.starts_with("deploy") => deploys(Tool::Deployer {
            program: program.to_owned(),
            stage: value(
                rest.get(1)
                    .map(String::as_str)
                    .filter(|word| !word.starts_with('-')),
            ),
        }),
        "cap" => {
            let operands = plain("").operands();
            let stage = operands
                .iter()
                .find(|word| !word.contains("deploy"))
                .copied();
            if operands.iter().any(|word| word.starts_with("deploy")) {
                deploys(Tool::Capistrano {
                    program: program.to_owned(),
                    stage: value(stage),
                })
            } else {
                Vec::new()
            }
        }
        "ansible-playbook" => {
            let arguments = plain(
                "-i --inventory -e --extra-vars -u --user -l --limit -t --tags --private-key \
            --key-file --vault-password-file --skip-tags -f --forks",
            );
            if arguments.has("--check") || arguments.has("--syntax-check") {
                return Vec::new();
            }
            deploys(Tool::Ansible {
                playbook: value(arguments.operands().first().copied()).unwrap_or_default(),
                inventory: value(arguments.one(&["-i", "--inventory"])),
            })
        }
        "rsync" | "scp" => {
            let valued = "-e --rsh -P -i -o --exclude --include --filter --exclude-from";
            let operands = plain(valued).operands();
            let target = operands.last().copied().unwrap_or_default();
            if operands.len() < 2 || !target.contains(':') {
                return Vec::new();
            }
            let with = if name == "scp" { "scp" } else { "rsync" };
            deploys(Tool::Copy {
                with,
                target: Value::new(target),
            })
        }
        "lftp" | "ncftpput" => deploys(Tool::Copy {
            with: "FTP",
            target: Value::default(),
        }),
        "flyctl" | "fly" if first == "deploy" => deploys(Tool::Platform(PlatformCall {
            name: "Fly",
            app: app(&["-a", "--app"]),
            program: program.to_owned(),
            config: plain("").one(&["-c", "--config"]).map(str::to_owned),
            back: FLY_BACK,
            ..PlatformCall::default()
        })),
        "flyctl" | "fly"
            if matches!(
                (first, second),
                ("machine" | "machines" | "m", "run" | "update")
            ) =>
        {
            platform("Fly Machines", app(&["-a", "--app"]), ByHand::Again)
        }
        "heroku" if matches!(first, "container:release" | "deploy:jar") => {
            let undo = Undo {
                command: format!("{program} rollback"),
                options: again("--app", &["-a", "--app"]).into_iter().collect(),
            };
            undone("Heroku", app(&["-a", "--app"]), HEROKU_BACK, undo)
        }
        "git"
            if first == "push"
                && rest
                    .iter()
                    .any(|word| word.contains("heroku") || word.contains("dokku")) =>
        {
            let dokku = rest.iter().any(|word| word.contains("dokku"));
            if dokku {
                platform("Dokku", None, DOKKU_BACK)
            } else {
                platform("Heroku", None, HEROKU_BACK)
            }
        }
        "vercel" if first.is_empty() || first == "deploy" || first.starts_with('-') => {
            if plain("").has("--prod") || plain("").has("--prod=true") {
                platform("Vercel", None, VERCEL_BACK)
            } else {
                Vec::new()
            }
        }
        "netlify" | "netlify-cli" if first == "deploy" => deploys(Tool::Site { host: "Netlify" }),
        "firebase" if first == "deploy" => match plain("").one(&["--only"]) {
            Some(only) if only.split(',').all(|part| part.starts_with("hosting")) => {
                deploys(Tool::Site {
                    host: "Firebase Hosting",
                })
            }
            _ => platform("Firebase", None, ByHand::Again),
        },
        "wrangler" if (first, second) == ("d1", "migrations") && migrates(rest) => {
            vec![CommandEffect::Migrates]
        }
        "wrangler" if first == "pages" => deploys(Tool::Site {
            host: "Cloudflare Pages",
        }),
        "wrangler" if matches!(first, "deploy" | "publish") => {
            let options = [
                again("--name", &["--name"]),
                again("--env", &["-e", "--env"]),
                again("--config", &["-c", "--config"]),
            ];
            let undo = Undo {
                command: format!("{program} rollback --yes"),
                options: options.into_iter().flatten().collect(),
            };
            undone(
                "Cloudflare Workers",
                None,
                ByHand::Command("wrangler rollback"),
                undo,
            )
        }
        "gcloud" => crate::google::gcloud(rest, at),
        "az" => match (first, second) {
            // Settings and an empty slot are no release.
            ("webapp", "deploy" | "up" | "restart") => azure_app(),
            ("webapp", "deployment") if deploys_webapp(&rest[2..]) => azure_app(),
            ("vm", "run-command") => {
                vec![CommandEffect::Deploys(Box::new(Tool::Commands))]
            }
            ("containerapp", "update" | "up") => platform(
                "Azure Container Apps",
                app(&["-n", "--name"]),
                ByHand::Command("az containerapp revision activate --revision REVISION"),
            ),
            ("functionapp", "deployment") => {
                platform("Azure Functions", app(&["-n", "--name"]), ByHand::Again)
            }
            _ => Vec::new(),
        },
        "doctl" if first == "apps" && matches!(second, "create-deployment" | "update") => {
            deploys(Tool::Platform(PlatformCall {
                name: "DigitalOcean App Platform",
                back: ByHand::Console,
                fetches: true,
                ..PlatformCall::default()
            }))
        }
        // It starts the newest image or commit that Railway has.
        "railway" if first == "redeploy" => deploys(Tool::Platform(PlatformCall {
            name: "Railway",
            app: app(&["-s", "--service"]),
            back: ByHand::Console,
            fetches: true,
            ..PlatformCall::default()
        })),
        "railway" if first == "up" => {
            platform("Railway", app(&["-s", "--service"]), ByHand::Console)
        }
        "eb" if first == "deploy" => platform(
            "Elastic Beanstalk",
            value(Some(second)).map(|one| Fact::new(one, at.clone())),
            ByHand::Command("eb deploy --version VERSION"),
        ),
        "sam" if first == "deploy" => platform("AWS SAM", app(&["--stack-name"]), ByHand::Again),
        "cdk" if first == "deploy" => platform("AWS CDK", None, ByHand::Again),
        "copilot" if matches!(first, "deploy" | "svc") => {
            platform("AWS Copilot", app(&["-n", "--name"]), ByHand::Again)
        }
        "serverless" | "sls" if first == "deploy" => {
            platform("Serverless Framework", None, SERVERLESS_BACK)
        }
        "terraform" | "tofu" if first == "apply" => platform("Terraform", None, ByHand::Again),
        "pulumi" if first == "up" => platform("Pulumi", None, ByHand::Again),
        "nomad" if matches!((first, second), ("job", "run") | ("run", _)) => platform(
            "Nomad",
            None,
            ByHand::Command("nomad job revert APP VERSION"),
        ),
        "argocd" if (first, second) == ("app", "sync") => deploys(Tool::Platform(PlatformCall {
            name: "Argo CD",
            app: rest.get(2).map(|word| fact(word)),
            back: ByHand::Command("argocd app rollback APP"),
            fetches: !plain("").has("--revision"),
            ..PlatformCall::default()
        })),
        "caprover" if first == "deploy" => {
            platform("CapRover", app(&["-a", "--caproverApp"]), ByHand::Console)
        }
        "curl" | "wget" | "http" => web(rest),
        "Invoke-WebRequest" | "Invoke-RestMethod" | "iwr" | "irm" => web_request(rest),
        "cargo" if first == "publish" => publishes("a crate"),
        "npm" | "yarn" | "pnpm" if first == "publish" => publishes("an npm package"),
        "twine" if first == "upload" => publishes("a Python package"),
        "gem" if first == "push" => publishes("a gem"),
        "gh" if first == "release" => publishes("the files of a release"),
        "goreleaser" => publishes("the files of a release"),
        "mvn" | "mvnw" if rest.iter().any(|word| word == "deploy") => publishes("a Maven artifact"),
        program if migration_tools::is_program(program) && !only_tells(rest) => {
            vec![CommandEffect::Migrates]
        }
        "git"
            if matches!(
                first,
                "pull" | "reset" | "checkout" | "clone" | "switch" | "merge"
            ) || rest.iter().any(|word| word == "pull") =>
        {
            deploys(Tool::Commands)
        }
        "composer" | "unzip" | "tar" | "ln" | "passenger-config" => deploys(Tool::Commands),
        // `php ~/.deployer/dep.phar deploy production`: the program is the archive.
        "php" if ["dep", "dep.phar", "deployer.phar"].contains(&base(first)) => {
            let words: Vec<String> = ["dep".to_owned()]
                .into_iter()
                .chain(rest[1..].iter().cloned())
                .collect();
            deeds(&words, &format!("{program} {first}"), env, at)
        }
        "php" if first == "artisan" && !rest.iter().any(|word| word.contains("migrat")) => {
            deploys(Tool::Commands)
        }
        "flask" if (first, second) == ("db", "upgrade") => vec![CommandEffect::Migrates],
        "rails" | "rake" | "php" | "python" | "python3" | "npm" | "yarn" | "npx" | "prisma"
        | "knex" | "artisan"
            if migrates(rest) =>
        {
            vec![CommandEffect::Migrates]
        }
        // `pnpm exec vercel`, `yarn wrangler`: a program of a package, where it is no script's name.
        "yarn" | "pnpm" | "bun" | "npm" | "bunx" | "pnpx" => {
            let words = match first {
                _ if name.ends_with('x') => rest,
                "exec" | "dlx" | "x" => &rest[1..],
                _ if name == "npm" => return Vec::new(),
                _ => rest,
            };
            let words: Vec<String> = words
                .iter()
                .skip_while(|word| *word == "--")
                .cloned()
                .collect();
            match words.first().cloned() {
                Some(inner) if PACKAGED.contains(&package(&inner)) => {
                    deeds(&words, &format!("{name} {inner}"), env, at)
                }
                _ => Vec::new(),
            }
        }
        _ => other(name, first, second),
    }
}

/// Whether `az webapp deployment …` changes what users get: `slot swap`, `source config-zip`.
fn deploys_webapp(words: &[String]) -> bool {
    let two = [words.first(), words.get(1)].map(|word| word.map_or("", String::as_str));
    matches!(two, ["slot", "swap"] | ["source", "config-zip" | "sync"])
}

/// A program of a package without the version that is wanted: `vercel@latest`.
fn package(word: &str) -> &str {
    match word.split_once('@') {
        Some((name, _)) if PACKAGED.contains(&name) => name,
        _ => word,
    }
}

/// A program's name without its folder.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Programs that deploy and that come as packages.
const PACKAGED: [&str; 12] = [
    "wrangler",
    "vercel",
    "netlify",
    "firebase",
    "serverless",
    "sls",
    "cdk",
    "sst",
    "convex",
    "supabase",
    "netlify-cli",
    "prisma",
];

/// A program of another name that says that it deploys: `supabase functions deploy`, `deployctl deploy`.
fn other(name: &str, first: &str, second: &str) -> Vec<CommandEffect> {
    // They run what their own files say, or hand out something that is no service.
    const OTHERS: [&str; 26] = [
        "npm",
        "yarn",
        "pnpm",
        "bun",
        "make",
        "rake",
        "just",
        "task",
        "gradle",
        "gradlew",
        "mvn",
        "mvnw",
        "nx",
        "lerna",
        "turbo",
        "python",
        "python3",
        "php",
        "node",
        "hardhat",
        "truffle",
        "forge",
        "anchor",
        "mike",
        "git",
        "sentry-cli",
    ];
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if OTHERS.contains(&name) || !plain(name) || !plain(first) {
        return Vec::new();
    }
    let name = match (first, second) {
        ("deploy", _) => format!("{name} deploy"),
        (_, "deploy") if !first.starts_with('-') => format!("{name} {first} deploy"),
        _ => return Vec::new(),
    };
    vec![CommandEffect::Deploys(Box::new(Tool::Other { name }))]
}

/// Whether a command on a machine changes what runs there, though it is no known tool.
pub fn changes(words: &[String]) -> bool {
    words
        .first()
        .is_some_and(|name| is_program_of_machine(name))
}

/// Programs that build or start an application.
pub(crate) fn is_program_of_machine(name: &str) -> bool {
    const PROGRAMS: [&str; 30] = [
        "java", "node", "nodejs", "npm", "yarn", "pnpm", "bun", "deno", "pip", "pip3", "poetry",
        "pipenv", "uv", "python", "python3", "mvn", "mvnw", "gradle", "gradlew", "go", "cargo",
        "dotnet", "forever", "gunicorn", "uvicorn", "bundle", "rails", "kill", "pkill", "fuser",
    ];
    PROGRAMS.contains(&name)
}

fn publishes(what: &'static str) -> Vec<CommandEffect> {
    vec![CommandEffect::Publishes { what }]
}

fn systemd(name: &str, words: &[String], at: &Line) -> Vec<CommandEffect> {
    let arguments = Arguments {
        words,
        valued: "-H -M -p -t",
    };
    let operands = arguments.operands();
    let verb = |word: &str| {
        matches!(
            word,
            "restart" | "reload" | "start" | "reload-or-restart" | "try-restart"
        )
    };
    let units: Vec<&str> = if name == "service" {
        match operands[..] {
            [unit, action] if verb(action) => vec![unit],
            _ => return Vec::new(),
        }
    } else {
        match operands.split_first() {
            Some((action, units)) if verb(action) => units.to_vec(),
            _ => return Vec::new(),
        }
    };
    // The machine's own services are not what is released.
    let machine = [
        "nginx",
        "docker",
        "ssh",
        "sshd",
        "apache2",
        "httpd",
        "caddy",
        "haproxy",
        "cron",
        "redis",
        "postgresql",
        "mysql",
        "containerd",
        "traefik",
    ];
    let units: Vec<Fact<String>> = (units.into_iter())
        .filter(|unit| !machine.contains(&unit.trim_end_matches(".service")))
        .map(|unit| {
            let whole = if unit.contains('.') || unit.contains('$') {
                unit.to_owned()
            } else {
                format!("{unit}.service")
            };
            Fact::new(whole, at.clone())
        })
        .collect();
    if units.is_empty() {
        return Vec::new();
    }
    vec![CommandEffect::Deploys(Box::new(Tool::Systemd {
        units,
        sudo: false,
        of_user: words.iter().any(|word| word == "--user"),
    }))]
}

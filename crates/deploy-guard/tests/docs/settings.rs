//! YAML of the documents: configurations by their reader, workflows by actionlint.

use std::fs;
use std::process::Command;

use config::{Request, Variables};
use regex::Regex;
use serde_json::Value;

use crate::docs::page::{Block, pages};
use crate::docs::words::refused;
use crate::job::inputs::rows;

/// The settings that the fragments of the documents assume.
const HOSTS: [&str; 6] = [
    "web-01",
    "web-02",
    "db-01",
    "runner-01",
    "runner-02",
    "runner-03",
];
const TARGETS: [&str; 7] = [
    "command", "nginx", "haproxy", "compose", "ecs", "workflow", "systemd",
];

enum Kind {
    Steps,
    Workflow,
    Configuration,
}

fn kind(block: &Block) -> (Kind, Value) {
    let value = yaml::read(&block.text);
    let value = value.unwrap_or_else(|error| panic!("{}: {error}", block.place()));
    let step = |item: &Value| item["uses"].is_string() || item["run"].is_string();
    let kind = match &value {
        Value::Array(items) if items.iter().all(step) => Kind::Steps,
        Value::Object(map) if map.contains_key("jobs") => Kind::Workflow,
        Value::Object(_) => Kind::Configuration,
        _ => panic!("{}: neither configuration nor workflow", block.place()),
    };
    (kind, value)
}

fn blocks() -> Vec<Block> {
    let all = pages().into_iter().flat_map(|page| page.blocks);
    let found: Vec<_> = all.filter(|block| block.language == "yaml").collect();
    assert!(found.len() > 15, "only {} blocks were found", found.len());
    found
}

/// The workflows that users copy.
fn examples() -> Vec<Block> {
    let root = testkit::workspace();
    let mut found = Vec::new();
    for example in fs::read_dir(root.join("examples")).unwrap().flatten() {
        let folder = example.path().join(".github/workflows");
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            found.push(Block {
                page: file
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .display()
                    .to_string(),
                line: 1,
                language: "yaml".to_owned(),
                text: fs::read_to_string(file.path()).unwrap(),
            });
        }
    }
    assert!(found.len() > 4, "only {} were found", found.len());
    found
}

#[test]
fn every_configuration_is_one_that_our_reader_takes() {
    // One with a default keeps it: it may be a number.
    let variable = Regex::new(r"\$\{(\w+)\}").unwrap();
    let mut wrong = Vec::new();
    for block in blocks() {
        let (Kind::Configuration, value) = kind(&block) else {
            continue;
        };
        let text = whole(&block.text, &value);
        let mut env = model::Env::default();
        for found in variable.captures_iter(&text) {
            env.set(&found[1], "x");
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("deploy-guard.yml"), &text).unwrap();
        let read = config::load(Request {
            fetch: None,
            path: None,
            folder: folder.path(),
            environment: None,
            variables: Variables {
                env: &env,
                release: Some("v1"),
            },
        });
        let error = match &read {
            Ok(loaded) => loaded.config.unset().next().map(|(_, error)| error),
            Err(refusal) => Some(&refusal.error),
        };
        if let Some(error) = error {
            wrong.push(format!("{}: {error:?}\n{text}", block.place()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A fragment with what it takes for given: hosts, a state, something to roll back. A whole file
/// has to be valid by itself.
fn whole(text: &str, value: &Value) -> String {
    if !value["version"].is_null() {
        return text.to_owned();
    }
    let mut text = format!("version: 1\n{text}");
    let rollback = &value["rollback"];
    if rollback.is_null() {
        text.push_str("rollback: { state: state.json, command: { run: ./switch.sh } }\n");
    } else {
        let mut given = "rollback:\n".to_owned();
        if rollback["state"].is_null() {
            given.push_str("  state: state.json\n");
        }
        if TARGETS.iter().all(|target| rollback[target].is_null()) {
            given.push_str("  command: { run: ./switch.sh }\n");
        }
        text = text.replacen("rollback:\n", &given, 1);
    }
    if value["hosts"].is_null() {
        text.push_str("hosts:\n");
        for name in HOSTS {
            text.push_str(&format!(
                "  {name}: {{ address: 10.0.0.9, user: deploy, key-env: KEY, known-hosts: known_hosts }}\n"
            ));
        }
    }
    text
}

/// Our Action is one of the repository's own there, so that actionlint holds inputs and outputs
/// against `action.yml`.
#[test]
fn every_workflow_and_step_passes_actionlint_with_the_inputs_of_our_action() {
    let repository = tempfile::tempdir().unwrap();
    let at = |name: &str| repository.path().join(name);
    fs::create_dir_all(at(".github/workflows")).unwrap();
    fs::create_dir_all(at(".git")).unwrap();
    fs::create_dir_all(at("deploy-guard/setup")).unwrap();
    for action in ["action.yml", "setup/action.yml"] {
        let to = at("deploy-guard").join(action);
        fs::copy(testkit::workspace().join(action), to).unwrap();
    }
    let labels = "self-hosted-runner: { labels: [production] }\n";
    fs::write(at(".github/actionlint.yaml"), labels).unwrap();
    let ours = Regex::new(r"uses: (?:org|acme)/deploy-guard(/setup)?@\S+").unwrap();
    let called = Regex::new(r"uses: \./\.github/workflows/(\S+)").unwrap();

    let mut actionlint = Command::new(testkit::tool("actionlint"));
    actionlint
        .current_dir(repository.path())
        .arg("-color=false");
    let mut seen = 0;
    for block in blocks().into_iter().chain(examples()) {
        let (kind, value) = kind(&block);
        let text = match kind {
            Kind::Configuration => continue,
            Kind::Steps => {
                let head = "on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n";
                let steps = block.text.lines().map(|line| format!("      {line}\n"));
                head.to_owned() + &steps.collect::<String>()
            }
            Kind::Workflow if value["on"].is_null() => format!("on: push\n{}", block.text),
            Kind::Workflow => block.text.clone(),
        };
        let file = format!(".github/workflows/{}", name(&block.page, block.line));
        let text = called.replace_all(&text, |found: &regex::Captures| {
            let (folder, _) = block.page.rsplit_once('/').unwrap();
            let name = name(&format!("{folder}/{}", &found[1]), 1);
            format!("uses: ./.github/workflows/{name}")
        });
        fs::write(
            at(&file),
            ours.replace_all(&text, "uses: ./deploy-guard$1").as_ref(),
        )
        .unwrap();
        actionlint.arg(&file);
        seen += 1;
        for step in steps(&value) {
            if let Some(why) = stage(step) {
                panic!("{}: {why}", block.place());
            }
        }
    }
    assert!(seen > 4, "only {seen} were found");
    let output = actionlint.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");

    // A typo would have been seen.
    let typo = "on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./deploy-guard\n        with: { stage: run, relase: v1 }\n";
    fs::write(at(".github/workflows/typo.yml"), typo).unwrap();
    let output = Command::new(testkit::tool("actionlint"))
        .current_dir(repository.path())
        .args(["-color=false", ".github/workflows/typo.yml"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("\"relase\""), "{said}");
}

#[test]
fn every_key_in_code_is_one_of_the_configuration() {
    let sections = "preflight|runner-check|healthgate|rollback|deploy|hosts|runners|environments";
    let key = Regex::new(&format!(r"^(?:{sections})(?:\.[a-z][a-z-]*)+$")).unwrap();
    let schema = config::schema();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages().iter().filter(|page| page.name != "CHANGELOG.md") {
        let file = |code: &String| [".sh", ".yml"].iter().any(|kind| code.ends_with(kind));
        for code in page
            .code()
            .iter()
            .filter(|code| key.is_match(code) && !file(code))
        {
            seen += 1;
            let path: Vec<&str> = code.split('.').collect();
            if !has(schema.as_value(), schema.as_value(), &path) {
                wrong.push(format!("{}: `{code}`", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 30, "only {seen} were found");
}

/// Whether this part of the schema has a key below it, through lists and named things.
fn has(schema: &Value, part: &Value, path: &[&str]) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return true;
    };
    let named = part["$ref"]
        .as_str()
        .and_then(|name| name.rsplit('/').next());
    let inner = named.map(|name| &schema["$defs"][name]);
    let choices = ["anyOf", "oneOf", "allOf"];
    let choices = choices
        .iter()
        .flat_map(|kind| part[*kind].as_array().into_iter().flatten());
    let same = choices.chain(inner).chain(part.get("items"));
    let below = [
        part["properties"].get(*key),
        part.get("additionalProperties"),
    ];
    below
        .into_iter()
        .flatten()
        .any(|below| below.is_object() && has(schema, below, rest))
        || same.into_iter().any(|part| has(schema, part, path))
}

/// A unique name for a block's workflow.
fn name(page: &str, line: usize) -> String {
    format!("{}-{line}.yml", page.replace(['/', '.'], "-"))
}

/// The steps of a fragment, or of all jobs of a workflow.
fn steps(value: &Value) -> Vec<&Value> {
    if let Value::Array(steps) = value {
        return steps.iter().collect();
    }
    let jobs = value["jobs"].as_object().into_iter().flatten();
    jobs.flat_map(|(_, job)| job["steps"].as_array().into_iter().flatten())
        .collect()
}

/// Why a step of ours could not be run: no such stage, or arguments that it does not take.
fn stage(step: &Value) -> Option<String> {
    let uses = step["uses"].as_str()?;
    if !uses.contains("/deploy-guard@") {
        return None;
    }
    let Some(stage) = step["with"]["stage"].as_str() else {
        return Some("a step of ours without `stage`".to_owned());
    };
    // What an expression gives is known to the runner alone.
    let expression = Regex::new(r"\$\{\{.*?\}\}").unwrap();
    let input = |name: &str| match &step["with"][name] {
        Value::Null => String::new(),
        Value::String(text) => expression.replace_all(text, "…").into_owned(),
        other => other.to_string(),
    };
    let mut words = vec!["deploy-guard".to_owned(), stage.to_owned()];
    let own = [input("command"), input("args")].join("\n");
    let own = own.lines().filter(|line| !line.trim().is_empty());
    words.extend(own.map(str::to_owned));
    if words.len() == 2 {
        // As `action/run.sh` does.
        let usual = [("rollback", "run"), ("traffic", "ramp")].into_iter();
        let of_stage = usual.filter(|(of, _)| *of == stage);
        words.extend(of_stage.map(|(_, action)| action.to_owned()));
    }
    for row in rows() {
        let text = input(&row.input);
        if !text.is_empty() && !row.stages.iter().any(|one| one == stage) {
            return Some(format!("`{stage}` takes no `{}`", row.input));
        }
        if !text.is_empty() {
            words.extend(row.arguments(&text));
        }
    }
    refused(&words)
}

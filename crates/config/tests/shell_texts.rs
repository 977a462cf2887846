//! Keys whose text a shell runs: nothing is filled into any of them.

use std::collections::BTreeSet;

use config::value::ShellText;
use config::{Request, Variables, load};
use model::Env;
use serde_json::Value;

/// Keys that are called as those of a shell's texts, or speak of a shell, and are something else: the type, the key and
/// what it is.
const OTHERS: &[(&str, &str, &str)] = &[
    ("CommandTool", "current", "a query of the database"),
    ("Waiver", "check", "the name of a check"),
];

fn is_of(part: &Value, fits: &dyn Fn(&Value) -> bool) -> bool {
    let mut any = ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|all| part[all].as_array())
        .flatten();
    fits(part) || any.any(|one| is_of(one, fits))
}

fn is_shell_text(part: &Value) -> bool {
    let name = format!("#/$defs/{}", ShellText::SCHEMA);
    is_of(part, &|one| one["$ref"] == name.as_str())
}

/// A text without a form of its own.
fn is_text(part: &Value) -> bool {
    let is_string = |kind: &Value| {
        kind == "string"
            || kind
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == "string"))
    };
    is_of(part, &|one| is_string(&one["type"]))
}

/// A key whose text a shell runs is of the type [`ShellText`]: a new one, too.
#[test]
fn every_key_whose_text_a_shell_runs_is_of_the_type() {
    let schema = config::schema().to_value();
    let mut keys: Vec<(String, String, Value)> = Vec::new();
    for (of, part) in schema["$defs"].as_object().unwrap() {
        for (key, value) in part["properties"].as_object().into_iter().flatten() {
            keys.push((of.clone(), key.clone(), value.clone()));
        }
    }
    let (typed, others): (Vec<_>, Vec<_>) =
        keys.iter().partition(|(.., value)| is_shell_text(value));
    assert!(typed.len() > 30, "{typed:?}");
    let names: BTreeSet<&str> = typed.iter().map(|(_, key, _)| key.as_str()).collect();
    let speaks = |text: &str| {
        let text = text.to_ascii_lowercase();
        [
            "sh -c",
            "shell",
            "run by `sh",
            "a command that",
            "what calls",
        ]
        .iter()
        .any(|words| text.contains(words))
    };
    let wrong: Vec<String> = others
        .iter()
        .filter(|(.., value)| is_text(value))
        .filter(|(_, key, value)| {
            let told = value["description"].as_str().unwrap_or_default();
            names.contains(key.as_str()) || speaks(told)
        })
        .filter(|(of, key, _)| {
            !OTHERS
                .iter()
                .any(|(type_of, other, _)| of == type_of && key == other)
        })
        .map(|(of, key, value)| format!("{of}.{key}: {}", value["description"]))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// By its type, wherever it is, and in an environment, too.
#[test]
fn a_release_s_name_is_never_a_part_of_a_shell_s_text() {
    let text = r"
version: 1
deploy: { command: 'deploy ${RELEASE}', after: [{ name: a, run: 'after ${RELEASE}' }] }
healthgate:
  command: [{ name: a, run: 'healthgate ${RELEASE} ${OURS:-x} ${HOME} ${NONE}' }]
  http: [{ name: b, url: 'http://127.0.0.1/${RELEASE}' }]
preflight: { command: [{ name: a, run: 'preflight ${RELEASE}' }] }
rollback:
  state: state.json
  haproxy: { backend: b, blue: b, green: g, socket: /s, config-file: /c, test: 'rollback ${RELEASE}', release: { url: 'http://127.0.0.1/' } }
migrate:
  exec: 'exec ${RELEASE}'
  stop: 'stop ${RELEASE}'
  start: 'start ${RELEASE}'
  backup: { command: 'backup ${RELEASE}' }
  rehearse: { smoke: 'smoke ${RELEASE}' }
  command: { apply: 'apply ${RELEASE}', current: 'select 1', pending: 'pending ${RELEASE}', undo: 'undo ${RELEASE}', sql: 'sql ${RELEASE}' }
environments:
  staging:
    deploy: { command: 'stage ${RELEASE}' }
";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
    let env = Env::from_iter([
        ("OURS", "$(x)"),
        ("HOME", "/home"),
        ("RELEASE", "of the caller"),
    ]);
    let release = "v2\"; x";
    let loaded = load(Request {
        fetch: None,
        path: None,
        folder: folder.path(),
        environment: Some("staging"),
        variables: Variables {
            env: &env,
            release: Some(release),
        },
    });
    let config = loaded.unwrap().config;
    let gate = config.healthgate().unwrap().unwrap();
    let run = &gate.command[0].run;
    assert_eq!(&**run, "healthgate ${RELEASE} ${OURS:-x} ${HOME} ${NONE}");
    let given = [("OURS", "$(x)"), ("RELEASE", release)].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(run.variables(), given);
    assert_eq!(gate.http[0].url, format!("http://127.0.0.1/{release}"));
    let deploy = config.deploy().unwrap().unwrap();
    let migrate = config.migrate().unwrap().unwrap();
    let tool = migrate.command.as_ref().unwrap();
    let haproxy = config
        .rollback()
        .unwrap()
        .unwrap()
        .haproxy
        .as_ref()
        .unwrap();
    for (text, first) in [
        (&deploy.command, "stage"),
        (&deploy.after[0].run, "after"),
        (
            &config.preflight().unwrap().unwrap().command[0].run,
            "preflight",
        ),
        (haproxy.test.as_ref().unwrap(), "rollback"),
        (migrate.exec.as_ref().unwrap(), "exec"),
        (migrate.stop.as_ref().unwrap(), "stop"),
        (migrate.start.as_ref().unwrap(), "start"),
        (migrate.backup.command.as_ref().unwrap(), "backup"),
        (migrate.rehearse.smoke.as_ref().unwrap(), "smoke"),
        (&tool.apply, "apply"),
        (tool.pending.as_ref().unwrap(), "pending"),
        (tool.undo.as_ref().unwrap(), "undo"),
        (tool.sql.as_ref().unwrap(), "sql"),
    ] {
        assert_eq!(&**text, format!("{first} ${{RELEASE}}"));
        assert_eq!(text.variables(), &given[1..]);
    }
}

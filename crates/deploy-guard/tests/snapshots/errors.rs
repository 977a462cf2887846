//! Every class of error that ends a command before it acts, with its hint.

use crate::snapshots::Folder;

#[test]
fn a_configuration_that_cannot_be_used() {
    for (name, text) in [
        ("not_yaml", "version: 1\nhealthgate: [\n"),
        ("unknown_key", "version: 1\nhealthgate: { polcy: {} }\n"),
        ("renamed_key", "version: 1\nrunner-check: { fresh: 1m }\n"),
        (
            "wrong_type",
            "version: 1\nhealthgate: { http: { name: a } }\n",
        ),
        (
            "missing_key",
            "version: 1\nhealthgate: { http: [{ name: a }] }\n",
        ),
        (
            "wrong_value",
            "version: 1\nhealthgate: { policy: { interval: 5 } }\n",
        ),
        ("wrong_version", "version: 2\n"),
        ("key_twice", "version: 1\nservice: a\nservice: b\n"),
        (
            "name_twice",
            "version: 1\nhealthgate: { tcp: [{ name: a, address: 'b:1' }, { name: a, address: 'c:1' }] }\n",
        ),
        (
            "unknown_host",
            "version: 1\nhosts: { web-01: { address: a } }\nhealthgate: { command: [{ name: a, run: b, host: web-1 }] }\n",
        ),
        (
            "unset_variable",
            "version: 1\nhealthgate: { http: [{ name: a, url: '${URL}' }] }\n",
        ),
        (
            "unset_release",
            "version: 1\nhealthgate: { http: [{ name: a, url: 'http://a/${RELEASE}' }] }\n",
        ),
        ("no_probe", "version: 1\n"),
    ] {
        Folder::new(&[("deploy-guard.yml", text)]).shows(name, "healthgate");
    }
    let environments = "version: 1\nenvironments: { staging: {}, production: {} }\n";
    let folder = Folder::new(&[("deploy-guard.yml", environments)]);
    folder.shows("unknown_environment", "healthgate --environment stagin");
    folder.shows("no_such_file", "healthgate --config other.yml");
}

#[test]
fn a_command_line_that_cannot_be_used() {
    let folder = Folder::new(&[]);
    for (name, words) in [
        ("unknown_flag", "healthgate --intervall 1s"),
        ("unknown_subcommand", "rollback resum"),
        ("renamed_subcommand", "rollback drilled"),
        ("renamed_flag", "deploy-guard reproduce --anyway r.json"),
        ("flag_renamed_elsewhere", "traffic ramp --side blue"),
        ("wrong_duration", "healthgate --interval soon"),
        ("wrong_score", "preflight --pass-score 11"),
        ("no_rollback", "rollback run"),
        ("no_deployment", "deploy-guard run --release v2"),
        (
            "wrong_release",
            "healthgate --http http://127.0.0.1:9/ --release -v",
        ),
        ("no_repository", "runner-check"),
    ] {
        folder.shows(name, words);
    }
}

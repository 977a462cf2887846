//! Rules over the whole file that types cannot state: names that must exist, be unique, or
//! exclude each other.

mod backup;
mod healthgate;
mod hosts;
mod rollback;
mod rules;
mod runners;

use crate::file::{Config, FreezeWindow, Github, Preflight, SecretKind, VariableCheck, Waiver};
use crate::spot::Spot;
use yaml::Fault;
use yaml::Node;

use rules::{fault, http_url, known_host, unique};

/// The only version of the file's format.
const VERSION: u32 = 1;

/// A section that holds a variable that is not set is not there, and is not checked.
pub(crate) fn check(config: &Config, tree: &Node) -> Result<(), Fault> {
    if config.version != VERSION {
        return Err(fault(
            tree,
            &["version"],
            format!("version {} is not known", config.version),
        )
        .hint("this release reads `version: 1`"));
    }
    if let Some(section) = &config.github {
        github(section, tree)?;
    }
    runners::hosts(config, tree)?;
    if let Some(section) = &config.preflight {
        preflight(section, config, tree)?;
    }
    if let Some(section) = &config.runner_check {
        runners::section(section, config, tree)?;
    }
    if let Some(section) = &config.healthgate {
        let spot = Spot::root(tree, &config.host_names).key("healthgate");
        healthgate::section(section, config, spot)?;
    }
    if let Some(section) = &config.rollback {
        rollback::section(section, config, tree)?;
    }
    if let Some(section) = &config.deploy {
        rollback::hooks(&["deploy", "after"], &section.after, tree)?;
    }
    Ok(())
}

fn github(section: &Github, tree: &Node) -> Result<(), Fault> {
    if let Some(url) = &section.api_url {
        http_url(tree, &["github", "api-url"], url)?;
    }
    let Some(app) = &section.app else {
        return Ok(());
    };
    if section.token_env.is_some() {
        return Err(fault(
            tree,
            &["github", "app"],
            "`token-env` and `app` exclude each other",
        )
        .hint("a check may name a `token-env` of its own"));
    }
    match (&app.id, &app.id_env) {
        (Some(_), Some(_)) => Err(fault(
            tree,
            &["github", "app", "id-env"],
            "`id` and `id-env` exclude each other",
        )),
        (None, None) => Err(fault(tree, &["github", "app"], "the app has no id")
            .hint("add `id: 12345`, as its settings page shows it, or `id-env: NAME`")),
        _ => Ok(()),
    }
}

fn preflight(section: &Preflight, config: &Config, tree: &Node) -> Result<(), Fault> {
    if !(0.0..=10.0).contains(&section.pass_score) {
        return Err(fault(
            tree,
            &["preflight", "pass-score"],
            "not a score from 0 to 10",
        ));
    }
    unique(tree, &["preflight", "secrets"], "name")?;
    unique(tree, &["preflight", "variables"], "name")?;
    unique(tree, &["preflight", "variables"], "example-file")?;
    unique(tree, &["preflight", "freeze"], "name")?;
    for (at, window) in section.freeze.iter().enumerate() {
        if let (Some(first), Some(last)) = (window.first_date, window.last_date)
            && last.get() < first.get()
        {
            let path = ["preflight", "freeze", &at.to_string(), "last-date"];
            return Err(fault(
                tree,
                &path,
                "`last-date` is before `first-date`: nothing would ever be frozen",
            ));
        }
    }
    never_open(section, tree)?;
    for (at, variable) in section.variables.iter().enumerate() {
        variable_check(variable).map_err(|problem| {
            fault(tree, &["preflight", "variables", &at.to_string()], problem)
        })?;
    }
    unique(tree, &["preflight", "images"], "name")?;
    unique(tree, &["preflight", "runners"], "name")?;
    unique(tree, &["preflight", "hosts"], "host")?;
    for (list, key) in [
        ("artifacts", "name"),
        ("checks", "name"),
        ("staging", "environment"),
        ("deployments", "environment"),
    ] {
        unique(tree, &["preflight", list], key)?;
    }
    asked_of_github(section, tree)?;
    images(section, tree)?;
    backup::check(section, config, tree)?;
    unique(tree, &["preflight", "command"], "name")?;
    unique(tree, &["preflight", "disk"], "path")?;
    runners::checks(section, config, tree)?;
    hosts::preflight(section, config, tree)?;
    for (at, secret) in section.secrets.iter().enumerate() {
        let at_text = at.to_string();
        let is_token = secret.kind == SecretKind::Token;
        if secret.token.is_some() && !is_token {
            let path = ["preflight", "secrets", &at_text, "token"];
            return Err(fault(tree, &path, "`token` is for `kind: token`"));
        }
        if secret.passphrase_env.is_some() && secret.kind != SecretKind::SshPrivateKey {
            let path = ["preflight", "secrets", &at_text, "passphrase-env"];
            let message = "`passphrase-env` is for `kind: ssh-private-key`";
            return Err(fault(tree, &path, message));
        }
        if secret.stored.is_some() && secret.max_age.is_none() {
            let path = ["preflight", "secrets", &at_text, "stored"];
            return Err(fault(tree, &path, "`stored` is for `max-age`"));
        }
        if secret.stored.as_ref().is_some_and(|stored| {
            stored.organization.is_some()
                && (stored.environment.is_some() || stored.repository.is_some())
        }) {
            let path = ["preflight", "secrets", &at_text, "stored", "organization"];
            let message = "`organization` excludes `environment` and `repository`";
            return Err(fault(tree, &path, message));
        }
        if secret.min_days.is_some() && secret.kind != SecretKind::PemCertificate && !is_token {
            let path = ["preflight", "secrets", &at.to_string(), "min-days"];
            return Err(fault(
                tree,
                &path,
                "`min-days` is for `kind: pem-certificate` and `kind: token`",
            ));
        }
        for (nth, host) in secret.hosts.iter().enumerate() {
            let path = [
                "preflight",
                "secrets",
                &at.to_string(),
                "hosts",
                &nth.to_string(),
            ];
            known_host(tree, &path, host, config)?;
        }
    }
    Ok(())
}

/// Windows in which nothing is deployed must leave some time in which something is.
fn never_open(section: &Preflight, tree: &Node) -> Result<(), Fault> {
    let root = ["preflight", "freeze"];
    let hint = "give it `days`, `from` and `to`, or a `last-date`";
    for (at, window) in section.freeze.iter().enumerate() {
        if crate::freeze::is_endless(&[window]) {
            let text = format!(
                "`{}` never ends: nothing could ever be deployed",
                window.name
            );
            return Err(fault(tree, &[root[0], root[1], &at.to_string()], text).hint(hint));
        }
    }
    let required = |window: &&FreezeWindow| window.severity == model::Severity::Required;
    let all: Vec<&FreezeWindow> = section.freeze.iter().filter(required).collect();
    if crate::freeze::is_endless(&all) {
        let text = "together these windows never end: nothing could ever be deployed";
        return Err(fault(tree, &root, text).hint("leave some time between them"));
    }
    Ok(())
}

fn asked_of_github(section: &Preflight, tree: &Node) -> Result<(), Fault> {
    for (at, artifact) in section.artifacts.iter().enumerate() {
        let chooses = [
            ("branch", artifact.branch.is_some()),
            ("same-commit", artifact.same_commit),
            ("commit", artifact.commit.is_some()),
        ];
        let chosen = chooses.into_iter().find(|(_, given)| *given);
        if let (None, Some((key, _))) = (&artifact.workflow, chosen) {
            return Err(fault(
                tree,
                &["preflight", "artifacts", &at.to_string(), key],
                format!("`{key}` chooses a run of another workflow, and no `workflow` is named"),
            ));
        }
    }
    for (at, checks) in section.checks.iter().enumerate() {
        let at = at.to_string();
        waivers(&checks.waivers, &["preflight", "checks", &at], tree)?;
    }
    waivers(&section.waivers, &["preflight"], tree)
}

/// Who let what through, and why, must be said.
fn waivers(all: &[Waiver], below: &[&str], tree: &Node) -> Result<(), Fault> {
    for (nth, waiver) in all.iter().enumerate() {
        for (key, text) in [
            ("check", &waiver.check),
            ("reason", &waiver.reason),
            ("approver", &waiver.approver),
        ] {
            if text.trim().is_empty() {
                let nth = nth.to_string();
                let path = [below, &["waivers", &nth, key]].concat();
                return Err(fault(tree, &path, format!("a waiver's `{key}` is empty")));
            }
        }
    }
    Ok(())
}

fn images(section: &Preflight, tree: &Node) -> Result<(), Fault> {
    for (at, image) in section.images.iter().enumerate() {
        let at = at.to_string();
        for (nth, platform) in image.platforms.iter().enumerate() {
            if !is_platform(platform) {
                let path = ["preflight", "images", &at, "platforms", &nth.to_string()];
                return Err(fault(tree, &path, format!("`{platform}` is no platform"))
                    .hint("write it as `linux/amd64` or `linux/arm/v7`"));
            }
        }
        if let Some(digest) = &image.digest
            && !is_digest(digest)
        {
            let path = ["preflight", "images", &at, "digest"];
            return Err(fault(tree, &path, format!("`{digest}` is no digest"))
                .hint("write it as `sha256:` and 64 hexadecimal digits"));
        }
        if image.username_env.is_some() && image.password_env.is_none() {
            let path = ["preflight", "images", &at, "username-env"];
            return Err(fault(tree, &path, "`username-env` needs `password-env`"));
        }
    }
    Ok(())
}

/// `os/architecture[/variant]`.
fn is_platform(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let part = |part: &str| !part.is_empty() && part.bytes().all(good);
    (1..=2).contains(&text.matches('/').count()) && text.split('/').all(part)
}

fn is_digest(text: &str) -> bool {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(hex))
}

fn variable_check(check: &VariableCheck) -> Result<(), &'static str> {
    let of_name = check.matches.is_some() || !check.one_of.is_empty();
    match (&check.name, &check.example_file) {
        (Some(_), Some(_)) => Err("`name` and `example-file` exclude each other"),
        (None, None) => Err("neither `name` nor `example-file` is given"),
        (None, Some(_)) if of_name => Err("`matches` and `one-of` are for a variable by `name`"),
        (Some(_), None) if !check.optional.is_empty() => Err("`optional` is for an `example-file`"),
        _ => Ok(()),
    }
}

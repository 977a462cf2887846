//! Hosts that must take a login: the name resolves, the port is open, the host's key is known,
//! our key authenticates, `true` runs.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use cli::Job;
use config::file::{Host, HostCheck};
use model::{Outcome, Verdict};
use remote::ssh::{Error, Target};
use secrecy::SecretString;

use super::{Planned, Scene};

/// A private key file is a few kilobytes.
const MAX_KEY: u64 = 64 << 10;
const EXPECTED: &str = "the host takes our login and runs `true`";

pub(crate) fn plan<'a>(check: &'a HostCheck, scene: &'a Scene<'a>) -> Planned<'a> {
    let HostCheck {
        host,
        severity,
        weight,
    } = check;
    let id = format!("hosts/{host}");
    Planned {
        id: id.clone(),
        subject: host.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("log in at {host} and run `true`"),
        needs: Some("the host's SSH key".to_owned()),
        timeout: scene.timeout,
        ask: Box::pin(async move { log_in(id, host, None, scene.job, scene.timeout).await }),
    }
}

/// Logs in at a host of the configuration, with `key` or the host's own.
pub(crate) async fn log_in(
    id: String,
    name: &str,
    key: Option<&str>,
    job: &Job,
    timeout: Duration,
) -> Outcome {
    let Some(host) = job.config.hosts.get(name) else {
        return Outcome::error(id, name).reason(format!("no host `{name}` under `hosts:`"));
    };
    let subject = format!("{}@{}:{}", host.user, host.address, host.port);
    let target = match target(host, key, job) {
        Ok(target) => target,
        Err((reason, hint)) => {
            return Outcome::fail(id, subject)
                .expected(EXPECTED)
                .actual(reason.clone())
                .reason(reason)
                .hint(hint);
        }
    };
    match target.clone().check(timeout).await {
        Ok(()) => Outcome::pass(id, subject)
            .expected(EXPECTED)
            .actual("logged in, `true` ran"),
        Err(error) => {
            // Without the file of known keys we could not ask; all else is the host's own answer.
            let verdict = if matches!(error, Error::KnownHosts { .. }) {
                Verdict::Error
            } else {
                Verdict::Fail
            };
            Outcome::new(id, subject, verdict)
                .expected(EXPECTED)
                .actual(error.to_string())
                .reason(format!("host `{name}`: {error}"))
                .hint(target.hint(&error))
        }
    }
}

fn target(host: &Host, key: Option<&str>, job: &Job) -> Result<Target, (String, String)> {
    let Host {
        address,
        port,
        user,
        key_env,
        key_file,
        known_hosts,
    } = host;
    let key = match (key, key_env, key_file) {
        (Some(key), ..) => key.to_owned(),
        (None, Some(name), _) => job
            .env
            .non_empty(name)
            .ok_or_else(|| {
                let hint =
                    format!("map it in the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`");
                (format!("the key's variable `{name}` is not set"), hint)
            })?
            .to_owned(),
        (None, None, Some(path)) => read(path)?,
        (None, None, None) => {
            let hint = "add `key-env: NAME` or `key-file: FILE` to the host";
            return Err((
                "no key is configured for the host".to_owned(),
                hint.to_owned(),
            ));
        }
    };
    let known_hosts = known_hosts.clone().or_else(|| {
        job.env
            .non_empty("HOME")
            .map(|home| PathBuf::from(home).join(".ssh/known_hosts"))
    });
    Ok(Target {
        address: address.clone(),
        port: *port,
        user: user.clone(),
        key: SecretString::from(key),
        known_hosts: known_hosts.unwrap_or_else(|| PathBuf::from("known_hosts")),
    })
}

fn read(path: &PathBuf) -> Result<String, (String, String)> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
        .map(|_| text)
        .map_err(|error| {
            let hint = "check `key-file` and its permissions";
            (
                format!("the key file {} cannot be read: {error}", path.display()),
                hint.to_owned(),
            )
        })
}

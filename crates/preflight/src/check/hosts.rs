//! Hosts that must take a login: the name resolves, the port is open, the host's key is known,
//! our key authenticates, `true` runs.

use std::time::{Duration, Instant};

use cli::Job;
use config::file::HostCheck;
use model::{Outcome, Verdict};
use remote::ssh::{Error, Limits, Target};

use super::{Planned, Scene};

/// What a login may print around `true`.
const MAX_OUTPUT: usize = 64 << 10;
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
    let target = match Target::of(host, key, &job.env) {
        Ok(target) => target,
        Err(unready) => {
            return Outcome::fail(id, subject)
                .expected(EXPECTED)
                .actual(unready.reason.clone())
                .reason(unready.reason)
                .hint(unready.hint);
        }
    };
    match run_true(target.clone(), timeout).await {
        Ok(()) => Outcome::pass(id, subject)
            .expected(EXPECTED)
            .actual("logged in, `true` ran"),
        Err(error) => {
            // Without the file of known keys we could not ask; all else is the host's own answer.
            let verdict = if error.is_ours() {
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

async fn run_true(target: Target, timeout: Duration) -> Result<(), Error> {
    let clock = Instant::now();
    let session = target.connect(timeout).await?;
    let limits = Limits {
        timeout: timeout.saturating_sub(clock.elapsed()),
        max_output: MAX_OUTPUT,
    };
    let output = session.run("true", limits).await?;
    if output.success() {
        return Ok(());
    }
    Err(Error::Command {
        reason: format!("`true`: {}", output.exit),
    })
}

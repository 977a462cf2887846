//! Commands whose exit status and output decide, here or on hosts.

use std::time::{Duration, Instant};

use config::file::CommandCheck;
use model::Outcome;
use remote::local;
use remote::ssh::{self, Limits, Target};

use super::space::bytes;
use super::{Planned, Scene};

/// What is kept of a command's output on a host; as much as of a local one.
const MAX_OUTPUT: usize = 64 << 10;
/// What of it is shown.
const SHOWN: usize = 400;

/// One question here, or one for each host.
pub(crate) fn plan<'a>(check: &'a CommandCheck, scene: &'a Scene<'a>) -> Vec<Planned<'a>> {
    let timeout = check
        .timeout
        .map_or(scene.timeout, config::value::Span::get);
    let Some(selector) = &check.host else {
        let id = format!("command/{}", check.name);
        return vec![Planned {
            id: id.clone(),
            subject: check.run.clone(),
            severity: check.severity,
            weight: check.weight,
            asks: format!("run `{}`", check.run),
            needs: None,
            timeout: timeout + local::GRACE,
            ask: Box::pin(async move { here(id, check, scene, timeout).await }),
        }];
    };
    let names = scene.job.config.hosts_named(selector);
    let weight = check.weight.split(names.len());
    let at = |name: &'a str| {
        let id = format!("command/{}@{name}", check.name);
        Planned {
            id: id.clone(),
            subject: check.run.clone(),
            severity: check.severity,
            weight,
            asks: format!("run `{}` at {name}", check.run),
            needs: Some("the host's SSH key".to_owned()),
            // A host waits for its turn; its own time begins then.
            timeout: scene.patient(),
            ask: Box::pin(async move { there(id, name, check, scene, timeout).await }),
        }
    };
    names.into_iter().map(at).collect()
}

/// What a command did, wherever it ran.
struct Ran {
    /// `None` where it did not end by itself.
    status: Option<i32>,
    /// How it ended, in words.
    exit: String,
    stdout: Vec<u8>,
    /// What of its output is not in `stdout`.
    dropped: bool,
    /// Its last lines, redacted: what is shown is cut, and a secret that was cut is not found.
    tail: String,
}

async fn here(id: String, check: &CommandCheck, scene: &Scene<'_>, timeout: Duration) -> Outcome {
    let script = local::Script {
        text: &check.run,
        env: Vec::new(),
        timeout,
    };
    let redactor = &scene.job.redactor;
    let mut show = |_, line: &str| tracing::debug!("{}", redactor.redact(line));
    match local::run(&script, &mut show).await {
        Ok(captured) => {
            let ran = Ran {
                status: match captured.exit {
                    local::Exit::Code(code) => Some(code),
                    local::Exit::Signal(_) | local::Exit::TimedOut => None,
                },
                exit: captured.exit.to_string(),
                dropped: captured.stdout.len() > MAX_OUTPUT,
                tail: redactor.redact(&captured.tail()),
                stdout: captured.stdout.into_bytes(),
            };
            judge(id, check, &ran, timeout, "run it yourself")
        }
        Err(error) => Outcome::error(id, &check.run)
            .expected(expected(check))
            .actual("it was not run")
            .reason(format!("`sh` cannot be started: {error}"))
            .hint("see `command -v sh`"),
    }
}

async fn there(
    id: String,
    name: &str,
    check: &CommandCheck,
    scene: &Scene<'_>,
    timeout: Duration,
) -> Outcome {
    let not_run = |id: String, reason: String, hint: String| {
        Outcome::error(id, &check.run)
            .expected(expected(check))
            .actual("it was not run")
            .reason(format!("host `{name}`: {reason}"))
            .hint(hint)
    };
    let Some(host) = scene.job.config.hosts.get(name) else {
        let hint = format!("add `hosts: {{ {name}: {{ address: … }} }}`");
        return not_run(id, "it is not under `hosts:`".to_owned(), hint);
    };
    let target = match Target::of(host, None, &scene.job.env) {
        Ok(target) => target,
        Err(unready) => return not_run(id, unready.reason, unready.hint),
    };
    let _turn = scene.hosts.acquire().await;
    let clock = Instant::now();
    let session = match target.clone().connect(timeout).await {
        Ok(session) => session,
        Err(error) => return not_run(id, error.to_string(), target.hint(&error)),
    };
    let limits = Limits {
        timeout: timeout.saturating_sub(clock.elapsed()),
        max_output: MAX_OUTPUT,
    };
    match session.run(&check.run, limits).await {
        Ok(output) if output.exit == ssh::Exit::Unproven => {
            let reason = format!(
                "it {}: {}",
                output.exit,
                shown(&scene.job.redactor.redact(&output.tail()))
            );
            let hint = format!(
                "the login may be bound to another command, or its shell is none of POSIX's: see `command=` in authorized_keys, `ForceCommand` in sshd_config, and `getent passwd {}` at {name}",
                host.user
            );
            not_run(id, reason, hint)
        }
        Ok(output) => {
            let mut exit = output.exit.to_string();
            if output.exit == ssh::Exit::Flood {
                exit.push_str(&format!(" ({})", bytes(output.printed)));
            }
            let ran = Ran {
                status: match output.exit {
                    ssh::Exit::Code(code) => Some(code),
                    ssh::Exit::Signal(_)
                    | ssh::Exit::Unproven
                    | ssh::Exit::TimedOut
                    | ssh::Exit::Flood => None,
                },
                exit,
                dropped: output.truncated,
                tail: scene.job.redactor.redact(&output.tail()),
                stdout: output.stdout,
            };
            judge(id, check, &ran, timeout, &format!("run it at {name}"))
        }
        Err(error) => not_run(id, error.to_string(), target.hint(&error)),
    }
}

/// Status first: a command that failed prints what it likes.
fn judge(id: String, check: &CommandCheck, ran: &Ran, timeout: Duration, place: &str) -> Outcome {
    let CommandCheck {
        name,
        run,
        host: _,
        status,
        contains,
        matches,
        timeout: _,
        severity: _,
        weight: _,
    } = check;
    let said = shown(&ran.tail);
    let actual = if said.is_empty() {
        ran.exit.clone()
    } else {
        format!("{}: {said}", ran.exit)
    };
    let hint = format!("{place}: `{run}`");
    let bad = |reason: String| {
        Outcome::fail(&id, run)
            .expected(expected(check))
            .actual(&actual)
            .reason(format!("`{name}`: {reason}"))
            .hint(&hint)
    };
    let Some(code) = ran.status else {
        return bad(format!(
            "{} (its time is {} ms)",
            ran.exit,
            timeout.as_millis()
        ));
    };
    if !status.iter().any(|good| i32::from(*good) == code) {
        return bad(format!("{}, expected {}", ran.exit, statuses(status)));
    }
    let text = String::from_utf8_lossy(&ran.stdout);
    let lost = if ran.dropped {
        ", and what it printed beyond 64 KiB was not kept"
    } else {
        ""
    };
    if let Some(wanted) = contains
        && !text.contains(wanted)
    {
        return undecided(bad(format!("it does not print `{wanted}`{lost}")), ran);
    }
    if let Some(pattern) = matches
        && !pattern.is_match(&ran.stdout)
    {
        let reason = format!("what it prints does not match `{}`{lost}", pattern.as_str());
        return undecided(bad(reason), ran);
    }
    Outcome::pass(&id, run)
        .expected(expected(check))
        .actual(actual)
}

/// What was not kept might have held it: then nobody knows.
fn undecided(mut outcome: Outcome, ran: &Ran) -> Outcome {
    if ran.dropped {
        outcome.verdict = model::Verdict::Inconclusive;
    }
    outcome
}

fn expected(check: &CommandCheck) -> String {
    let mut text = statuses(&check.status);
    if let Some(wanted) = &check.contains {
        text.push_str(&format!(", prints `{wanted}`"));
    }
    if let Some(pattern) = &check.matches {
        text.push_str(&format!(", prints what matches `{}`", pattern.as_str()));
    }
    text
}

fn statuses(good: &[u8]) -> String {
    let good: Vec<String> = good.iter().map(ToString::to_string).collect();
    format!("exit status {}", good.join(" or "))
}

/// The end of what it said, on one line.
fn shown(tail: &str) -> String {
    let line = tail.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= SHOWN {
        return line;
    }
    let end: String = line.chars().skip(count - SHOWN).collect();
    format!("…{end}")
}

//! Commands whose exit status and output decide, here or on hosts.

use std::time::{Duration, Instant};

use config::file::CommandCheck;
use config::value::Span;
use model::Outcome;
use model::text::duration;
use remote::ssh::{self, Limits, Target};
use remote::{CommandResult, Expectation, MAX_KEPT_BYTES, local, with_variables};

use super::{Check, Context, Planned};

/// What is shown of a command's output.
const MAX_SHOWN: usize = 400;

impl Check for CommandCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// One question here, or one for each host.
fn plan<'a>(check: &'a CommandCheck, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let timeout = check.timeout.map_or(scene.timeout, Span::get);
    let Some(selector) = &check.host else {
        let id = format!("command/{}", check.name);
        return vec![Planned {
            id: id.clone(),
            subject: check.run.to_string(),
            severity: check.severity,
            weight: check.weight,
            asks: format!("run `{}`", check.run),
            needs: None,
            timeout: timeout + local::GRACE,
            wait: Duration::ZERO,
            ask: Box::pin(async move { run_locally(id, check, scene, timeout).await }),
        }];
    };
    let names = scene.job.config.hosts_named(selector);
    let weight = check.weight.split(names.len());
    let at = |name: &'a str| {
        let id = format!("command/{}@{name}", check.name);
        Planned {
            id: id.clone(),
            subject: check.run.to_string(),
            severity: check.severity,
            weight,
            asks: format!("run `{}` at {name}", check.run),
            needs: Some("the host's SSH key".to_owned()),
            // A host waits for its turn; its own time begins then.
            timeout: scene.patient(),
            wait: Duration::ZERO,
            ask: Box::pin(async move { run_on_host(id, name, check, scene, timeout).await }),
        }
    };
    names.into_iter().map(at).collect()
}

async fn run_locally(
    id: String,
    check: &CommandCheck,
    scene: &Context<'_>,
    timeout: Duration,
) -> Outcome {
    let script = local::Script {
        text: &check.run,
        env: check.run.variables().to_vec(),
        timeout,
    };
    let redactor = &scene.job.redactor;
    let mut show = |_, line: &str| tracing::debug!("{}", redactor.redact(line));
    match local::run(&script, &mut show).await {
        Ok(captured) => {
            let ran = redacted(captured.into(), scene);
            judge(id, check, &ran, timeout, "run it yourself")
        }
        Err(error) => Outcome::error(id, &*check.run)
            .expected(expected(check))
            .actual("it was not run")
            .reason(format!("`sh` cannot be started: {error}"))
            .hint("see `command -v sh`"),
    }
}

async fn run_on_host(
    id: String,
    name: &str,
    check: &CommandCheck,
    scene: &Context<'_>,
    timeout: Duration,
) -> Outcome {
    let not_run = |id: String, reason: String, hint: String| {
        Outcome::error(id, &*check.run)
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
    let (_turn, clock) = (scene.hosts.acquire().await, Instant::now());
    let session = match target.clone().connect(timeout).await {
        Ok(session) => session,
        Err(error) => return not_run(id, error.to_string(), target.hint(&error)),
    };
    let limits = Limits {
        timeout: timeout.saturating_sub(clock.elapsed()),
        max_output: MAX_KEPT_BYTES,
    };
    match session.run(&with_variables(&check.run), limits).await {
        Ok(output) if output.exit == ssh::Exit::Unproven => {
            let tail = scene.job.redactor.redact(&output.tail());
            let reason = format!("it {}: {}", output.exit, output_end(&tail));
            let hint = format!(
                "the login may be bound to another command, or its shell is not a POSIX shell: see `command=` in authorized_keys, `ForceCommand` in sshd_config, and `getent passwd {}` at {name}",
                host.user().unwrap_or("USER")
            );
            not_run(id, reason, hint)
        }
        Ok(output) => {
            let ran = redacted(output.into(), scene);
            judge(id, check, &ran, timeout, &format!("run it at {name}"))
        }
        Err(error) => not_run(id, error.to_string(), target.hint(&error)),
    }
}

/// What is shown is cut, and a secret that was cut is not found.
fn redacted(mut ran: CommandResult, scene: &Context<'_>) -> CommandResult {
    ran.tail = scene.job.redactor.redact(&ran.tail);
    ran
}

fn judge(
    id: String,
    check: &CommandCheck,
    ran: &CommandResult,
    timeout: Duration,
    place: &str,
) -> Outcome {
    let said = output_end(&ran.tail);
    let actual = if said.is_empty() {
        ran.exit.clone()
    } else {
        format!("{}: {said}", ran.exit)
    };
    let run = &*check.run;
    let outcome = match expectation(check).judge(ran) {
        Ok(()) => {
            return Outcome::pass(&id, run)
                .expected(expected(check))
                .actual(actual);
        }
        Err(unmet) => {
            let mut reason = format!("`{}`: {}", check.name, unmet.reason);
            if ran.status.is_none() {
                reason.push_str(&format!(" (its time is {})", duration(timeout)));
            }
            Outcome::new(&id, run, unmet.verdict).reason(reason)
        }
    };
    outcome
        .expected(expected(check))
        .actual(actual)
        .hint(format!("{place}: `{run}`"))
}

fn expectation(check: &CommandCheck) -> Expectation<'_> {
    let CommandCheck {
        name: _,
        run: _,
        host: _,
        status,
        contains,
        matches,
        timeout: _,
        severity: _,
        weight: _,
    } = check;
    Expectation {
        status,
        contains: contains.as_deref(),
        equals: None,
        matches: matches.as_ref(),
    }
}

fn expected(check: &CommandCheck) -> String {
    expectation(check).to_string()
}

/// The end of what it said, on one line.
fn output_end(tail: &str) -> String {
    let line = tail.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= MAX_SHOWN {
        return line;
    }
    let end: String = line.chars().skip(count - MAX_SHOWN).collect();
    format!("…{end}")
}

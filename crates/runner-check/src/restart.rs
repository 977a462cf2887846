//! `runner-check restart NAME`: the service is restarted over SSH, then proven to be online.

use cli::{Consent, Failure, Job};
use config::file::RunnerCheck;
use jiff::Timestamp;
use model::{Outcome, Report};
use remote::quote;
use runners::span;

use crate::prove::{self, Proof};
use crate::remedy::{self, Patient};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// A runner under `runners:`
    #[arg(value_name = "NAME")]
    name: String,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Restart it although it has a job, which is lost
    #[arg(long)]
    force: bool,
}

pub(crate) async fn restart(
    job: &Job,
    section: &RunnerCheck,
    flags: &Flags,
) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let name = flags.name.as_str();
    let id = format!("restart/{name}");
    let expected = expected(name, section);
    let patient = match Patient::find(job, section, name).await? {
        Ok(patient) => patient,
        Err(unreachable) => return Ok(unreachable.report(id, name, expected, started_at)),
    };
    let unit = patient.unit().to_owned();
    let plan = vec![
        format!("now:  {}", patient.now()),
        format!(
            "will: run `systemctl restart {unit}` as root on host {}",
            patient.runner.host
        ),
        format!(
            "then: wait up to {} until {name} is online",
            span(section.prove_within.get())
        ),
    ];
    let working = works(job, section, name).await?;
    if let (Some(what), false) = (&working, flags.force) {
        job.consent(&plan, true).await?;
        let outcome = Outcome::refused(id, name)
            .expected("a runner without a job")
            .actual(format!("{name} is busy: {what}"))
            .reason(format!(
                "{name} is working ({what}): a restart would lose its job"
            ))
            .hint("wait until it is done, or add `--force`");
        return Ok(remedy::report(outcome, started_at));
    }
    if job.consent(&plan, flags.yes).await? == Consent::DryRun {
        return Ok(remedy::planned(id, name, &plan, started_at));
    }
    let line = format!("$root systemctl restart {}", quote(&unit));
    let timeout = section.prove_within.get();
    match patient.run(&line, timeout).await {
        Ok(output) if output.success() => {}
        Ok(output) => {
            let reason = format!(
                "`systemctl restart {unit}` ends with {}: {}",
                output.exit,
                output.tail()
            );
            return Ok(remedy::report(
                not_done(id, name, expected, reason, &patient),
                started_at,
            ));
        }
        Err(reason) => {
            return Ok(remedy::report(
                not_done(id, name, expected, reason, &patient),
                started_at,
            ));
        }
    }
    let done = format!(
        "`systemctl restart {unit}` ran on host {}",
        patient.runner.host
    );
    finish(job, section, name, id, done, started_at).await
}

/// What every remedy of one runner must lead to.
pub(crate) fn expected(name: &str, section: &RunnerCheck) -> String {
    format!(
        "{name} is online within {}",
        span(section.prove_within.get())
    )
}

/// A command on the host that did not do its work: nothing is known to have changed.
pub(crate) fn not_done(
    id: String,
    name: &str,
    expected: String,
    reason: String,
    patient: &Patient<'_>,
) -> Outcome {
    let hint = if reason.contains("sudo") {
        format!(
            "let the user of host {} do it without a password: `USER ALL=(root) NOPASSWD: /usr/bin/systemctl start actions.runner.*, /usr/bin/systemctl restart actions.runner.*` by `visudo`",
            patient.runner.host
        )
    } else {
        format!(
            "look at host {}: `systemctl status {}` and `journalctl -u {} -n 100`",
            patient.runner.host,
            patient.unit(),
            patient.unit()
        )
    };
    Outcome::fail(id, name)
        .expected(expected)
        .actual(patient.now())
        .reason(reason)
        .hint(hint)
}

/// Proves that one runner is online, and says so.
pub(crate) async fn finish(
    job: &Job,
    section: &RunnerCheck,
    name: &str,
    id: String,
    done: String,
    started_at: Timestamp,
) -> Result<Report, Failure> {
    let pool = prove::pool_of(name, job, section).ok_or_else(crate::nobody)?;
    let proof = prove::prove(job, section, &pool).await?;
    let mut report = remedy::report(outcome(id, name, &done, section, &proof), started_at);
    report.tables = vec![runners::table::evidence(&pool, &proof.judgement)];
    Ok(report)
}

fn outcome(id: String, name: &str, done: &str, section: &RunnerCheck, proof: &Proof) -> Outcome {
    let judged = proof
        .judgement
        .runners
        .iter()
        .find(|runner| runner.name == name);
    let said = judged.map_or_else(
        || "nothing is known of it".to_owned(),
        |runner| format!("{} ({})", runner.merged.state, runner.merged.reason),
    );
    let expected = expected(name, section);
    if proof.proven {
        return Outcome::pass(id, name).expected(expected).actual(format!(
            "{done}; {name} is {said}, seen {} times in {}",
            proof.looks,
            span(proof.took)
        ));
    }
    let verdict = if proof.judgement.state == runners::State::Offline {
        Outcome::fail
    } else {
        Outcome::inconclusive
    };
    let remedy = judged.and_then(|runner| runner.remedy.clone());
    verdict(id, name)
        .expected(expected)
        .actual(format!("{done}; {name} is {said}"))
        .reason(format!("{name} is {said} after {} and {} looks", span(proof.took), proof.looks))
        .hint(remedy.unwrap_or_else(|| "what did it write last? `journalctl -u 'actions.runner.*' -n 100` on its machine; `runner-check list` shows who says what".to_owned()))
}

/// What the runner works on, if it does.
async fn works(job: &Job, section: &RunnerCheck, name: &str) -> Result<Option<String>, Failure> {
    let pool = prove::pool_of(name, job, section).ok_or_else(crate::nobody)?;
    let asking = crate::sources(job, section, section.prove_within.get());
    let known = crate::unless_interrupted(asking.gather(std::slice::from_ref(&pool)), job).await?;
    let judgement = runners::judge(&pool, &known, &crate::rules(section));
    let judged = judgement.runners.iter().find(|runner| runner.name == name);
    Ok(judged
        .filter(|runner| remedy::is_working(runner.merged.state))
        .map(|runner| runner.merged.reason.clone()))
}

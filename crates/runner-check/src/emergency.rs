//! `runner-check start-emergency`: all runners are down, so the one that is kept for this is
//! started, and its pool is proven to take jobs.

use cli::{Consent, Failure, Job};
use config::file::{Emergency, RunnerCheck};
use jiff::Timestamp;
use model::text::span;
use model::{Outcome, Report};
use remote::local::{Script, Stream};
use remote::quote;
use runners::{Pool, State};

use crate::check;
use crate::prove::{self, prove};
use crate::remedy::{self, Patient, RemedyError};
use crate::restart::not_done;
use crate::sources::{no_owner, rules, sources, unless_interrupted};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

const ID: &str = "start-emergency";

pub(crate) async fn start(
    job: &Job,
    section: &RunnerCheck,
    flags: &Flags,
) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let Some(emergency) = &section.emergency else {
        return Err(Failure::usage("no emergency runner is configured")
            .hint("add `runner-check: { emergency: { runner: NAME, pool: emergency } }`"));
    };
    let (pool, named) = target(job, section, emergency)?;
    let id = format!("{ID}/{}", pool.name);
    let expected = format!(
        "{} can take jobs within {}",
        pool.name,
        span(section.verify_timeout.get())
    );
    job.progress.show(&format!("querying {}", pool.name));
    let known = unless_interrupted(
        sources(job, section, section.verify_timeout.get()).gather(std::slice::from_ref(&pool)),
        job,
    )
    .await?;
    let before = runners::judge(&pool, &known, &rules(section));
    if matches!(before.state, State::Online | State::Busy) {
        let outcome = Outcome::pass(id, &pool.name)
            .expected(expected)
            .actual(format!("{before}: there is nothing to start"));
        return Ok(finished(outcome, started_at, &pool, named, &before));
    }
    let outcome = match (&emergency.runner, &emergency.run) {
        (Some(name), _) => by_service(job, section, flags, name, &id, &expected).await?,
        (None, Some(command)) => by_command(job, section, flags, command, &id, &expected).await?,
        (None, None) => return Err(Failure::usage("nothing to start is given")),
    };
    let done = match outcome {
        Ok(done) => done,
        Err(StartError::Planned(plan)) => {
            return Ok(remedy::planned(id, &pool.name, &plan, started_at));
        }
        Err(StartError::Failed(outcome)) => return Ok(remedy::report(*outcome, started_at)),
    };
    let proof = prove(job, section, &pool).await?;
    let outcome = if proof.proven {
        Outcome::pass(id, &pool.name)
            .expected(expected)
            .actual(format!(
                "{done}; {}, seen {} times in {}",
                proof.judgement,
                proof.looks,
                span(proof.took)
            ))
    } else {
        let verdict = if proof.judgement.state == State::Offline {
            Outcome::fail
        } else {
            Outcome::inconclusive
        };
        verdict(id, &pool.name)
            .expected(expected)
            .actual(format!("{done}; {}", proof.judgement))
            .reason(format!("{}: {} after {}", pool.name, proof.judgement, span(proof.took)))
            .hint("what did it write last? `journalctl -u 'actions.runner.*' -n 100` on its machine; `runner-check list` shows what each source reports")
    };
    Ok(finished(
        outcome,
        started_at,
        &pool,
        named,
        &proof.judgement,
    ))
}

/// Why nothing was started.
enum StartError {
    Planned(Vec<String>),
    Failed(Box<Outcome>),
}

/// The pool that must take jobs afterwards, and whether it is one of the section's.
fn target(
    job: &Job,
    section: &RunnerCheck,
    emergency: &Emergency,
) -> Result<(Pool, bool), Failure> {
    let name = emergency.pool.as_deref().unwrap_or("emergency");
    let here = job.actions.repository.as_ref();
    if let Some(pool) = section.pools.iter().find(|pool| pool.name == name) {
        let mut pool = Pool::of_section(pool, section, here).ok_or_else(no_owner)?;
        // What is started has to be seen, whatever starts by itself.
        pool.supply = runners::Supply::Registered;
        pool.members.extend(
            emergency
                .runner
                .clone()
                .filter(|name| !pool.members.contains(name)),
        );
        return Ok((pool, true));
    }
    let Some(runner) = &emergency.runner else {
        return Err(Failure::usage("no pool `emergency` is configured, so its start could not be seen")
            .hint("add `runner-check: { pools: [{ name: emergency, labels: […] }] }`, or set `emergency: { pool: NAME }`"));
    };
    Ok((
        prove::pool_of(runner, job, section).ok_or_else(no_owner)?,
        false,
    ))
}

async fn by_service(
    job: &Job,
    section: &RunnerCheck,
    flags: &Flags,
    name: &str,
    id: &str,
    expected: &str,
) -> Result<Result<String, StartError>, Failure> {
    let failed = |outcome: Outcome| Ok(Err(StartError::Failed(Box::new(outcome))));
    let patient = match Patient::find(job, section, name).await? {
        Ok(patient) => patient,
        Err(unreachable) => {
            let outcome = Outcome::error(id, name)
                .expected(expected)
                .actual("nothing was started")
                .reason(unreachable.0.reason)
                .hint(unreachable.0.hint);
            return failed(outcome);
        }
    };
    let unit = patient.unit().to_owned();
    let plan = vec![
        format!("now:  {}", patient.describe_state()),
        format!(
            "will: run `systemctl start {unit}` as root on host {}",
            patient.runner.host
        ),
        format!(
            "then: wait up to {} until it can take jobs",
            span(section.verify_timeout.get())
        ),
    ];
    if job.consent(&plan, flags.yes).await? == Consent::DryRun {
        return Ok(Err(StartError::Planned(plan)));
    }
    let line = format!("$root systemctl start {}", quote(&unit));
    let why = match patient.run(&line, section.verify_timeout.get()).await {
        Ok(output) if output.success() => {
            return Ok(Ok(format!(
                "`systemctl start {unit}` ran on host {}",
                patient.runner.host
            )));
        }
        Ok(output) => RemedyError::ended(format!("systemctl start {unit}"), &output),
        Err(why) => why,
    };
    failed(not_done(
        id.to_owned(),
        name,
        expected.to_owned(),
        &why,
        &patient,
    ))
}

async fn by_command(
    job: &Job,
    section: &RunnerCheck,
    flags: &Flags,
    command: &str,
    id: &str,
    expected: &str,
) -> Result<Result<String, StartError>, Failure> {
    let plan = vec![
        format!("will: run `{command}` on this machine"),
        format!(
            "then: wait up to {} until it can take jobs",
            span(section.verify_timeout.get())
        ),
    ];
    if job.consent(&plan, flags.yes).await? == Consent::DryRun {
        return Ok(Err(StartError::Planned(plan)));
    }
    job.progress.show("starting the emergency runner");
    let script = Script {
        text: command,
        env: Vec::new(),
        timeout: section.verify_timeout.get(),
    };
    let fence = job.publisher.fence("start the emergency runner");
    let mut forward = |_: Stream, line: &str| job.publisher.forward(line);
    let ran = unless_interrupted(remote::local::run(&script, &mut forward), job).await;
    job.publisher.unfence(fence);
    let reason = match ran? {
        Ok(captured) if captured.success() => return Ok(Ok(format!("`{command}` ran"))),
        Ok(captured) => format!("`{command}` ends with {}", captured.summary()),
        Err(error) => format!("`{command}` cannot be run: {error}"),
    };
    let outcome = Outcome::fail(id, ID)
        .expected(expected)
        .actual("the command failed")
        .reason(reason)
        .hint("run it by hand and see what it prints");
    Ok(Err(StartError::Failed(Box::new(outcome))))
}

fn finished(
    outcome: Outcome,
    started_at: Timestamp,
    pool: &Pool,
    named: bool,
    judgement: &runners::Judgement,
) -> Report {
    let passed = outcome.verdict == model::Verdict::Pass;
    let mut report = remedy::report(outcome, started_at);
    report.tables = vec![runners::table::evidence(pool, judgement)];
    if passed && named {
        report.outputs = check::outputs(pool);
    }
    report
}

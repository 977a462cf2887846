//! `runner-check restart NAME`: the service is restarted over SSH, then proven to be online.

use cli::force::{self, Rule};
use cli::{Consent, Failure, Job};
use config::file::RunnerCheck;
use jiff::Timestamp;
use model::text::span;
use model::{Outcome, Report};
use remote::quote;

use crate::prove::{self, Proof};
use crate::remedy::{self, Patient, RemedyError};
use crate::sources::{no_owner, rules, sources, unless_interrupted};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// A runner under `runners:`
    #[arg(value_name = "NAME")]
    name: String,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    force: force::Force<Rules>,
}

#[derive(Clone, Debug)]
struct Rules;

impl force::Rules for Rules {
    const ALL: &'static [Rule] = &[Rule::Busy];
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
        format!("now:  {}", patient.describe_state()),
        format!(
            "will: run `systemctl restart {unit}` as root on host {}",
            patient.runner.host
        ),
        format!(
            "then: wait up to {} until {name} is online",
            span(section.verify_timeout.get())
        ),
    ];
    let working = current_job(job, section, name).await?;
    let forced = flags.force.forced(job);
    let busy = working.map(|what| {
        Outcome::refused(id.as_str(), name)
            .expected("a runner without a job")
            .actual(format!("{name} is busy: {what}"))
            .reason(format!(
                "{name} is working ({what}): a restart would lose its job"
            ))
    });
    let lifted = match (busy, force::of(Rule::Busy, &forced)) {
        (Some(busy), None) => {
            job.consent(&plan, true).await?;
            let hint = format!("wait until it is done; {}", force::flag(Rule::Busy));
            return Ok(remedy::report(busy.hint(hint), started_at));
        }
        (Some(busy), Some(forced)) => Some(force::lifted(busy, forced)),
        (None, forced) => forced.map(force::unused),
    };
    let restart = Restart {
        job,
        section,
        patient: &patient,
        id,
        name,
        started_at,
    };
    let mut report = if job.consent(&plan, flags.yes).await? == Consent::DryRun {
        remedy::planned(restart.id, name, &plan, started_at)
    } else {
        restart.restart_unit(&unit, expected).await?
    };
    report.outcomes.extend(lifted);
    Ok(report)
}

/// A restart that was agreed to.
struct Restart<'a> {
    job: &'a Job,
    section: &'a RunnerCheck,
    patient: &'a Patient<'a>,
    id: String,
    name: &'a str,
    started_at: Timestamp,
}

impl Restart<'_> {
    async fn restart_unit(self, unit: &str, expected: String) -> Result<Report, Failure> {
        let Restart {
            job,
            section,
            patient,
            id,
            name,
            started_at,
        } = self;
        let line = format!("$root systemctl restart {}", quote(unit));
        let why = match patient.run(&line, section.verify_timeout.get()).await {
            Ok(output) if output.success() => {
                let host = &patient.runner.host;
                let done = format!("`systemctl restart {unit}` ran on host {host}");
                return finish(job, section, name, id, done, started_at).await;
            }
            Ok(output) => RemedyError::ended(format!("systemctl restart {unit}"), &output),
            Err(why) => why,
        };
        let outcome = not_done(id, name, expected, &why, patient);
        Ok(remedy::report(outcome, started_at))
    }
}

/// What every remedy of one runner must lead to.
pub(crate) fn expected(name: &str, section: &RunnerCheck) -> String {
    format!(
        "{name} is online within {}",
        span(section.verify_timeout.get())
    )
}

/// A command on the host that did not do its work: nothing is known to have changed.
pub(crate) fn not_done(
    id: String,
    name: &str,
    expected: String,
    why: &RemedyError,
    patient: &Patient<'_>,
) -> Outcome {
    let hint = if why.is_of_sudo() {
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
        .actual(patient.describe_state())
        .reason(why.to_string())
        .hint(hint)
}

/// Proves that one runner is online, and reports it.
pub(crate) async fn finish(
    job: &Job,
    section: &RunnerCheck,
    name: &str,
    id: String,
    done: String,
    started_at: Timestamp,
) -> Result<Report, Failure> {
    let pool = prove::pool_of(name, job, section).ok_or_else(no_owner)?;
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
        .hint(remedy.unwrap_or_else(|| "what did it write last? `journalctl -u 'actions.runner.*' -n 100` on its machine; `runner-check list` shows what each source reports".to_owned()))
}

/// What the runner works on, if it does.
async fn current_job(
    job: &Job,
    section: &RunnerCheck,
    name: &str,
) -> Result<Option<String>, Failure> {
    let pool = prove::pool_of(name, job, section).ok_or_else(no_owner)?;
    let asking = sources(job, section, section.verify_timeout.get());
    let known = unless_interrupted(asking.gather(std::slice::from_ref(&pool)), job).await?;
    let judgement = runners::judge(&pool, &known, &rules(section));
    let judged = judgement.runners.iter().find(|runner| runner.name == name);
    Ok(judged
        .filter(|runner| remedy::is_working(runner.merged.state))
        .map(|runner| runner.merged.reason.clone()))
}

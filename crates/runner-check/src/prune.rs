//! `runner-check prune NAME`: a runner's full disk is freed of images and containers that nothing
//! uses, then the runner is proven to be online.

use cli::{Consent, Failure, Job};
use config::file::RunnerCheck;
use jiff::Timestamp;
use model::text::{cut, span};
use model::{Outcome, Report};
use runners::host::{self, Disk};

use crate::remedy::{self, Patient, RemedyError};
use crate::restart::{expected, finish, not_done};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// A runner under `runners:`
    #[arg(value_name = "NAME")]
    name: String,
    /// Do nothing while less of the disk is used: per cent [default: `prune-above`, 80]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    above: Option<u8>,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

/// The runbook's own command.
const PRUNE: &str = "docker system prune --all --force";

pub(crate) async fn prune(
    job: &Job,
    section: &RunnerCheck,
    flags: &Flags,
) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let name = flags.name.as_str();
    let id = format!("prune/{name}");
    let above = flags.above.unwrap_or(section.prune_above);
    let wanted = format!(
        "at most {above}% of its disk used, and {}",
        expected(name, section)
    );
    let patient = match Patient::find(job, section, name).await? {
        Ok(patient) => patient,
        Err(unreachable) => return Ok(unreachable.report(id, name, wanted, started_at)),
    };
    let Some(disk) = patient.before.fullest().cloned() else {
        return Ok(remedy::report(
            not_done(id, name, wanted, &RemedyError::NoDisk, &patient),
            started_at,
        ));
    };
    if disk.used <= above {
        let outcome = Outcome::pass(id, name).expected(wanted).actual(format!(
            "{disk}, not above {above}%: there is nothing to do"
        ));
        return Ok(remedy::report(outcome, started_at));
    }
    let plan = vec![
        format!("now:  {}", patient.describe_state()),
        format!(
            "will: run `{PRUNE}` on host {}, because {disk}, above {above}%",
            patient.runner.host
        ),
        "      it removes every stopped container and every image that no container uses"
            .to_owned(),
        format!(
            "then: wait up to {} until {name} is online",
            span(section.verify_timeout.get())
        ),
    ];
    if job.consent(&plan, flags.yes).await? == Consent::DryRun {
        return Ok(remedy::planned(id, name, &plan, started_at));
    }
    job.progress
        .show(&format!("`{PRUNE}` on {}", patient.runner.host));
    match free(&patient, section, &disk).await {
        Err(why) => {
            let outcome = not_done(id, name, wanted, &why, &patient);
            Ok(remedy::report(outcome, started_at))
        }
        Ok((freed, now)) if now.used <= above => {
            let done = format!("`{PRUNE}` {freed}: {now}, before {}%", disk.used);
            finish(job, section, name, id, done, started_at).await
        }
        Ok((freed, now)) => {
            let outcome = Outcome::fail(id, name)
                .expected(wanted)
                .actual(now.to_string())
                .reason(format!("`{PRUNE}` {freed}, and still {now}"))
                .hint(format!(
                    "what fills it? on host {}: `sudo du -xh {} | sort -h | tail -n 20`",
                    patient.runner.host, disk.mounted
                ));
            Ok(remedy::report(outcome, started_at))
        }
    }
}

/// Prunes, and looks at the disk again: what docker says it freed, and what is used now.
async fn free(
    patient: &Patient<'_>,
    section: &RunnerCheck,
    disk: &Disk,
) -> Result<(String, Disk), RemedyError> {
    // By name where the user may speak to docker, else as root.
    let lines =
        format!("docker info >/dev/null 2>&1 || docker() {{ $root env docker \"$@\"; }}\n{PRUNE}");
    let output = patient.run(&lines, section.verify_timeout.get()).await?;
    if !output.success() {
        return Err(RemedyError::ended(PRUNE, &output));
    }
    let freed = reclaimed(&String::from_utf8_lossy(&output.stdout));
    let timeout = section.timeout.get();
    let seen = host::observe_host(&patient.session, patient.name, patient.runner, timeout).await;
    let seen = seen.map_err(RemedyError::Unseen)?;
    let now = seen
        .disks
        .into_iter()
        .find(|other| other.mounted == disk.mounted);
    let now = now.ok_or(RemedyError::NoDiskNow)?;
    Ok((freed, now))
}

/// docker's last line.
fn reclaimed(stdout: &str) -> String {
    let line = stdout
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Total reclaimed space: "));
    match line {
        Some(size) => format!("freed {}", cut(size, 40)),
        None => "ran".to_owned(),
    }
}

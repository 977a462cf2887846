//! Whether a service that was just started stays up, for the code that started it.

use std::time::{Duration, Instant};

use config::file::{ComposeProbe, EcsProbe, SystemdProbe};
use model::{HintedError, Verdict};
use tools::compose_config::Project;

use crate::compose::Compose;
use crate::ecs::Ecs;
use crate::probe::{Probe, ProbeContext};
use crate::reading::Outlook;
use crate::systemd::Systemd;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How many looks decide whether a container stays up: each one starts programs.
const POLLS: u32 = 4;
/// How long one look may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);

/// A start that is given time to come up, and then must stay.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// How long it may take until it is up.
    pub within: Duration,
    /// How long it must then stay up.
    pub stays: Duration,
}

/// Why what was just started is not up for good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be watched.
    #[error(transparent)]
    Probe(#[from] crate::error::Error),
    /// It has ended in another way, and waiting is of no use.
    #[error("{0}; {hint}", hint = .0.hint)]
    Ended(HintedError),
    #[error("it does not stay up: {0}; {hint}", hint = .0.hint)]
    Falls(HintedError),
    #[error("it is not up: {0}; {hint}", hint = .0.hint)]
    Late(HintedError),
}

/// A unit's start: what was seen in the end, or why it is not up.
pub async fn systemd(
    probe: SystemdProbe,
    around: &ProbeContext,
    settling: Settling,
) -> Result<String, Error> {
    watch(&Systemd::new(probe, around)?, settling, POLL_INTERVAL).await
}

/// The same of services of a Compose project, by one who knows how Compose is called there and what
/// it wants.
pub async fn compose(
    probe: ComposeProbe,
    around: &ProbeContext,
    settling: Settling,
    program: &str,
    project: Project,
) -> Result<String, Error> {
    let compose = Compose::new(probe, around)?.knowing(program, project);
    let pause = (settling.stays / POLLS).clamp(POLL_INTERVAL, Duration::from_secs(2));
    watch(&compose, settling, pause).await
}

/// The rollout of a deployment of ECS. It has ended where it failed or another took its place.
pub async fn ecs(
    probe: EcsProbe,
    around: &ProbeContext,
    settling: Settling,
    pause: Duration,
) -> Result<String, Error> {
    watch(&Ecs::new(probe, around)?, settling, pause).await
}

async fn watch(probe: &dyn Probe, settling: Settling, pause: Duration) -> Result<String, Error> {
    let mut over = false;
    let began = Instant::now();
    let mut up: Option<Instant> = None;
    loop {
        let reading = probe.measure(None, POLL_TIMEOUT).await;
        let cause = || HintedError {
            reason: reading.reason.clone().unwrap_or_default(),
            hint: probe.hint(),
        };
        let was_over = std::mem::replace(&mut over, reading.outlook != Outlook::Open);
        if over && was_over {
            return Err(Error::Ended(cause()));
        }
        match (reading.verdict, up) {
            // Waiting longer changes nothing.
            (Verdict::Fail, _) if reading.outlook == Outlook::Final => {
                return Err(Error::Falls(cause()));
            }
            (Verdict::Pass, _) => {
                let since = *up.get_or_insert_with(Instant::now);
                if since.elapsed() >= settling.stays {
                    return Ok(reading.actual);
                }
            }
            // A short failure to query is not a crash; at the end it is not proof either.
            (Verdict::Fail, Some(_)) => return Err(Error::Falls(cause())),
            _ if began.elapsed() > settling.within + settling.stays => {
                return Err(Error::Late(cause()));
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
    }
}

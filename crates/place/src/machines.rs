//! The machines that a target names, and scripts that run there.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use config::file::HostList;
use futures_util::future::join_all;
use probe::ProbeContext;

use crate::context::Context;
use crate::error::Error;
use crate::place::{Effect, Place, PlaceAccess, word};
use crate::step::{Step, StepFuture};

/// How long a place may take to show a log.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a log so many lines are kept, and at most so many bytes.
const LINES: usize = 200;
const END: u64 = 64 << 10;

pub struct Machines<'a> {
    pub places: &'a PlaceAccess,
    all: Vec<Place>,
    /// For probes that are made there.
    pub around: ProbeContext,
}

impl<'a> Machines<'a> {
    /// Those of the list; without one, this machine.
    pub fn new(list: Option<&HostList>, context: &Context<'a>) -> Self {
        Machines {
            places: context.places,
            all: Place::from_hosts(list, context.config),
            around: context.surroundings(),
        }
    }

    pub fn places(&self) -> &[Place] {
        &self.all
    }

    /// One step a machine: `KIND/MACHINE`.
    pub fn steps(&self, kind: &str, does: &str) -> Vec<Step> {
        let step = |place: &Place| Step {
            name: format!("{kind}/{place}"),
            does: does.to_owned(),
            place: place.clone(),
        };
        self.all.iter().map(step).collect()
    }

    /// What a script prints about a place; its exit status has no meaning.
    pub fn run_diagnostic<'s>(
        &'s self,
        place: &'s Place,
        name: &'static str,
        text: String,
    ) -> (&'static str, StepFuture<'s, String>) {
        let look = async move {
            let text = format!("{{\n{text}\n}} 2>&1 || :");
            self.places
                .script(place, name, &text, Effect::Reads, LOG_TIMEOUT)
                .await
        };
        (name, Box::pin(look))
    }

    /// The last lines of a log.
    pub fn tail<'s>(
        &'s self,
        place: &'s Place,
        name: &'static str,
        path: &'s Path,
    ) -> (&'static str, StepFuture<'s, String>) {
        match place {
            Place::Here => (
                name,
                Box::pin(async move {
                    end_of(path).map_err(|error| Error::from(error).at(path.display()))
                }),
            ),
            Place::Host(_) => {
                let tail = format!("tail -n {LINES} -- {}", word(path));
                self.run_diagnostic(place, name, tail)
            }
        }
    }

    /// Whether each of them, asked side by side, runs the release.
    pub async fn all_run<'s>(
        &'s self,
        release: &str,
        running: impl Fn(&'s Place) -> StepFuture<'s, Option<String>>,
    ) -> bool {
        let told = join_all(self.all.iter().map(running)).await;
        let same = |told: &Result<Option<String>, Error>| matches!(told, Ok(Some(runs)) if runs == release);
        told.iter().all(same)
    }
}

fn end_of(path: &Path) -> io::Result<String> {
    // Some logs are a pipe or a terminal, which would be waited for.
    let mut file = files::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].concat())
}

/// What begins a script that must be alone in a folder: what a killed rollback left behind goes on
/// there, and is waited for. The lock ends with the last process that inherited it.
pub fn alone(folder: &Path, within: Duration) -> String {
    format!(
        "exec 9<{}
! command -v flock >/dev/null || flock -w {} 9 || {{ echo what was begun before still goes on >&2; exit 1; }}\n",
        word(folder),
        (within / 2).as_secs().max(1)
    )
}

/// The name under `hosts:`, for a probe.
pub fn host(place: &Place) -> Option<String> {
    match place {
        Place::Here => None,
        Place::Host(name) => Some(name.clone()),
    }
}

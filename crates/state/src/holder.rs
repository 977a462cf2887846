//! Who holds a lease, and whether that one is certainly gone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process on a machine, and the workflow run it works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The workflow run's id, in Actions.
    #[serde(default)]
    pub run_id: Option<String>,
    #[serde(default)]
    pub run_attempt: Option<u32>,
    /// The repository that the run is of.
    #[serde(default)]
    pub repository: Option<String>,
    /// The runner that the job was on; each job of a run has one.
    #[serde(default)]
    pub runner: Option<String>,
    pub host: String,
    /// The kernel's id of this boot: after a reboot no process of before is left.
    pub boot_id: String,
    /// The process id namespace, so that a container's ids are not taken for the host's.
    pub namespace: String,
    pub pid: u32,
    /// The process's start in ticks since boot, so that a reused id is not taken for it.
    pub started: u64,
}

impl Holder {
    /// This process.
    pub fn this_process(run_id: Option<String>, run_attempt: Option<u32>) -> Self {
        let pid = std::process::id();
        let read = |path: &str| {
            std::fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Holder {
            run_id,
            run_attempt,
            repository: None,
            runner: None,
            host: read("/proc/sys/kernel/hostname"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            namespace: std::fs::read_link("/proc/self/ns/pid")
                .map(|link| link.display().to_string())
                .unwrap_or_default(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether it is certain that the holder does nothing any more. On another machine it never
    /// is: it may be alive. Where the state is `shared` by machines, another boot under our name
    /// is no proof either: all runners of one image are called the same.
    pub fn is_gone(&self, shared: bool) -> bool {
        let here = Holder::this_process(None, None);
        if self.host != here.host || self.boot_id.is_empty() || here.boot_id.is_empty() {
            return false;
        }
        if self.boot_id != here.boot_id {
            return !shared;
        }
        self.namespace == here.namespace && started(self.pid) != Some(self.started)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(run) = &self.run_id {
            write!(
                f,
                "workflow run {run} attempt {} ",
                self.run_attempt.unwrap_or(1)
            )?;
        }
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// A live process's start time: field 22 of `/proc/PID/stat`, counted after the command's name,
/// which may itself hold spaces and brackets. A zombie is as dead as one that was reaped.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certainly_gone_is_gone() {
        let here = Holder::this_process(None, None);
        assert!(!here.is_gone(false));
        assert!(
            Holder {
                started: here.started + 1,
                ..here.clone()
            }
            .is_gone(true),
            "a reused id"
        );
        let booted = Holder {
            boot_id: "before".into(),
            ..here.clone()
        };
        assert!(booted.is_gone(false), "a reboot");
        assert!(!booted.is_gone(true), "or another machine of this name");
        assert!(
            !Holder {
                host: "elsewhere".into(),
                started: 1,
                ..here.clone()
            }
            .is_gone(false)
        );
        assert!(
            !Holder {
                namespace: "pid:[1]".into(),
                started: 1,
                ..here
            }
            .is_gone(false)
        );
    }
}

//! Who holds a lease, and whether that one is certainly gone.

use std::fmt;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
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
            pid: std::process::id(),
            started: if has_usual_clock() {
                Stat::read("self").map_or(UNKNOWN, |stat| stat.started)
            } else {
                UNKNOWN
            },
        }
    }

    /// Whether it is certain that the holder no longer acts: the kernel reports that its process is
    /// gone. A process that cannot be inspected counts as alive, such as one on another machine or in
    /// another container. If machines share the state (`shared`), another boot under our name is not
    /// proof either: all runners of one image have the same name.
    pub fn is_gone(&self, shared: bool) -> bool {
        let here = Holder::this_process(None, None);
        // A number of another namespace is another process's here. The first namespace of each
        // boot has the same name.
        if !self.names_us(&here) || here.namespace.is_empty() || self.namespace != here.namespace {
            return false;
        }
        if self.boot_id != here.boot_id {
            return !shared;
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return false };
        test_kill_process(pid) == Err(Errno::SRCH) || self.is_replaced()
    }

    /// Whether the holder reads the same clock as this process.
    pub fn shares_clock(&self) -> bool {
        let here = Holder::this_process(None, None);
        self.names_us(&here) && self.boot_id == here.boot_id
    }

    /// Whether both name a machine and a boot, and the machine is the same.
    fn names_us(&self, here: &Holder) -> bool {
        !here.host.is_empty()
            && self.host == here.host
            && !self.boot_id.is_empty()
            && !here.boot_id.is_empty()
    }

    /// Whether the process of this number is certainly another one, or only waits to be reaped.
    fn is_replaced(&self) -> bool {
        if !shows_our_namespace() {
            return false;
        }
        let Some(stat) = Stat::read(&self.pid.to_string()) else {
            return false;
        };
        let reused = self.started != UNKNOWN && stat.started != self.started && has_usual_clock();
        reused || stat.ended
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

/// A start that is not known.
const UNKNOWN: u64 = 0;

/// What `/proc/PID/stat` contains about a process.
struct Stat {
    /// In ticks since the boot.
    started: u64,
    /// It waits to be reaped, and none of its threads runs.
    ended: bool,
}

impl Stat {
    /// `None` if there is no such process, or if it is hidden (`hidepid`).
    fn read(pid: &str) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Stat> {
        // The command's name, in brackets, may itself hold spaces and brackets.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        // The first thread may have ended before the others.
        let threads = number(17)?;
        Some(Stat {
            started: number(19)?,
            ended: matches!(*fields.first()?, "Z" | "X") && threads <= 1,
        })
    }
}

/// Whether `/proc` numbers processes as our own namespace does: it may be that of the namespace
/// around us. `NSpid` lists a process's number in each namespace from that of `/proc` inwards.
fn shows_our_namespace() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| {
        let mut numbers = numbers.split_whitespace();
        numbers.next() == Some(std::process::id().to_string().as_str()) && numbers.next().is_none()
    })
}

/// Whether this process counts from the boot, and not from another moment: in a time namespace
/// one process's start differs by who reads it.
fn has_usual_clock() -> bool {
    match std::fs::read_to_string("/proc/self/timens_offsets") {
        Ok(offsets) => offsets
            .lines()
            .all(|line| line.split_whitespace().skip(1).all(|offset| offset == "0")),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
                ..here.clone()
            }
            .is_gone(false)
        );
        let unknown = Holder {
            started: UNKNOWN,
            ..here.clone()
        };
        assert!(!unknown.is_gone(false), "its start was never readable");
        for pid in [0, u32::MAX] {
            let odd = Holder {
                pid,
                ..here.clone()
            };
            assert!(!odd.is_gone(false), "{pid} is no process that could end");
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let ended = Holder { pid, ..here };
        child.wait().unwrap();
        assert!(ended.is_gone(true), "the kernel knows it no more");
    }

    #[test]
    fn a_process_that_waits_to_be_reaped_is_gone_unless_a_thread_of_it_runs() {
        let line = |state: &str, threads: u32| {
            format!("7 (a) b) {state} 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 4711 0 0")
        };
        let told = |state, threads| Stat::parse(&line(state, threads)).unwrap();
        assert_eq!(told("S", 1).started, 4711);
        assert!(told("Z", 1).ended && !told("Z", 2).ended && !told("S", 1).ended);
        assert!(Stat::parse("").is_none() && Stat::parse("7 (a) Z").is_none());
    }
}

//! Reads and interprets the script's output.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Evidence, Source, State, Trust};
use model::text::{cut, span};

/// A disk that is fuller than this leaves no room for a job's checkout and images.
const FULL: u8 = 95;
/// Restarts after which a short uptime is not a recovery but a crash loop.
const LOOPS: u32 = 3;
/// A process that just started may end at once.
const SETTLED: Duration = Duration::from_secs(60);
/// Lines that are shown, and how much of each.
const MAX_LINE_CHARS: usize = 160;

/// A service, as systemd shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    /// `loaded`, `not-found`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `running`, `dead`, `auto-restart`, …
    pub sub: String,
    /// `success`, `exit-code`, `signal`, …
    pub result: String,
    pub restarts: u32,
    pub exit_status: i32,
    pub pid: u32,
    /// Since it has been in this state.
    pub since: Option<Duration>,
}

/// A file system: per cent used of space and inodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub mounted: String,
    pub used: u8,
    pub inodes: Option<u8>,
    pub free_kib: u64,
}

/// What the machine says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSnapshot {
    /// Units that fit the name; one is right.
    pub units: Vec<String>,
    pub unit: Option<Unit>,
    pub disks: Vec<Disk>,
    /// Available and total, in KiB.
    pub memory: Option<(u64, u64)>,
    /// The last lines of the service, oldest first, each with its age.
    pub log: Vec<(Option<Duration>, String)>,
}

/// Reads the script's answer; `None` if it has no answer.
pub fn read(text: &str) -> Option<HostSnapshot> {
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut part = "";
    for line in text.lines() {
        // Behind `@log` nothing is a mark: a runner may write what it likes.
        match line {
            "@units" | "@uptime" | "@now" | "@show" | "@disk" | "@inodes" | "@memory" | "@log"
                if part != "@log" =>
            {
                part = line;
                parts.entry(part).or_default();
            }
            _ => parts.entry(part).or_default().push(line),
        }
    }
    let lines = |name: &str| parts.get(name).map_or(&[][..], Vec::as_slice);
    parts.get("@units")?;
    parts.get("@memory")?;
    let units: Vec<String> = lines("@units")
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| printable(line))
        .collect();
    let uptime = lines("@uptime")
        .first()
        .and_then(|line| seconds(line.split(' ').next()?));
    let now = lines("@now").first().and_then(|line| seconds(line));
    let unit = match (&units[..], lines("@show")) {
        ([name], show @ [_, ..]) => Some(unit(name, show, uptime)),
        _ => None,
    };
    Some(HostSnapshot {
        unit,
        units,
        disks: disks(lines("@disk"), lines("@inodes")),
        memory: memory(lines("@memory")),
        log: lines("@log")
            .iter()
            .filter(|line| !line.is_empty())
            .map(|line| logged(line, now))
            .collect(),
    })
}

fn unit(name: &str, show: &[&str], uptime: Option<Duration>) -> Unit {
    let get = |key: &str| {
        let found = show
            .iter()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        printable(found.unwrap_or_default())
    };
    let active = get("ActiveState");
    let stamp = if active == "active" {
        "ActiveEnterTimestampMonotonic"
    } else {
        "InactiveEnterTimestampMonotonic"
    };
    let entered = get(stamp).parse().ok().filter(|at| *at > 0);
    let entered = entered.map(Duration::from_micros);
    let since = uptime.zip(entered).map(|(now, at)| now.saturating_sub(at));
    Unit {
        name: name.to_owned(),
        load: get("LoadState"),
        active,
        sub: get("SubState"),
        result: get("Result"),
        restarts: get("NRestarts").parse().unwrap_or(0),
        exit_status: get("ExecMainStatus").parse().unwrap_or(0),
        pid: get("MainPID").parse().unwrap_or(0),
        since,
    }
}

/// `1234.56`, as the kernel and the journal write seconds.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// `df -P`: file system, size, used, free, per cent, mounted on.
fn disks(space: &[&str], inodes: &[&str]) -> Vec<Disk> {
    let percent = |line: &str| -> Option<(String, u8, u64)> {
        let mut words = line.split_whitespace();
        let free = words.nth(3)?.parse().ok()?;
        let used = words.next()?.strip_suffix('%')?.parse().ok()?;
        Some((printable(&words.collect::<Vec<_>>().join(" ")), used, free))
    };
    let mut disks: Vec<Disk> = Vec::new();
    for (mounted, used, free_kib) in space.iter().filter_map(|line| percent(line)) {
        if disks.iter().any(|disk| disk.mounted == mounted) {
            continue;
        }
        let inodes = inodes
            .iter()
            .filter_map(|line| percent(line))
            .find(|(place, ..)| *place == mounted);
        disks.push(Disk {
            mounted,
            used,
            inodes: inodes.map(|(_, used, _)| used),
            free_kib,
        });
    }
    disks
}

fn memory(lines: &[&str]) -> Option<(u64, u64)> {
    let get = |key: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((get("MemAvailable:")?, get("MemTotal:")?))
}

/// `1763712345.123456 host program[1]: text`.
fn logged(line: &str, now: Option<Duration>) -> (Option<Duration>, String) {
    let mut words = line.splitn(4, ' ');
    let at = words.next().and_then(seconds);
    match (at, now, words.nth(2)) {
        (Some(at), Some(now), Some(text)) => (Some(now.saturating_sub(at)), printable(text)),
        _ => (None, printable(line)),
    }
}

fn printable(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    cut(&plain, MAX_LINE_CHARS)
}

/// What a line of the runner's log means; its own words, from Runner.Listener.
fn meaning(line: &str) -> Option<State> {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if has(&[
        "Listening for Jobs",
        "completed with result",
        "Runner reconnected",
    ]) {
        return Some(State::Online);
    }
    if has(&["Running job:"]) {
        return Some(State::Busy);
    }
    let lost = [
        "Runner connect error",
        "registration has been deleted",
        "Failed to create a session",
        "Failed to create session",
        "session for this runner already exists",
        "Http response code: Unauthorized",
        "Runner listener exited with error",
        "No space left on device",
    ];
    has(&lost).then_some(State::Offline)
}

impl HostSnapshot {
    /// What it says about the runner.
    pub fn evidence(&self, runner: &str) -> Evidence {
        let (state, trust, says) = self.service();
        let mut parts = vec![says];
        // Every disk that is nearly full, and the first one in any case.
        let shown = self.disks.iter().enumerate();
        let shown = shown.filter(|(nth, disk)| *nth == 0 || disk.is_full());
        parts.extend(shown.map(|(_, disk)| disk.to_string()));
        parts.extend(self.memory.map(|(free, total)| {
            format!("{} of {} MiB memory available", free >> 10, total >> 10)
        }));
        parts.extend(
            self.log
                .last()
                .map(|(age, line)| format!("log, {}: {line}", crate::age(*age))),
        );
        Evidence::new(Source::Host, state, trust, parts.join("; ")).of(runner)
    }

    fn service(&self) -> (State, Trust, String) {
        let Some(unit) = &self.unit else {
            let says = match self.units.len() {
                0 => "no unit of that name".to_owned(),
                _ => format!("several units fit: {}", self.units.join(", ")),
            };
            return (State::Unknown, Trust::Hearsay, says);
        };
        if unit.load != "loaded" {
            return (
                State::Unknown,
                Trust::Hearsay,
                format!("{} is {}", unit.name, unit.load),
            );
        }
        let since = unit
            .since
            .map(|time| format!(" for {}", span(time)))
            .unwrap_or_default();
        let restarts = match unit.restarts {
            1 => "1 restart".to_owned(),
            more => format!("{more} restarts"),
        };
        let says = format!(
            "{} is {} ({}){since}, {restarts}",
            unit.name, unit.active, unit.sub
        );
        match (unit.active.as_str(), unit.sub.as_str()) {
            ("active" | "reloading", "running" | "reload") => self.running(unit, says),
            ("activating", "auto-restart") => {
                let says = format!(
                    "{says}: it ends again and again, with exit status {}",
                    unit.exit_status
                );
                (State::Offline, Trust::Proof, says)
            }
            ("activating", _) => (State::Unknown, Trust::Hearsay, says),
            ("failed", _) => {
                let says = format!("{says}: {}, exit status {}", unit.result, unit.exit_status);
                (State::Offline, Trust::Proof, says)
            }
            _ => (State::Offline, Trust::Proof, says),
        }
    }

    /// A running process: its last output shows whether it is connected.
    fn running(&self, unit: &Unit, says: String) -> (State, Trust, String) {
        if unit.restarts >= LOOPS && unit.since.is_none_or(|since| since < SETTLED) {
            return (
                State::Unknown,
                Trust::Hearsay,
                format!("{says}: it may be in a crash loop"),
            );
        }
        let last = self.log.iter().rev().find_map(|(age, line)| {
            // The output of an earlier process proves nothing about this one.
            let before = age
                .zip(unit.since)
                .is_some_and(|(age, since)| age > since + Duration::from_secs(2));
            if before {
                None
            } else {
                meaning(line).map(|state| (state, line))
            }
        });
        match last {
            Some((State::Offline, line)) => (
                State::Offline,
                Trust::Report,
                format!("{says}, but it is not connected: {line}"),
            ),
            Some((state, _)) => (state, Trust::Report, says),
            None => (State::Online, Trust::Report, says),
        }
    }

    /// What would help, as a command.
    pub fn remedy(&self, runner: &str) -> Option<String> {
        if let Some(disk) = self.disks.iter().find(|disk| disk.is_full()) {
            return Some(format!("`runner-check prune {runner}`: {disk}"));
        }
        let Some(unit) = &self.unit else {
            return Some(format!(
                "`systemctl list-units --all 'actions.runner.*'` on its machine, then `runners: {{ {runner}: {{ unit: … }} }}`"
            ));
        };
        if unit.sub == "auto-restart" || unit.restarts >= LOOPS {
            return Some(format!(
                "why does it crash? `journalctl -u {} -n 100` on its machine; then `runner-check restart {runner}`",
                unit.name
            ));
        }
        None
    }

    /// The fullest disk.
    pub fn fullest(&self) -> Option<&Disk> {
        self.disks.iter().max_by_key(|disk| disk.used)
    }
}

impl Disk {
    pub fn is_full(&self) -> bool {
        self.used >= FULL || self.inodes.is_some_and(|used| used >= FULL)
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "disk {} {}% used, {} MiB free",
            self.mounted,
            self.used,
            self.free_kib >> 10
        )?;
        match self.inodes {
            Some(used) if used >= FULL => write!(f, ", {used}% of its inodes used"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(show: &str, log: &str) -> String {
        format!(
            "@units\nactions.runner.acme-shop.web-01.service\n@uptime\n1000.50 900.00\n@now\n1763712400\n@show\n{show}\n\
             @disk\n/dev/sda1 100000 41000 59000 41% /\noverlay 100000 97000 3000 97% /var/lib/docker\n\
             @inodes\n/dev/sda1 1000 100 900 10% /\n@memory\nMemTotal: 4096000 kB\nMemAvailable: 1024000 kB\n@log\n{log}"
        )
    }

    fn service(active: &str, sub: &str, restarts: u32, since: u64) -> String {
        let at = (1000 - since) * 1_000_000;
        format!(
            "LoadState=loaded\nActiveState={active}\nSubState={sub}\nResult=exit-code\nNRestarts={restarts}\n\
             ExecMainStatus=3\nMainPID=7\nActiveEnterTimestampMonotonic={at}\nInactiveEnterTimestampMonotonic={at}"
        )
    }

    fn line(ago: u64, text: &str) -> String {
        format!("{}.000000 vm runsvc.sh[58]: {text}\n", 1_763_712_400 - ago)
    }

    fn read_evidence(show: &str, log: &str) -> Evidence {
        read(&answer(show, log))
            .map(|seen| seen.evidence("web-01"))
            .expect("the answer is read")
    }

    #[test]
    fn a_service_and_its_log_tell_what_the_runner_does() {
        let up = service("active", "running", 0, 300);
        let listens = line(20, "√ Connected to GitHub") + &line(20, "Listening for Jobs");
        let works = listens.clone() + &line(5, "2026-11-21 08:00:00Z: Running job: deploy");
        let lost = listens.clone()
            + &line(
                5,
                "Runner connect error: The HTTP request timed out. Retrying until reconnected.",
            );
        let before = line(900, "Runner connect error: x");
        let down = service("failed", "failed", 0, 60);
        let cases = [
            (up.as_str(), listens.as_str(), State::Online, Trust::Report),
            (&up, &works, State::Busy, Trust::Report),
            (&up, &lost, State::Offline, Trust::Report),
            (&up, &before, State::Online, Trust::Report),
            (&up, "", State::Online, Trust::Report),
            (&down, &listens, State::Offline, Trust::Proof),
            (
                &service("inactive", "dead", 0, 60),
                "",
                State::Offline,
                Trust::Proof,
            ),
            (
                &service("activating", "auto-restart", 9, 1),
                "",
                State::Offline,
                Trust::Proof,
            ),
            (
                &service("active", "running", 9, 3),
                &listens,
                State::Unknown,
                Trust::Hearsay,
            ),
            (
                &service("active", "running", 9, 300),
                &listens,
                State::Online,
                Trust::Report,
            ),
            (
                &up.replace("=loaded", "=not-found"),
                "",
                State::Unknown,
                Trust::Hearsay,
            ),
        ];
        for (show, log, state, trust) in cases {
            let evidence = read_evidence(show, log);
            assert_eq!(
                (evidence.state, evidence.trust),
                (state, trust),
                "{show} {log} {evidence:?}"
            );
        }
        let says = read_evidence(&down, &listens).says;
        assert_eq!(
            says,
            "actions.runner.acme-shop.web-01.service is failed (failed) for 1m, 0 restarts: exit-code, exit status 3; \
             disk / 41% used, 57 MiB free; disk /var/lib/docker 97% used, 2 MiB free; \
             1000 of 4000 MiB memory available; log, 20s ago: Listening for Jobs"
        );
    }

    #[test]
    fn a_full_disk_and_a_crash_loop_have_their_remedy() {
        let remedy = |show: &str| {
            read(&answer(show, ""))
                .and_then(|seen| seen.remedy("web-01"))
                .unwrap_or_default()
        };
        assert!(
            remedy(&service("active", "running", 0, 9))
                .starts_with("`runner-check prune web-01`: disk /var/lib/docker 97%")
        );
        let looping = answer(&service("activating", "auto-restart", 9, 1), "").replace("97%", "7%");
        let hint = read(&looping)
            .and_then(|seen| seen.remedy("web-01"))
            .unwrap_or_default();
        assert!(
            hint.contains("journalctl -u actions.runner.acme-shop.web-01.service"),
            "{hint}"
        );
    }

    #[test]
    fn a_log_cannot_speak_for_the_machine() {
        let forged =
            "@show\nLoadState=loaded\nActiveState=active\nSubState=running\n@units\na.service\n";
        let evidence = read_evidence(&service("inactive", "dead", 0, 60), forged);
        assert_eq!(evidence.state, State::Offline);
        for text in [
            "",
            "Last login: today",
            "@units\n",
            "@units\na\nb\n@memory\n",
            "@memory\nMemTotal: x\n@units\n@show\n",
        ] {
            // Neither a panic nor an opinion.
            let state = read(text).map_or(State::Unknown, |seen| seen.evidence("x").state);
            assert_eq!(state, State::Unknown, "{text}");
        }
    }
}

//! A unit of systemd: active, and not started again while we watch.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use config::file::SystemdProbe;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::Verdict;
use model::text::excerpt;
use remote::{CommandResult, quote};

use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;
use crate::restarts::{Life, Watch};
use crate::shell::Shell;

/// What `systemctl` is asked for.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,NRestarts,InvocationID,\
ActiveEnterTimestamp,ExecMainStartTimestampMonotonic,ExecMainCode,ExecMainStatus";

/// One systemd probe.
pub(crate) struct Systemd {
    probe: SystemdProbe,
    shell: Shell,
    watch: RefCell<Watch>,
}

impl Systemd {
    pub(crate) fn new(probe: SystemdProbe, around: &ProbeContext) -> Result<Self, Error> {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if probe.unit.is_empty() || probe.unit.starts_with('-') || probe.unit.contains(odd) {
            return Err(Error::NoUnit(probe.unit));
        }
        let shell = Shell::new(probe.host.as_deref(), around)?;
        Ok(Systemd {
            probe,
            shell,
            watch: RefCell::default(),
        })
    }

    fn expected(&self) -> String {
        format!("active, {}", Watch::expected(self.probe.max_restarts))
    }

    fn judge(&self, ran: &CommandResult) -> Reading {
        let expected = self.expected();
        let unit = &self.probe.unit;
        let text = String::from_utf8_lossy(&ran.stdout);
        let seen: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let of = |name: &str| seen.get(name).copied().unwrap_or_default();
        if ran.status != Some(0) || of("ActiveState").is_empty() {
            let reason = format!("systemctl: {}: {}", ran.exit, excerpt(ran.tail.as_bytes()));
            return Reading::unmet(Verdict::Error, expected, &reason, &reason).value("not checked");
        }
        if of("LoadState") == "not-found" {
            let reason = format!("there is no unit `{unit}`");
            return Reading::unmet(Verdict::Fail, expected, &reason, &reason).value("not-found");
        }
        let mut watch = self.watch.borrow_mut();
        watch.see(life(&of));
        let (active, sub) = (of("ActiveState"), of("SubState"));
        let end = last_end(&of);
        if end.is_some() {
            watch.end.clone_from(&end);
        }
        let value = format!("{active} ({sub})");
        let actual = format!("{value}, {watch}");
        let because = end.map(|end| format!(": {end}")).unwrap_or_default();
        // Whatever it is at this moment: a service that crashes is active between its crashes.
        if let Some(reason) = watch.too_many(self.probe.max_restarts) {
            let reading = Reading::unmet(Verdict::Fail, expected, actual, reason);
            return reading.value(value).finally();
        }
        let reason = if sub == "auto-restart" {
            format!("it has ended and waits for its next start{because}")
        } else if !matches!(active, "active" | "reloading" | "refreshing") {
            format!("{active} ({sub}){because}")
        } else if let Some(reason) = watch.young(self.probe.min_uptime) {
            reason
        } else {
            return Reading::pass(expected, actual).value(value);
        };
        Reading::unmet(Verdict::Fail, expected, actual, reason).value(value)
    }
}

fn life<'a>(of: &impl Fn(&str) -> &'a str) -> Life {
    let id = match of("InvocationID") {
        // Before version 232.
        "" => of("ExecMainStartTimestampMonotonic").trim_matches('0'),
        id => id,
    };
    Life {
        id: id.to_owned(),
        count: of("NRestarts").parse().unwrap_or(0),
        up: uptime(of("ActiveEnterTimestamp"), of("Now")),
    }
}

/// Both by the host's own clock: `Sat 2026-11-21 14:24:00 UTC`, and seconds since 1970.
fn uptime(since: &str, now: &str) -> Option<Duration> {
    let since = DateTime::strptime("%a %Y-%m-%d %H:%M:%S UTC", since).ok()?;
    let since = since.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    let up = now.parse::<i64>().ok()?.saturating_sub(since);
    Some(Duration::from_secs(up.try_into().unwrap_or(0)))
}

/// How its main process ended last, if not well: `exit-code, status 3`, `oom-kill`.
fn last_end<'a>(of: &impl Fn(&str) -> &'a str) -> Option<String> {
    let result = of("Result");
    let status = of("ExecMainStatus");
    // 1: it exited; 2 and 3: it was killed by this signal.
    let status = match of("ExecMainCode") {
        "1" if status != "0" => format!("exit status {status}"),
        "2" | "3" => format!("signal {status}"),
        _ => String::new(),
    };
    match (result, status.as_str()) {
        ("" | "success", "") => None,
        ("" | "success", status) => Some(status.to_owned()),
        (result, "") => Some(result.to_owned()),
        (result, status) => Some(format!("{result}, {status}")),
    }
}

impl Kind for SystemdProbe {
    fn subject(&self) -> String {
        self.unit.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Systemd::new(self, around)?))
    }
}

impl Probe for Systemd {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let unit = quote(&self.probe.unit);
            let text = format!(
                "echo \"Now=$(date +%s)\"
LC_ALL=C TZ=UTC systemctl show --no-pager -p {PROPERTIES} -- {unit}"
            );
            match self.shell.script(&text, timeout).await {
                Ok(ran) => self.judge(&ran),
                Err(problem) => Reading::of_problem(problem, self.expected()),
            }
        })
    }

    fn hint(&self) -> String {
        let unit = quote(&self.probe.unit);
        let command = format!("systemctl status {unit}; journalctl -u {unit} -n 100 --no-pager");
        format!("see why {}", self.shell.by_hand(&command))
    }
}

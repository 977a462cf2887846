//! What a runner's own machine says: whether its service runs, how often it had to be restarted,
//! whether there is disk and memory left, and what it wrote last.
//!
//! One script over one login. What comes back is read as hostile: bounded, and nothing in it is
//! obeyed.

mod snapshot;

use std::time::Duration;

use cli::Job;
use config::file::RunnerHost;
use model::HintedError;
use remote::quote;
use remote::ssh::{Exit, Limits, Session, Target};

pub use snapshot::{Disk, HostSnapshot, Unit, read};

/// The script's answer takes some 3 KiB.
const MAX_OUTPUT: usize = 64 << 10;

/// Asks the machine of a runner.
pub async fn query_host(
    job: &Job,
    name: &str,
    runner: &RunnerHost,
    timeout: Duration,
) -> Result<HostSnapshot, HintedError> {
    let until = tokio::time::Instant::now() + timeout;
    let asking = async {
        let session = log_in(job, runner, timeout).await?;
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        observe_host(&session, name, runner, left).await
    };
    match tokio::time::timeout_at(until, asking).await {
        Ok(seen) => seen,
        Err(_) => Err(HintedError {
            reason: format!(
                "host `{}`: not done within {}",
                runner.host,
                model::text::duration(timeout)
            ),
            hint: format!(
                "log in at {} and see what is slow, or raise `timeout`",
                runner.host
            ),
        }),
    }
}

/// A login at a runner's host.
pub async fn log_in(
    job: &Job,
    runner: &RunnerHost,
    timeout: Duration,
) -> Result<Session, HintedError> {
    let name = &runner.host;
    let Some(host) = job.config.hosts.get(name) else {
        return Err(HintedError {
            reason: format!("no host `{name}` under `hosts:`"),
            hint: format!("add `hosts: {{ {name}: {{ address: … }} }}`"),
        });
    };
    let target = Target::of(host, None, &job.env).map_err(|unready| HintedError {
        reason: format!("host `{name}`: {}", unready.reason),
        hint: unready.hint,
    })?;
    target
        .clone()
        .connect(timeout)
        .await
        .map_err(|error| HintedError {
            reason: format!("host `{name}`: {error}"),
            hint: target.hint(&error),
        })
}

/// Looks once, over an open login.
pub async fn observe_host(
    session: &Session,
    name: &str,
    runner: &RunnerHost,
    timeout: Duration,
) -> Result<HostSnapshot, HintedError> {
    let limits = Limits {
        timeout,
        max_output: MAX_OUTPUT,
    };
    let refused = |reason: String| HintedError {
        reason: format!("host `{}`: {reason}", runner.host),
        hint: format!(
            "log in at {} and look: `systemctl list-units 'actions.runner.*'`",
            runner.host
        ),
    };
    let output = session
        .script(&script(name, runner), limits)
        .await
        .map_err(|error| refused(error.to_string()))?;
    if output.exit == Exit::TimedOut {
        let within = model::text::duration(timeout);
        return Err(refused(format!("not done within {within}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| {
        let (exit, tail) = (&output.exit, output.tail());
        refused(format!("no answer that is understood ({exit}): {tail}"))
    })
}

/// The unit, or the patterns that find it. GitHub's installer names it
/// `actions.runner.OWNER-REPO.NAME.service`; the dot before the name tells `web-01` from
/// `prod-web-01`.
pub fn units(name: &str, runner: &RunnerHost) -> Vec<String> {
    let escaped = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '?'
        }
    };
    if let Some(unit) = &runner.unit {
        return vec![unit.clone()];
    }
    let name: String = name.chars().map(escaped).collect();
    vec![
        format!("actions.runner.*.{name}.service"),
        format!("actions.runner.{name}.service"),
    ]
}

/// The lines that find the one unit of a runner and put it into `$unit`.
fn find_unit(name: &str, runner: &RunnerHost) -> String {
    let patterns: Vec<String> = units(name, runner).iter().map(|unit| quote(unit)).collect();
    let patterns = patterns.join(" ");
    format!(
        "units=$(systemctl list-units --all --plain --no-legend --full {patterns} 2>/dev/null | awk '{{print $1}}')
[ -n \"$units\" ] || units=$(systemctl list-unit-files --no-legend --full {patterns} 2>/dev/null | awk '{{print $1}}')
set -- $units
unit=$1
"
    )
}

fn script(name: &str, runner: &RunnerHost) -> String {
    let find = find_unit(name, runner);
    // The log comes last: what it holds may look like anything.
    format!(
        "export LC_ALL=C
{find}
printf '@units\\n'; printf '%s\\n' $units | head -n 20
printf '@uptime\\n'; cat /proc/uptime
printf '@now\\n'; date +%s
if [ $# -eq 1 ]; then
  printf '@show\\n'
  systemctl show --no-pager -p LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,MainPID,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic \"$unit\"
  dir=$(systemctl show --no-pager --value -p WorkingDirectory \"$unit\")
fi
dir=${{dir#!}}; [ -d \"$dir\" ] || dir=/
docker=/var/lib/docker; [ -d \"$docker\" ] || docker=/
printf '@disk\\n'; df -Pk / \"$dir\" \"$docker\" 2>/dev/null | sed 1d
printf '@inodes\\n'; df -Pi / \"$dir\" \"$docker\" 2>/dev/null | sed 1d
printf '@memory\\n'; grep -E '^(MemTotal|MemAvailable):' /proc/meminfo
if [ $# -eq 1 ]; then
  printf '@log\\n'
  log=$(journalctl -q -u \"$unit\" -n 20 -o short-unix --no-pager 2>/dev/null)
  [ -n \"$log\" ] || log=$(sudo -n journalctl -q -u \"$unit\" -n 20 -o short-unix --no-pager 2>/dev/null)
  printf '%s\\n' \"$log\" | tail -c 16000
fi
"
    )
}

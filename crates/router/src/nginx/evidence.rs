//! What nginx left behind about a reload that did not take effect: pure, of what its machine prints.

use std::fmt::Write as _;
use std::time::Duration;

use super::syntax::{plain, statements};

/// Bytes read from the end of a log.
const LOG_TAIL_BYTES: usize = 64 << 10;
/// So many lines of a log, and processes, are shown.
const MAX_SHOWN: usize = 3;
/// So many logs are read.
const MAX_LOGS: usize = 4;
const USUAL_LOG: &str = "/var/log/nginx/error.log";
const USUAL_PID: &str = "/run/nginx.pid";

/// Where nginx writes, by its whole configuration (`nginx -T`) and how it was built (`nginx -V`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traces {
    logs: Vec<String>,
    pid: String,
}

impl Traces {
    pub(super) fn of(dump: Option<&str>, built: Option<&str>) -> Traces {
        let built = |option: &str| {
            let mut words = built.unwrap_or_default().split_whitespace();
            let value = words.find_map(|word| word.strip_prefix(option));
            value.map(|path| path.trim_matches('\'').to_owned())
        };
        let prefix = built("--prefix=").unwrap_or_default();
        let whole = |path: &str| {
            if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("{prefix}/{path}")
            }
        };
        let (mut logs, mut pid) = (Vec::new(), None);
        let dump = dump.unwrap_or_default();
        for statement in statements(dump) {
            let [name, path, ..] = statement.words.as_slice() else {
                continue;
            };
            let path = plain(dump, path);
            match plain(dump, name) {
                "error_log" if path != "stderr" && !path.contains(':') => {
                    let path = whole(path);
                    if !logs.contains(&path) && logs.len() < MAX_LOGS {
                        logs.push(path);
                    }
                }
                "pid" if pid.is_none() => pid = Some(whole(path)),
                _ => {}
            }
        }
        if logs.is_empty() {
            let log = built("--error-log-path=").filter(|path| path != "stderr");
            logs.push(whole(&log.unwrap_or_else(|| USUAL_LOG.to_owned())));
        }
        let pid = pid.or_else(|| built("--pid-path=").map(|path| whole(&path)));
        Traces {
            logs,
            pid: pid.unwrap_or_else(|| USUAL_PID.to_owned()),
        }
    }

    /// A script that prints what happened in the last `seconds`: since when, the worker processes with the
    /// age of the machine when they began, the ends of the logs, and last the machine's age.
    pub(super) fn script(&self, seconds: u64) -> String {
        let mut text = format!(
            r#"now=$(date +%s)
echo "since $(date -d "@$((now - {seconds}))" '+%Y/%m/%d %H:%M:%S')"
master=$(cat -- {pid} 2>/dev/null) || master=
for stat in /proc/[0-9]*/stat; do
  read -r line 2>/dev/null <"$stat" || continue
  set -- ${{line##*) }}
  if [ -n "$master" ] && [ "$2" = "$master" ]; then
    echo "worker ${{line%% *}} ${{20}} $(tr '\0' ' ' 2>/dev/null <"/proc/${{line%% *}}/cmdline" || :)"
  fi
done
"#,
            pid = remote::quote(&self.pid)
        );
        for log in &self.logs {
            let log = remote::quote(log);
            let _ = writeln!(
                text,
                "if [ -f {log} ] && [ -r {log} ]; then tail -c {LOG_TAIL_BYTES} -- {log}; echo; fi"
            );
        }
        text.push_str("read -r up _ </proc/uptime\necho \"uptime $up\"\n");
        text
    }
}

/// What such a script printed, in words; `None` where it tells nothing. `reloaded` is how long ago the
/// reload was when it had ended.
pub(super) fn warnings(printed: &str, reloaded: Option<Duration>) -> Option<String> {
    let mut since = "";
    let uptime = printed
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("uptime "));
    let uptime: f64 = uptime.and_then(|up| up.parse().ok()).unwrap_or_default();
    let (mut complaints, mut old) = (Vec::new(), Vec::new());
    for line in printed.lines() {
        if let Some(time) = line.strip_prefix("since ") {
            since = time;
        } else if let Some(worker) = line.strip_prefix("worker ") {
            let mut words = worker.splitn(3, ' ');
            let (pid, began, title) = (words.next()?, words.next()?, words.next()?);
            // In hundredths of a second, on every machine that nginx runs on.
            let age = uptime - began.parse::<f64>().unwrap_or(f64::MAX) / 100.0;
            let before = reloaded.is_some_and(|ago| age > ago.as_secs_f64());
            if before && title.contains("worker process") && !title.contains("shutting down") {
                old.push(pid.to_owned());
            }
        } else if let Some((time, message)) = message(line)
            && !since.is_empty()
            && time >= since
            && !complaints.contains(&message)
        {
            complaints.push(message);
        }
    }
    let mut told = Vec::new();
    if !complaints.is_empty() {
        let last = &complaints[complaints.len().saturating_sub(MAX_SHOWN)..];
        told.push(format!("its error log has {}", last.join(", ")));
    }
    if !old.is_empty() {
        old.truncate(MAX_SHOWN);
        told.push(format!(
            "worker processes from before the reload still accept (process {})",
            old.join(", ")
        ));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// The time of a line, and what it says: `2026/11/29 07:13:43 [emerg] 12#12: still could not bind()`.
fn message(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = (line.get(..19)?, line.get(20..)?);
    let mut levels = ["[emerg]", "[alert]"].into_iter();
    let said = levels.find_map(|level| rest.strip_prefix(level))?;
    Some((time, said.split_once(": ").map_or(said, |(_, said)| said)))
}

/// Whether any site passes requests to one of these upstreams, by nginx's whole configuration. One that
/// passes them by a variable may.
pub(super) fn is_used(dump: &str, names: &[&str]) -> bool {
    statements(dump).iter().any(|statement| {
        let [name, to, ..] = statement.words.as_slice() else {
            return false;
        };
        let to = plain(dump, to);
        let address = to.rsplit("://").next().unwrap_or(to);
        let server = address.split('/').next().unwrap_or(address);
        plain(dump, name).ends_with("_pass") && (to.contains('$') || names.contains(&server))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_and_the_processes_tell_why_the_old_file_is_live() {
        let printed = "since 2026/11/29 07:13:40
worker 70 90000 nginx: worker process
worker 71 90000 nginx: worker process is shutting down
worker 72 99990 nginx: worker process
worker 73 90000 nginx: cache manager process
2026/11/29 07:13:39 [emerg] 1#1: an older one
2026/11/29 07:13:41 [notice] 1#1: signal process started
2026/11/29 07:13:41 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)
2026/11/29 07:13:41 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)
2026/11/29 07:13:42 [emerg] 1#1: still could not bind()
uptime 1000.50
";
        assert_eq!(
            warnings(printed, Some(Duration::from_secs(2))).unwrap(),
            "its error log has bind() to 0.0.0.0:80 failed (98: Address already in use), still could not bind(); \
             worker processes from before the reload still accept (process 70)"
        );
        assert_eq!(
            warnings("since 2026/11/29 07:13:40\nuptime 3\nworker 1", None),
            None
        );
        assert_eq!(warnings("é€ x\nsince", None), None);
    }

    #[test]
    fn the_configuration_tells_where_nginx_writes() {
        let dump = "pid run/n.pid; error_log /a/error.log; http { error_log stderr; error_log syslog:server=x; error_log b.log info; }";
        let built =
            "configure arguments: --prefix=/opt --error-log-path=/c.log --pid-path=/run/x.pid";
        assert_eq!(
            Traces::of(Some(dump), Some(built)),
            Traces {
                logs: vec!["/a/error.log".to_owned(), "/opt/b.log".to_owned()],
                pid: "/opt/run/n.pid".to_owned(),
            }
        );
        let of_build = Traces::of(None, Some(built));
        assert_eq!(of_build.logs, ["/c.log"]);
        assert_eq!(of_build.pid, "/run/x.pid");
        assert_eq!(Traces::of(None, None).logs, [USUAL_LOG]);
    }

    #[test]
    fn an_upstream_that_no_site_names_is_not_used() {
        let dump = "upstream shop { server a; } upstream preview { server b; } server { location / { proxy_pass http://shop/x; } }";
        assert!(is_used(dump, &["shop"]));
        assert!(!is_used(dump, &["preview"]));
        assert!(is_used(
            "location / { proxy_pass http://$up; }",
            &["preview"]
        ));
    }
}

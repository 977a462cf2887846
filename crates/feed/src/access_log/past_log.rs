//! What a log has of a time that is over: the requests that one release answered, and all.
//!
//! The lines are in the order of time, or nearly so. The beginning is found by halving; a log that was moved
//! away since then is read first.

use std::collections::BTreeSet;
use std::time::Duration;

use model::glob;
use probe::shell::Shell;
use remote::quote_path;

use super::line::{self, Field, Layout, When};
use crate::error::Error;

/// Read at once.
const CHUNK: u64 = 8 << 20;
/// Enough to hold a line.
const PROBE: u64 = 128 << 10;
/// The most that is read in all.
const MAX_LOG_BYTES: u64 = 512 << 20;
/// Percentage of unreadable lines above which the log is refused.
const MAX_UNREADABLE_PERCENT: usize = 1;
/// A line is written when its request ends, and lines of several workers are not quite in order: so many seconds.
const DISORDER: f64 = 5.0;

/// What is looked for in the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSettings {
    pub layout: Layout,
    /// Where a line may have its time; the first one that it has counts.
    pub at: Vec<Field>,
    /// The value of the side's field, in which `*` is any text.
    pub side: String,
    /// The statuses of requests that failed.
    pub failures: BTreeSet<u16>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastRequest {
    /// When it ended: not before, and not after, in seconds since 1970.
    pub after: f64,
    pub by: f64,
    /// The side answered it.
    pub is_of_side: bool,
    pub failed: bool,
}

/// A log and where it is.
pub struct PastLog {
    shell: Shell,
    file: String,
    settings: PastSettings,
}

/// A file and how long it is.
struct Part {
    path: String,
    size: u64,
}

impl PastLog {
    pub fn new(shell: Shell, file: String, settings: PastSettings) -> PastLog {
        PastLog {
            shell,
            file,
            settings,
        }
    }

    /// Shows every request from one time until another, in seconds since 1970, and says whether the log goes back
    /// so far.
    ///
    /// # Errors
    /// Returns why the log could not be read.
    pub async fn requests(
        &self,
        from: f64,
        until: f64,
        timeout: Duration,
        see: &mut dyn FnMut(PastRequest),
    ) -> Result<bool, Error> {
        let parts = self.parts(timeout).await?;
        let mut reading = Reading {
            log: self,
            from: from - DISORDER,
            until: until + DISORDER,
            seen: LineCounts::default(),
            left: MAX_LOG_BYTES,
            see,
        };
        let mut is_whole = true;
        // The newest part first, to know whether an older one is needed.
        for part in &parts {
            let starts = reading.starts(part, timeout).await?;
            let start = starts.unwrap_or(0);
            reading.part(part, start, timeout).await?;
            if starts.is_some() {
                is_whole = true;
                break;
            }
            // Nothing before it is here: it may have begun then, or was moved away twice.
            is_whole = parts.len() == 1;
        }
        let seen = reading.seen;
        if seen.unreadable * 100 > seen.lines * MAX_UNREADABLE_PERCENT {
            let LineCounts {
                lines,
                unreadable,
                example,
            } = seen;
            let why = format!("{unreadable} of {lines} lines cannot be read: {example}");
            return Err(self.failed(why));
        }
        Ok(is_whole)
    }

    /// The log, and what was moved away last.
    async fn parts(&self, timeout: Duration) -> Result<Vec<Part>, Error> {
        let file = quote_path(&self.file);
        let script = format!(
            "f={file}\n[ -r \"$f\" ] || {{ ls -- \"$f\" >&2 && echo 'it cannot be read' >&2; exit 1; }}\n\
             stat -L -c '%s %n' -- \"$f\" || exit 1\n\
             ls -1t -d -- \"$f\"?* 2>/dev/null | head -n 1 | while IFS= read -r g; do\n\
             stat -L -c '%s %n' -- \"$g\"\ndone\nexit 0\n"
        );
        let printed = self.run(&script, timeout, PROBE).await?;
        let printed = String::from_utf8_lossy(&printed);
        let part = |line: &str| {
            let (size, path) = line.split_once(' ')?;
            Some(Part {
                path: path.to_owned(),
                size: size.parse().ok()?,
            })
        };
        Ok(printed.lines().filter_map(part).collect())
    }

    async fn read(
        &self,
        part: &Part,
        at: u64,
        most: u64,
        timeout: Duration,
    ) -> Result<Vec<u8>, Error> {
        let file = quote_path(&part.path);
        let script = format!("tail -c +{} -- {file} | head -c {most}\n", at + 1);
        self.run(&script, timeout, most).await
    }

    async fn run(&self, script: &str, timeout: Duration, most: u64) -> Result<Vec<u8>, Error> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let ran = self.shell.full_output(script, timeout, most).await?;
        if ran.status == Some(0) {
            return Ok(ran.stdout);
        }
        Err(self.failed(format!("{}: {}", ran.exit, ran.tail)))
    }

    fn failed(&self, why: String) -> Error {
        let file = self.file.clone();
        Error::Log { file, why }
    }

    fn dated(&self, text: &[u8]) -> Option<(line::Line, When)> {
        let text = String::from_utf8_lossy(text);
        line::dated(&self.settings.layout, &self.settings.at, &text)
    }
}

#[derive(Default)]
struct LineCounts {
    lines: usize,
    unreadable: usize,
    example: String,
}

struct Reading<'a> {
    log: &'a PastLog,
    from: f64,
    until: f64,
    seen: LineCounts,
    left: u64,
    see: &'a mut dyn FnMut(PastRequest),
}

impl Reading<'_> {
    /// From where a part is to be read: a place before the first line of the time. `None`: already its first line
    /// is of that time, or later.
    async fn starts(&self, part: &Part, timeout: Duration) -> Result<Option<u64>, Error> {
        if !self.is_before(part, 0, timeout).await? {
            return Ok(None);
        }
        let (mut low, mut high) = (0, part.size);
        while high - low > CHUNK {
            let middle = low + (high - low) / 2;
            if self.is_before(part, middle, timeout).await? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Some(low))
    }

    /// Whether the first whole line at a place is from before the time.
    async fn is_before(&self, part: &Part, at: u64, timeout: Duration) -> Result<bool, Error> {
        let bytes = self.log.read(part, at, PROBE, timeout).await?;
        let mut lines = bytes.split(|byte| *byte == b'\n').skip(usize::from(at > 0));
        let first = lines.find_map(|text| self.log.dated(text));
        Ok(first.is_some_and(|(_, when)| when.until <= self.from))
    }

    async fn part(&mut self, part: &Part, start: u64, timeout: Duration) -> Result<(), Error> {
        let (mut at, mut rest) = (start, Vec::new());
        // What stands before the first line's end may be half a line.
        let mut skips = start > 0;
        while at < part.size {
            let most = CHUNK.min(part.size - at);
            if self.left < most {
                let why = format!("over {} MiB of it are of that time", MAX_LOG_BYTES >> 20);
                return Err(self.log.failed(why));
            }
            self.left -= most;
            let bytes = self.log.read(part, at, most, timeout).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            rest.extend_from_slice(&bytes);
            let end = rest.iter().rposition(|byte| *byte == b'\n');
            let Some(end) = end else {
                if rest.len() as u64 > CHUNK {
                    return Err(self.log.failed("a line has no end".to_owned()));
                }
                continue;
            };
            for text in rest[..end].split(|byte| *byte == b'\n') {
                if std::mem::take(&mut skips) || text.is_empty() {
                    continue;
                }
                if !self.line(text) {
                    return Ok(());
                }
            }
            rest.drain(..=end);
        }
        Ok(())
    }

    /// Takes a line in; false: it is of a later time.
    fn line(&mut self, text: &[u8]) -> bool {
        self.seen.lines += 1;
        let Some((line, when)) = self.log.dated(text) else {
            if self.seen.unreadable == 0 {
                self.seen.example = model::text::excerpt(text);
            }
            self.seen.unreadable += 1;
            return true;
        };
        if when.from > self.until {
            return false;
        }
        let settings = &self.log.settings;
        // A request that went on to another server was answered by that one.
        let answered = line.servers.last();
        (self.see)(PastRequest {
            after: when.from,
            by: when.until,
            is_of_side: answered.is_some_and(|server| glob(&settings.side, server)),
            failed: settings.failures.contains(&line.status),
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use probe::ProbeContext;

    use super::*;
    use crate::access_log::Format;

    fn log(file: &Path) -> PastLog {
        let shell = Shell::new(None, &ProbeContext::default());
        let shell = shell.unwrap_or_else(|why| panic!("{why}"));
        let settings = PastSettings {
            layout: Layout {
                format: Format::Json,
                status: Field::Key("status".to_owned()),
                side: Field::Key("side".to_owned()),
                time: None,
            },
            at: vec![Field::Key("msec".to_owned())],
            side: "green".to_owned(),
            failures: (500..600).collect(),
        };
        PastLog::new(shell, file.display().to_string(), settings)
    }

    /// A line for each second, from one to another; each tenth has failed, each other one is of green.
    fn lines(from: u32, until: u32, pad: usize) -> String {
        let pad = "x".repeat(pad);
        (from..until).fold(String::new(), |mut all, second| {
            let at = 1_800_000_000 + u64::from(second);
            let side = if second % 2 == 0 { "green" } else { "blue" };
            let status = if second % 10 == 0 { 502 } else { 200 };
            let _ = writeln!(
                all,
                r#"{{"msec": "{at}.500", "side": "{side}", "status": {status}, "pad": "{pad}"}}"#
            );
            all
        })
    }

    /// Requests of green, those that failed, of all, and whether it is whole.
    async fn counted(file: &Path, from: u32, until: u32) -> Result<(u32, u32, u32, bool), String> {
        let [from, until] = [from, until].map(|second| 1_800_000_000.0 + f64::from(second));
        let (mut green, mut failed, mut all) = (0, 0, 0);
        let mut see = |one: PastRequest| {
            if one.by <= from || one.after >= until {
                return;
            }
            all += 1;
            green += u32::from(one.is_of_side);
            failed += u32::from(one.is_of_side && one.failed);
        };
        let log = log(file);
        let read = log.requests(from, until, Duration::from_secs(20), &mut see);
        let is_whole = read.await.map_err(|why| why.to_string())?;
        Ok((green, failed, all, is_whole))
    }

    #[tokio::test]
    async fn the_lines_of_a_time_are_found_in_a_long_log_and_in_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's a log");
        // 24 MiB, so that halving begins.
        fs::write(&file, lines(1_000, 25_000, 1_000)).unwrap();
        for (from, until, truth) in [
            (20_000, 20_100, (50, 10, 100, true)),
            (24_990, 30_000, (5, 1, 10, true)),
            (2_000, 2_001, (1, 1, 1, true)),
            // The log begins then: nothing tells that there was more.
            (0, 1_010, (5, 1, 10, true)),
            (30_000, 30_010, (0, 0, 0, true)),
        ] {
            assert_eq!(counted(&file, from, until).await, Ok(truth), "{from}");
        }
        // Moved away in the middle of the time.
        fs::rename(&file, folder.path().join("it's a log.1")).unwrap();
        fs::write(&file, lines(25_000, 25_100, 10)).unwrap();
        let truth = (100, 20, 200, true);
        assert_eq!(counted(&file, 24_900, 25_100).await, Ok(truth));
        // Moved away before all of what is there.
        let (green, _, all, is_whole) = counted(&file, 0, 25_100).await.unwrap();
        assert_eq!((green, all, is_whole), (12_050, 24_100, false));
    }

    #[tokio::test]
    async fn a_log_that_is_not_there_or_of_another_layout_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let why = counted(&file, 0, 1).await.unwrap_err();
        assert!(
            why.contains("access.log") && why.contains("No such file"),
            "{why}"
        );
        fs::write(&file, "1.2.3.4 - - nothing\n".repeat(3)).unwrap();
        let why = counted(&file, 0, 1).await.unwrap_err();
        assert!(
            why.contains("3 of 3 lines cannot be read: 1.2.3.4"),
            "{why}"
        );
        fs::write(&file, "").unwrap();
        assert_eq!(counted(&file, 0, 1).await, Ok((0, 0, 0, true)));
    }
}

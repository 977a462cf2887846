//! A command on this machine: bounded in time and output, ended with all its children.

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// How much of each stream is kept: its head and its tail.
const MAX_KEPT_BYTES: usize = 64 << 10;
/// A line longer than this is forwarded in pieces.
const MAX_LINE_BYTES: usize = 8 << 10;
/// How long a command may take to end after the signal.
pub const GRACE: Duration = Duration::from_secs(2);

/// What to run. The text is given to `sh -c`; values go by the environment, never into the text.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    pub text: &'a str,
    pub env: Vec<(String, String)>,
    pub timeout: Duration,
}

/// Which of a command's streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It did not end in time and was killed, with its children.
    TimedOut,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
            Exit::TimedOut => f.write_str("not done in time"),
        }
    }
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Captured {
    pub exit: Exit,
    /// Head and tail, at most 64 KiB.
    pub stdout: String,
    /// Something of standard output was left out.
    pub dropped: bool,
    /// Head and tail, at most 64 KiB.
    pub stderr: String,
    pub duration: Duration,
}

impl Captured {
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// How it ended, and what it said last.
    pub fn summary(&self) -> String {
        match self.tail() {
            tail if tail.is_empty() => self.exit.to_string(),
            tail => format!("{}: {tail}", self.exit),
        }
    }

    /// The last lines of stderr, else of stdout: what a person would look at first.
    pub fn tail(&self) -> String {
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// Runs a script to its end. `on_line` sees each line as it comes.
///
/// Dropping the future kills the script and its children.
pub async fn run(
    script: &Script<'_>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> io::Result<Captured> {
    let child = start(script, "sh", &["-c", script.text])?;
    watch(script, child, on_line).await
}

/// The same for a command of one line: where it is a program and plain words, no shell is started
/// for it.
pub async fn run_command(
    script: &Script<'_>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> io::Result<Captured> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-./:@%,+".contains(c);
    let words: Vec<&str> = script
        .text
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect();
    if script.text.chars().all(plain)
        && let Some((program, arguments)) = words.split_first()
        // A word that is not a program may be a builtin of the shell.
        && let Ok(child) = start(script, program, arguments)
    {
        return watch(script, child, on_line).await;
    }
    run(script, on_line).await
}

/// What a program printed, all of it.
#[derive(Clone, Debug)]
pub struct FullOutput {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    /// It printed more than was allowed, and was ended.
    pub is_cut: bool,
    /// The last lines of its errors.
    pub tail: String,
}

/// Runs a script to its end and keeps all that it prints, up to so many bytes.
pub async fn full_output(script: &Script<'_>, max_output: u64) -> io::Result<FullOutput> {
    let mut child = start(script, "sh", &["-c", script.text])?;
    let group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut errors = Lines::new(stderr, Stream::Stderr);
    let mut printed = Vec::new();
    let reading = async {
        let output = async {
            if let Some(stdout) = stdout {
                let mut stdout = stdout.take(max_output + 1);
                stdout.read_to_end(&mut printed).await?;
            }
            Ok::<_, io::Error>(())
        };
        let complaints = async {
            while !errors.closed {
                errors.read().await;
            }
        };
        let (read, ()) = tokio::join!(output, complaints);
        read
    };
    let ended = tokio::time::timeout(script.timeout, async {
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => read?,
            // A child left in the background keeps the pipes open.
            status = child.wait() => {
                let _ = tokio::time::timeout(DRAIN, &mut reading).await;
                return status.map(exit_of);
            }
        }
        child.wait().await.map(exit_of)
    })
    .await;
    let exit = if let Ok(ended) = ended {
        ended?
    } else {
        end(&group, &mut child).await;
        Exit::TimedOut
    };
    let is_cut = printed.len() as u64 > max_output;
    if !is_cut {
        group.forget();
    }
    let text = errors.text();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    Ok(FullOutput {
        exit,
        is_cut,
        stdout: printed,
        tail: lines[lines.len().saturating_sub(5)..].join("\n"),
    })
}

fn start(script: &Script<'_>, program: &str, arguments: &[&str]) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .envs(script.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

async fn watch(
    script: &Script<'_>,
    mut child: Child,
    on_line: &mut dyn FnMut(Stream, &str),
) -> io::Result<Captured> {
    let started = Instant::now();
    let group = Group(child.id());
    let mut stdout = Lines::new(child.stdout.take(), Stream::Stdout);
    let mut stderr = Lines::new(child.stderr.take(), Stream::Stderr);
    let deadline = tokio::time::sleep(script.timeout);
    tokio::pin!(deadline);
    let mut ended = None;
    let exit = loop {
        // A child left in the background keeps the pipes open; the script itself has ended.
        if let Some(exit) = ended
            && (stdout.closed && stderr.closed || started.elapsed() > script.timeout)
        {
            break exit;
        }
        tokio::select! {
            read = stdout.read(), if !stdout.closed => read.into_iter().for_each(|line| on_line(Stream::Stdout, &line)),
            read = stderr.read(), if !stderr.closed => read.into_iter().for_each(|line| on_line(Stream::Stderr, &line)),
            status = child.wait(), if ended.is_none() => {
                ended = Some(exit_of(status?));
                deadline.as_mut().reset((Instant::now() + DRAIN).into());
            }
            () = &mut deadline => {
                if let Some(exit) = ended {
                    break exit;
                }
                end(&group, &mut child).await;
                break Exit::TimedOut;
            }
        }
        // Commands often run side by side in one task: one that never stops talking would leave
        // the others no turn, and they would seem to hang.
        tokio::task::yield_now().await;
    };
    group.forget();
    Ok(Captured {
        exit,
        stdout: stdout.text(),
        dropped: stdout.dropped > 0,
        stderr: stderr.text(),
        duration: started.elapsed(),
    })
}

/// How long the pipes are read after the script itself has ended.
const DRAIN: Duration = Duration::from_millis(200);

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Asks politely, then kills.
async fn end(group: &Group, child: &mut Child) {
    group.signal(rustix::process::Signal::TERM);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        group.signal(rustix::process::Signal::KILL);
        // The kernel has ended it; this collects its status.
        let _ = child.wait().await;
    }
}

/// A script's process group; killed when dropped, unless the script has ended.
struct Group(Option<u32>);

impl Group {
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = self
            .0
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself meanwhile.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

/// A stream as lines, with its head and tail kept.
struct Lines<R> {
    reader: Option<R>,
    piece: Vec<u8>,
    closed: bool,
    partial: Vec<u8>,
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    dropped: u64,
    stream: Stream,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: Option<R>, stream: Stream) -> Self {
        Lines {
            closed: reader.is_none(),
            reader,
            piece: vec![0; 8 << 10],
            partial: Vec::new(),
            head: Vec::new(),
            tail: std::collections::VecDeque::new(),
            dropped: 0,
            stream,
        }
    }

    /// The lines that the next piece completes.
    async fn read(&mut self) -> Vec<String> {
        let Some(reader) = &mut self.reader else {
            return Vec::new();
        };
        match reader.read(&mut self.piece).await {
            Ok(0) | Err(_) => {
                self.closed = true;
                let rest = std::mem::take(&mut self.partial);
                if rest.is_empty() {
                    Vec::new()
                } else {
                    vec![line(&rest)]
                }
            }
            Ok(length) => {
                let piece = std::mem::take(&mut self.piece);
                self.keep(&piece[..length]);
                let mut lines = Vec::new();
                // Piece by piece, so that megabytes of short lines are looked at once.
                for part in piece[..length].split_inclusive(|byte| *byte == b'\n') {
                    self.partial.extend_from_slice(part);
                    if part.ends_with(b"\n") {
                        lines.push(line(&self.partial));
                        self.partial.clear();
                    } else if self.partial.len() > MAX_LINE_BYTES {
                        // Between words: half a secret is not known for one.
                        let at = self.partial.iter().rposition(u8::is_ascii_whitespace);
                        let all = self.partial.len();
                        if let Some(at) = at.or((all > 2 * MAX_LINE_BYTES).then_some(all)) {
                            let rest = self.partial.split_off(at);
                            lines.push(line(&std::mem::replace(&mut self.partial, rest)));
                        }
                    }
                }
                self.piece = piece;
                lines
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (MAX_KEPT_BYTES / 2)
            .saturating_sub(self.head.len())
            .min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend(&bytes[room..]);
        let over = self.tail.len().saturating_sub(MAX_KEPT_BYTES / 2);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }

    fn text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        if self.dropped == 0 {
            return String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned();
        }
        let (head, tail) = (before_cut(&self.head), after_cut(&tail));
        let kept = head.len() + tail.len();
        let printed = self.dropped + (self.head.len() + self.tail.len()) as u64;
        format!(
            "{}\n… {} bytes of {:?} left out …\n{}",
            String::from_utf8_lossy(head),
            printed - kept as u64,
            self.stream,
            String::from_utf8_lossy(tail)
        )
    }
}

/// What was cut off in the middle of a line, without that line, or without the last word of one that
/// is long: what is left of a secret there is not known for one.
pub(crate) fn before_cut(bytes: &[u8]) -> &[u8] {
    let from = bytes.len().saturating_sub(MAX_LINE_BYTES);
    let near = &bytes[from..];
    let end = near.iter().rposition(|byte| *byte == b'\n');
    let end = end.or_else(|| near.iter().rposition(u8::is_ascii_whitespace));
    &bytes[..end.map_or(from, |end| from + end + 1)]
}

/// The same of what follows a cut.
fn after_cut(bytes: &[u8]) -> &[u8] {
    let near = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    let end = near.iter().position(|byte| *byte == b'\n');
    let end = end.or_else(|| near.iter().position(u8::is_ascii_whitespace));
    &bytes[end.map_or(near.len(), |end| end + 1)..]
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\n', '\r'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sh(text: &str, timeout: Duration) -> (Captured, Vec<String>) {
        let script = Script {
            text,
            env: vec![("GREETING".into(), "$(no) 'quotes\"".into())],
            timeout,
        };
        let mut lines = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let captured = runtime
            .block_on(run(&script, &mut |_, line| lines.push(line.to_owned())))
            .unwrap();
        (captured, lines)
    }

    #[test]
    fn output_status_and_environment_come_through() {
        let (captured, lines) = sh(
            "echo \"$GREETING\"; echo two >&2; exit 3",
            Duration::from_secs(5),
        );
        assert_eq!(captured.exit, Exit::Code(3));
        assert_eq!(captured.stdout, "$(no) 'quotes\"\n");
        assert_eq!(captured.tail(), "two");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_command_of_plain_words_ends_as_it_would_in_a_shell() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ran = |text: &str| {
            let script = Script {
                text,
                env: Vec::new(),
                timeout: Duration::from_secs(5),
            };
            let captured = runtime.block_on(run_command(&script, &mut |_, _| ()));
            let captured = captured.unwrap();
            (captured.exit, captured.stdout)
        };
        for (text, code, output) in [
            ("echo a  b", 0, "a b\n"),
            ("echo 'a  b'", 0, "a  b\n"),
            ("exit 3", 3, ""),
            ("cd /tmp; pwd", 0, "/tmp\n"),
            ("A=b", 0, ""),
            ("no-such-program-here -t", 127, ""),
            ("false", 1, ""),
            ("", 0, ""),
        ] {
            assert_eq!(ran(text), (Exit::Code(code), output.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_with_its_children() {
        let started = Instant::now();
        let (captured, lines) = sh("sleep 60 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(captured.exit, Exit::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(5));
        let child: u32 = lines[0].parse().unwrap();
        let gone = (0..50).any(|_| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            let dead = stat.is_empty() || stat.contains(") Z ");
            if !dead {
                std::thread::yield_now();
                std::process::Command::new("sleep")
                    .arg("0.02")
                    .status()
                    .unwrap();
            }
            dead
        });
        assert!(gone);
    }

    #[test]
    fn a_child_in_the_background_does_not_hold_up_the_end() {
        let started = Instant::now();
        let (captured, _) = sh("sleep 3 & echo started", Duration::from_secs(30));
        assert_eq!(captured.exit, Exit::Code(0));
        assert_eq!(captured.stdout, "started\n");
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn one_that_talks_without_end_leaves_the_others_their_turn() {
        let script = |text, timeout| Script {
            text,
            env: Vec::new(),
            timeout,
        };
        let chatter = script("yes", Duration::from_secs(3));
        let brief = script("echo done", Duration::from_secs(2));
        // As long as a redacted line of a log takes.
        let mut slow = |_: Stream, _: &str| {
            let since = Instant::now();
            while since.elapsed() < Duration::from_micros(20) {}
        };
        let mut quick = |_: Stream, _: &str| ();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let since = Instant::now();
        let (chatter, brief) = runtime
            .block_on(async { tokio::join!(run(&chatter, &mut slow), run(&brief, &mut quick)) });
        assert!(
            since.elapsed() < Duration::from_secs(25),
            "{:?}",
            since.elapsed()
        );
        assert_eq!(chatter.unwrap().exit, Exit::TimedOut);
        let brief = brief.unwrap();
        assert_eq!(
            (brief.exit, brief.stdout.as_str()),
            (Exit::Code(0), "done\n")
        );
    }

    #[test]
    fn half_a_word_is_not_kept_where_output_is_left_out() {
        let endless = "yes secret_word_here | tr '\\n' '|' | head -c 300001; echo; echo tail";
        for text in [endless, &endless.replace("tr '\\n' '|'", "tr '\\n' ' '")] {
            let (captured, lines) = sh(text, Duration::from_secs(20));
            assert!(captured.dropped && captured.stdout.ends_with("tail\n"));
            let (head, tail) = captured.stdout.split_once("\n… ").unwrap();
            assert!(head.len() > MAX_KEPT_BYTES / 4 && tail.len() > MAX_KEPT_BYTES / 4);
            if !text.contains("'|'") {
                let cut = |line: &&String| line.trim().split(' ').any(|w| w != "secret_word_here");
                let cut: Vec<_> = lines.iter().filter(cut).collect();
                assert!(
                    cut.len() <= 3,
                    "the last word, nothing, the tail: {}",
                    cut.len()
                );
            }
        }
        let long = "x".repeat(30_000);
        let cut = format!("{long}\nsecret_");
        assert_eq!(before_cut(cut.as_bytes()).len(), 30_001);
        assert_eq!(after_cut(b"word_here\nnext\n"), b"next\n");
    }

    #[test]
    fn endless_output_is_bounded_and_keeps_head_and_tail() {
        let (captured, _) = sh(
            "echo head; yes | head -c 3000000; echo tail",
            Duration::from_secs(20),
        );
        assert!(captured.stdout.len() < MAX_KEPT_BYTES + 200);
        assert!(captured.stdout.starts_with("head\n") && captured.stdout.ends_with("tail\n"));
    }
}

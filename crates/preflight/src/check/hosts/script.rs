//! The one script that asks a host for all of its facts, and what it said.
//!
//! Every line of an answer begins with a word that was made for this login alone: other output of
//! the login, or of a program that we run, is not an answer. The answers come as they are found, so
//! that a command that hangs does not lose the earlier ones.

use std::collections::BTreeMap;
use std::time::Duration;

use config::file::HostCheck;
use remote::quote;

/// No fact is longer.
const MAX_LINE: usize = 512;

/// Shell functions that the facts use. `stat -f` tells numbers alone, where the columns of `df`
/// run together.
const FUNCTIONS: &str = r#"
LC_ALL=C
export LC_ALL
say() { printf '%s %s\n' "$mark" "$*"; }
flat() { printf %s "$1" | tr '\n\r\t' '   ' | cut -c 1-300; }
disk() {
  if out=$(stat -f -c '%S %b %f %a %c %d' "$2" 2>&1); then say "disk$1 ok $out"
  else say "disk$1 no $(flat "$out")"; fi
}
program() { if command -v "$2" >/dev/null 2>&1; then say "program$1 yes"; else say "program$1 no"; fi; }
root() {
  if ! command -v sudo >/dev/null 2>&1; then say "sudo none"
  elif out=$(sudo -n true 2>&1); then say "sudo yes"
  else say "sudo no $(flat "$out")"; fi
}
memory() {
  while read -r key value _; do
    case $key in MemTotal:) total=$value ;; MemAvailable:) available=$value ;; esac
  done </proc/meminfo
  say "memory $available $total"
}
load() {
  read -r one _ </proc/loadavg
  say "load $one $(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
}
egress() {
  if command -v curl >/dev/null 2>&1; then
    out=$(curl -sS -o /dev/null -m "$3" -w '%{http_code}' "$2" 2>&1)
    code=$?
    say "egress$1 curl $code $(flat "$out")"
  elif command -v wget >/dev/null 2>&1; then
    once=
    case $(wget --version 2>/dev/null) in GNU*) once='-t 1' ;; esac
    out=$(wget $once -T "$3" -O /dev/null "$2" 2>&1)
    code=$?
    say "egress$1 wget $code $(flat "$(printf %s "$out" | tail -n 3)")"
  elif command -v bash >/dev/null 2>&1; then
    out=$(bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$4" "$5" 2>&1)
    code=$?
    say "egress$1 bash $code $(flat "$out")"
  else say "egress$1 none 0"; fi
}
"#;

/// The script for what a check wants to know. `time` is what it may take.
pub(super) fn write(check: &HostCheck, mark: &str, time: Duration) -> String {
    let mut script = format!("main() {{\nmark={mark}\n{FUNCTIONS}");
    let mut add = |line: String| {
        script.push_str(&line);
        script.push('\n');
    };
    add("say \"begin $(date -u +%s.%N)\"".to_owned());
    // Side by side with the rest: these wait for others.
    let seconds = (time.as_secs() * 2 / 3).max(1);
    for (nth, url) in check.egress.iter().enumerate() {
        let (host, port) = host_and_port(url);
        add(format!(
            "egress {nth} {} {seconds} {} {port} &",
            quote(url),
            quote(&host)
        ));
    }
    if check.min_memory.is_some() {
        add("memory".to_owned());
    }
    if check.max_load.is_some() {
        add("load".to_owned());
    }
    for (nth, program) in check.commands.iter().enumerate() {
        add(format!("program {nth} {}", quote(program)));
    }
    // Last, because these may hang: a dead network disk, a name service that sudo asks.
    if check.sudo {
        add("root".to_owned());
    }
    for (nth, rule) in check.disk.iter().enumerate() {
        add(format!(
            "disk {nth} {}",
            quote(&rule.path.to_string_lossy())
        ));
    }
    add("wait".to_owned());
    add("say \"end $(date -u +%s.%N)\"".to_owned());
    // Read whole before the first line runs, and with nothing for a program to read.
    add("}\nmain </dev/null\nexit 0".to_owned());
    script
}

fn host_and_port(text: &str) -> (String, u16) {
    let parsed = url::Url::parse(text).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str());
    let port = parsed.as_ref().and_then(url::Url::port_or_known_default);
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    (host.to_owned(), port.unwrap_or(443))
}

/// What the script said, by fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers(BTreeMap<String, String>);

impl Answers {
    /// Takes the lines that bear the mark; of two for one fact, the first.
    pub(super) fn read(stdout: &[u8], mark: &str) -> Answers {
        let mut answers = BTreeMap::new();
        for line in stdout.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]);
            // A login may print half a line before us.
            let Some((_, rest)) = line.split_once(mark) else {
                continue;
            };
            let (fact, value) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
            answers
                .entry(fact.to_owned())
                .or_insert_with(|| value.trim().to_owned());
        }
        Answers(answers)
    }

    pub(super) fn get(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_the_marked_lines_and_the_first_of_each() {
        let text = b"Welcome!\nMARK load 0.5 2\nload 9 9\n\xff\xfeMARK sudo yes\nMARK load 7 7\nMARKmemory";
        let answers = Answers::read(text, "MARK");
        assert_eq!(answers.get("load"), Some("0.5 2"));
        assert_eq!(answers.get("sudo"), Some("yes"));
        assert_eq!(answers.get("memory"), Some(""));
        assert_eq!(answers.get("egress0"), None);
        let long = [b"MARK sudo no ".to_vec(), vec![b'x'; 100_000]].concat();
        assert!(
            Answers::read(&long, "MARK")
                .get("sudo")
                .is_some_and(|text| text.len() < 600)
        );
    }

    #[test]
    fn a_url_names_a_host_and_a_port() {
        assert_eq!(
            host_and_port("https://a.example/x"),
            ("a.example".into(), 443)
        );
        assert_eq!(host_and_port("http://[::1]:8080/"), ("::1".into(), 8080));
    }
}

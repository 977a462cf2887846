//! What is asked of a host, one outcome each, and how its answer is judged.

use std::time::Duration;

use config::file::{HostCheck, RoomCheck};
use config::value::Room;
use model::Outcome;
use model::text::bytes;

use super::visit::HostReport;
use crate::check::space::{Builder, Space, judge_free, judge_inodes, percent};

/// A question to a host, beside whether it takes our login.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fact<'a> {
    Sudo,
    Commands(&'a [String]),
    /// The position of a rule, and the rule.
    Disk(usize, &'a RoomCheck),
    Inodes(usize, &'a RoomCheck),
    Memory(Room),
    Load(f64),
    Clock(Duration),
    Egress(usize, &'a str),
}

/// The facts that a check asks for.
pub(super) fn of(check: &HostCheck) -> Vec<Fact<'_>> {
    let HostCheck {
        host: _,
        sudo,
        commands,
        disk,
        min_memory,
        max_load,
        max_clock_skew,
        egress,
        timeout: _,
        severity: _,
        weight: _,
    } = check;
    let mut facts = Vec::new();
    facts.extend(sudo.then_some(Fact::Sudo));
    facts.extend((!commands.is_empty()).then_some(Fact::Commands(commands)));
    for (nth, rule) in disk.iter().enumerate() {
        facts.extend([Fact::Disk(nth, rule), Fact::Inodes(nth, rule)]);
    }
    facts.extend(min_memory.map(Fact::Memory));
    facts.extend(max_load.map(Fact::Load));
    facts.extend(max_clock_skew.map(|span| Fact::Clock(span.get())));
    let urls = egress.iter().enumerate();
    facts.extend(urls.map(|(nth, url)| Fact::Egress(nth, url)));
    facts
}

impl Fact<'_> {
    /// The last part of the outcome's id.
    pub(super) fn id(self) -> String {
        let at = |kind: &str, rule: &RoomCheck| {
            let path = rule.path.display().to_string();
            format!("{kind}{}", path.trim_end_matches('/'))
        };
        match self {
            Fact::Sudo => "sudo".to_owned(),
            Fact::Commands(_) => "commands".to_owned(),
            Fact::Disk(_, rule) => at("disk", rule),
            Fact::Inodes(_, rule) => at("inodes", rule),
            Fact::Memory(_) => "memory".to_owned(),
            Fact::Load(_) => "load".to_owned(),
            Fact::Clock(_) => "clock".to_owned(),
            Fact::Egress(_, url) => format!("egress/{url}"),
        }
    }

    /// What is asked: a fragment that fits after "would".
    pub(super) fn describe_action(self) -> String {
        match self {
            Fact::Sudo => "run `sudo -n true`".to_owned(),
            Fact::Commands(names) => format!("look for {}", names.join(", ")),
            Fact::Disk(_, rule) => format!("look at the space left at {}", rule.path.display()),
            Fact::Inodes(_, rule) => format!("look at the inodes left at {}", rule.path.display()),
            Fact::Memory(_) => "look at the memory available".to_owned(),
            Fact::Load(_) => "look at the load".to_owned(),
            Fact::Clock(_) => "compare its clock with ours".to_owned(),
            Fact::Egress(_, url) => format!("request {url} from there"),
        }
    }

    pub(super) fn expected(self) -> String {
        match self {
            Fact::Sudo => "`sudo -n true` works".to_owned(),
            Fact::Commands(names) => format!("{} on the PATH", names.join(", ")),
            Fact::Disk(_, rule) => format!("at least {} free", rule.min_free),
            Fact::Inodes(_, rule) => format!("at least {} of the inodes free", rule.min_inodes),
            Fact::Memory(room) => format!("at least {room} of the memory available"),
            Fact::Load(most) => format!("a load of at most {most} for each core"),
            Fact::Clock(most) => format!("a clock within {} of ours", model::text::duration(most)),
            Fact::Egress(_, url) => {
                format!("{url} answers with a status below 400, or requires a login (401)")
            }
        }
    }

    /// The key of the script's answer.
    fn key(self) -> String {
        match self {
            Fact::Sudo => "sudo".to_owned(),
            // Each program has its own line; the last one represents all.
            Fact::Commands(names) => format!("program{}", names.len().saturating_sub(1)),
            Fact::Disk(nth, _) | Fact::Inodes(nth, _) => format!("disk{nth}"),
            Fact::Memory(_) => "memory".to_owned(),
            Fact::Load(_) => "load".to_owned(),
            Fact::Clock(_) => "end".to_owned(),
            Fact::Egress(nth, _) => format!("egress{nth}"),
        }
    }

    /// Judges a host's answers. `login` is how a person gets there: `ssh …`.
    pub(super) fn judge(self, head: Builder, visit: &HostReport, login: &str) -> Outcome {
        let Some(answer) = visit.answers.get(&self.key()) else {
            return self.unanswered(head, visit, login);
        };
        match self {
            Fact::Sudo => sudo(head, answer, login),
            Fact::Commands(names) => commands(head, names, visit, login),
            Fact::Disk(_, rule) | Fact::Inodes(_, rule) => match space(answer) {
                Err(StatError::Path(said)) => {
                    let look = format!("`{login} ls -ld {}`", rule.path.display());
                    head.judged(false, self.expected(), said, &look)
                }
                Err(unread) => self.unreadable(
                    head,
                    &unread.to_string(),
                    &format!("`{login} df {}`", rule.path.display()),
                ),
                Ok(space) => {
                    let path = rule.path.display();
                    if matches!(self, Fact::Disk(..)) {
                        let look = format!(
                            "see what fills it: `{login} du -xh -d 2 {path} | sort -h | tail`"
                        );
                        judge_free(head, &space, rule.min_free, &look)
                    } else {
                        let look = format!(
                            "see what holds them: `{login} du --inodes -x -d 2 {path} | sort -n | tail`"
                        );
                        judge_inodes(head, &space, rule.min_inodes, &look)
                    }
                }
            },
            Fact::Memory(room) => self.memory(head, answer, room, login),
            Fact::Load(most) => self.load(head, answer, most, login),
            Fact::Clock(most) => self.clock(head, visit, most, login),
            Fact::Egress(..) => self.egress(head, answer, login),
        }
    }

    /// A host that hangs has failed; a shell that does not report it leaves us without data.
    fn unanswered(self, head: Builder, visit: &HostReport, login: &str) -> Outcome {
        let reason = format!("{}: no answer, {}", head.what, visit.exit);
        let outcome = match visit.exit {
            remote::ssh::Exit::TimedOut | remote::ssh::Exit::Flood => {
                Outcome::fail(head.id, head.subject)
            }
            _ => Outcome::inconclusive(head.id, head.subject),
        };
        outcome
            .expected(self.expected())
            .actual(format!("no answer ({})", visit.exit))
            .reason(reason)
            .hint(format!("see what it does: `{login}`"))
    }

    fn unreadable(self, head: Builder, answer: &str, hint: &str) -> Outcome {
        let reason = format!("{}: the answer cannot be used: {answer}", head.what);
        head.inconclusive(self.expected(), answer)
            .reason(reason)
            .hint(hint)
    }

    fn memory(self, head: Builder, answer: &str, room: Room, login: &str) -> Outcome {
        let look = format!("`{login} free -m; {login} ps aux --sort=-rss | head`");
        let numbers: Vec<u64> = answer.split(' ').flat_map(str::parse).collect();
        let [available, total] = numbers[..] else {
            return self.unreadable(head, "it reports no MemAvailable", &look);
        };
        let (available, total) = (available.saturating_mul(1024), total.saturating_mul(1024));
        let actual = format!(
            "{} of {} available ({})",
            bytes(available),
            bytes(total),
            percent(available, total)
        );
        head.judged(room.fits(available, total), self.expected(), actual, &look)
    }

    fn load(self, head: Builder, answer: &str, most: f64, login: &str) -> Outcome {
        let look = format!("`{login} top -b -n 1 | head -n 15`");
        let mut words = answer.split(' ');
        let load: Option<f64> = words.next().and_then(|word| word.parse().ok());
        let cores: Option<u32> = words.next().and_then(|word| word.parse().ok());
        match (load, cores) {
            (Some(load), Some(cores)) if load.is_finite() && load >= 0.0 && cores > 0 => {
                let each = load / f64::from(cores);
                let actual = format!("{each:.2} for each core ({load:.2} on {cores} core(s))");
                head.judged(each <= most, self.expected(), actual, &look)
            }
            _ => self.unreadable(head, "it reports no load or no number of cores", &look),
        }
    }

    fn clock(self, head: Builder, visit: &HostReport, most: Duration, login: &str) -> Outcome {
        let look = format!("`{login} timedatectl` should print `System clock synchronized: yes`");
        let Some((low, high)) = visit.skew else {
            return self.unreadable(head, "it reports no time", &look);
        };
        let most = most.as_secs_f64();
        // Between the two lies the truth; it decides only where both are on one side.
        let nearest = if low > 0.0 { low } else { high.min(0.0).abs() };
        let farthest = low.abs().max(high.abs());
        let side = if low > 0.0 { "ahead of" } else { "behind" };
        if nearest > most {
            let actual = format!("{nearest:.1}s {side} ours");
            return head.judged(false, self.expected(), actual, &look);
        }
        if farthest <= most {
            let actual = format!("at most {farthest:.1}s apart");
            return head.judged(true, self.expected(), actual, &look);
        }
        let reason = format!("{}: the connection is too slow to measure it", head.what);
        head.inconclusive(
            self.expected(),
            format!("between {nearest:.1} and {farthest:.1}s apart"),
        )
        .reason(reason)
        .hint(look)
    }

    fn egress(self, head: Builder, answer: &str, login: &str) -> Outcome {
        let Fact::Egress(_, url) = self else {
            return self.unreadable(head, answer, login);
        };
        let look = format!(
            "try it there: `{login} curl -v {url}`; then the host's routes (`ip route`), firewall and proxy"
        );
        let mut words = answer.splitn(3, ' ');
        let (tool, code) = (words.next().unwrap_or_default(), words.next());
        let said = words.next().unwrap_or_default().trim();
        match (tool, code.and_then(|code| code.parse::<u8>().ok())) {
            ("none", _) => {
                let hint = format!("install curl: `{login} sudo apt-get install curl`");
                self.unreadable(head, "the host has neither curl, wget nor bash", &hint)
            }
            ("curl", Some(0)) => {
                let status: u16 = said.parse().unwrap_or_default();
                // A registry that wants a login was reached; a proxy that refuses says 403 or 407.
                let good = (200..400).contains(&status) || status == 401;
                head.judged(good, self.expected(), format!("status {status}"), &look)
            }
            // 6 is a login that is wanted.
            ("wget", Some(0 | 6)) => head.judged(
                true,
                self.expected(),
                "it answered (wget)".to_owned(),
                &look,
            ),
            ("bash", Some(0)) => {
                let actual = "the port is open (the host has no curl to check more)".to_owned();
                head.judged(true, self.expected(), actual, &look)
            }
            ("curl" | "wget" | "bash", Some(code)) => {
                // curl ends with the status that it did not get.
                let said = said.trim_end_matches("000").trim();
                let actual = format!("{tool} ends with {code}: {said}");
                head.judged(false, self.expected(), actual, &look)
            }
            _ => self.unreadable(head, "the answer is garbled", &look),
        }
    }
}

fn sudo(head: Builder, answer: &str, login: &str) -> Outcome {
    let expected = Fact::Sudo.expected();
    let hint = format!(
        "allow it on the host: `visudo -f /etc/sudoers.d/deploy`, `USER ALL=(ALL) NOPASSWD: …`; then `{login} sudo -n true`"
    );
    let (word, said) = answer.split_once(' ').unwrap_or((answer, ""));
    match word {
        "yes" => head.judged(true, expected, "it works".to_owned(), &hint),
        "none" => head.judged(false, expected, "sudo is not installed".to_owned(), &hint),
        _ => head.judged(false, expected, format!("refused: {said}"), &hint),
    }
}

fn commands(head: Builder, names: &[String], visit: &HostReport, login: &str) -> Outcome {
    let told = |nth: usize| visit.answers.get(&format!("program{nth}"));
    let missing: Vec<&str> = names
        .iter()
        .enumerate()
        .filter(|(nth, _)| told(*nth) != Some("yes"))
        .map(|(_, name)| name.as_str())
        .collect();
    let expected = Fact::Commands(names).expected();
    let hint = format!(
        "install what is missing, or see the PATH of a login that is not interactive: `{login} 'echo $PATH'`"
    );
    if missing.is_empty() {
        return head.judged(true, expected, "all found".to_owned(), &hint);
    }
    let actual = format!("not found: {}", missing.join(", "));
    head.judged(false, expected, actual, &hint)
}

/// Why `stat` gives no numbers; its own words.
#[derive(Debug, thiserror::Error)]
enum StatError {
    /// The path is not there, or may not be looked at.
    #[error("{0}")]
    Path(String),
    /// It is about itself.
    #[error("{0}")]
    Stat(String),
    #[error("`stat -f` reports no numbers there")]
    NoNumbers,
}

/// The words for what is wrong with a path.
const OF_PATHS: [&str; 3] = ["No such file", "Permission denied", "Not a directory"];

/// Block size, blocks, free, available, inodes, free inodes.
fn space(answer: &str) -> Result<Space, StatError> {
    let (word, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    if word != "ok" {
        let of_path = OF_PATHS.iter().any(|words| rest.contains(words));
        let unread = if of_path {
            StatError::Path
        } else {
            StatError::Stat
        };
        return Err(unread(rest.to_owned()));
    }
    let numbers: Vec<u64> = rest.split(' ').flat_map(str::parse).collect();
    match numbers[..] {
        [size, total, free, available, inodes, unused] => {
            Ok(Space::new(size, [total, free, available], [inodes, unused]))
        }
        _ => Err(StatError::NoNumbers),
    }
}

//! The options of `ssh` and `scp`.

use crate::text::words;
use crate::way::{Hop, HostRoute};

/// What options say of the way to a host. As for the program, the first of two counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub port: Option<String>,
    pub user: Option<String>,
    pub identity: Option<String>,
    pub certificate: Option<String>,
    pub known_hosts: Option<String>,
    pub way: Option<HostRoute>,
    /// The configuration that is read instead of the usual one.
    pub config: Option<String>,
    /// What `-W` says.
    pub forwards: Option<String>,
    /// A way in a form that is not known.
    pub is_unclear: bool,
    /// The letters of all of them.
    pub letters: String,
}

/// Whose options they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Ssh,
    Scp,
}

impl Program {
    /// Options that take a value.
    fn valued(self) -> &'static str {
        match self {
            Program::Ssh => "BbcDEeFIiJLlmOoPpQRSWw",
            Program::Scp => "cDFiJloPSX",
        }
    }
}

impl Options {
    /// Reads options up to the first operand, and gives it and what follows.
    pub fn read(&mut self, words: &[String], program: Program) -> Vec<String> {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                return words[at..].to_vec();
            };
            at += 1;
            if letters == "-" {
                return words[at..].to_vec();
            }
            for (nth, letter) in letters.char_indices() {
                self.letters.push(letter);
                if !program.valued().contains(letter) {
                    continue;
                }
                let mut value = letters[nth + letter.len_utf8()..].to_owned();
                if value.is_empty() {
                    value = words.get(at).cloned().unwrap_or_default();
                    at += 1;
                }
                self.set(letter, program, value);
                break;
            }
        }
        Vec::new()
    }

    /// The operands, where options may stand among them.
    pub fn read_all(&mut self, words: &[String], program: Program) -> Option<Vec<String>> {
        let mut operands = Vec::new();
        let mut rest = self.read(words, program);
        while !rest.is_empty() {
            operands.push(rest.remove(0));
            rest = self.read(&rest, program);
        }
        (!self.is_unclear).then_some(operands)
    }

    fn set(&mut self, letter: char, program: Program, value: String) {
        let keep = |slot: &mut Option<String>, value: String| {
            slot.get_or_insert(value);
        };
        match letter {
            'i' => keep(&mut self.identity, value),
            'l' if program == Program::Ssh => keep(&mut self.user, value),
            'F' => keep(&mut self.config, value),
            'W' => keep(&mut self.forwards, value),
            'J' => self.through(HostRoute::jump(&value)),
            'p' if program == Program::Ssh => keep(&mut self.port, value),
            'P' if program == Program::Scp => keep(&mut self.port, value),
            'o' => {
                let (key, value) = value.split_once(['=', ' ']).unwrap_or((&value, ""));
                let value = value.trim_start_matches(['=', ' ']).trim().to_owned();
                match key.trim().to_ascii_lowercase().as_str() {
                    "port" => keep(&mut self.port, value),
                    "user" => keep(&mut self.user, value),
                    "identityfile" => keep(&mut self.identity, value),
                    "certificatefile" => keep(&mut self.certificate, value),
                    // Which is how checks are turned off.
                    "userknownhostsfile" if value != "/dev/null" && value != "none" => {
                        keep(&mut self.known_hosts, value);
                    }
                    "proxyjump" => self.through(HostRoute::jump(&value)),
                    "proxycommand" => self.through(Some(HostRoute::command(&value))),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn through(&mut self, way: Option<HostRoute>) {
        match way {
            Some(way) => {
                self.way.get_or_insert(way);
            }
            None => self.is_unclear = true,
        }
    }
}

impl HostRoute {
    /// What `ProxyCommand` says. `ssh -W %h:%p user@host` is a way through a host; any other program is its own.
    pub fn command(text: &str) -> HostRoute {
        if text.trim().eq_ignore_ascii_case("none") {
            return HostRoute::Through(Vec::new());
        }
        forwards(text).map_or_else(
            || HostRoute::Command(text.trim().to_owned()),
            |hop| HostRoute::Through(vec![hop]),
        )
    }
}

/// `ssh -W %h:%p user@host`, with options that tell of that host alone.
fn forwards(text: &str) -> Option<Hop> {
    let words = words(text)?;
    let mut words = &words[..];
    if words.first().is_some_and(|word| word == "exec") {
        words = &words[1..];
    }
    let (program, rest) = words.split_first()?;
    if program != "ssh" && !program.ends_with("/ssh") {
        return None;
    }
    let mut options = Options::default();
    let [destination] = options.read_all(rest, Program::Ssh)?.try_into().ok()?;
    let known = |letter: char| "Wpliqo46CT".contains(letter);
    let whole = options.way.is_none() && options.letters.chars().all(known);
    if !whole || !matches!(options.forwards.as_deref(), Some("%h:%p" | "[%h]:%p")) {
        return None;
    }
    let hop = Hop::of(&destination)?;
    Some(Hop {
        user: options.user.or(hop.user),
        port: options.port.or(hop.port),
        key: options.identity,
        host: hop.host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, program: Program) -> (Options, Vec<String>) {
        let words: Vec<String> = text.split('|').map(str::to_owned).collect();
        let mut options = Options::default();
        let rest = options.read(&words, program);
        (options, rest)
    }

    #[test]
    fn options_end_at_the_destination_and_the_first_of_two_counts() {
        let (options, rest) = read(
            "-tt|-p|2222|-i|~/.ssh/a|-oPort=1|-o|User me|-J|a,b|-o|ProxyCommand=nc %h %p|h|-v",
            Program::Ssh,
        );
        assert_eq!(rest, ["h", "-v"]);
        assert_eq!(options.port.as_deref(), Some("2222"));
        assert_eq!(options.user.as_deref(), Some("me"));
        assert_eq!(options.identity.as_deref(), Some("~/.ssh/a"));
        assert!(matches!(&options.way, Some(HostRoute::Through(hops)) if hops.len() == 2));
        let (options, rest) = read("-q|-P|22|-l|100|-F|my|a|u@h:x", Program::Scp);
        assert_eq!(
            (options.port.as_deref(), options.user, rest.len()),
            (Some("22"), None, 2)
        );
        assert_eq!(options.config.as_deref(), Some("my"));
        let (options, _) = read("-o|ProxyJump=-x|h", Program::Ssh);
        assert!(options.is_unclear && options.way.is_none());
    }

    fn told(way: &HostRoute) -> String {
        match way {
            HostRoute::Command(text) => format!("by {text}"),
            HostRoute::Through(hops) => hops
                .iter()
                .map(|hop| {
                    let word = |text: &Option<String>| text.clone().unwrap_or("None".to_owned());
                    let (user, port, key) = (word(&hop.user), word(&hop.port), word(&hop.key));
                    format!("{user} {} {port} {key};", hop.host)
                })
                .collect::<Vec<_>>()
                .concat(),
        }
    }

    #[test]
    fn a_command_that_forwards_is_a_jump_and_any_other_is_not() {
        for (text, expected) in [
            ("none", ""),
            (
                "ssh -W %h:%p -q -p 2222 jump@bastion.test",
                "jump bastion.test 2222 None;",
            ),
            (
                "exec /usr/bin/ssh -qo StrictHostKeyChecking=no -i key -l me -W [%h]:%p bastion",
                "me bastion None key;",
            ),
            (
                "ssh -W %h:%p ${{ secrets.A }}@${{ secrets.B }}",
                "${{ secrets.A }} ${{ secrets.B }} None None;",
            ),
            ("nc -x proxy:1080 %h %p", "by nc -x proxy:1080 %h %p"),
            ("ssh bastion nc %h %p", "by ssh bastion nc %h %p"),
            ("ssh -W other:22 bastion", "by ssh -W other:22 bastion"),
            ("ssh -F x -W %h:%p bastion", "by ssh -F x -W %h:%p bastion"),
            ("ssh -J a -W %h:%p bastion", "by ssh -J a -W %h:%p bastion"),
        ] {
            assert_eq!(told(&HostRoute::command(text)), expected, "{text}");
        }
    }
}

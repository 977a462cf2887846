//! The configuration of the `ssh` program, such as `~/.ssh/config`.

use crate::way::HostRoute;

/// More blocks than a file that a person writes has.
const MAX_BLOCKS: usize = 1_000;

/// A configuration as far as it tells the way to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(Vec<Block>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    of: Of,
    /// Keys in small letters.
    settings: Vec<(String, String)>,
}

/// Which hosts a block is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    All,
    Patterns(Vec<String>),
    /// Only the program can tell.
    Condition(String),
}

/// What it says of one host. As for the program, what stands first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub host_name: Option<String>,
    pub user: Option<String>,
    pub port: Option<String>,
    pub identity: Option<String>,
    pub certificate: Option<String>,
    pub way: Option<HostRoute>,
    /// What only the `ssh` program itself knows of this host: `Match exec …`.
    pub unclear: Option<String>,
}

impl Config {
    pub fn read(text: &str) -> Config {
        let mut config = Config::default();
        config.append(text);
        config
    }

    /// Reads on: lines before the next `Host` or `Match` belong to the last block.
    pub fn append(&mut self, text: &str) {
        let blocks = &mut self.0;
        if blocks.is_empty() {
            blocks.push(Block {
                of: Of::All,
                settings: Vec::new(),
            });
        }
        for line in text.lines() {
            let line = line.trim();
            let at = line.find([' ', '\t', '=']).unwrap_or(line.len());
            let (key, value) = line.split_at(at);
            let value = value.trim_start_matches([' ', '\t', '=']).trim();
            if key.starts_with('#') || value.is_empty() {
                continue;
            }
            let of = match key.to_ascii_lowercase().as_str() {
                "host" => Of::Patterns(value.split_whitespace().map(unquoted).collect()),
                "match" => Of::conditions(value),
                key => {
                    if let Some(block) = blocks.last_mut() {
                        block.settings.push((key.to_owned(), unquoted(value)));
                    }
                    continue;
                }
            };
            if blocks.len() > MAX_BLOCKS {
                break;
            }
            blocks.push(Block {
                of,
                settings: Vec::new(),
            });
        }
    }

    /// Whether a text begins a block of its own.
    pub fn begins(text: &str) -> bool {
        let first = text
            .split([' ', '\t', '=', '\n'])
            .find(|word| !word.is_empty());
        first.is_some_and(|word| {
            word.eq_ignore_ascii_case("host") || word.eq_ignore_ascii_case("match")
        })
    }

    /// What it says of a host by the name that the program is called with.
    pub fn of(&self, name: &str) -> Settings {
        let mut found = Settings::default();
        for block in &self.0 {
            match &block.of {
                Of::Condition(text) if !block.settings.is_empty() => {
                    found.unclear.get_or_insert_with(|| text.clone());
                }
                of if of.has(name) => {
                    for (key, value) in &block.settings {
                        found.add(key, value, name);
                    }
                }
                _ => {}
            }
        }
        found
    }
}

impl Of {
    fn conditions(text: &str) -> Of {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [all] if all.eq_ignore_ascii_case("all") => Of::All,
            [key, patterns]
                if key.eq_ignore_ascii_case("host") || key.eq_ignore_ascii_case("originalhost") =>
            {
                Of::Patterns(patterns.split(',').map(unquoted).collect())
            }
            _ => Of::Condition(format!("Match {text}")),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Of::All => true,
            Of::Condition(_) => false,
            Of::Patterns(all) => {
                let without = |one: &String| one.strip_prefix('!').map(str::to_owned);
                let refused = all.iter().filter_map(without).any(|one| fits(&one, name));
                !refused && all.iter().any(|one| fits(one, name))
            }
        }
    }
}

impl Settings {
    fn add(&mut self, key: &str, value: &str, name: &str) {
        let slot = match key {
            "hostname" => {
                self.host_name
                    .get_or_insert_with(|| value.replace("%h", name));
                return;
            }
            "proxyjump" | "proxycommand" if self.way.is_some() => return,
            "proxyjump" => {
                self.way = HostRoute::jump(value);
                if self.way.is_none() {
                    self.unclear
                        .get_or_insert_with(|| format!("ProxyJump {value}"));
                }
                return;
            }
            "proxycommand" => {
                self.way = Some(HostRoute::command(value));
                return;
            }
            "user" => &mut self.user,
            "port" => &mut self.port,
            "identityfile" => &mut self.identity,
            "certificatefile" => &mut self.certificate,
            _ => return,
        };
        slot.get_or_insert_with(|| value.to_owned());
    }
}

fn unquoted(value: &str) -> String {
    let inside = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inside.unwrap_or(value).to_owned()
}

/// Whether a pattern with `*` and `?` fits the whole of a name.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it takes.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_first_counts_for_the_names_that_a_pattern_fits() {
        let config = Config::read(
            "# ours\nHost prod web-?\n  HostName=192.0.2.1\n\tUser = app\n  ProxyJump ops@edge:2222\n\nHost edge\nHost * !edge\n  Port 22022\n  User other\n  IdentityFile \"~/.ssh/a b\"\n",
        );
        let prod = config.of("prod");
        assert_eq!(prod.host_name.as_deref(), Some("192.0.2.1"));
        assert_eq!(prod.user.as_deref(), Some("app"));
        assert_eq!(prod.port.as_deref(), Some("22022"));
        assert_eq!(prod.identity.as_deref(), Some("~/.ssh/a b"));
        assert!(matches!(&prod.way, Some(HostRoute::Through(hops)) if hops[0].host == "edge"));
        assert_eq!(config.of("web-1").way, prod.way);
        assert_eq!(config.of("edge"), Settings::default());
        assert_eq!(config.of("web-12").host_name, None);
    }

    #[test]
    fn a_condition_that_only_the_program_can_check_is_unclear() {
        let read = |text: &str| Config::read(text).of("web").unclear;
        assert_eq!(read("Match all\n User a\n"), None);
        assert_eq!(read("Match host other\n User a\n"), None);
        assert_eq!(
            read("Match exec \"test -f x\"\n User a\n").as_deref(),
            Some("Match exec \"test -f x\"")
        );
        assert_eq!(read("Match exec true\n"), None);
        assert_eq!(read("ProxyJump -x\n").as_deref(), Some("ProxyJump -x"));
        let config = Config::read("Match host web,db\n HostName %h.internal\n");
        assert_eq!(config.of("db").host_name.as_deref(), Some("db.internal"));
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*.test", "x.test", true),
            ("10.0.?.*", "10.0.1.22", true),
            ("?", "", false),
            ("**a**b", "xxaxxb", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}

//! The secrets that a text holds in clear: a command, a body, a connection string, a template.

use std::ops::Range;

use crate::naming::{holds_secret, is_place};

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clear {
    pub place: Range<usize>,
    /// Whether it is too common to be hidden in other texts, too: a word of prose, a short number.
    pub is_common: bool,
}

/// What ends a value.
fn is_end(c: char) -> bool {
    c.is_whitespace() || "\"'`&,;|<>(){}[]\\".contains(c)
}

/// What stands before a value and is not part of it.
const QUOTES: [char; 3] = ['"', '\'', '\\'];

/// The values behind `password=`, `"password": ` and `Bearer`, and those of flags.
pub(crate) fn secrets_in(text: &str) -> Vec<Clear> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut in_line = assigned(line);
        in_line.extend(given(line));
        in_line.sort_by_key(|one| (one.place.start, one.place.end, one.is_common));
        in_line.dedup_by_key(|one| one.place.clone());
        found.extend(in_line.into_iter().map(|one| one.moved(start)));
        start += line.len();
    }
    found
}

impl Clear {
    fn moved(self, by: usize) -> Clear {
        Clear {
            place: self.place.start + by..self.place.end + by,
            ..self
        }
    }

    /// The value at the beginning of what is at `from`, if it is one.
    fn value(line: &str, from: usize) -> Option<Clear> {
        let rest = &line[from..];
        let bare = rest.trim_start_matches(QUOTES);
        let text = &bare[..bare.find(is_end).unwrap_or(bare.len())];
        // A variable, a placeholder, what is masked already.
        if text.is_empty() || text.starts_with(['$', '%', '*', '!']) {
            return None;
        }
        let start = from + rest.len() - bare.len();
        Some(Clear {
            place: start..start + text.len(),
            is_common: text.len() < 4 || text.len() < 6 && text.parse::<u32>().is_ok(),
        })
    }
}

/// Behind `name=` and `name:`.
fn assigned(line: &str) -> Vec<Clear> {
    const SCHEMES: [&str; 4] = ["Bearer ", "Basic ", "Token ", "Digest "];
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(sign) = line[from..].find([':', '=']).map(|at| from + at) {
        from = sign + 1;
        let is_colon = line[sign..].starts_with(':');
        let before = line[..sign].trim_end_matches(QUOTES);
        let is_word = |c: char| c.is_alphanumeric() || "_-".contains(c);
        let name = &before[before.trim_end_matches(is_word).len()..];
        if name.is_empty() || !holds_secret(name) || is_place(name) {
            continue;
        }
        let behind = &line[sign + 1..];
        let blank = if is_colon {
            behind.len() - behind.trim_start_matches(' ').len()
        } else {
            0
        };
        let mut at = sign + 1 + blank;
        let scheme = SCHEMES
            .iter()
            .find(|scheme| line[at..].starts_with(**scheme));
        at += scheme.map_or(0, |scheme| scheme.len());
        let Some(mut value) = Clear::value(line, at) else {
            continue;
        };
        let text = &line[value.place.clone()];
        // Of `the token: see the wiki`, the word is hidden there and nowhere else.
        let is_prose = is_colon && before.len() == sign && scheme.is_none();
        value.is_common |= is_prose && text.chars().all(char::is_alphabetic);
        from = value.place.end;
        found.push(value);
    }
    found
}

/// Programs whose flags with a secret are not called as secrets are.
struct Program {
    names: &'static [&'static str],
    flags: &'static [&'static str],
    /// Whether the flag alone asks for the secret: what follows behind a blank is something else.
    asks: bool,
}

const PROGRAMS: &[Program] = &[
    Program {
        names: &["curl", "wget"],
        flags: &["-u", "--user", "-U", "--proxy-user"],
        asks: false,
    },
    Program {
        names: &["sshpass", "login"],
        flags: &["-p"],
        asks: false,
    },
    Program {
        names: &["redis-cli", "valkey-cli"],
        flags: &["-a"],
        asks: false,
    },
    Program {
        names: &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
        ],
        flags: &["-p"],
        asks: true,
    },
];

/// Behind `--password`, behind `Bearer`, and behind the flags of programs that are known.
fn given(line: &str) -> Vec<Clear> {
    let mut found = Vec::new();
    let mut program: Option<&Program> = None;
    // The flag whose value the next word is.
    let mut awaited: Option<&str> = None;
    for word in line.split_whitespace() {
        let at = word.as_ptr().addr() - line.as_ptr().addr();
        let bare = word.trim_matches(QUOTES);
        let name = bare.rsplit('/').next().unwrap_or(bare);
        let flags = program.map_or(&[][..], |program| program.flags);
        let flag = flags.iter().copied().find(|flag| bare == *flag);
        let glued = flags.iter().copied();
        let glued = glued
            .filter(|flag| flag.len() == 2)
            .find(|flag| bare.starts_with(*flag));
        if let Some(flag) = awaited.take()
            && !bare.starts_with('-')
        {
            found.extend(secret_of(line, at, flag));
        } else if let Some(known) = PROGRAMS.iter().find(|known| known.names.contains(&name)) {
            program = Some(known);
        } else if flag.is_some() {
            awaited = flag.filter(|_| program.is_some_and(|program| !program.asks));
        } else if let Some(flag) = glued {
            let behind = word.find(flag).unwrap_or_default() + flag.len();
            found.extend(secret_of(line, at + behind, flag));
        } else if bare == "Bearer" {
            awaited = Some("Bearer");
        } else if bare.starts_with("--")
            && !bare.contains('=')
            && holds_secret(bare)
            && !is_place(bare)
        {
            awaited = Some("--password");
        }
    }
    found
}

fn secret_of(line: &str, at: usize, flag: &str) -> Option<Clear> {
    let mut value = Clear::value(line, at)?;
    let text = &line[value.place.clone()];
    if flag.eq_ignore_ascii_case("-u") || flag.ends_with("user") {
        let (name, password) = text.split_once(':')?;
        if password.is_empty() || password.starts_with('$') {
            return None;
        }
        value.place.start += name.len() + 1;
    }
    value.is_common |= flag == "Bearer" && text.chars().all(char::is_alphabetic);
    Some(value)
}

/// What the tokens of well-known services begin with, and how long they are at least.
const TOKENS: &[(&str, usize)] = &[
    ("ghp_", 12),
    ("gho_", 12),
    ("ghs_", 12),
    ("ghr_", 12),
    ("github_pat_", 20),
    ("glpat-", 12),
    ("xoxb-", 12),
    ("xoxp-", 12),
    ("xapp-", 12),
    ("sk_live_", 12),
    ("rk_live_", 12),
    ("sk_test_", 12),
    ("whsec_", 12),
    ("sk-ant-", 12),
    ("npm_", 20),
    ("pypi-", 20),
    ("dop_v1_", 12),
    ("dckr_pat_", 12),
    ("hvs.", 12),
    ("AIza", 30),
    ("SG.", 20),
    ("eyJ", 30),
];

/// The tokens of well-known services and the private keys, wherever they stand.
pub(crate) fn tokens_in(text: &str) -> Vec<Clear> {
    let mut found = Vec::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    for word in text.split(|c| !is_part(c)) {
        let begins =
            |(prefix, least): &(&str, usize)| word.starts_with(prefix) && word.len() >= *least;
        if TOKENS.iter().any(begins) {
            let at = word.as_ptr().addr() - text.as_ptr().addr();
            found.push(Clear {
                place: at..at + word.len(),
                is_common: false,
            });
        }
    }
    let mut from = 0;
    while let Some(begin) = text[from..].find("-----BEGIN ").map(|at| from + at) {
        from = begin + "-----BEGIN ".len();
        let Some(head) = text[from..]
            .find("-----")
            .map(|at| from + at + "-----".len())
        else {
            break;
        };
        if text[from..head].contains("PRIVATE KEY") {
            let end = text[head..]
                .find("-----END")
                .map_or(text.len(), |at| head + at);
            found.push(Clear {
                place: head..end,
                is_common: false,
            });
            from = end;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with `#` in the place of a secret, and `~` where it is hidden there alone.
    fn hidden(text: &str) -> String {
        let mut found = secrets_in(text);
        found.extend(tokens_in(text));
        found.sort_by_key(|one| std::cmp::Reverse(one.place.start));
        let mut out = text.to_owned();
        for one in found {
            out.replace_range(one.place, if one.is_common { "~" } else { "#" });
        }
        out
    }

    #[test]
    fn a_secret_is_where_a_text_names_it() {
        for (text, expected) in [
            ("password=s3cr3t&x=1", "password=#&x=1"),
            (
                "host=db password=s3cr3t dbname=y",
                "host=db password=# dbname=y",
            ),
            (
                "curl -H \"Authorization: Bearer abc.def\" http://x",
                "curl -H \"Authorization: Bearer #\" http://x",
            ),
            ("say Bearer s3cr3t", "say Bearer #"),
            (
                "{\"password\":\"s3cr3t\",\"a\":1}",
                "{\"password\":\"#\",\"a\":1}",
            ),
            (
                "{\\\"password\\\": \\\"s3cr3t\\\"}",
                "{\\\"password\\\": \\\"#\\\"}",
            ),
            ("PGPASSWORD=s3cr3t psql", "PGPASSWORD=# psql"),
            (
                "login --password s3cr3t --host a",
                "login --password # --host a",
            ),
            ("curl -u ops:s3cr3t http://a", "curl -u ops:# http://a"),
            ("curl -uops:s3cr3t http://a", "curl -uops:# http://a"),
            ("sshpass -p 's3cr3t' ssh a", "sshpass -p '#' ssh a"),
            ("docker login -u me -p s3cr3t", "docker login -u me -p #"),
            ("redis-cli -a s3cr3t ping", "redis-cli -a # ping"),
            ("mysql -uroot -ps3cr3t shop", "mysql -uroot -p# shop"),
            ("mysql -p shop", "mysql -p shop"),
            (
                "docker run -u 1000:1000 -p 80:80 a",
                "docker run -u 1000:1000 -p 80:80 a",
            ),
            ("PASSWORD=$DB_PASSWORD ./run", "PASSWORD=$DB_PASSWORD ./run"),
            ("--password-file=/run/a", "--password-file=/run/a"),
            ("the token: expired", "the token: ~"),
            ("STRIPE: sk_live_0123456789", "STRIPE: #"),
            (
                "k: |\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n",
                "k: |\n-----BEGIN RSA PRIVATE KEY-----#-----END RSA PRIVATE KEY-----\n",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nabc\n",
                "-----BEGIN CERTIFICATE-----\nabc\n",
            ),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }
}

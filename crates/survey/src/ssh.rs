//! The command lines of `ssh`, `scp` and `rsync`: where they go, as whom, with which key.

use crate::deployment::Login;
use crate::scope::Scope;
use workflow::Value;
use workflow::{Fact, Line};

/// Where a command line goes.
#[derive(Debug, Default)]
struct Options {
    port: Option<String>,
    user: Option<String>,
    identity: Option<String>,
    jump: Option<String>,
}

/// `ssh OPTIONS DESTINATION COMMAND…`: the machine, and the command's words.
pub(crate) fn ssh(words: &[String], at: &Line, scope: &Scope) -> Option<(Login, Vec<String>)> {
    let mut options = Options::default();
    let rest = options.read(words.get(1..)?, "BbcDEeFIiJLlmOoPpQRSWw", 'p');
    let (destination, command) = rest.split_first()?;
    Some((options.login(destination, at, scope)?, command.to_vec()))
}

/// `scp` or `rsync`: the machine and the path that files go to.
pub(crate) fn copy(words: &[String], at: &Line, scope: &Scope) -> Option<(Login, String)> {
    let mut options = Options::default();
    let target = if words.first()?.rsplit('/').next()? == "scp" {
        let rest = options.read(&words[1..], "cDFiJloPSX", 'P');
        rest.last()?.clone()
    } else {
        // `-e "ssh -p 2222 -i KEY"`, `--rsh=ssh`, and `--port`.
        let shell = words.iter().enumerate().find_map(|(nth, word)| {
            let next = || words.get(nth + 1).cloned();
            let bundled = word.starts_with('-') && !word.starts_with("--") && word.ends_with('e');
            if bundled || word == "--rsh" {
                return next();
            }
            word.strip_prefix("--rsh=")
                .or_else(|| word.strip_prefix("-e"))
                .map(str::to_owned)
        });
        if let Some(shell) = shell {
            let words: Vec<String> = shell.split_whitespace().map(str::to_owned).collect();
            let from = words
                .iter()
                .position(|word| word.ends_with("ssh"))
                .map_or(0, |at| at + 1);
            options.read(
                words.get(from..).unwrap_or_default(),
                "BbcDEeFIiJLlmOoPpQRSWw",
                'p',
            );
        }
        let mut operands = words[1..].iter().filter(|word| !word.starts_with('-'));
        operands.next_back()?.clone()
    };
    let (destination, path) = split_target(&target)?;
    Some((options.login(destination, at, scope)?, path.to_owned()))
}

/// `user@host:/path`; not a path with a colon in it.
pub(crate) fn split_target(target: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let at = target.char_indices().find_map(|(at, c)| {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => return Some(None),
            ':' if depth == 0 => return Some(Some(at)),
            _ => {}
        }
        None
    })??;
    Some((&target[..at], &target[at + 1..]))
}

impl Options {
    /// Reads options up to the first operand, and gives it and what follows.
    fn read(&mut self, words: &[String], with_value: &str, port: char) -> Vec<String> {
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
                if !with_value.contains(letter) {
                    continue;
                }
                let mut value = letters[nth + letter.len_utf8()..].to_owned();
                if value.is_empty() {
                    value = words.get(at).cloned().unwrap_or_default();
                    at += 1;
                }
                self.set(letter, port, value);
                break;
            }
        }
        Vec::new()
    }

    fn set(&mut self, letter: char, port: char, value: String) {
        match letter {
            'i' => self.identity = Some(value),
            'l' => self.user = Some(value),
            'J' => self.jump = Some(value),
            'o' => {
                let (key, value) = value.split_once(['=', ' ']).unwrap_or((&value, ""));
                let value = value.trim().to_owned();
                match key.trim().to_ascii_lowercase().as_str() {
                    "port" => self.port = Some(value),
                    "user" => self.user = Some(value),
                    "identityfile" => self.identity = Some(value),
                    "proxyjump" => self.jump = Some(value),
                    _ => {}
                }
            }
            letter if letter == port => self.port = Some(value),
            _ => {}
        }
    }

    fn login(self, destination: &str, at: &Line, scope: &Scope) -> Option<Login> {
        let destination = destination.strip_prefix("ssh://").unwrap_or(destination);
        let (user, address) = match destination.rsplit_once('@') {
            Some((user, address)) => (Some(user.to_owned()), address),
            None => (None, destination),
        };
        if address.is_empty() || address.starts_with('-') {
            return None;
        }
        let fact = |text: String| Fact::new(Value::new(text), at.clone());
        let alias = scope.aliases.get(address);
        let identity = (self.identity).or_else(|| scope.alias_keys.get(address).cloned());
        let of_alias = |part: fn(&Login) -> &Option<Fact<Value>>| part(alias?).clone();
        Some(Login {
            address: alias.map_or_else(|| fact(address.to_owned()), |alias| alias.address.clone()),
            user: user
                .or(self.user)
                .map(fact)
                .or_else(|| of_alias(|it| &it.user)),
            port: self.port.map(fact).or_else(|| of_alias(|it| &it.port)),
            key: scope.key(identity.as_deref()),
            known_hosts: scope.known_hosts.clone(),
            password: None,
            jump: self.jump.map(fact).or_else(|| of_alias(|it| &it.jump)),
        })
    }
}

/// Reads a `~/.ssh/config` that a workflow writes.
pub(crate) fn config(text: &str, at: &Line, scope: &mut Scope) {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut words = line.trim().splitn(2, [' ', '=', '\t']);
        let (Some(key), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        let value = value
            .trim()
            .trim_start_matches('=')
            .trim()
            .trim_matches('"');
        if key.eq_ignore_ascii_case("host") {
            let plain = value
                .split_whitespace()
                .filter(|name| !name.contains(['*', '?', '!']));
            names = plain.map(str::to_owned).collect();
            continue;
        }
        for name in &names {
            let fact = Fact::new(Value::new(value), at.clone());
            if key.eq_ignore_ascii_case("identityfile") {
                scope.alias_keys.insert(name.clone(), value.to_owned());
                continue;
            }
            let login = scope.aliases.entry(name.clone()).or_insert_with(|| Login {
                address: Fact::new(Value::new(&**name), at.clone()),
                user: None,
                port: None,
                key: None,
                known_hosts: None,
                password: None,
                jump: None,
            });
            match key.to_ascii_lowercase().as_str() {
                "hostname" => login.address = fact,
                "user" => login.user = Some(fact),
                "port" => login.port = Some(fact),
                "proxyjump" => login.jump = Some(fact),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn where_ssh_goes() {
        let at = Line::new("a.yml", 3);
        let mut scope = Scope::default();
        let key = Fact::new(Value::new("${{ secrets.KEY }}"), at.clone());
        scope
            .keys
            .push((Some("~/.ssh/portal".to_owned()), key.clone()));
        let (login, command) = ssh(
            &words(
                "ssh|-tt|-p|2222|-i|~/.ssh/portal|-o|StrictHostKeyChecking=no|release@h|cd x|&& y",
            ),
            &at,
            &scope,
        )
        .unwrap();
        assert_eq!(login.address.value.text(), "h");
        assert_eq!(login.user.unwrap().value.text(), "release");
        assert_eq!(login.port.unwrap().value.text(), "2222");
        assert_eq!(login.key, Some(key));
        assert_eq!(command, ["cd x", "&& y"]);
        config(
            "Host prod\n  HostName 192.0.2.1\n  User app\n  Port 22022\n",
            &at,
            &mut scope,
        );
        let (login, _) = ssh(&words("ssh|prod|true"), &at, &scope).unwrap();
        assert_eq!(login.address.value.text(), "192.0.2.1");
        assert_eq!(login.port.unwrap().value.text(), "22022");
    }

    #[test]
    fn where_files_go() {
        let at = Line::new("a.yml", 3);
        let scope = Scope::default();
        for (text, host, path) in [
            (
                "rsync|-az|--delete|-e|ssh -p 2222|./|a@h:/srv/x/",
                "h",
                "/srv/x/",
            ),
            (
                "rsync|-avze|ssh|out/|${{ secrets.H }}:~/x",
                "${{ secrets.H }}",
                "~/x",
            ),
            ("scp|-q|-P|22|a|b|u@h:x", "h", "x"),
        ] {
            let (login, to) = copy(&words(text), &at, &scope).unwrap();
            assert_eq!((login.address.value.text(), &*to), (host, path), "{text}");
        }
        assert!(copy(&words("rsync|-a|x|./y:z"), &at, &scope).is_none());
    }
}

//! What leads to a command and is not part of it.

use crate::command::{Command, FIELD, Lookup, MAX_VALUE};

pub(crate) fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.to_owned()))
}

/// `NAME+=VALUE`: what the variable is then, where what it was is known; the elements of an array stay apart.
pub(crate) fn appended(word: &str, lookup: Lookup<'_>) -> Option<(String, String)> {
    let (name, more) = word.split_once("+=")?;
    let old = is_name(name).then(|| lookup(name))??;
    let between = if old.contains(FIELD) || more.contains(FIELD) {
        FIELD.to_string()
    } else {
        String::new()
    };
    let fits = old.len() + more.len() < MAX_VALUE;
    fits.then(|| (name.to_owned(), format!("{old}{between}{more}")))
}

/// The name of a variable.
pub(crate) fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(good)
}

/// Drops what leads to a command and is not one: `if`, `then`, `sudo -n`, `env A=b`, `timeout 30`.
pub(crate) fn unwrap(command: &mut Command) {
    const LEADING: [&str; 12] = [
        "if", "elif", "then", "else", "do", "while", "until", "!", "{", "}", "time", "fi",
    ];
    const WRAPPING: [&str; 11] = [
        "sudo", "doas", "env", "nohup", "exec", "command", "nice", "timeout", "bundle", "npx",
        "retry",
    ];
    loop {
        let Some(first) = command.words.first().map(|word| word.text.clone()) else {
            return;
        };
        let name = first.rsplit('/').next().unwrap_or_default();
        if LEADING.contains(&first.as_str()) || matches!(name, "done" | "esac") {
            command.words.remove(0);
        } else if first == "for" || first == "case" || first == "function" {
            command.words.clear();
            return;
        } else if WRAPPING.contains(&name) && command.words.len() > 1 {
            // `bundle install` is no wrapping; `bundle exec` is.
            if name == "bundle" && command.words[1].text != "exec" {
                return;
            }
            command.words.remove(0);
            if name == "bundle" {
                command.words.remove(0);
                command.runner.push_str("bundle exec ");
            } else if matches!(name, "npx" | "sudo") {
                command.runner.push_str(&format!("{name} "));
            }
            wrapping(name, command);
        } else {
            return;
        }
        // `env A=b`, `then A=b`.
        while let Some(pair) = (command.words.first()).and_then(|word| assignment(&word.text)) {
            command.assignments.push(pair);
            command.words.remove(0);
        }
    }
}

/// The options of a wrapping command.
fn wrapping(name: &str, command: &mut Command) {
    while let Some(word) = command.words.first().map(|word| word.text.clone())
        && word.starts_with('-')
        && word.len() > 1
    {
        let mut passed = command.words.remove(0).text;
        let takes_value = match name {
            "sudo" | "doas" => matches!(word.as_str(), "-u" | "-g" | "-h" | "-p" | "-C"),
            "env" => matches!(word.as_str(), "-u" | "-C"),
            "nice" => word == "-n",
            "timeout" => matches!(word.as_str(), "-s" | "-k"),
            "npx" => matches!(word.as_str(), "-p" | "--package"),
            _ => false,
        };
        if takes_value && !command.words.is_empty() {
            passed.push(' ');
            passed.push_str(&command.words.remove(0).text);
        }
        if name == "sudo" {
            command.runner.push_str(&format!("{passed} "));
        }
    }
    if name == "timeout" && !command.words.is_empty() {
        command.words.remove(0);
    }
}

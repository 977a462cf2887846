//! What sudo lets us do: sudo is asked for the very command, which is not run.

use crate::quote;

/// A part of a script that ends it if sudo does not allow one of the user's own commands without
/// a password. `None` if the command is not a plain call of sudo.
pub fn proof(command: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " \t_-./:@%+,=".contains(c);
    if !command.trim().chars().all(plain) {
        return None;
    }
    let mut words = command.split_whitespace();
    if words.next() != Some("sudo") {
        return None;
    }
    let (mut options, mut rest) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word {
            "-n" => {}
            "-u" | "-g" => options.extend([word, words.next()?]),
            "--" => {
                rest.extend(words.by_ref());
            }
            // Other options are not all known where sudo is only asked.
            word if word.starts_with('-') || word.contains('=') => return None,
            word => {
                rest.push(word);
                rest.extend(words.by_ref());
            }
        }
    }
    if rest.is_empty() {
        return None;
    }
    let all = |words: &[&str]| -> String {
        let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
        words.join(" ")
    };
    let told = quote(&format!(
        "sudo may not run `{}` without a password: ",
        rest.join(" ")
    ));
    Some(format!(
        "said=$(sudo -n -l {} -- {} 2>&1 >/dev/null) || {{ printf '%s%s\\n' {told} \"$said\" >&2; exit 1; }}\n",
        all(&options),
        all(&rest),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_call_of_sudo_is_asked_for() {
        let asks = |command: &str| {
            let script = proof(command)?;
            let (_, rest) = script.split_once("sudo -n -l ")?;
            Some(rest.split_once(" 2>")?.0.trim().replace('\'', ""))
        };
        for (command, asked) in [
            ("sudo -n nginx -t", "-- nginx -t"),
            ("sudo nginx -s reload", "-- nginx -s reload"),
            (
                "sudo -n -u www -- systemctl reload nginx.service",
                "-u www -- systemctl reload nginx.service",
            ),
        ] {
            assert_eq!(asks(command).as_deref(), Some(asked), "{command}");
        }
        for other in [
            "",
            "nginx -t",
            "sudo",
            "sudo -n",
            "sudo -u",
            "sudo -E nginx -t",
            "sudo A=b nginx -t",
            "sudo -n nginx -t && touch x",
            "sudo -n sh -c 'nginx -t'",
            "sudo -n nginx -s $(x)",
            "sudo -n nginx\nsudo rm x",
        ] {
            assert_eq!(proof(other), None, "{other}");
        }
    }
}

//! Words for a POSIX shell.

use config::value::ShellText;

/// A text as one word of `sh`: whatever it holds, the shell hands it on as it is.
///
/// ```
/// assert_eq!(remote::quote("it's $(here)"), r"'it'\''s $(here)'");
/// ```
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // No shell accepts a NUL; a word ends there for every program.
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// Lines that give a shell these variables.
pub fn exports(variables: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| format!("export {name}={}\n", quote(value));
    variables.iter().map(line).collect()
}

/// A text of the user's as a shell gets it that does not have the variables of ours: behind those that it names.
pub fn with_variables(text: &ShellText) -> String {
    exports(text.variables()) + text
}

/// A path as one word of `sh`, in which `~/` at its beginning is the user's home.
///
/// ```
/// assert_eq!(remote::quote_path("~/it's"), r"~/'it'\''s'");
/// ```
pub fn quote_path(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some("") => "~/".to_owned(),
        Some(rest) => format!("~/{}", quote(rest)),
        None if path == "~" => path.to_owned(),
        None => quote(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::quote;

    #[test]
    fn a_shell_hands_every_word_on_as_it_is() {
        for word in [
            "",
            "plain",
            "two words",
            "it's",
            "$(touch x)",
            "`x`",
            "a\nb",
            "\\",
            "-n",
            "~",
            "#",
            "*",
            "é!",
        ] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn the_home_is_the_shells_and_the_rest_is_as_it_is() {
        for (path, expected) in [
            ("~", "/home/it"),
            ("~/a b/$(c)", "/home/it/a b/$(c)"),
            ("~/~", "/home/it/~"),
            ("~root/x", "~root/x"),
            ("/srv/it's", "/srv/it's"),
        ] {
            // A word of a command, and the value of a variable.
            for script in ["printf %s @", "x=@; printf %s \"$x\""] {
                let script = script.replace('@', &super::quote_path(path));
                let output = std::process::Command::new("sh")
                    .args(["-c", &script])
                    .env("HOME", "/home/it")
                    .output()
                    .unwrap();
                assert_eq!(
                    String::from_utf8(output.stdout).unwrap(),
                    expected,
                    "{path}"
                );
            }
        }
    }
}

//! Words for a POSIX shell.

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
}

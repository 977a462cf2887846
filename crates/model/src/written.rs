//! Secrets that a person has written into a text: a workflow, a script.

use crate::address::Address;
use crate::redact::{MASK, is_secret_name};

/// The text with the password of each address, and each `TOKEN=value`, replaced by [`MASK`]; an expression or a variable
/// in its place is none.
pub fn without_secrets(text: &str) -> String {
    const SIGN: &str = "://";
    let text = without_values(text);
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    let mut clean = String::new();
    let mut rest = &*text;
    while let Some(at) = rest.find(SIGN) {
        let after = &rest[at + SIGN.len()..];
        let address = &rest[at..];
        let address = &address[..address.find(ends).unwrap_or(address.len())];
        clean.push_str(&rest[..at + SIGN.len()]);
        rest = after;
        if let Some(password) = Address::of(address).password()
            && !password.is_empty()
            && !password.contains('$')
            && let Some((user, _)) = after.split_once(':')
        {
            clean.push_str(user);
            clean.push(':');
            clean.push_str(MASK);
            rest = &after[user.len() + 1 + password.len()..];
        }
    }
    clean.push_str(rest);
    clean
}

/// The text without what stands behind the `=` of a name that speaks of a secret.
fn without_values(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '&' | ')');
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let name = &before[before.trim_end_matches(is_of_name).len()..];
        let value = &after[..after.find(ends).unwrap_or(after.len())];
        let is_secret = is_secret_name(&name.to_ascii_lowercase())
            && !name.to_ascii_lowercase().ends_with("_env");
        clean.push_str(&rest[..=at]);
        rest = after;
        // `StrictHostKeyChecking=no`.
        let is_choice = ["yes", "no", "true", "false", "ask", "accept-new"].contains(&value);
        if is_secret && !is_choice && !value.is_empty() && !value.contains(['$', '=']) {
            clean.push_str(MASK);
            rest = &after[value.len()..];
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_hidden_and_a_variable_is_not() {
        for (text, clean) in [
            (
                "curl 'https://u:p@ss@h:8/a' x",
                "curl 'https://u:***@h:8/a' x",
            ),
            ("a://b:c@d e://f:g@h", "a://b:***@d e://f:***@h"),
            (
                "https://u:${{ secrets.A }}@h",
                "https://u:${{ secrets.A }}@h",
            ),
            (
                "https://u:$PW@h/x https://u@h h://:p@h",
                "https://u:$PW@h/x https://u@h h://:***@h",
            ),
            (
                "postgres://postgres:postgres@db postgres",
                "postgres://postgres:***@db postgres",
            ),
            ("://", "://"),
            (
                "run -e JWT_SECRET=abc -e B=c --token=x app",
                "run -e JWT_SECRET=*** -e B=c --token=*** app",
            ),
            (
                "ssh -o StrictHostKeyChecking=no h KEY=nothing",
                "ssh -o StrictHostKeyChecking=no h KEY=***",
            ),
            (
                "TOKEN=$T KEY=${{ secrets.KEY }} KEY== KEY= x",
                "TOKEN=$T KEY=${{ secrets.KEY }} KEY== KEY= x",
            ),
            ("http://a?b=c://d:e@f", "http://a?b=c://d:***@f"),
            ("http://h:80/a:b@c", "http://h:80/a:b@c"),
            ("ä://ü:ö@ß", "ä://ü:***@ß"),
        ] {
            assert_eq!(without_secrets(text), clean);
        }
    }
}

//! What is called as secrets are: a key of the file, a variable, a parameter, a flag.

use values::is_variable;

/// Parts of a name that say it by themselves.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "apikey",
    "privatekey",
    "credential",
    "authorization",
];

/// What says it as the last word of a name: `DB_PASS` is a password, `AUTH_URL` is not.
const LAST_WORDS: [&str; 7] = ["pass", "pw", "pwd", "psw", "auth", "bearer", "cookie"];

pub(crate) fn holds_secret(name: &str) -> bool {
    let bare = name.to_ascii_lowercase().replace(['-', '_'], "");
    WORDS.iter().any(|word| bare.contains(word)) || ends_as_secrets_do(name)
}

/// Whether the last word alone tells that it is a secret.
pub(crate) fn ends_as_secrets_do(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    let shouted = last.chars().all(|c| !c.is_lowercase());
    // Of `dbPass`, the last word begins with its last capital.
    let start = last.rfind(char::is_uppercase).filter(|_| !shouted);
    let last = last[start.unwrap_or_default()..].to_ascii_lowercase();
    LAST_WORDS.contains(&last.as_str())
}

/// Whether a name ends as the name of a place does, where the secret itself is not: a file, or a variable.
pub(crate) fn is_place(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let last = name.rsplit('-').next().unwrap_or_default();
    name.contains('-') && ["env", "file", "path", "name", "url"].contains(&last)
}

/// Whether it is what a variable is called, and not the value of one.
pub(crate) fn is_shouted(name: &str) -> bool {
    is_variable(name) && !name.contains(char::is_lowercase)
}

/// A number as short as a count, and what is `true` or `false`, is not a secret.
pub(crate) fn is_count(text: &str) -> bool {
    let is_short = text.len() < 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_short || text.parse::<bool>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whether_it_holds_a_secret() {
        for name in [
            "password",
            "DB_PASSWORD",
            "apiKey",
            "pass",
            "DB_PASS",
            "dbPass",
            "MYSQL_PWD",
            "basic-auth",
            "private-key",
        ] {
            assert!(holds_secret(name), "{name}");
        }
        for name in ["AUTH_URL", "pass-score", "path", "compass", "author", "key"] {
            assert!(!holds_secret(name), "{name}");
        }
    }
}

//! Secrets that a person has written into a text: a workflow, a script.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::address::Address;
use crate::redact::{MASK, is_secret_name};

/// How programs are handed a password: `mysql -pVALUE`, `sshpass -p VALUE`, `docker login -p VALUE`, `curl -u USER:VALUE`,
/// `echo VALUE | … --password-stdin`, `--token VALUE`. What is secret is between the first group and the end.
static OPTIONS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let value = r#"['"]?)[^\s$'"`|)]+"#;
    [
        r"(\b(?:mysql|mariadb)[\w-]*\b[^\n|;&]*?\s-p",
        r"(\bsshpass\s+-p\s*",
        r"(\slogin\b[^\n|;&]*?\s-p\s+",
        r#"(\b(?:curl|wget)\b[^\n|;]*?\s(?:-u|--user)[ =]['"]?[^\s:$'"`]+:"#,
        r"(\s--(?:password|passphrase|token|secret|api-key|auth-token|access-token)\s+",
    ]
    .iter()
    .filter_map(|before| Regex::new(&format!("{before}{value}")).ok())
    .chain(Regex::new(
        r#"(\becho\s+(?:-n\s+)?['"]?)[^\s$'"`|]+(['"]?\s*\|[^\n]*--password-stdin)"#,
    ))
    .collect()
});

/// `password: VALUE`, on a line of its own or between braces.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?m)((?:^[+\- ]*|[{,]\s*)([\w-]+):[ \t]+['"]?)([^\s$'"`{},|>]+)"#).ok()
});

/// The text with the password of each address, each `TOKEN=value` and each `token: value`, and what an option of a program
/// says is a password replaced by [`MASK`]; an expression or a variable in its place is none.
pub fn without_secrets(text: &str) -> String {
    const SIGN: &str = "://";
    let text = without_options(&without_keys(&without_values(text)));
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

fn without_options(text: &str) -> String {
    let mut clean = text.to_owned();
    for option in &*OPTIONS {
        let masked = |found: &Captures<'_>| {
            let behind = found.get(2).map_or("", |end| end.as_str());
            format!("{}{MASK}{behind}", &found[1])
        };
        clean = option.replace_all(&clean, masked).into_owned();
    }
    clean
}

fn without_keys(text: &str) -> String {
    let Some(key) = &*KEY else {
        return text.to_owned();
    };
    let masked = |found: &Captures<'_>| {
        if speaks_of_secret(&found[2]) && !is_choice(&found[3]) {
            format!("{}{MASK}", &found[1])
        } else {
            found[0].to_owned()
        }
    };
    key.replace_all(text, masked).into_owned()
}

/// Whether the value of a name is a secret: that of `TOKEN_ENV` is a variable's name.
fn speaks_of_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_secret_name(&name) && !name.ends_with("_env") && !name.ends_with("-env")
}

/// `StrictHostKeyChecking=no`, `id-token: write`.
fn is_choice(value: &str) -> bool {
    let choices = [
        "yes",
        "no",
        "true",
        "false",
        "ask",
        "accept-new",
        "read",
        "write",
        "none",
        "inherit",
    ];
    choices.contains(&value)
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
        clean.push_str(&rest[..=at]);
        rest = after;
        if speaks_of_secret(name)
            && !is_choice(value)
            && !value.is_empty()
            && !value.contains(['$', '='])
        {
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
    fn a_password_in_an_option_or_behind_a_key_is_hidden() {
        for (text, clean) in [
            (
                "db mariadb -uroot -pabc shop -e 'SELECT 1'",
                "db mariadb -uroot -p*** shop -e 'SELECT 1'",
            ),
            (
                "mysqldump -u root -p'abc' shop | gzip",
                "mysqldump -u root -p'***' shop | gzip",
            ),
            (
                "mysql -p\"$PW\" shop; ssh -p 22 h",
                "mysql -p\"$PW\" shop; ssh -p 22 h",
            ),
            (
                "sshpass -p abc ssh -p 2222 h",
                "sshpass -p *** ssh -p 2222 h",
            ),
            (
                "sshpass -pabc ssh h; sshpass -e ssh h",
                "sshpass -p*** ssh h; sshpass -e ssh h",
            ),
            (
                "docker login -u me -p abc registry.test",
                "docker login -u me -p *** registry.test",
            ),
            (
                "echo abc | docker login -u me --password-stdin",
                "echo *** | docker login -u me --password-stdin",
            ),
            (
                "echo \"$T\" | docker login --password-stdin",
                "echo \"$T\" | docker login --password-stdin",
            ),
            (
                "curl -fsS -u me:abc https://h",
                "curl -fsS -u me:*** https://h",
            ),
            (
                "curl -u ${{ secrets.A }} https://h",
                "curl -u ${{ secrets.A }} https://h",
            ),
            ("deploy --token abc --force", "deploy --token *** --force"),
            (
                "+          password: abc\n           key: \"x\"",
                "+          password: ***\n           key: \"***\"",
            ),
            (
                "with: { username: me, password: abc }",
                "with: { username: me, password: *** }",
            ),
            (
                "password: ${{ secrets.PW }}\nid-token: write\nkey-env: KEY",
                "password: ${{ secrets.PW }}\nid-token: write\nkey-env: KEY",
            ),
        ] {
            assert_eq!(without_secrets(text), clean);
        }
    }

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

//! The `WWW-Authenticate` header: what a registry wants before it answers.
//!
//! RFC 9110, section 11.6.1: several challenges may be in one header or in several.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Headers longer than this are not worth reading.
const LIMIT: usize = 8 * 1024;

/// One way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The challenge to meet: Bearer before Basic, as it hands the password to fewer places.
pub(crate) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        if text.len() > LIMIT {
            continue;
        }
        for (scheme, params) in parse(text) {
            let param = |name: &str| {
                params
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.clone())
            };
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => {
                    if let Some(realm) = param("realm") {
                        return Some(Challenge::Bearer {
                            realm,
                            service: param("service"),
                            scope: param("scope"),
                        });
                    }
                }
                "basic" => basic = Some(Challenge::Basic),
                _ => {}
            }
        }
    }
    basic
}

type Parsed = Vec<(String, Vec<(String, String)>)>;

/// Splits a header into schemes and their parameters. What is malformed is passed over.
fn parse(text: &str) -> Parsed {
    let mut challenges: Parsed = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return challenges;
        }
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = read_value(value.trim_start());
            if let Some((_, params)) = challenges.last_mut() {
                params.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            challenges.push((word.to_owned(), Vec::new()));
            rest = after;
        }
    }
}

/// A token or a quoted string, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chosen(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        choose(&headers)
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with an Option")]
    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_are_read_in_all_their_forms() {
        let ghcr =
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull""#;
        assert_eq!(
            chosen(&[ghcr]),
            bearer(
                "https://ghcr.io/token",
                Some("ghcr.io"),
                Some("repository:a/b:pull")
            )
        );
        assert_eq!(
            chosen(&[r#"Basic realm="Registry Realm""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(chosen(&["basic"]), Some(Challenge::Basic));
        assert_eq!(
            chosen(&[r#"Basic realm="x", Bearer realm="r""#]),
            bearer("r", None, None)
        );
        assert_eq!(
            chosen(&["Basic realm=x", "bearer Realm = r , Service=s"]),
            bearer("r", Some("s"), None)
        );
        assert_eq!(
            chosen(&[r#"Bearer realm="a\"b,c=d""#]),
            bearer("a\"b,c=d", None, None)
        );
    }

    #[test]
    fn junk_is_no_challenge_and_no_panic() {
        for junk in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer realm",
            "Negotiate abc==",
            "Bearer service=\"x",
            "\"",
            "realm=\"x\"",
        ] {
            assert_eq!(chosen(&[junk]), None, "{junk}");
        }
        assert_eq!(
            chosen(&[&format!("Bearer realm={}", "x".repeat(9000))]),
            None
        );
    }
}

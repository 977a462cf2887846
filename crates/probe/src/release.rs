//! Who answered: the release that an answer names, and whether it is the expected one.

use config::file::{Match, ReleaseSource};
use model::release::MAX_NAME_BYTES;
use serde_json::Value;

/// What an answer reports about its release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is the expected one.
    Matches(String),
    /// It is another one.
    Differs { expected: String, actual: String },
    /// It names none; why.
    Unknown(String),
    /// It names several that differ, of which any could be the one that serves; why.
    Several(String),
    /// Of several that were asked some are the expected one and the rest name none; why that is
    /// too little.
    Partly(String),
}

impl Identity {
    /// Whether a release was named.
    pub fn is_named(&self) -> bool {
        !matches!(self, Identity::Unknown(_))
    }
}

/// The parts of an answer that can contain a release.
pub struct ReleaseAnswer<'a> {
    pub headers: &'a http::header::HeaderMap,
    pub body: &'a [u8],
}

/// Headers that services use for this.
const HEADERS: &[&str] = &[
    "x-release",
    "x-version",
    "x-app-version",
    "x-service-version",
    "x-revision",
    "x-build",
];
/// Keys of a JSON body under which services name their release, the most telling first.
const NAMES: &[&str] = &[
    "release",
    "releaseId",
    "release_id",
    "version",
    "app_version",
    "tag",
];
/// The media type of `draft-inadarei-api-health-check`, in which `version` is that of the API.
const HEALTH: &str = "application/health+json";
/// The key of [`NAMES`] that is not the name of a release there.
const API_VERSION: &str = "version";
/// Keys for the source that it was built from, which some use as the release's name.
const ORIGINS: &[&str] = &[
    "sha",
    "commit",
    "git_sha",
    "git_commit",
    "revision",
    "build",
];
/// Objects inside the body that speak of the service itself; a `database` has a version too.
const SELF: &[&str] = &[
    "app",
    "application",
    "build",
    "data",
    "deployment",
    "info",
    "meta",
    "release",
    "service",
];
/// A longer body is a page, not a version.
const SHORT_TEXT: usize = 256;
/// How much of a text is shown that is not a release.
const MAX_SHOWN_CHARS: usize = 100;

/// Time for a jq filter: the measurement's own timeout bounds the whole.
const FILTER_TIME: std::time::Duration = std::time::Duration::from_secs(2);

/// Compares what an answer names with the expected release. Blocking: a filter may run.
pub fn identify(
    source: Option<&ReleaseSource>,
    expected: &str,
    answer: &ReleaseAnswer<'_>,
) -> Identity {
    let rule = source.map(|source| source.r#match).unwrap_or_default();
    match named(source, rule, expected, answer) {
        Ok(actual) if rule.proves(expected, &actual) => Identity::Matches(actual),
        Ok(actual) => Identity::Differs {
            expected: expected.to_owned(),
            actual,
        },
        Err(Unnamed::Filter { cause, filter }) if cause.is_ambiguous() => {
            Identity::Several(Unnamed::Filter { cause, filter }.to_string())
        }
        Err(why) => Identity::Unknown(why.to_string()),
    }
}

/// Why an answer names no one release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    #[error("the answer names no release")]
    Nothing,
    #[error("the answer has no header `{0}`")]
    NoHeader(String),
    /// A filter returns something other than text.
    #[error("`{filter}` gives {value}")]
    NoText { filter: String, value: String },
    #[error("`{filter}`: {cause}")]
    Filter { filter: String, cause: jq::Error },
    #[error("the text for the release is {0} bytes long, more than {MAX_NAME_BYTES}")]
    TooLong(usize),
    /// What shows a release would be led astray by it.
    #[error("the text for the release has a line break or another control character")]
    Control,
}

/// The release that an answer names; `likely` settles by this rule which of several words is
/// meant.
pub fn named(
    source: Option<&ReleaseSource>,
    rule: Match,
    likely: &str,
    answer: &ReleaseAnswer<'_>,
) -> Result<String, Unnamed> {
    let told = extract_release(source, &|word| rule.proves(likely, word), answer)?;
    if told.len() > MAX_NAME_BYTES {
        return Err(Unnamed::TooLong(told.len()));
    }
    if told.chars().any(char::is_control) {
        return Err(Unnamed::Control);
    }
    Ok(told)
}

fn extract_release(
    source: Option<&ReleaseSource>,
    likely: &dyn Fn(&str) -> bool,
    answer: &ReleaseAnswer<'_>,
) -> Result<String, Unnamed> {
    if let Some(header) = source.and_then(|source| source.header.as_deref()) {
        return from_header(answer, header).ok_or_else(|| Unnamed::NoHeader(header.to_owned()));
    }
    if let Some(filter) = source.and_then(|source| source.jq.as_ref()) {
        let value = filter.jq().single(answer.body, FILTER_TIME);
        let filter = filter.as_str().to_owned();
        let value = match value {
            Ok(value) => value,
            Err(cause) => return Err(Unnamed::Filter { filter, cause }),
        };
        let text = value.as_ref().and_then(text_of);
        return text.ok_or_else(|| {
            let value = value.map_or_else(|| "nothing".to_owned(), |it| short(&it.to_string()));
            Unnamed::NoText { filter, value }
        });
    }
    HEADERS
        .iter()
        .find_map(|header| from_header(answer, header))
        .or_else(|| from_json(answer, likely))
        .or_else(|| from_text(answer.body, likely))
        .ok_or(Unnamed::Nothing)
}

fn from_header(answer: &ReleaseAnswer<'_>, name: &str) -> Option<String> {
    let value = String::from_utf8_lossy(answer.headers.get(name)?.as_bytes())
        .trim()
        .to_owned();
    (!value.is_empty()).then_some(value)
}

fn from_json(answer: &ReleaseAnswer<'_>, likely: &dyn Fn(&str) -> bool) -> Option<String> {
    // Depth is bounded by serde_json's own recursion limit.
    let value: Value = serde_json::from_slice(answer.body).ok()?;
    let object = value.as_object()?;
    let inner = SELF.iter().filter_map(|key| object.get(*key)?.as_object());
    let of_api = is_health(answer.headers);
    std::iter::once((object, of_api))
        .chain(inner.map(|object| (object, false)))
        .find_map(|(object, of_api)| from_object(object, of_api, likely))
}

fn is_health(headers: &http::header::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(HEALTH)
}

fn from_object(
    object: &serde_json::Map<String, Value>,
    of_api: bool,
    likely: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let at = |key: &&str| object.get(*key).and_then(text_of);
    let mut names = NAMES.iter().filter(|key| !of_api || **key != API_VERSION);
    ORIGINS
        .iter()
        .filter_map(at)
        .find(|origin| likely(origin))
        .or_else(|| names.find_map(at))
        .or_else(|| ORIGINS.iter().find_map(at))
}

/// The one word of a short text that is a release: two of them could mean anything
/// (`running v1, v2 failed to start`).
fn from_text(body: &[u8], likely: &dyn Fn(&str) -> bool) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.is_empty() || text.len() > SHORT_TEXT || text.starts_with(['<', '{', '[']) {
        return None;
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '='))
        .filter(|word| !word.is_empty())
        .collect();
    let mut versions: Vec<&str> = words
        .into_iter()
        .filter(|word| likely(word) || looks_like_a_version(word))
        .collect();
    versions.dedup();
    match versions.as_slice() {
        [version] => Some((*version).to_owned()),
        _ => None,
    }
}

/// `v1`, `1.2.3`, `2024-05-01`, or a commit id.
fn looks_like_a_version(word: &str) -> bool {
    let digits = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let dotted = digits.starts_with(|c: char| c.is_ascii_digit())
        && (digits.len() < word.len() || digits.contains(['.', '-']))
        && digits
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'));
    let commit = (7..=64).contains(&word.len())
        && word.chars().all(|c| c.is_ascii_hexdigit())
        && word.contains(|c: char| c.is_ascii_digit());
    (dotted || commit) && word.parse::<std::net::IpAddr>().is_err()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    fn identity(header: Option<(&str, &str)>, body: &str, expected: &str) -> String {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let answer = ReleaseAnswer {
            headers: &headers,
            body: body.as_bytes(),
        };
        match identify(None, expected, &answer) {
            Identity::Matches(release) => format!("is {release}"),
            Identity::Differs { actual, .. } => format!("not {actual}"),
            Identity::Unknown(_) | Identity::Several(_) | Identity::Partly(_) => {
                "unknown".to_owned()
            }
        }
    }

    #[test]
    fn the_release_is_found_where_services_put_it() {
        let cases = [
            (Some(("x-version", "v1")), "", "not v1"),
            (Some(("X-Release", "v2")), "v1", "is v2"),
            (None, r#"{"version":"v2"}"#, "is v2"),
            (None, r#"{"status":"ok","app":{"version":"v1"}}"#, "not v1"),
            (None, r#"{"status":"ok"}"#, "unknown"),
            (None, "v1\n", "not v1"),
            (None, "shop v2 ready", "is v2"),
            (None, "shop 1.4.2 ready", "not 1.4.2"),
            (None, "v1 after v0", "unknown"),
            (None, "running v1, v2 failed to start", "unknown"),
            (None, "hello from 10.0.0.5", "unknown"),
            (None, r#"{"database":{"version":"15.3"}}"#, "unknown"),
            (None, r#"{"version":"1.4","commit":"v2"}"#, "is v2"),
            (None, r#"{"release":"v1","version":"v2"}"#, "not v1"),
            (None, r#"{"commit":"abc1234"}"#, "not abc1234"),
            (None, "OK", "unknown"),
            (None, "<html>v2</html>", "unknown"),
            (None, "", "unknown"),
        ];
        for (header, body, expected) in cases {
            assert_eq!(identity(header, body, "v2"), expected, "{header:?} {body}");
        }
    }

    #[test]
    fn the_type_health_json_has_the_version_of_the_api_and_the_id_of_the_release() {
        let named = |kind: &'static str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            let body = body.as_bytes();
            let answer = ReleaseAnswer {
                headers: &headers,
                body,
            };
            super::named(None, Match::Exact, "v2", &answer).ok()
        };
        let both = r#"{"status":"pass","version":"1","releaseId":"v2"}"#;
        let api = r#"{"status":"pass","version":"v2"}"#;
        for kind in [
            "application/health+json",
            "Application/Health+JSON; charset=utf-8",
        ] {
            assert_eq!(named(kind, both).as_deref(), Some("v2"), "{kind}");
            assert_eq!(named(kind, api), None, "{kind}");
        }
        assert_eq!(named("application/json", both).as_deref(), Some("v2"));
        assert_eq!(named("application/json", api).as_deref(), Some("v2"));
    }

    #[test]
    fn a_long_release_is_compared_whole_and_one_without_end_is_none() {
        let long = format!("v{}", "1.2".repeat(60));
        let other = format!("{long}1");
        for (body, expected) in [
            (format!(r#"{{"version":"{long}"}}"#), format!("is {long}")),
            (
                format!(r#"{{"version":"{other}"}}"#),
                format!("not {other}"),
            ),
            (long.clone(), format!("is {long}")),
            (
                format!(r#"{{"version":"{}"}}"#, "v".repeat(MAX_NAME_BYTES + 1)),
                "unknown".to_owned(),
            ),
        ] {
            assert_eq!(identity(None, &body, &long), expected);
        }
        assert_eq!(
            identity(Some(("x-version", &long)), "", &long),
            format!("is {long}")
        );
    }

    #[test]
    fn a_rule_finds_the_commit_id_beside_a_version() {
        let headers = HeaderMap::new();
        let answer = ReleaseAnswer {
            headers: &headers,
            body: br#"{"version":"1.4","commit":"0fb16b1"}"#,
        };
        let source = ReleaseSource {
            r#match: Match::Prefix,
            ..ReleaseSource::default()
        };
        let full = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
        let identity = identify(Some(&source), full, &answer);
        assert_eq!(identity, Identity::Matches("0fb16b1".to_owned()));
    }
}

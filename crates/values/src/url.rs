//! URLs that are asked by HTTP.

use crate::error::dollar_name;

/// A URL in which [`url_problem`] finds nothing; `{target}` may be all of it.
pub const HTTP_URL: &str = "^https?://[^/]|^\\{";

/// Why a text is not a URL that is asked by HTTP, and what to write.
pub fn url_problem(text: &str) -> Option<(String, String)> {
    let form = || "write it as `http://host:port/path` or `https://…`".to_owned();
    if let Some(name) = dollar_name(text.split(['?', '#']).next().unwrap_or(text)) {
        let problem = format!("`${name}` is not replaced here");
        return Some((problem, format!("write `${{{name}}}`")));
    }
    if text.trim_start().starts_with("TODO") {
        let problem = "it is still to be filled in".to_owned();
        return Some((
            problem,
            "write the address that answers 200 to 299 when it is healthy".to_owned(),
        ));
    }
    if text.contains("{{") {
        let problem = "`{{ … }}` is not replaced here".to_owned();
        return Some((problem, "write `${NAME}` for a variable".to_owned()));
    }
    // What may be a password is not repeated.
    let repeated = |scheme: &str| {
        let is_plain = !text.contains(|c: char| c == '@' || c.is_whitespace()) && text.len() <= 100;
        if is_plain && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            format!("write it as `{scheme}{text}`")
        } else {
            form()
        }
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, rest),
        None if text.starts_with('/') => {
            let problem = "the URL has no host".to_owned();
            return Some((problem, form()));
        }
        None => ("", text),
    };
    let lower = scheme.to_ascii_lowercase();
    let is_port = rest.starts_with(|c: char| c.is_ascii_digit());
    if !matches!(lower.as_str(), "http" | "https")
        && (!rest.starts_with("//") || scheme.contains(['.', '/']))
    {
        let slip = ["http//", "https//", "http/", "https/"];
        let slip = slip.iter().any(|slip| text.starts_with(slip));
        return Some(if slip {
            ("`:` is missing behind the scheme".to_owned(), form())
        } else {
            let local = ["localhost", "127.", "10.", "192.168."];
            let is_local = is_port || local.iter().any(|start| text.starts_with(start));
            let scheme = if is_local { "http://" } else { "https://" };
            ("the URL has no scheme".to_owned(), repeated(scheme))
        });
    }
    match ::url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => None,
        Ok(url) => Some(match url.scheme() {
            "tcp" => (
                "`tcp` is not HTTP".to_owned(),
                "probe a port with `tcp: [{ name: …, address: host:port }]`".to_owned(),
            ),
            scheme => (
                format!("the scheme `{scheme}` is not supported here"),
                form(),
            ),
        }),
        Err(::url::ParseError::InvalidPort) => Some((
            "the port of the URL is not a number up to 65535".to_owned(),
            form(),
        )),
        Err(::url::ParseError::EmptyHost) => Some(("the URL has no host".to_owned(), form())),
        Err(error) => Some((format!("not a URL: {error}"), form())),
    }
}

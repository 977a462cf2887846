//! The key of `split_clients`: whether we can be another user each time, and how.

use place::Visitor;

/// Headers on which more depends than who a user is.
const NOT_OURS: [&str; 12] = [
    "host",
    "connection",
    "content_length",
    "content_type",
    "transfer_encoding",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "accept_encoding",
    "range",
    "authorization",
];
/// What differs from request to request by itself.
const EACH_REQUEST: [&str; 4] = ["request_id", "connection", "msec", "remote_port"];

/// Who asks, as another user each time; `None` where all that we ask is of one user, as by
/// `$remote_addr`.
pub fn visitor(key: &str) -> Option<Visitor> {
    let (mut visitor, mut differs) = (Visitor::default(), false);
    for name in variables(key) {
        if let Some(cookie) = name.strip_prefix("cookie_") {
            visitor.cookies.push(cookie.to_owned());
        } else if name == "http_cookie" {
            visitor.cookies.push("deploy-guard".to_owned());
        } else if let Some(argument) = name.strip_prefix("arg_") {
            visitor.arguments.push(argument.to_owned());
        } else if let Some(header) = name.strip_prefix("http_")
            && !NOT_OURS.contains(&header)
        {
            visitor.headers.push(header.replace('_', "-"));
        }
        differs |= EACH_REQUEST.contains(&name.as_str());
    }
    let chosen = visitor != Visitor::default();
    (chosen || differs).then_some(visitor)
}

/// Whether a request may have nothing of the key, as one of a user who is new: all of it comes from the request.
pub fn may_be_empty(key: &str) -> bool {
    let names = variables(key);
    let written = format!("${}", names.join("$"));
    let plain = key.replace(['{', '}'], "");
    let is_sent = |name: &String| {
        let kinds = ["cookie_", "http_", "arg_"];
        kinds.iter().any(|kind| name.starts_with(kind)) && name != "http_host"
    };
    !names.is_empty() && plain.eq_ignore_ascii_case(&written) && names.iter().all(is_sent)
}

/// The variables of a text: `$cookie_id`, `${remote_addr}`.
fn variables(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split('$').skip(1) {
        let part = part.strip_prefix('{').unwrap_or(part);
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        found.push(part[..end.unwrap_or(part.len())].to_ascii_lowercase());
    }
    found
}

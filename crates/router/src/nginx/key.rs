//! The key of `split_clients`: whether we can be another user each time, and how.

use crate::visitor::Visitor;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_we_send_makes_another_user_each_time() {
        let of = |key: &str| {
            let Visitor {
                cookies,
                headers,
                arguments,
            } = visitor(key)?;
            Some([cookies, headers, arguments].concat())
        };
        assert_eq!(of("$cookie_id"), Some(vec!["id".to_owned()]));
        assert_eq!(of("${http_X_User}AAA"), Some(vec!["x-user".to_owned()]));
        assert_eq!(of("$arg_user$remote_addr"), Some(vec!["user".to_owned()]));
        assert_eq!(of("$request_id"), Some(Vec::new()));
        for one_user in ["$remote_addr", "$http_host", "$uri", "${remote_addr}x", "$"] {
            assert_eq!(of(one_user), None, "{one_user}");
        }
    }
}

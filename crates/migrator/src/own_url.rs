//! The URL as the tool gets it: what it says of the session itself would beat the environment.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A URL of PostgreSQL with our name for its `application_name`, and our options behind its own `options`,
/// where it has them. One without is as it was.
pub(crate) fn own_url(url: &str, name: &str, options: Option<&str>) -> String {
    let Some((before, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let with =
        |key: &str, value: &str| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key @ ("application_name" | "ApplicationName"), _)) => with(key, name),
        Some(("options", own)) => match options {
            Some(options) => {
                let own = percent_decode_str(own).decode_utf8_lossy();
                with("options", &format!("{own} {options}"))
            }
            None => pair.to_owned(),
        },
        _ => pair.to_owned(),
    });
    format!("{before}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says_of_the_session_does_not_beat_the_limits() {
        let own = |url| own_url(url, "ours 7", Some("-c lock_timeout=1"));
        assert_eq!(
            own("postgres://a:b@h/d?sslmode=disable"),
            "postgres://a:b@h/d?sslmode=disable"
        );
        assert_eq!(
            own("postgres://h/d?application_name=shop&options=-csearch_path%3Dx"),
            "postgres://h/d?application_name=ours%207&options=%2Dcsearch%5Fpath%3Dx%20%2Dc%20lock%5Ftimeout%3D1"
        );
        assert_eq!(
            own_url("postgres://h/d?options=x", "n", None),
            "postgres://h/d?options=x"
        );
        assert_eq!(own("postgres://h/d"), "postgres://h/d");
    }
}

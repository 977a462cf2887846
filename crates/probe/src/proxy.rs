//! Whether a URL is asked through a proxy, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`.
//!
//! The HTTP client obeys them by itself, by these very rules. A probe must know, because the proxy
//! then resolves the name: there are no addresses to choose from, and perhaps none to be found.

use std::sync::OnceLock;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

pub(crate) fn applies(url: &Url) -> bool {
    static MATCHER: OnceLock<Matcher> = OnceLock::new();
    let uri: Result<http::Uri, _> = url.as_str().parse();
    uri.is_ok_and(|uri| {
        MATCHER
            .get_or_init(Matcher::from_env)
            .intercept(&uri)
            .is_some()
    })
}

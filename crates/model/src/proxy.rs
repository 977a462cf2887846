//! Who refuses: the server, or a proxy on the way to it.

/// Programs that refuse in their own name, over plain HTTP with the server's status codes.
const PROXIES: [&str; 2] = ["tinyproxy", "squid"];

/// Whether this answer to a request that may have gone through a proxy is the proxy's own refusal.
/// `server` is the header of that name. tinyproxy says 401 to a wrong password and 403 to a host
/// that it does not let through, as if the server did.
pub fn refuses(status: u16, server: Option<&str>) -> bool {
    let name = server.and_then(|text| text.split('/').next());
    let proxy =
        name.is_some_and(|name| PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy)));
    status == 407 || proxy && matches!(status, 401 | 403)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_refusal_is_not_the_servers() {
        assert!(refuses(407, None));
        assert!(refuses(401, Some("tinyproxy/1.11.1")) && refuses(403, Some("squid")));
        assert!(!refuses(401, Some("nginx")) && !refuses(403, None));
        // That the server cannot be reached is told of the server.
        assert!(!refuses(502, Some("tinyproxy/1.11.1")));
    }
}

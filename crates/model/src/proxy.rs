//! Which requests go through a proxy, and whose answer it is that comes back.
//!
//! Every HTTP client here asks this for the proxies of the environment. They are read as curl
//! reads them: a person tries with curl, and must see the same.
//! <https://curl.se/docs/manpage.html#ENVIRONMENT>

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::{Env, Secret};

/// The proxies that the environment names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    // A user and a password may be part of each.
    http: Option<Secret>,
    https: Option<Secret>,
    all: Option<Secret>,
    exceptions: Exceptions,
}

impl Proxies {
    /// Lower-case names first. An empty value counts as not set.
    pub fn of_env(env: &Env) -> Proxies {
        let of = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| env.secret(name));
            values.next()
        };
        // In a CGI program a request's header `Proxy:` comes as `HTTP_PROXY`.
        let http: &[&str] = if env.get("REQUEST_METHOD").is_some() {
            &["http_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY"]
        };
        Proxies {
            http: of(http),
            https: of(&["https_proxy", "HTTPS_PROXY"]),
            all: of(&["all_proxy", "ALL_PROXY"]),
            exceptions: Exceptions::read(
                of(&["no_proxy", "NO_PROXY"])
                    .as_ref()
                    .map_or("", Secret::expose),
            ),
        }
    }

    /// Those of this process, read once.
    pub fn of_process() -> &'static Proxies {
        static READ: LazyLock<Proxies> = LazyLock::new(|| {
            let text = std::env::vars_os().filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                let meant =
                    name.to_ascii_lowercase().ends_with("_proxy") || name == "REQUEST_METHOD";
                Some((meant.then_some(name)?, value.into_string().ok()?))
            });
            Proxies::of_env(&text.collect())
        });
        &READ
    }

    /// The proxy for a URL of this scheme to this host, as it is written; `None` where the way is
    /// direct. An IPv6 address may be in brackets.
    pub fn of(&self, scheme: &str, host: &str, port: u16) -> Option<&str> {
        if self.exceptions.name(host, port) {
            return None;
        }
        let own = match scheme {
            "http" => &self.http,
            "https" => &self.https,
            _ => return None,
        };
        own.as_ref().or(self.all.as_ref()).map(Secret::expose)
    }
}

/// The proxy of this process for the parts of a URL, for a client that asks so.
pub fn of_process(scheme: &str, host: Option<&str>, port: Option<u16>) -> Option<String> {
    let proxy = Proxies::of_process().of(scheme, host?, port?);
    proxy.map(str::to_owned)
}

/// Who is reached directly (`NO_PROXY`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everybody,
    /// A name and all below it; with a port only there, which curl does not know.
    Name(String, Option<u16>),
    /// A network, by the bits that count.
    Network(IpAddr, u32, Option<u16>),
}

impl Exceptions {
    fn read(text: &str) -> Exceptions {
        // Only alone: in a list curl takes it for a name.
        if text.trim() == "*" {
            return Exceptions(vec![Exception::Everybody]);
        }
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        Exceptions(words.filter_map(Exception::read).collect())
    }

    fn name(&self, host: &str, port: u16) -> bool {
        let host = bare(host);
        let address: Option<IpAddr> = host.parse().ok();
        let here = |only: &Option<u16>| only.is_none_or(|only| only == port);
        self.0.iter().any(|exception| match exception {
            Exception::Everybody => true,
            Exception::Network(network, bits, only) => {
                here(only) && address.is_some_and(|address| shares(*network, address, *bits))
            }
            // An address is not a name: `1.2.3.4` is not below `4`.
            Exception::Name(name, only) => {
                here(only) && address.is_none() && is_below(host.trim_end_matches('.'), name)
            }
        })
    }
}

impl Exception {
    fn read(word: &str) -> Option<Exception> {
        if let Some((address, bits)) = word.split_once('/') {
            let address: IpAddr = bare(address).parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(address))?;
            return Some(Exception::Network(address, bits, None));
        }
        if let Ok(address) = bare(word).parse() {
            return Some(Exception::Network(address, width(address), None));
        }
        let (name, port) = match word.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (word, None),
        };
        if let Ok(address) = bare(name).parse() {
            return Some(Exception::Network(address, width(address), port));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = name.strip_prefix('.').unwrap_or(name);
        (!name.is_empty()).then(|| Exception::Name(name.to_ascii_lowercase(), port))
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses have their first bits in common.
fn shares(network: IpAddr, address: IpAddr, bits: u32) -> bool {
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits())
                .checked_shr(32 - bits)
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits())
                .checked_shr(128 - bits)
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

fn is_below(host: &str, name: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What is seen of an answer to a request that a proxy may have passed on in plain text.
#[derive(Clone, Copy, Debug)]
pub struct PlainAnswer<'a> {
    pub status: u16,
    /// The header `Server`.
    pub server: Option<&'a str>,
    /// The header `Via`, which each program that passes an answer on must add to it.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3>
    pub via: Option<&'a str>,
    /// A header by which proxies mark what is their own: `Proxy-Status`, `X-Squid-Error`.
    pub marked: bool,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Server,
    Proxy,
    /// A gateway's failure, and nothing tells which gateway's.
    Unknown,
}

/// Programs that answer in their own name, over plain HTTP with the server's status codes.
const PROXIES: [&str; 2] = ["tinyproxy", "squid"];

impl PlainAnswer<'_> {
    /// tinyproxy says 401 to a wrong password and 403 to a host that it does not let through, as
    /// if the server did.
    pub fn origin(self) -> Origin {
        let PlainAnswer {
            status,
            server,
            via,
            marked,
        } = self;
        let name = server.and_then(|text| text.split('/').next());
        let is = |proxy: &&str| name.is_some_and(|name| name.eq_ignore_ascii_case(proxy));
        let named = PROXIES.iter().any(is);
        match status {
            407 => Origin::Proxy,
            400.. if marked => Origin::Proxy,
            401 | 403 | 500 | 502..=504 if named => Origin::Proxy,
            502..=504 if via.is_none() => Origin::Unknown,
            _ => Origin::Server,
        }
    }
}

/// Whether an answer to a request that may have gone through a proxy is the proxy's own refusal.
/// `server` is the header of that name.
pub fn refuses(status: u16, server: Option<&str>) -> bool {
    let seen = PlainAnswer {
        status,
        server,
        via: None,
        marked: false,
    };
    seen.origin() == Origin::Proxy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_refusal_is_not_the_servers() {
        assert!(refuses(407, None));
        assert!(refuses(401, Some("tinyproxy/1.11.1")) && refuses(403, Some("squid")));
        assert!(!refuses(401, Some("nginx")) && !refuses(403, None));
        assert!(refuses(502, Some("tinyproxy/1.11.1")) && !refuses(404, Some("squid/6.1")));
    }

    #[test]
    fn a_gateways_failure_is_the_servers_only_where_it_was_passed_on() {
        let origin = |status, server, via, marked| {
            PlainAnswer {
                status,
                server,
                via,
                marked,
            }
            .origin()
        };
        assert_eq!(origin(503, None, None, false), Origin::Unknown);
        assert_eq!(origin(502, Some("nginx"), None, false), Origin::Unknown);
        let passed_on = origin(503, Some("nginx"), Some("1.1 tinyproxy"), false);
        assert_eq!(passed_on, Origin::Server);
        assert_eq!(origin(503, None, Some("1.1 p"), true), Origin::Proxy);
        assert_eq!(origin(500, Some("nginx"), None, false), Origin::Server);
        assert_eq!(origin(200, None, None, false), Origin::Server);
    }

    fn direct(no_proxy: &str, host: &str) -> bool {
        let env = Env::from_iter([("ALL_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)]);
        Proxies::of_env(&env).of("http", host, 8080).is_none()
    }

    #[test]
    fn exceptions_are_read_as_curl_reads_them() {
        for (no_proxy, host) in [
            ("*", "127.0.0.1"),
            (" * ", "shop.test"),
            ("*", "[::1]"),
            ("shop.test", "shop.test"),
            ("shop.test", "SHOP.Test."),
            ("shop.test", "www.shop.test"),
            (".shop.test", "shop.test"),
            (".shop.test", "www.shop.test"),
            ("shop.test.", "shop.test"),
            ("a.test,shop.test", "shop.test"),
            ("a.test , shop.test", "shop.test"),
            ("a.test shop.test", "shop.test"),
            ("a.test,,shop.test,", "shop.test"),
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.0/8", "10.200.3.4"),
            ("10.0.0.0/0", "192.0.2.1"),
            ("::1", "[::1]"),
            ("[::1]", "::1"),
            ("fd00::/8", "[fd12::1]"),
            ("shop.test:8080", "shop.test"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
        ] {
            assert!(direct(no_proxy, host), "{no_proxy} for {host}");
        }
        for (no_proxy, host) in [
            ("", "shop.test"),
            ("*,a.test", "shop.test"),
            ("*.test", "shop.test"),
            ("shop.test", "webshop.test"),
            ("www.shop.test", "shop.test"),
            ("shop", "shop.test"),
            ("1", "127.0.0.1"),
            ("0.0.1", "127.0.0.1"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/33", "10.0.0.1"),
            ("10.0.0.0/8", "10.shop.test"),
            ("::/0", "10.0.0.1"),
            ("shop.test:81", "shop.test"),
            ("127.0.0.1:81", "127.0.0.1"),
        ] {
            assert!(!direct(no_proxy, host), "{no_proxy} for {host}");
        }
    }

    #[test]
    fn lower_case_names_come_first_and_what_is_empty_is_not_there() {
        let env = Env::from_iter([
            ("http_proxy", "http://lower:1"),
            ("HTTP_PROXY", "http://upper:1"),
            ("https_proxy", ""),
            ("HTTPS_PROXY", "upper:2"),
            ("no_proxy", ""),
            ("NO_PROXY", "direct.test"),
        ]);
        let proxies = Proxies::of_env(&env);
        assert_eq!(proxies.of("http", "a.test", 80), Some("http://lower:1"));
        assert_eq!(proxies.of("https", "a.test", 443), Some("upper:2"));
        assert_eq!(proxies.of("https", "direct.test", 443), None);
        let cgi = Env::from_iter([("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(Proxies::of_env(&cgi).of("http", "a.test", 80), None);
    }
}

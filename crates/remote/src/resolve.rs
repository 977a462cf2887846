//! What a name's addresses are, and whether it was the name or our resolver that gave none.
//!
//! `std` and tokio make one text of all that `getaddrinfo` can answer; here its own codes are
//! looked at.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};

/// Why a name gave no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The resolver answered: the name does not exist (NXDOMAIN), or it has no address (NODATA).
    #[error("the name `{name}` does not resolve: {what}")]
    NoName { name: String, what: &'static str },
    /// The resolver did not answer: it refuses, fails (SERVFAIL), is silent or cannot be reached.
    #[error("the name `{name}` was not looked up: {} {reason}", resolver())]
    NotAsked { name: String, reason: String },
    /// Something of this process or its machine.
    #[error("the name `{name}` was not looked up: {reason}")]
    Ours { name: String, reason: String },
}

/// The addresses of a name, at this port. The caller bounds the time.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    if is_invalid(host) {
        return Err(no_name(host, "names that end with `.invalid` never do"));
    }
    let name = host.to_owned();
    let looked_up = tokio::task::spawn_blocking(move || resolve_addresses(&name, port)).await;
    looked_up.unwrap_or_else(|error| {
        Err(ResolveError::Ours {
            name: host.to_owned(),
            reason: error.to_string(),
        })
    })
}

/// Such names do not exist by definition, and no resolver needs to be asked.
/// <https://www.rfc-editor.org/rfc/rfc6761#section-6.4>
fn is_invalid(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("invalid"))
}

fn no_name(host: &str, what: &'static str) -> ResolveError {
    ResolveError::NoName {
        name: host.to_owned(),
        what,
    }
}

fn resolve_addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let hints = AddrInfoHints {
        // Else each address comes once for each type of socket.
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints));
    let found = found.map_err(|error| resolve_error(host, error))?;
    let address = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    // An address of a kind that is not known here is left out.
    let all: Vec<_> = found.flatten().map(|one| address(one.sockaddr)).collect();
    if all.is_empty() {
        return Err(no_name(host, "it has no address"));
    }
    Ok(all)
}

fn resolve_error(host: &str, error: LookupError) -> ResolveError {
    use LookupErrorKind as Kind;
    let kind = error.kind();
    let error = io::Error::from(error);
    let (name, reason) = (host.to_owned(), error.to_string());
    if let Some(fault) = super::local_error::fault(&error) {
        let reason = fault.to_owned();
        return ResolveError::Ours { name, reason };
    }
    match kind {
        Kind::NoName => no_name(host, "there is no such name"),
        Kind::NoData | Kind::Family => no_name(host, "it has no address"),
        Kind::Memory | Kind::System | Kind::IO => ResolveError::Ours { name, reason },
        Kind::Again => ResolveError::NotAsked {
            name,
            reason: "gives no answer (refused, SERVFAIL or silent)".to_owned(),
        },
        _ => ResolveError::NotAsked { name, reason },
    }
}

/// How this machine looks names up, for a person: `the resolver (nameserver 10.0.0.2)`.
pub fn resolver() -> String {
    const MAX: u64 = 64 << 10;
    let bytes = files::read(Path::new("/etc/resolv.conf"), MAX).unwrap_or_default();
    named(&String::from_utf8_lossy(&bytes))
}

fn named(resolv_conf: &str) -> String {
    // More than three are not asked either.
    let servers: Vec<&str> = resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next())
        .filter(|server| server.len() <= 64)
        .take(3)
        .collect();
    match servers.as_slice() {
        [] => "the resolver of this machine".to_owned(),
        servers => format!("the resolver (nameserver {})", servers.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolver_is_told_by_its_servers() {
        assert_eq!(
            named("# ours\nsearch a.test\nnameserver 10.0.0.2\n nameserver\t::1 # second\n"),
            "the resolver (nameserver 10.0.0.2, ::1)"
        );
        assert_eq!(named("options edns0\n"), "the resolver of this machine");
    }

    #[test]
    fn what_is_invalid_by_definition_needs_no_resolver() {
        assert!(is_invalid("shop.invalid") && is_invalid("a.INVALID.") && is_invalid("invalid"));
        assert!(!is_invalid("invalid.test") && !is_invalid("notinvalid"));
    }
}

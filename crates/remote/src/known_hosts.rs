//! `known_hosts` files as OpenSSH reads them: several names a line, wildcards, `!`, hashed names,
//! `[name]:port`, `@revoked` and `@cert-authority`.
//!
//! libssh2 has its own reader, but it takes `@revoked` for a host's name and does not support
//! wildcards; a revoked key would still be trusted.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::glob;

/// More than `known_hosts` files hold.
const MAX_SIZE: u64 = 16 << 20;

/// The keys that a file holds for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostKeys {
    /// Kind (`ssh-ed25519`) and key of each line that names the host.
    keys: Vec<(String, Vec<u8>)>,
    revoked: Vec<Vec<u8>>,
    /// An authority may sign for the host; certificates are not read here.
    pub(crate) authority: bool,
}

/// What a file contains about the key that a host has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Known,
    Changed,
    Unknown,
    Revoked,
}

impl HostKeys {
    /// Reads a file for the host at this address and port.
    pub(crate) fn read(path: &Path, address: &str, port: u16) -> std::io::Result<HostKeys> {
        let bytes = files::read(path, MAX_SIZE)?;
        Ok(HostKeys::parse(
            &String::from_utf8_lossy(&bytes),
            address,
            port,
        ))
    }

    fn parse(text: &str, address: &str, port: u16) -> HostKeys {
        let address = address.to_ascii_lowercase();
        let with_port = format!("[{address}]:{port}");
        let mut exact = HostKeys::default();
        let mut any_port = HostKeys::default();
        for line in text.lines() {
            if port != 22 {
                exact.take(line, &with_port);
            }
            any_port.take(line, &address);
        }
        // As OpenSSH does: a line without a port speaks of the host at any port, where no line
        // speaks of this one. What is revoked is so at every port.
        if port == 22 || exact.keys.is_empty() && !exact.authority {
            exact.keys = any_port.keys;
            exact.authority |= any_port.authority;
        }
        exact.revoked.extend(any_port.revoked);
        exact
    }

    fn take(&mut self, line: &str, name: &str) {
        let mut words = line.split_ascii_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (Some(hosts), Some(kind), Some(key)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        if hosts.starts_with('#') || !names(hosts, name) {
            return;
        }
        let Ok(key) = STANDARD.decode(key) else {
            return;
        };
        match marker {
            None => self.keys.push((kind.to_owned(), key)),
            Some("@revoked") => self.revoked.push(key),
            Some("@cert-authority") => self.authority = true,
            Some(_) => {}
        }
    }

    pub(crate) fn trusts(&self, key: &[u8]) -> Trust {
        if self.revoked.iter().any(|revoked| revoked == key) {
            return Trust::Revoked;
        }
        if self.keys.iter().any(|(_, known)| known == key) {
            return Trust::Known;
        }
        if self.keys.is_empty() {
            Trust::Unknown
        } else {
            Trust::Changed
        }
    }

    /// The kinds of key that are known, as a preference list. Without it a server that offers
    /// another kind first would seem to have changed.
    pub(crate) fn kinds(&self) -> Option<String> {
        let mut kinds: Vec<&str> = Vec::new();
        for (kind, _) in &self.keys {
            let kind = match kind.as_str() {
                "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256,ssh-rsa",
                kind => kind,
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        // Of several, the one that is cheapest to sign with on the host.
        kinds.sort_by_key(|kind| !kind.contains("ed25519"));
        (!kinds.is_empty()).then(|| kinds.join(","))
    }
}

/// Whether a line's first field names a host: by its hash, or by patterns of which none forbids.
fn names(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return hash_names(hashed, name).unwrap_or_default();
    }
    let mut named = false;
    for pattern in hosts.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern, name) => return false,
            Some(_) => {}
            None => named |= glob(&pattern, name),
        }
    }
    named
}

/// `base64(salt)|base64(HMAC-SHA1(salt, name))`.
fn hash_names(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// base64 of `good` and of `evil`.
    const GOOD: &str = "Z29vZA==";
    const EVIL: &str = "ZXZpbA==";

    fn trust(text: &str, address: &str, port: u16) -> Trust {
        HostKeys::parse(text, address, port).trusts(b"good")
    }

    #[test]
    fn names_addresses_ports_and_patterns_are_matched_as_openssh_does() {
        let known = |hosts: &str, address, port| {
            trust(
                &format!("{hosts} ssh-ed25519 {GOOD} comment"),
                address,
                port,
            ) == Trust::Known
        };
        assert!(known("web-01", "web-01", 22));
        assert!(known("WEB-01", "Web-01", 22));
        assert!(known("a,web-01,b", "web-01", 22));
        assert!(known("web-*.example", "web-1.example", 22));
        assert!(known("web-?", "web-1", 22));
        assert!(known("[web-01]:2222", "web-01", 2222));
        assert!(known("[::1]:2222", "::1", 2222));
        assert!(known("::1", "::1", 22));
        assert!(known("web-01", "web-01", 2222), "any port");
        assert!(!known("[web-01]:2222", "web-01", 22));
        assert!(!known("[web-01]:2222", "web-01", 2223));
        assert!(!known("*,!web-01", "web-01", 22));
        assert!(!known("web-01.example", "web-01", 22));
        assert!(!known("#web-01", "web-01", 22));
    }

    #[test]
    fn a_hashed_name_is_the_name() {
        let salt = STANDARD.encode(b"01234567890123456789");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"01234567890123456789");
        let hash = STANDARD.encode(hmac::sign(&key, b"[127.0.0.1]:2222"));
        let line = format!("|1|{salt}|{hash} ssh-ed25519 {GOOD}");
        assert_eq!(trust(&line, "127.0.0.1", 2222), Trust::Known);
        assert_eq!(trust(&line, "127.0.0.2", 2222), Trust::Unknown);
        assert_eq!(trust("|1|x|y ssh-ed25519 AAAA", "x", 22), Trust::Unknown);
        assert_eq!(trust("|1| ssh-ed25519 AAAA", "x", 22), Trust::Unknown);
    }

    #[test]
    fn what_is_revoked_is_not_trusted_and_an_authority_is_no_key() {
        let line = format!("web ssh-ed25519 {GOOD}\n");
        let revoked = format!("@revoked * ssh-ed25519 {GOOD}\n");
        assert_eq!(
            trust(&format!("{line}{revoked}"), "web", 22),
            Trust::Revoked
        );
        assert_eq!(trust(&revoked, "web", 2222), Trust::Revoked);
        let authority = format!("@cert-authority * ssh-ed25519 {GOOD}\n");
        assert_eq!(trust(&authority, "web", 22), Trust::Unknown);
        assert!(HostKeys::parse(&authority, "web", 22).authority);
        assert_eq!(
            trust(&format!("@odd web ssh-ed25519 {GOOD}"), "web", 22),
            Trust::Unknown
        );
    }

    #[test]
    fn another_key_is_a_change_unless_one_of_several_matches() {
        let other = format!("web ssh-rsa {EVIL}\n");
        assert_eq!(trust(&other, "web", 22), Trust::Changed);
        let both = format!("{other}web ssh-ed25519 {GOOD}\n");
        assert_eq!(trust(&both, "web", 22), Trust::Known);
        assert_eq!(trust(&other, "db", 22), Trust::Unknown);
        assert_eq!(
            HostKeys::parse(&both, "web", 22).kinds().unwrap(),
            "ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa"
        );
        // The line for this port comes before the one for any.
        let port = format!("web ssh-ed25519 {GOOD}\n[web]:2222 ssh-ed25519 {EVIL}\n");
        assert_eq!(trust(&port, "web", 2222), Trust::Changed);
    }
}

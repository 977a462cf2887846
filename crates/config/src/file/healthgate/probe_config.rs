//! What every kind of probe tells of itself, and the rules of its kind.

use std::path::Path;

use model::Severity;
use model::release::Match;
use yaml::Fault;

use super::policy::PolicyOverlay;
use crate::value::{Address, Member, Portion};
use sections::HostList;
use sections::KeyPosition;

/// A kind of probe, by the type of its entries in the file.
pub trait ProbeConfig: Clone {
    /// Whether a `{target}`, `{host}` or `{address}` in the probe's values distinguishes the members
    /// of a group; otherwise each member is probed on its own host.
    const HAS_PLACES: bool = true;

    fn name(&self) -> &str;

    fn severity(&self) -> Severity;

    /// What the probe does otherwise than the stage's policy.
    fn policy(&self) -> Option<&PolicyOverlay>;

    /// Its endpoints, if its kind can have many.
    fn group(&self) -> Option<Group<'_>> {
        None
    }

    fn is_group(&self) -> bool {
        self.group().is_some_and(|group| group.is_meant())
    }

    /// Puts a member in its place wherever this kind has places.
    fn fill(&mut self, member: &Member) -> Result<(), MemberError> {
        let _ = member;
        Ok(())
    }

    /// Whether it has any such place; else every member would be asked the same.
    fn has_place(&self) -> bool {
        false
    }

    /// How the name of a release in its answers is compared, where it says so.
    fn release_rule(&self) -> Option<Match> {
        None
    }

    /// The rules of this kind that its type cannot state; `spot` is where the probe stands.
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let _ = spot;
        Ok(())
    }
}

/// Why a member cannot be put in the places of a probe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MemberError {
    #[error(transparent)]
    Address(#[from] crate::value::Error),
    #[error("`{0}` has no port")]
    NoPort(Address),
    #[error("`host` and `hosts` exclude each other")]
    OneHost,
}

/// The endpoints of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    pub targets_file: Option<&'a Path>,
    pub hosts: Option<&'a HostList>,
    pub require: Option<Portion>,
}

impl Group<'_> {
    /// Whether there is any word of many endpoints.
    pub fn is_meant(&self) -> bool {
        self.targets_file.is_some() || self.hosts.is_some()
    }
}

/// The fields that every kind has.
macro_rules! common_fields {
    () => {
        fn name(&self) -> &str {
            &self.name
        }

        fn severity(&self) -> model::Severity {
            self.severity
        }

        fn policy(&self) -> Option<&PolicyOverlay> {
            self.policy.as_ref()
        }
    };
}

/// The fields of a kind whose members stand in a file or under `hosts:`.
macro_rules! group_fields {
    () => {
        fn group(&self) -> Option<super::Group<'_>> {
            Some(super::Group {
                targets_file: self.targets_file.as_deref(),
                hosts: self.hosts.as_ref(),
                require: self.require,
            })
        }
    };
}

/// A server at an `address`, reached by `via` where that is given: both are filled in, and the name
/// in its certificate.
macro_rules! server_places {
    () => {
        fn fill(&mut self, member: &crate::value::Member) -> Result<(), super::MemberError> {
            self.address = super::probe_config::filled(&self.address, member)?;
            for text in [&mut self.server_name, &mut self.via].into_iter().flatten() {
                *text = member.fill(text);
            }
            Ok(())
        }

        fn has_place(&self) -> bool {
            let is_place = crate::value::has_place;
            is_place(self.address.host()) || self.via.as_deref().is_some_and(is_place)
        }
    };
}

/// A kind that is asked on a machine, here or on hosts.
macro_rules! on_hosts {
    () => {
        const HAS_PLACES: bool = false;

        fn group(&self) -> Option<super::Group<'_>> {
            Some(super::Group {
                targets_file: None,
                hosts: self.hosts.as_ref(),
                require: self.require,
            })
        }

        fn fill(&mut self, member: &crate::value::Member) -> Result<(), super::MemberError> {
            if self.host.is_some() {
                return Err(super::MemberError::OneHost);
            }
            self.host = Some(member.host.clone());
            Ok(())
        }
    };
}

/// The rule of a kind that is asked on one host or on several.
pub(super) fn one_or_many(
    spot: KeyPosition<'_>,
    host: Option<&str>,
    hosts: Option<&HostList>,
) -> Result<(), Fault> {
    if host.is_some() && hosts.is_some() {
        return spot.refuse("hosts", "`host` and `hosts` exclude each other");
    }
    host.map_or(Ok(()), |name| spot.key("host").known_host(name))
}

/// The rule of an address whose port has no default.
pub(super) fn port_given(spot: KeyPosition<'_>, address: &Address) -> Result<(), Fault> {
    if address.port().is_some() {
        return Ok(());
    }
    let fault = spot.key("address").fault("no port is given");
    Err(fault.hint("write it as `host:port`"))
}

pub(super) fn filled(address: &Address, member: &Member) -> Result<Address, MemberError> {
    let host = member.fill(address.host());
    let text = match address.port() {
        Some(port) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_filled_and_read_again() {
        let fill = |address: &str, line: &str| {
            filled(&address.parse().unwrap(), &Member::of_line(line)).map(|it| it.to_string())
        };
        assert_eq!(fill("{host}:443", "web-01:80").unwrap(), "web-01:443");
        assert_eq!(fill("{target}", "web-01:80").unwrap(), "web-01:80");
        assert_eq!(fill("{host}:443", "[::1]:80").unwrap(), "[::1]:443");
        assert!(fill("{target}:443", "a/b").is_err());
    }
}

//! Many endpoints under one probe.

use std::path::Path;

use super::{
    CommandProbe, ComposeProbe, DnsProbe, DockerProbe, EcsProbe, GrpcProbe, HostList, HttpProbe,
    PostgresProbe, PrometheusProbe, RedisProbe, SmokeProbe, SystemdProbe, TcpProbe, TlsProbe,
};
use crate::value::{Address, Member, Portion, has_place};

/// The endpoints that a probe stands for.
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

/// A kind of probe that may stand for many endpoints.
pub trait Template: Clone {
    /// The probe's own words of many endpoints, where its kind has them.
    fn group(&self) -> Option<Group<'_>> {
        None
    }

    /// Puts a member in its place wherever this kind has places.
    fn fill(&mut self, member: &Member) -> Result<(), String> {
        let _ = member;
        Ok(())
    }

    /// Whether it has any such place; else every member would be asked the same.
    fn has_place(&self) -> bool {
        false
    }
}

macro_rules! group {
    () => {
        fn group(&self) -> Option<Group<'_>> {
            Some(Group {
                targets_file: self.targets_file.as_deref(),
                hosts: self.hosts.as_ref(),
                require: self.require,
            })
        }
    };
}

impl Template for HttpProbe {
    group!();

    fn fill(&mut self, member: &Member) -> Result<(), String> {
        let in_url = member.in_url();
        self.url = in_url.fill(&self.url);
        if let Some(via) = &mut self.via {
            *via = member.fill(via);
        }
        if let Some(name) = &mut self.server_name {
            *name = member.fill(name);
        }
        for value in self.headers.values_mut() {
            *value = member.fill(value);
        }
        if let Some(url) = self
            .release
            .as_mut()
            .and_then(|release| release.url.as_mut())
        {
            *url = in_url.fill(url);
        }
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(&self.url) || self.via.as_deref().is_some_and(has_place)
    }
}

impl Template for TcpProbe {
    group!();

    fn fill(&mut self, member: &Member) -> Result<(), String> {
        self.address = filled(&self.address, member)?;
        if let Some(via) = &mut self.via {
            *via = member.fill(via);
        }
        match self.address.port() {
            Some(_) => Ok(()),
            None => Err(format!("`{}` has no port", self.address)),
        }
    }

    fn has_place(&self) -> bool {
        has_place(self.address.host()) || self.via.as_deref().is_some_and(has_place)
    }
}

impl Template for GrpcProbe {
    group!();

    fn fill(&mut self, member: &Member) -> Result<(), String> {
        self.address = filled(&self.address, member)?;
        if let Some(via) = &mut self.via {
            *via = member.fill(via);
        }
        if let Some(name) = &mut self.server_name {
            *name = member.fill(name);
        }
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(self.address.host()) || self.via.as_deref().is_some_and(has_place)
    }
}

impl Template for TlsProbe {
    group!();

    fn fill(&mut self, member: &Member) -> Result<(), String> {
        self.address = filled(&self.address, member)?;
        if let Some(name) = &mut self.server_name {
            *name = member.fill(name);
        }
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(self.address.host())
    }
}

impl Template for DnsProbe {
    group!();

    fn fill(&mut self, member: &Member) -> Result<(), String> {
        self.host = member.fill(&self.host);
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(&self.host)
    }
}

/// Databases have their place in the address, and in the host that they are reached through.
macro_rules! of_servers {
    ($($type:ident),*) => {$(
        impl Template for $type {
            group!();

            fn fill(&mut self, member: &Member) -> Result<(), String> {
                self.address = filled(&self.address, member)?;
                for text in [&mut self.server_name, &mut self.via].into_iter().flatten() {
                    *text = member.fill(text);
                }
                Ok(())
            }

            fn has_place(&self) -> bool {
                has_place(self.address.host()) || self.via.as_deref().is_some_and(has_place)
            }
        }
    )*};
}

of_servers!(PostgresProbe, RedisProbe);

/// What is asked on a machine has its place in `host`.
macro_rules! on_hosts {
    ($($type:ident),*) => {$(
        impl Template for $type {
            fn group(&self) -> Option<Group<'_>> {
                Some(Group {
                    targets_file: None,
                    hosts: self.hosts.as_ref(),
                    require: self.require,
                })
            }

            fn fill(&mut self, member: &Member) -> Result<(), String> {
                if self.host.is_some() {
                    return Err("`host` and `hosts` exclude each other".to_owned());
                }
                self.host = Some(member.host.clone());
                Ok(())
            }

            fn has_place(&self) -> bool {
                true
            }
        }
    )*};
}

on_hosts!(CommandProbe, ComposeProbe, DockerProbe, SystemdProbe);

impl Template for PrometheusProbe {}
impl Template for EcsProbe {}

impl Template for SmokeProbe {}

fn filled(address: &Address, member: &Member) -> Result<Address, String> {
    let host = member.fill(address.host());
    let text = match address.port() {
        Some(port) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    text.parse()
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

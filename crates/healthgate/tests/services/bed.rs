//! A folder with a configuration, and the gate as a user runs it there.

use std::path::PathBuf;

use tempfile::TempDir;
use testkit::{End, Sshd, SystemdHost};

/// Measured often, with time enough for a machine that does much else.
pub(crate) const QUICK: &str =
    "{ interval: 100ms, timeout: 20s, success-threshold: 3, failure-limit: 0, deadline: 60s }";

pub(crate) struct Bed {
    folder: TempDir,
    hosts: String,
    variables: Vec<(String, String)>,
}

impl Bed {
    pub(crate) fn new() -> Bed {
        Bed {
            folder: tempfile::tempdir().unwrap(),
            hosts: String::new(),
            variables: Vec::new(),
        }
    }

    /// With a host of this name.
    pub(crate) fn ssh(self, name: &str, sshd: &Sshd) -> Bed {
        let known_hosts = sshd.known_hosts();
        self.host(name, sshd.port(), sshd.user(), sshd.key(), &known_hosts)
    }

    pub(crate) fn systemd(self, name: &str, host: &SystemdHost) -> Bed {
        let known_hosts = host.known_hosts_for("127.0.0.1");
        self.host(name, host.port(), "root", host.key(), &known_hosts)
    }

    /// With a host like the first one, but on a port where nothing listens.
    pub(crate) fn closed(mut self, name: &str) -> Bed {
        let first = self.hosts.lines().next().unwrap();
        let (_, rest) = first.split_once(": ").unwrap();
        let (address, rest) = rest.split_once("port: ").unwrap();
        let (_, rest) = rest.split_once(',').unwrap();
        let port = testkit::free_port();
        let closed = format!("  {name}: {address}port: {port},{rest}\n");
        self.hosts.push_str(&closed);
        self
    }

    fn host(mut self, name: &str, port: u16, user: &str, key: PathBuf, known: &str) -> Bed {
        let known_hosts = self.path(&format!("known_hosts-{name}"));
        std::fs::write(&known_hosts, known).unwrap();
        self.hosts.push_str(&format!(
            "  {name}: {{ address: 127.0.0.1, port: {port}, user: {user}, key-file: {}, known-hosts: {} }}\n",
            key.display(),
            known_hosts.display()
        ));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Bed {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the gate with these lines below `healthgate:`.
    pub(crate) fn gate(&self, policy: &str, probes: &str) -> End {
        self.gate_with(policy, probes, &[])
    }

    pub(crate) fn gate_with(&self, policy: &str, probes: &str, args: &[&str]) -> End {
        let hosts = if self.hosts.is_empty() {
            String::new()
        } else {
            format!("hosts:\n{}", self.hosts)
        };
        let config = format!(
            "version: 1\nservice: shop\n{hosts}healthgate:\n  policy: {policy}\n{probes}\n"
        );
        std::fs::write(self.path("deploy-guard.yml"), config).unwrap();
        let mut command = testkit::bin("healthgate");
        command.current_dir(self.folder.path()).args(args);
        command.args(["--report", "report.json"]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.output().unwrap().into()
    }

    /// Of the last run; null if it wrote none.
    pub(crate) fn report(&self) -> serde_json::Value {
        let report = std::fs::read(self.path("report.json")).unwrap_or_default();
        serde_json::from_slice(&report).unwrap_or_default()
    }
}

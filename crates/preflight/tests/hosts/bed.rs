//! A host under `hosts:`, its check, and the `preflight` that reads them.

use tempfile::TempDir;
use testkit::Sshd;

/// A folder with a configuration and what it names, and the command that reads it.
pub(crate) struct Bed {
    folder: TempDir,
    pub(crate) config: String,
    pub(crate) known_hosts: String,
    key: Option<String>,
    env: Vec<(&'static str, String)>,
    args: Vec<&'static str>,
}

impl Bed {
    /// One host, `web-01`, with a check that asks for no more than a login.
    pub(crate) fn new(sshd: &Sshd) -> Bed {
        Bed::at(sshd.port(), sshd.user(), &sshd.known_hosts()).key(sshd.private_key())
    }

    pub(crate) fn at(port: u16, user: &str, known_hosts: &str) -> Bed {
        let config = format!(
            "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {port}, user: {user}, key-env: KEY, known-hosts: known_hosts }}\npreflight:\n  timeout: 20s\n  hosts:\n    - host: web-01\n"
        );
        Bed {
            folder: tempfile::tempdir().unwrap(),
            config,
            known_hosts: known_hosts.to_owned(),
            key: None,
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Bed {
        self.key = Some(key.into());
        self
    }

    pub(crate) fn known_hosts(mut self, text: impl Into<String>) -> Bed {
        self.known_hosts = text.into();
        self
    }

    pub(crate) fn replace(mut self, from: &str, to: &str) -> Bed {
        assert!(self.config.contains(from), "{from}");
        self.config = self.config.replace(from, to);
        self
    }

    /// Further keys of the check.
    pub(crate) fn wants(mut self, facts: &str) -> Bed {
        for line in facts.lines() {
            self.config.push_str(&format!("      {}\n", line.trim()));
        }
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Bed {
        self.env.push((name, value.into()));
        self
    }

    pub(crate) fn args(mut self, args: &[&'static str]) -> Bed {
        self.args.extend(args);
        self
    }

    pub(crate) fn run(self) -> assert_cmd::assert::Assert {
        let write = |name: &str, text: &str| {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        };
        write("deploy-guard.yml", &self.config);
        write("known_hosts", &self.known_hosts);
        let mut command = testkit::bin("preflight");
        command.current_dir(self.folder.path()).args(&self.args);
        if let Some(key) = &self.key {
            command.env("KEY", key);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command.assert()
    }
}

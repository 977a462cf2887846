//! What vouches for SSH keys: an authority that signs them, and an agent that holds them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, tool};

/// A key that signs host keys and user keys.
#[derive(Clone, Debug)]
pub struct SshAuthority(Arc<TempDir>);

impl SshAuthority {
    pub fn new() -> SshAuthority {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_key(&folder.path().join("ca"), "ed25519", "");
        SshAuthority(Arc::new(folder))
    }

    /// The file with its public key.
    pub fn public_key(&self) -> PathBuf {
        self.0.path().join("ca.pub")
    }

    /// A `known_hosts` line that trusts it for these names.
    pub fn known_hosts(&self, names: &str) -> String {
        let key = fs::read_to_string(self.public_key()).expect("the key can be read");
        format!("@cert-authority {names} {key}")
    }

    /// Signs a public key, beside which the certificate is written: `KEY-cert.pub`. `validity` is as
    /// `ssh-keygen -V` takes it.
    pub fn sign(&self, public_key: &Path, is_host: bool, principals: &str, validity: &str) {
        let mut command = Command::new(tool("ssh-keygen"));
        command.arg("-q").arg("-s").arg(self.0.path().join("ca"));
        if is_host {
            command.arg("-h");
        }
        command
            .args(["-I", "testkit", "-n", principals, "-V", validity])
            .arg(public_key);
        let status = command.status().expect("ssh-keygen can be started");
        assert!(status.success(), "ssh-keygen signed nothing");
    }
}

impl Default for SshAuthority {
    fn default() -> Self {
        SshAuthority::new()
    }
}

/// An agent with its keys.
#[derive(Debug)]
pub struct SshAgent {
    _process: Process,
    folder: TempDir,
}

impl SshAgent {
    pub fn start() -> SshAgent {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("agent");
        let mut command = Command::new(tool("ssh-agent"));
        command.arg("-D").arg("-a").arg(&socket);
        let process = Process::start(folder.path(), &mut command);
        process.wait(Duration::from_secs(20), || socket.exists());
        SshAgent {
            _process: process,
            folder,
        }
    }

    /// `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Hands it a private key, with its certificate where there is one.
    pub fn add(&self, key: &Path) {
        let status = Command::new(tool("ssh-add"))
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", self.socket())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the agent did not take the key"
        );
    }
}

pub(crate) fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new(tool("ssh-keygen"));
    command
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "testkit", "-f"])
        .arg(path);
    assert!(
        command.status().is_ok_and(|status| status.success()),
        "ssh-keygen made no key"
    );
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the key is ours");
}

//! An SSH server with a host key and one authorized key of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ssh_identity::{SshAuthority, make_key};
use crate::{Process, free_port, tool};

/// sshd on all of 127.0.0.0/8 and on ::1, which lets the current user in with [`Sshd::key`].
#[derive(Debug)]
pub struct Sshd {
    process: Process,
    folder: TempDir,
    port: u16,
    user: String,
    /// Its public key is read for each login.
    _users_of: Option<SshAuthority>,
}

/// What differs from an ordinary server. `@` in `config` and `before` is the server's folder.
#[derive(Clone, Debug)]
pub struct SshdSetup {
    /// The kind of the host's key, as `ssh-keygen -t` names it.
    pub host_key: &'static str,
    /// Lines before those of every server; of two that speak of one thing sshd takes the first.
    pub config: String,
    /// A shell script that runs first, as root and with mounts of its own: what it mounts is seen
    /// by the logins alone.
    pub before: Option<String>,
    /// Who may log in. Default: the user who runs the test.
    pub user: Option<&'static str>,
    /// The certificate that the host shows, where it has one.
    pub certificate: Option<HostCertificate>,
    /// Lets in who shows a user certificate of this authority, and no plain key.
    pub users_of: Option<SshAuthority>,
}

/// A certificate for the host's key.
#[derive(Clone, Debug)]
pub struct HostCertificate {
    pub authority: SshAuthority,
    /// The names that it is for.
    pub principals: String,
    /// As `ssh-keygen -V` takes it.
    pub validity: String,
}

impl Default for SshdSetup {
    fn default() -> Self {
        SshdSetup {
            host_key: "ed25519",
            config: String::new(),
            before: None,
            user: None,
            certificate: None,
            users_of: None,
        }
    }
}

impl SshdSetup {
    pub fn start(self) -> Sshd {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Other users must reach what lies in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let port = free_port();
        let me = text_of(Command::new("id").arg("-un"));
        if me == "root" {
            // sshd separates privileges into this folder, which Debian makes at boot only.
            fs::create_dir_all("/run/sshd").expect("/run/sshd can be made");
        }
        make_key(&folder.path().join("host"), self.host_key, "");
        make_key(&folder.path().join("client"), "ed25519", "");
        fs::copy(
            folder.path().join("client.pub"),
            folder.path().join("authorized"),
        )
        .expect("the key can be authorized");
        let here = folder.path().display().to_string();
        let mut identity = String::new();
        if let Some(certificate) = &self.certificate {
            let key = folder.path().join("host.pub");
            let HostCertificate {
                authority,
                principals,
                validity,
            } = certificate;
            authority.sign(&key, true, principals, validity);
            identity.push_str(&format!("HostCertificate {here}/host-cert.pub\n"));
        }
        if let Some(authority) = &self.users_of {
            let key = authority.public_key();
            let key = key.display();
            identity.push_str(&format!(
                "TrustedUserCAKeys {key}\nAuthorizedKeysFile none\n"
            ));
        }
        let config = folder.path().join("sshd_config");
        let text = at_home(
            &self.config.replace('@', &here),
            &folder.path().join("login-home"),
        );
        let text = text + &identity + &server_config(folder.path(), port);
        fs::write(&config, text).expect("the file can be written");
        // sshd starts itself anew for each connection and so wants an absolute path.
        let sshd = tool("sshd");
        let mut command = match &self.before {
            None => Command::new(sshd),
            Some(before) => {
                assert_eq!(me, "root", "only root can mount; run the tests as root");
                let script = format!("set -e\n{}\nexec \"$0\" \"$@\"", before.replace('@', &here));
                let mut command = Command::new(tool("unshare"));
                command.args(["--mount", "sh", "-c", &script]).arg(sshd);
                command
            }
        };
        command.args(["-D", "-e", "-f"]).arg(&config);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        Sshd {
            process,
            folder,
            port,
            user: self.user.map_or(me, str::to_owned),
            _users_of: self.users_of,
        }
    }
}

impl Sshd {
    pub fn start() -> Sshd {
        SshdSetup::default().start()
    }

    /// Lets a new key in, of this kind and with this passphrase; the key.
    pub fn add_key(&self, kind: &str, passphrase: &str) -> String {
        let path = self
            .folder
            .path()
            .join(format!("key-{kind}-{}", passphrase.len()));
        make_key(&path, kind, passphrase);
        let public = read(&path.with_extension("pub"));
        let authorized = self.folder.path().join("authorized");
        fs::write(&authorized, read(&authorized) + &public).expect("the file can be written");
        read(&path)
    }

    /// The home of those who log in.
    pub fn home(&self) -> PathBuf {
        self.folder().join("login-home")
    }

    /// Where the server keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who may log in: by default the user who runs the test.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The file with the private key that may log in.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// The same key as text, as a secret would hold it.
    pub fn private_key(&self) -> String {
        read(&self.key())
    }

    /// `ssh-ed25519 AAAA…`, the key by which the host is known.
    pub fn host_key(&self) -> String {
        let line = read(&self.folder.path().join("host.pub"));
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// A `known_hosts` file for this server at `127.0.0.1`.
    pub fn known_hosts(&self) -> String {
        self.known_hosts_for("127.0.0.1")
    }

    /// The same for another of its addresses or names.
    pub fn known_hosts_for(&self, address: &str) -> String {
        format!("[{address}]:{} {}\n", self.port, self.host_key())
    }

    /// A `known_hosts` file that holds another key for this server, as after a man in the middle.
    pub fn wrong_known_hosts(&self) -> String {
        let other = read(&self.folder.path().join("client.pub"));
        let key = other.split(' ').take(2).collect::<Vec<_>>().join(" ");
        format!("[127.0.0.1]:{} {key}\n", self.port)
    }

    /// A key that may not log in.
    pub fn stranger_key(&self) -> String {
        let path = self.folder.path().join("stranger");
        if !path.exists() {
            make_key(&path, "ed25519", "");
        }
        read(&path)
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Gives logins an empty home: bash reads `.bashrc` there before each command, and what a person's has takes seconds.
/// sshd takes the first `SetEnv`.
fn at_home(config: &str, home: &Path) -> String {
    fs::create_dir(home).expect("a folder can be made");
    fs::set_permissions(home, fs::Permissions::from_mode(0o777)).expect("the folder is ours");
    let set = format!("SetEnv HOME={} ", home.display());
    if config.contains("SetEnv ") {
        config.replacen("SetEnv ", &set, 1)
    } else {
        format!("{config}{}\n", set.trim_end())
    }
}

fn server_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Port {port}
ListenAddress 0.0.0.0
ListenAddress ::1
HostKey {folder}/host
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized
# The folder is a temporary one, below a world-writable /tmp.
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
Subsystem sftp internal-sftp
"
    )
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the file can be read")
}

fn text_of(command: &mut Command) -> String {
    let output = command.output().expect("the program can be started");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

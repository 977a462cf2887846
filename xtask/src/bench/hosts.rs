//! A login at a hundred hosts, 32 at a time: `preflight` beside parallel-ssh and ansible, and its two
//! clients beside one another.
//!
//! One sshd represents all hosts, on 127.0.1.1 to 127.0.1.100, so its own work is the floor of all
//! three. They log in to an empty home: a shell reads its user's `.bashrc` for every command that
//! comes over SSH, and a `.bashrc` that starts a version manager takes three times as long as the login
//! and waits for a lock that all hundred share.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use super::{Figure, median};
use crate::command::{Failure, output, program, run};

const HOSTS: u32 = 100;
const AT_A_TIME: &str = "32";
/// The configurations of both clients.
const SSH2: &str = "deploy-guard.yml";
const OPENSSH: &str = "openssh.yml";
/// Of ours and of parallel-ssh, in turns; ansible takes minutes and is asked once.
const ROUNDS: usize = 3;

pub(super) fn figures(preflight: &Path) -> Result<Vec<Figure>, Failure> {
    let fleet = Fleet::start()?;
    let (mut ours, mut by_program, mut pssh) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed("preflight", || fleet.preflight(preflight, SSH2))?);
        by_program.push(timed("preflight, ssh: openssh", || {
            fleet.preflight(preflight, OPENSSH)
        })?);
        pssh.push(timed("parallel-ssh", || fleet.parallel_ssh())?);
    }
    let ansible = timed("ansible -m ping", || fleet.ansible())?;
    let ours = median(ours);
    let beside = |what, name: &str, peer: Duration| Figure {
        what,
        ours: format!("{:.1} s", ours.as_secs_f64()),
        peer: format!("{name} {:.1} s", peer.as_secs_f64()),
        ratio: Some(peer.as_secs_f64() / ours.as_secs_f64()),
    };
    Ok(vec![
        beside("100 logins, times faster (8.0)", "ansible -m ping", ansible),
        beside(
            "100 logins, times faster (1.5)",
            "parallel-ssh",
            median(pssh),
        ),
        beside(
            "100 logins, times faster (1.2)",
            "ssh: openssh",
            median(by_program),
        ),
    ])
}

fn timed(name: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let started = Instant::now();
    work()?;
    let took = started.elapsed();
    println!("{name}: {:.1} s", took.as_secs_f64());
    Ok(took)
}

/// The server, the key that may log in, and the lists of hosts as each program wants them.
struct Fleet {
    folder: tempfile::TempDir,
    sshd: Child,
    user: String,
    port: u16,
}

impl Fleet {
    fn start() -> Result<Fleet, Failure> {
        let failed =
            |error: std::io::Error| Failure::new(format!("failed to set up sshd: {error}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        let user = output(program("id").arg("-un"))?.trim().to_owned();
        if user == "root" {
            // sshd separates privileges into this folder, which Debian makes at boot only.
            fs::create_dir_all("/run/sshd").map_err(failed)?;
        }
        for key in ["host", "client"] {
            let mut keygen = program("ssh-keygen");
            run(keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.path().join(key)))?;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        drop(listener);
        let here = folder.path().display();
        let config = format!(
            "Port {port}\nListenAddress 0.0.0.0\nHostKey {here}/host\nPidFile none\n\
             AuthorizedKeysFile {here}/client.pub\nStrictModes no\nUsePAM no\nMaxStartups 200\n\
             SetEnv HOME={here}/home\n"
        );
        fs::create_dir(folder.path().join("home")).map_err(failed)?;
        fs::write(folder.path().join("sshd_config"), config).map_err(failed)?;
        // sshd starts itself anew for each connection and so wants an absolute path.
        let sshd = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f"])
            .arg(folder.path().join("sshd_config"))
            .arg("-E")
            .arg(folder.path().join("sshd.log"))
            .spawn()
            .map_err(failed)?;
        let fleet = Fleet {
            folder,
            sshd,
            user,
            port,
        };
        fleet.write_lists().map_err(failed)?;
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > end {
                return Err(Failure::new("sshd does not answer"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(fleet)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_lists(&self) -> std::io::Result<()> {
        let Fleet { user, port, .. } = self;
        let (key, known) = (self.path("client"), self.path("known_hosts"));
        let (key, known) = (key.display(), known.display());
        let host_key = fs::read_to_string(self.path("host.pub"))?;
        let mut config = "version: 1\nhosts:\n".to_owned();
        let mut by_program = config.clone();
        let (mut pssh, mut ansible, mut trusted) = (String::new(), String::new(), String::new());
        for n in 1..=HOSTS {
            let address = format!("127.0.1.{n}");
            let host = format!(
                "  web-{n}: {{ address: {address}, port: {port}, user: {user}, key-file: {key}, known-hosts: {known}"
            );
            config.push_str(&format!("{host} }}\n"));
            by_program.push_str(&format!("{host}, ssh: openssh, ssh-config: /dev/null }}\n"));
            pssh.push_str(&format!("{user}@{address}:{port}\n"));
            ansible.push_str(&format!(
                "{address} ansible_port={port} ansible_user={user} ansible_ssh_private_key_file={key}\n"
            ));
            trusted.push_str(&format!("[{address}]:{port} {host_key}"));
        }
        let check = format!(
            "preflight:\n  timeout: 1m\n  deadline: 5m\n  parallel-hosts: {AT_A_TIME}\n  hosts: [{{ host: all }}]\n"
        );
        fs::write(self.path(SSH2), config + &check)?;
        fs::write(self.path(OPENSSH), by_program + &check)?;
        // Not this machine's own settings.
        fs::write(self.path("ansible.cfg"), "")?;
        fs::write(self.path("pssh.txt"), pssh)?;
        fs::write(self.path("ansible.txt"), ansible)?;
        fs::write(self.path("known_hosts"), trusted)
    }

    fn preflight(&self, binary: &Path, config: &str) -> Result<(), Failure> {
        let mut command = program(binary);
        let config = self.path(config);
        let text = output(command.arg("--config").arg(config))?;
        all_of(text.matches("/login ").count(), "preflight")
    }

    /// Host keys are checked by all three.
    fn ssh_options(&self) -> String {
        let known = self.path("known_hosts");
        let known = known.display();
        format!("-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes -o BatchMode=yes")
    }

    fn parallel_ssh(&self) -> Result<(), Failure> {
        let options = format!(
            "{} -i {}",
            self.ssh_options(),
            self.path("client").display()
        );
        let mut command = program("parallel-ssh");
        command.args(["-p", AT_A_TIME, "-t", "60", "-x", &options, "-h"]);
        let text = output(command.arg(self.path("pssh.txt")).arg("true"))?;
        all_of(text.matches("[SUCCESS]").count(), "parallel-ssh")
    }

    /// With ansible's own defaults, but for connections that are not kept for a minute.
    fn ansible(&self) -> Result<(), Failure> {
        let mut command = program("ansible");
        command
            .args(["all", "-m", "ping", "-o", "-T", "60", "-f", AT_A_TIME, "-i"])
            .arg(self.path("ansible.txt"))
            .arg(format!("--ssh-common-args={}", self.ssh_options()))
            .env("ANSIBLE_CONFIG", self.path("ansible.cfg"))
            .env("ANSIBLE_HOME", self.path("ansible"))
            .env("ANSIBLE_REMOTE_TMP", self.path("remote"))
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.path("cp"))
            .env(
                "ANSIBLE_SSH_ARGS",
                "-C -o ControlMaster=auto -o ControlPersist=5s",
            );
        let text = output(&mut command)?;
        // The kept connections end by themselves; nothing of ours is left behind.
        let end = Instant::now() + Duration::from_secs(20);
        let open =
            || fs::read_dir(self.path("cp")).is_ok_and(|mut sockets| sockets.next().is_some());
        while open() && Instant::now() < end {
            thread::sleep(Duration::from_millis(200));
        }
        all_of(text.matches("| SUCCESS").count(), "ansible")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

/// A program that did half the work is not half as fast.
fn all_of(count: usize, name: &str) -> Result<(), Failure> {
    if count == HOSTS as usize {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{name} reached {count} of {HOSTS} hosts"
    )))
}

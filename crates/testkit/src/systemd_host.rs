//! A host with a real systemd and an SSH server: the programs of this machine on a root of its own,
//! in namespaces of its own, so that services can be stopped, crashed and restarted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::ssh_identity::make_key;
use crate::{Process, free_port, tool};

/// systemd as process 1 of its own namespace, and sshd on all of 127.0.0.0/8 for root with
/// [`SystemdHost::key`]. It shares the machine's network; of its files only those in `/srv` outlive
/// a reboot.
#[derive(Debug)]
pub struct SystemdHost {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
}

/// A group of its own: two machines in one would take each other's processes for their own, and
/// remove the group that the other is about to start a service in.
///
/// unshare pays no attention to a polite signal; the namespace ends with it.
const WRAPPER: &str = r#"
mount -t cgroup2 cgroup2 "$2/cgroups"
group=$2/cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)/testkit-$$
mkdir "$group"
(
    echo 0 >"$group/cgroup.procs"
    exec "$1" --mount --pid --fork --uts --ipc --cgroup --kill-child sh "$2/start.sh" "$2"
) &
child=$!
trap 'kill -KILL "$child"' TERM
echo "$child" >"$2/unshare.pid"
wait "$child" || :
for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.05
done
"#;

const START: &str = include_str!("systemd_host.sh");

impl SystemdHost {
    /// A host with these units, name and text. One that says `WantedBy=testkit.target` is started
    /// with the host, the others are not.
    pub fn start(units: &[(&str, &str)]) -> SystemdHost {
        let root = Command::new("id").arg("-u").output();
        assert!(
            root.is_ok_and(|id| id.stdout == b"0\n"),
            "a host with systemd needs namespaces and mounts: run the tests as root"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        prepare(folder.path(), port, units);
        let mut host = SystemdHost {
            process: None,
            folder,
            port,
        };
        host.boot();
        host
    }

    /// Starts it again after [`SystemdHost::power_off`].
    pub fn boot(&mut self) {
        let folder = self.folder.path();
        let unshare = tool("unshare");
        let mut command = Command::new(&unshare);
        command.args(["--mount", "sh", "-euc", WRAPPER, "wrapper"]);
        command.arg(&unshare).arg(folder);
        let process = Process::start(folder, &mut command);
        process.wait_for_port(self.port, Duration::from_mins(1));
        self.process = Some(process);
        // A port that answers may be another's, which took it between our choice and our start.
        let asks = ["systemctl", "show", "-p", "Version", "--value"];
        let answers = || self.exec(&asks).status.success();
        assert!(
            crate::wait_until(Duration::from_mins(1), answers),
            "systemd does not answer"
        );
    }

    /// Ends it with all that runs in it, at once.
    pub fn power_off(&mut self) {
        self.process = None;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the private key by which root logs in.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// Its `/srv`, as this machine sees it.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join("srv")
    }

    /// A `known_hosts` file for this host at an address of 127.0.0.0/8.
    pub fn known_hosts_for(&self, address: &str) -> String {
        let line = fs::read_to_string(self.folder.path().join("etc/host.pub"));
        let line = line.expect("the host has a key");
        let key: Vec<&str> = line.split(' ').take(2).collect();
        format!("[{address}]:{} {}\n", self.port, key.join(" "))
    }

    /// Runs a command in the host, as root.
    pub fn exec(&self, words: &[&str]) -> Output {
        let pid = self.init();
        let mut command = Command::new(tool("nsenter"));
        command
            .args(["-t", &pid, "-m", "-p", "-r", "-w"])
            .args(words);
        command.output().expect("nsenter can be started")
    }

    /// The same, which must succeed; its output.
    pub fn must(&self, words: &[&str]) -> String {
        let output = self.exec(words);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {text} {error}");
        text
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the host is on")
    }

    /// The process outside that is number 1 inside.
    fn init(&self) -> String {
        let read = |path: PathBuf| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let unshare = read(self.folder.path().join("unshare.pid"));
        let child = read(PathBuf::from(format!(
            "/proc/{unshare}/task/{unshare}/children"
        )));
        assert!(
            !child.is_empty(),
            "the host has ended: {}",
            self.process().log()
        );
        child
    }
}

fn prepare(folder: &Path, port: u16, units: &[(&str, &str)]) {
    let make = |name: &str| fs::create_dir_all(folder.join(name)).expect("a folder can be made");
    make("units/testkit.target.wants");
    make("etc");
    make("srv");
    make("cgroups");
    make_key(&folder.join("etc/host"), "ed25519", "");
    make_key(&folder.join("client"), "ed25519", "");
    fs::copy(folder.join("client.pub"), folder.join("etc/authorized")).expect("a copy");
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).expect("the file can be written");
    };
    write("start.sh", START);
    write("etc/sshd_config", &server_config(port));
    let ssh = "[Unit]\nAfter=sysinit.target\n[Service]\nRuntimeDirectory=sshd\nRuntimeDirectoryPreserve=yes\n\
               ExecStart=/usr/sbin/sshd -D -e -f /etc/testkit/sshd_config\n";
    write("units/testkit-ssh.service", ssh);
    // Not basic.target: it starts every socket that this machine has enabled, docker's too, and
    // the network is shared, so what such a service does to it would stay.
    let target = "[Unit]\nRequires=sysinit.target testkit-ssh.service\nWants=dbus.socket\nAfter=sysinit.target\n\
                  AllowIsolate=yes\n";
    write("units/testkit.target", target);
    for (name, text) in units {
        write(&format!("units/{name}"), text);
        if text.contains("WantedBy=testkit.target") {
            let wish = folder.join("units/testkit.target.wants").join(name);
            std::os::unix::fs::symlink(format!("../{name}"), wish).expect("a link can be made");
        }
    }
}

fn server_config(port: u16) -> String {
    format!(
        "Port {port}
ListenAddress 0.0.0.0
HostKey /etc/testkit/host
PidFile none
AuthorizedKeysFile /etc/testkit/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"
    )
}

//! The state in a file on a host, over a real sshd, in each of the shells that may be `sh` there.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use config::file::Host;
use config::value::StateAddress;
use state::{Error, Holder, Store, StoreContext};
use testkit::{Sshd, SshdSetup};

use crate::file::{Small, full_disk};
use crate::{Place, races, record, run, suite};

struct Server {
    sshd: Sshd,
    folder: PathBuf,
}

impl Server {
    fn start() -> Server {
        Server::of(SshdSetup::default())
    }

    /// A host on which `sh` is another program.
    fn with_shell(shell: &str) -> Server {
        Server::of(SshdSetup {
            before: Some(format!(
                "mount --bind {shell} /bin/sh 2>/dev/null || mount --bind {shell} /usr/bin/sh"
            )),
            ..SshdSetup::default()
        })
    }

    fn of(setup: SshdSetup) -> Server {
        let sshd = setup.start();
        std::fs::write(sshd.folder().join("known"), sshd.known_hosts()).unwrap();
        let folder = sshd.folder().join("states");
        std::fs::create_dir(&folder).unwrap();
        Server { sshd, folder }
    }

    fn store_at(&self, path: &Path) -> Store {
        let host = Host {
            address: "127.0.0.1".to_owned(),
            port: Some(self.sshd.port()),
            user: Some(self.sshd.user().to_owned()),
            key_file: Some(self.sshd.key()),
            known_hosts: Some(self.sshd.folder().join("known")),
            ..Host::default()
        };
        let address = StateAddress::Host {
            host: "web-01".to_owned(),
            path: path.to_str().unwrap().to_owned(),
        };
        let around = StoreContext {
            hosts: BTreeMap::from([("web-01".to_owned(), host)]).into(),
            ..StoreContext::default()
        };
        Store::open(&address, &around).unwrap()
    }
}

impl Place for Server {
    fn store(&self, name: &str) -> Store {
        self.store_at(&self.folder.join(name))
    }

    fn raw(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(name)).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }
}

/// The same, below the home of the user who logs in.
struct Home(Server);

impl Place for Home {
    fn store(&self, name: &str) -> Store {
        self.0
            .store_at(Path::new(&format!("~/it's $(here)/{name}")))
    }

    fn raw(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder().join(name)).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.folder()).unwrap();
        std::fs::write(self.folder().join(name), bytes).unwrap();
    }
}

impl Home {
    fn folder(&self) -> PathBuf {
        self.0.sshd.home().join("it's $(here)")
    }
}

#[test]
fn a_host_conforms_below_the_users_home() {
    suite::conforms(&Home(Server::start()));
}

#[test]
fn a_host_conforms_with_dash() {
    suite::conforms(&Server::start());
}

#[test]
fn a_host_conforms_with_bash() {
    suite::conforms(&Server::with_shell(testkit::tool("bash").to_str().unwrap()));
}

/// Not only the shell: each program of the scripts is busybox's own.
#[test]
fn a_host_conforms_with_busybox() {
    let busybox = testkit::tool("busybox");
    let busybox = busybox.to_str().unwrap();
    let before = format!(
        "mkdir @/bin && for name in $({busybox} --list); do ln -s {busybox} @/bin/$name; done\n\
         mount --bind @/bin /usr/local/bin\nmount --bind {busybox} /bin/sh"
    );
    let server = Server::of(SshdSetup {
        before: Some(before),
        config: "SetEnv PATH=/usr/local/bin\n".to_owned(),
        ..SshdSetup::default()
    });
    suite::conforms(&server);
}

#[test]
fn a_host_in_races() {
    suite::races(&Server::start(), races(12));
}

#[test]
fn a_full_disk_of_a_host_leaves_the_old_state() {
    let server = Server::start();
    let disk = Small::new();
    let path = disk.path().join("state.json");
    full_disk(&disk, &server.store_at(&path), &path);
}

/// The shell that held it died: it is broken after a while, by one of all who wait.
#[test]
fn a_lock_whose_maker_is_gone_is_broken_once() {
    let server = Server::start();
    run(record(&server.store("state.json"), "v1"));
    let lock = server.folder.join("state.json.lock");
    let mut dead = Command::new("true").spawn().unwrap();
    let pid = dead.id();
    dead.wait().unwrap();
    std::fs::write(&lock, line(pid, "1", &here().boot_id, now())).unwrap();
    let since = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let store = server.store("state.json");
                run(record(&store, &format!("v{writer}")));
            });
        }
    });
    assert!(since.elapsed() > Duration::from_secs(4), "not at once");
    let document = run(server.store("state.json").read()).unwrap().unwrap();
    assert_eq!(document.generation, 5);
    // No process survives a reboot, whatever runs under its number now.
    let me = here();
    let reused = line(me.pid, &me.started.to_string(), "00000000-before", now());
    std::fs::write(&lock, reused).unwrap();
    run(record(&server.store("state.json"), "v9"));
    // And where the one who was chosen to break it died too.
    std::fs::write(&lock, line(1, "1", "00000000-before", now())).unwrap();
    let chosen = line(1, "1", "00000000-before", now()).replacen("00ff", "00ee", 1);
    std::fs::write(server.folder.join("state.json.broken.00ff"), chosen).unwrap();
    run(record(&server.store("state.json"), "v10"));
    let names: Vec<_> = std::fs::read_dir(&server.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["state.json", "state.json.bak"].contains(&name.as_str()))
        .collect();
    assert_eq!(names, Vec::<String>::new(), "no lock is left");
}

#[test]
fn a_lock_whose_maker_may_be_alive_is_not_broken() {
    let server = Server::start();
    run(record(&server.store("state.json"), "v1"));
    let lock = server.folder.join("state.json.lock");
    let alive = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let began = Holder::this_process(None, None);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", alive.id())).unwrap();
    let began_at = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .nth(19)
        .unwrap();
    let old = now() - 100_000;
    let mine = line(alive.id(), began_at, &began.boot_id, old);
    let elsewhere = line(1, "1", &began.boot_id, old).replace(&began.host, "other-host");
    for text in [
        mine.as_str(),
        elsewhere.as_str(),
        "",
        "what is this?\n",
        "* * * * * * *\n",
    ] {
        std::fs::write(&lock, text).unwrap();
        let store = server.store("state.json");
        let waiting = std::thread::scope(|scope| {
            let writer =
                scope.spawn(|| run(tokio_timeout(Duration::from_secs(4), record(&store, "v2"))));
            writer.join().unwrap()
        });
        assert!(!waiting, "{text:?} was broken");
        assert_eq!(std::fs::read_to_string(&lock).unwrap(), text);
    }
    let mut alive = alive;
    alive.kill().unwrap();
    alive.wait().unwrap();
}

async fn tokio_timeout(most: Duration, doing: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(most, doing).await.is_ok()
}

fn here() -> Holder {
    Holder::this_process(None, None)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A lock file as a script writes it.
fn line(pid: u32, began: &str, boot: &str, at: i64) -> String {
    let here = here();
    format!(
        "00ff {pid} {} {boot} {began} {} {at} process 1 on runner-7\n",
        here.host, here.namespace
    )
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let server = Server::start();
    let store = server.store("state.json");
    run(async {
        record(&store, "v1").await;
        let children = format!("pkill -9 -P {}", server.sshd.process().pid());
        Command::new("sh").args(["-c", &children]).status().unwrap();
        record(&store, "v2").await;
        assert_eq!(store.read().await.unwrap().unwrap().generation, 2);
    });
}

#[test]
fn a_host_that_cannot_be_asked_says_which_step_failed() {
    let server = Server::start();
    std::fs::write(
        server.sshd.folder().join("known"),
        server.sshd.wrong_known_hosts(),
    )
    .unwrap();
    let error = run(server.store("state.json").read()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("host `web-01`"), "{error}");
    assert!(error.hint().contains("ssh-keygen -R"), "{}", error.hint());
}

#[test]
fn what_may_not_be_seen_is_not_taken_for_absent() {
    let server = Server::of(SshdSetup {
        before: Some(
            "cat /etc/passwd >@/passwd; echo 'deploy:x:4242:4242::/:/bin/sh' >>@/passwd
            mount --bind @/passwd /etc/passwd"
                .to_owned(),
        ),
        user: Some("deploy"),
        ..SshdSetup::default()
    });
    let closed = server.folder.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let store = server.store("closed/state.json");
    let error = run(store.read()).unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
    let error = run(store.update(None, |_| Ok(()))).unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

//! One connection to a host that many use at once, against a real sshd.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use inventory::Client;
use model::Secret;
use remote::ssh::{Error, Exit, Key, Limits, OpensshTarget, Shared, Ssh2Target, Target};
use tempfile::TempDir;
use testkit::{Sshd, SshdSetup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Long enough for a machine that does much else.
const LONG: Duration = Duration::from_secs(30);

fn limits(timeout: Duration) -> Limits {
    Limits {
        timeout,
        max_output: 64 << 10,
    }
}

/// Each test runs with both clients.
macro_rules! both {
    ($test:ident) => {
        mod $test {
            #[tokio::test]
            async fn ssh2() {
                super::$test(super::Client::Ssh2).await;
            }

            #[tokio::test]
            async fn openssh() {
                super::$test(super::Client::Openssh).await;
            }
        }
    };
}

fn target(client: Client, port: u16, key: String, sshd: &Sshd, known_hosts: PathBuf) -> Target {
    let (address, user) = ("127.0.0.1".to_owned(), sshd.user().to_owned());
    let key = Secret::from(key);
    match client {
        Client::Ssh2 => Target::Ssh2(Ssh2Target {
            address,
            port,
            user,
            key,
            passphrase: None,
            known_hosts,
            jump: None,
        }),
        Client::Openssh => Target::Openssh(OpensshTarget {
            address,
            port: Some(port),
            user: Some(user),
            key: Some(Key::Text(key)),
            known_hosts: Some(known_hosts),
            // Not this machine's own settings.
            config: Some("/dev/null".into()),
            jump: None,
        }),
    }
}

fn with_key(client: Client, sshd: &Sshd, folder: &TempDir, key: String) -> Shared {
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    Shared::new(target(client, sshd.port(), key, sshd, known_hosts))
}

fn shared(client: Client, sshd: &Sshd, folder: &TempDir) -> Shared {
    with_key(client, sshd, folder, sshd.private_key())
}

async fn say(host: &Shared, command: &str) -> String {
    let output = host.run(command, limits(LONG)).await.unwrap();
    assert!(output.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Which connection a command comes by: the process of sshd that serves it.
const WHICH: &str = "echo $PPID";

fn logins(sshd: &Sshd) -> usize {
    sshd.process().log().matches("Accepted publickey").count()
}

both!(commands_run_side_by_side_on_one_login);
async fn commands_run_side_by_side_on_one_login(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let sign = folder.path().join("sign");
    // The first ends only when the second has run.
    let waits = format!(
        "while [ ! -e {0} ]; do sleep 0.05; done; {WHICH}",
        sign.display()
    );
    let comes = format!("touch {}; {WHICH}", sign.display());
    let (one, two) = tokio::join!(say(&host, &waits), say(&host, &comes));
    assert_eq!(one, two);
    assert_eq!(logins(&sshd), 1);
}

both!(more_commands_than_the_host_lets_run_wait_for_their_turn);
async fn more_commands_than_the_host_lets_run_wait_for_their_turn(client: Client) {
    for most in [10, 2] {
        let setup = SshdSetup {
            config: format!("MaxSessions {most}\n"),
            ..SshdSetup::default()
        };
        let (sshd, folder) = (setup.start(), tempfile::tempdir().unwrap());
        let host = shared(client, &sshd, &folder);
        let all = (0..14).map(|n| {
            let host = &host;
            async move { say(host, &format!("sleep 0.02; echo {n}")).await }
        });
        let said = futures_util::future::join_all(all).await;
        let numbers: Vec<String> = (0..14).map(|n: u32| n.to_string()).collect();
        assert_eq!(said, numbers);
        assert_eq!(logins(&sshd), 1);
    }
}

both!(what_is_cut_off_harms_nobody_else_and_the_next_gets_a_new_login);
async fn what_is_cut_off_harms_nobody_else_and_the_next_gets_a_new_login(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let first = say(&host, WHICH).await;
    let (slow, beside) = tokio::join!(
        host.run("sleep 60", limits(Duration::from_millis(300))),
        say(&host, "sleep 1; echo $PPID"),
    );
    assert_eq!(slow.unwrap().exit, Exit::TimedOut);
    assert_eq!(beside, first);
    let second = say(&host, WHICH).await;
    assert_ne!(second, first);

    let clock = Instant::now();
    let (flood, beside) = tokio::join!(
        host.run("yes", limits(LONG)),
        say(&host, "sleep 1; echo $PPID"),
    );
    let flood = flood.unwrap();
    assert_eq!(flood.exit, Exit::Flood);
    assert!(flood.truncated && flood.stdout.len() == 64 << 10);
    assert!(clock.elapsed() < LONG);
    assert_eq!(beside, second);
    assert_ne!(say(&host, WHICH).await, second);
    assert_eq!(logins(&sshd), 3);
}

both!(a_connection_that_broke_is_made_again);
async fn a_connection_that_broke_is_made_again(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let first = say(&host, WHICH).await;
    // Between two commands: the next one succeeds on a new login.
    kill(&first);
    let gone = testkit::wait_until(LONG, || !alive(&first));
    assert!(gone);
    let second = say(&host, WHICH).await;
    assert_ne!(second, first);
    // During a command: that one is lost, and its error says so.
    let lost = host.run("kill -9 $PPID; sleep 60", limits(LONG)).await;
    assert!(matches!(lost, Err(Error::Lost { .. })), "{lost:?}");
    let third = say(&host, WHICH).await;
    assert_ne!(third, second);
    assert_eq!(logins(&sshd), 3);
}

both!(a_login_that_is_cut_off_is_made_once_more);
async fn a_login_that_is_cut_off_is_made_once_more(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    for (cuts, works) in [(1, true), (9, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = sshd.port();
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                if nth < cuts {
                    drop(stream);
                    continue;
                }
                let there = std::net::TcpStream::connect(("127.0.0.1", behind)).unwrap();
                for (mut from, mut to) in [
                    (stream.try_clone().unwrap(), there.try_clone().unwrap()),
                    (there, stream),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        let known_hosts = folder.path().join(format!("known_hosts-{port}"));
        let known = format!("[127.0.0.1]:{port} {}\n", sshd.host_key());
        std::fs::write(&known_hosts, known).unwrap();
        let key = sshd.private_key();
        let host = Shared::new(target(client, port, key, &sshd, known_hosts));
        let ran = host.run("echo here", limits(LONG)).await;
        match ran {
            Ok(output) => assert!(works && output.success(), "{output:?}"),
            Err(error) => assert!(
                !works && matches!(error, Error::Handshake { .. }),
                "{error:?}"
            ),
        }
    }
}

fn kill(pid: &str) {
    let killed = std::process::Command::new("kill")
        .args(["-9", pid])
        .status();
    assert!(killed.unwrap().success());
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

both!(a_host_that_refuses_is_an_error_for_everybody_who_waits);
async fn a_host_that_refuses_is_an_error_for_everybody_who_waits(client: Client) {
    let setup = SshdSetup {
        config: "LogLevel VERBOSE\n".to_owned(),
        ..SshdSetup::default()
    };
    let (sshd, folder) = (setup.start(), tempfile::tempdir().unwrap());
    let host = with_key(client, &sshd, &folder, sshd.stranger_key());
    let all = (0..5).map(|_| host.run("true", limits(LONG)));
    for answer in futures_util::future::join_all(all).await {
        assert!(matches!(answer, Err(Error::Login { .. })), "{answer:?}");
    }
    let log = sshd.process().log();
    assert_eq!(log.matches("Connection from").count(), 2, "{log}");
}

/// Sends all that it gets back, until the other side has no more.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

both!(tunnels_carry_much_in_both_directions_beside_commands);
async fn tunnels_carry_much_in_both_directions_beside_commands(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let port = echo();
    let one = async |seed: u8| {
        let tunnel = host.open("127.0.0.1", port, LONG).await.unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32)
            .map(|n| u8::try_from(n.wrapping_mul(31) >> 5 & 0xff).unwrap() ^ seed)
            .collect();
        let (mut reads, mut writes) = tokio::io::split(tunnel);
        let sending = async {
            writes.write_all(&sent).await.unwrap();
            writes.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let reading = reads.read_to_end(&mut got);
        let ((), read) = tokio::join!(sending, reading);
        read.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    };
    let commands = async {
        for n in 0..20 {
            assert_eq!(say(&host, &format!("echo {n}")).await, n.to_string());
        }
    };
    tokio::join!(one(1), one(2), one(3), commands);
    assert_eq!(logins(&sshd), 1);
}

both!(a_tunnel_that_is_dropped_is_closed_at_its_other_end);
async fn a_tunnel_that_is_dropped_is_closed_at_its_other_end(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    // It prints nothing and waits for the end.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ended = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got
    });
    let mut tunnel = host.open("127.0.0.1", port, LONG).await.unwrap();
    tunnel.write_all(b"bye").await.unwrap();
    drop(tunnel);
    assert_eq!(ended.join().unwrap(), b"bye");
    // The connection is still there for the next.
    say(&host, "true").await;
    assert_eq!(logins(&sshd), 1);
}

both!(a_server_that_closes_first_ends_the_tunnel_with_all_that_it_said);
async fn a_server_that_closes_first_ends_the_tunnel_with_all_that_it_said(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(&vec![b'x'; 200_000]).unwrap();
        }
    });
    for _ in 0..3 {
        let mut tunnel = host.open("127.0.0.1", port, LONG).await.unwrap();
        let mut got = Vec::new();
        let reading = tokio::time::timeout(LONG, tunnel.read_to_end(&mut got)).await;
        reading.unwrap().unwrap();
        assert_eq!(got.len(), 200_000);
    }
}

both!(a_place_that_nobody_serves_and_a_host_that_forwards_nothing_are_told_apart);
async fn a_place_that_nobody_serves_and_a_host_that_forwards_nothing_are_told_apart(
    client: Client,
) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let none = host.open("127.0.0.1", testkit::free_port(), LONG).await;
    assert!(matches!(none, Err(Error::NoWay { .. })), "{none:?}");
    let none = host.open("nowhere.invalid", 80, LONG).await;
    assert!(matches!(none, Err(Error::NoWay { .. })), "{none:?}");
    let none = host.open("a\0b", 80, LONG).await;
    assert!(none.is_err(), "{none:?}");
    say(&host, "true").await;

    let setup = SshdSetup {
        config: "AllowTcpForwarding no\n".to_owned(),
        ..SshdSetup::default()
    };
    let (sshd, folder) = (setup.start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    let none = host.open("127.0.0.1", sshd.port(), LONG).await;
    assert!(matches!(none, Err(Error::NoForwarding { .. })), "{none:?}");
    say(&host, "true").await;
    assert_eq!(logins(&sshd), 1);
}

both!(a_place_that_swallows_what_it_is_sent_holds_up_nobody_else);
async fn a_place_that_swallows_what_it_is_sent_holds_up_nobody_else(client: Client) {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = shared(client, &sshd, &folder);
    say(&host, "true").await;
    // A queue of one without an accept: the kernel drops further connections.
    let swallows = Swallows::new();
    let clock = Instant::now();
    let (swallowed, beside) = tokio::join!(
        host.open("127.0.0.1", swallows.port, Duration::from_secs(4)),
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            say(&host, WHICH).await;
            clock.elapsed()
        },
    );
    assert!(
        matches!(swallowed, Err(Error::NoAnswer { .. })),
        "{swallowed:?}"
    );
    assert!(beside < Duration::from_secs(4), "{beside:?}");
    say(&host, "true").await;
}

struct Swallows {
    port: u16,
    _listener: socket2::Socket,
    _filled: Vec<socket2::Socket>,
}

impl Swallows {
    fn new() -> Swallows {
        use socket2::{Domain, Socket, Type};
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let filled = (0..4)
            .map(|_| {
                let one = socket();
                one.set_nonblocking(true).unwrap();
                let _ = one.connect(&address);
                one
            })
            .collect();
        Swallows {
            port: address.as_socket().unwrap().port(),
            _listener: listener,
            _filled: filled,
        }
    }
}

//! Hosts and peers that print without end, hang, or are not SSH servers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::Sshd;
use testkit::SshdSetup;

use crate::hosts::bed::Bed;

#[test]
fn a_login_that_prints_100_megabytes_is_cut_off() {
    for stream in ["", " >&2"] {
        let setup = SshdSetup {
            config: format!(
                "ForceCommand sh -c 'head -c 100000000 /dev/zero{stream}; eval \"$SSH_ORIGINAL_COMMAND\"'\n"
            ),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let clock = Instant::now();
        Bed::new(&sshd)
            .wants("commands: [sh]")
            .run()
            .code(1)
            .stdout(contains(
                "the login prints without end: cut off after 1.0 MiB",
            ));
        assert!(clock.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_login_that_greets_or_complains_still_answers() {
    let setup = SshdSetup {
        config: "ForceCommand sh -c 'printf \"Welcome!\\nno newline\"; yes warning | head -n 2000 >&2; eval \"$SSH_ORIGINAL_COMMAND\"'\n"
            .to_owned(),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd).run().code(0);
    Bed::new(&sshd).wants("commands: [sh]").run().code(0);
}

#[test]
fn a_login_that_runs_no_command_or_hangs_is_told() {
    for (command, said) in [
        ("/bin/false", "no command ran (exit status 1)"),
        ("echo this account is closed", "this account is closed"),
        ("sleep 60", "no command ran in time"),
    ] {
        let setup = SshdSetup {
            config: format!("ForceCommand {command}\n"),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let clock = Instant::now();
        Bed::new(&sshd)
            .replace("timeout: 20s", "timeout: 2s")
            .run()
            .code(1)
            .stdout(contains(said).and(contains("hosts/web-01/login")));
        assert!(clock.elapsed() < Duration::from_secs(6), "{command}");
    }
}

/// A peer that accepts and then does as it likes with the connection.
fn peer(act: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || act(stream.unwrap()));
        }
    });
    port
}

#[test]
fn a_peer_that_is_no_ssh_server_ends_within_its_time() {
    let silent = |stream: std::net::TcpStream| {
        std::thread::sleep(Duration::from_secs(30));
        drop(stream);
    };
    let dripping = |mut stream: std::net::TcpStream| {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let web = |mut stream: std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 512]);
    };
    let endless = |mut stream: std::net::TcpStream| {
        while stream.write_all(&[b'A'; 4096]).is_ok() {}
    };
    let stuck = |mut stream: std::net::TcpStream| {
        let _ = stream.write_all(b"SSH-2.0-stuck\r\n");
        std::thread::sleep(Duration::from_secs(30));
    };
    let gone = |stream: std::net::TcpStream| drop(stream);
    let key = Sshd::start().private_key();
    for (name, act, said) in [
        (
            "silent",
            silent as fn(std::net::TcpStream),
            "the server sent nothing within 2s",
        ),
        ("dripping", dripping, "port is open, but"),
        ("web", web, "no SSH server answers"),
        ("endless", endless, "did not finish within 2s"),
        ("stuck", stuck, "within 2s"),
        ("gone", gone, "no SSH server answers"),
    ] {
        let clock = Instant::now();
        let output = Bed::at(peer(act), "root", "")
            .key(&key)
            .replace("timeout: 20s", "timeout: 2s")
            .run();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert_eq!(output.get_output().status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
        assert!(text.contains("hint:"), "{name}: {text}");
        assert!(clock.elapsed() < Duration::from_secs(6), "{name}: {text}");
    }
}

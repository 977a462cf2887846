//! Hosts as people reach them: by the `ssh` program with its configuration, agents and certificates,
//! and through jump hosts; each against a real sshd.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory::{Client, Host};
use model::{Env, Secret};
use remote::ssh::{Error, Exit, Limits, Shared, Target};
use tempfile::TempDir;
use testkit::{HostCertificate, SshAgent, SshAuthority, Sshd, SshdSetup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LONG: Duration = Duration::from_secs(30);
const BOTH: [Client; 2] = [Client::Ssh2, Client::Openssh];
const LIMITS: Limits = Limits {
    timeout: LONG,
    max_output: 64 << 10,
};

struct Bed {
    folder: TempDir,
}

impl Bed {
    fn new() -> Bed {
        Bed {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A host that the server is, reached by this client.
    fn host(&self, client: Client, sshd: &Sshd) -> Host {
        let known_hosts = format!("known-{}", sshd.port());
        Host {
            address: "127.0.0.1".to_owned(),
            port: Some(sshd.port()),
            user: Some(sshd.user().to_owned()),
            ssh: client,
            // Not this machine's own settings.
            ssh_config: (client == Client::Openssh).then(|| "/dev/null".into()),
            key_file: Some(sshd.key()),
            known_hosts: Some(self.write(&known_hosts, &sshd.known_hosts())),
            ..Host::default()
        }
    }
}

fn target(host: &Host) -> Target {
    Target::of(host, None, &Env::default()).unwrap()
}

fn shared(host: &Host) -> Shared {
    Shared::new(target(host))
}

async fn say(host: &Shared, command: &str) -> String {
    let output = host.run(command, LIMITS).await.unwrap();
    assert!(output.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn logins(sshd: &Sshd) -> usize {
    sshd.process().log().matches("Accepted publickey").count()
}

#[tokio::test]
async fn hosts_behind_a_jump_host_share_one_login_there() {
    for (behind, at_jump) in [
        (Client::Ssh2, Client::Ssh2),
        (Client::Openssh, Client::Openssh),
        (Client::Ssh2, Client::Openssh),
        (Client::Openssh, Client::Ssh2),
    ] {
        let (bed, edge, inner) = (Bed::new(), Sshd::start(), Sshd::start());
        let jump = Arc::new(bed.host(at_jump, &edge));
        let host = Host {
            jump_host: Some(jump),
            ..bed.host(behind, &inner)
        };
        let hosts: Vec<Shared> = (0..4).map(|_| shared(&host)).collect();
        let all = hosts.iter().map(|host| say(host, "echo $SSH_CONNECTION"));
        for said in futures_util::future::join_all(all).await {
            assert!(said.ends_with(&format!(" {}", inner.port())), "{said}");
        }
        assert_eq!(
            (logins(&edge), logins(&inner)),
            (1, 4),
            "{behind:?} {at_jump:?}"
        );
        // Much at a time in both directions, and an end that is seen.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut back = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut stream, &mut back);
        });
        let tunnel = hosts[0].open("127.0.0.1", port, LONG).await.unwrap();
        let sent = vec![b'x'; 1_000_000];
        let (mut reads, mut writes) = tokio::io::split(tunnel);
        let sending = async {
            writes.write_all(&sent).await.unwrap();
            writes.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(sending, reads.read_to_end(&mut got));
        read.unwrap();
        assert_eq!(got.len(), sent.len());
    }
}

#[tokio::test]
async fn an_error_names_its_cause_alike_for_both_clients() {
    let (bed, sshd) = (Bed::new(), Sshd::start());
    for client in BOTH {
        let good = bed.host(client, &sshd);
        let with = |change: &dyn Fn(&mut Host)| {
            let mut host = good.clone();
            change(&mut host);
            let target = target(&host);
            async move {
                let error = target.clone().connect(LONG).await.unwrap_err();
                let hint = target.hint(&error);
                (error, hint)
            }
        };
        let known = |text: &str| Some(bed.write("other-known", text));
        let (error, hint) = with(&|host| host.known_hosts = known("")).await;
        assert!(
            matches!(&error, Error::HostKeyUnknown { fingerprint, .. } if fingerprint.starts_with("SHA256:")),
            "{client:?} {error:?}"
        );
        assert!(hint.contains("ssh-keyscan"), "{hint}");
        let (error, _) = with(&|host| host.known_hosts = known(&sshd.wrong_known_hosts())).await;
        assert!(
            matches!(error, Error::HostKeyChanged { .. }),
            "{client:?} {error:?}"
        );
        let revoked = format!("@revoked * {}\n{}", sshd.host_key(), sshd.known_hosts());
        let (error, _) = with(&|host| host.known_hosts = known(&revoked)).await;
        assert!(
            matches!(error, Error::HostKeyRevoked { .. }),
            "{client:?} {error:?}"
        );
        let (error, _) = with(&|host| host.known_hosts = Some("/none/known".into())).await;
        assert!(
            matches!(error, Error::KnownHosts { .. }),
            "{client:?} {error:?}"
        );
        let stranger = bed.write("stranger", &sshd.stranger_key());
        private(&stranger);
        let (error, hint) = with(&|host| host.key_file = Some(stranger.clone())).await;
        assert!(
            matches!(&error, Error::Login { user, .. } if user == sshd.user()),
            "{client:?} {error:?}"
        );
        assert!(hint.contains("authorized_keys"), "{hint}");
        let closed = testkit::free_port();
        let (error, hint) = with(&|host| host.port = Some(closed)).await;
        let text = format!("port {closed} is not open: connection refused");
        assert_eq!(error.to_string(), text, "{client:?}");
        assert!(
            hint.contains(&format!("nc -vz 127.0.0.1 {closed}")),
            "{hint}"
        );
        let (error, _) = with(&|host| host.address = "nowhere.invalid".to_owned()).await;
        assert!(matches!(error, Error::Name(_)), "{client:?} {error:?}");
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_and_one_that_speaks_no_ssh_have_their_names_in_time() {
    let (bed, sshd) = (Bed::new(), Sshd::start());
    for client in BOTH {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = Host {
            port: Some(listener.local_addr().unwrap().port()),
            ..bed.host(client, &sshd)
        };
        let clock = Instant::now();
        let timeout = Duration::from_secs(2);
        let error = target(&host).connect(timeout).await.unwrap_err();
        assert!(matches!(error, Error::Silent(_)), "{client:?} {error:?}");
        assert!(clock.elapsed() < timeout + Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_error_at_the_jump_host_is_told_as_its_own() {
    let (bed, edge, inner) = (Bed::new(), Sshd::start(), Sshd::start());
    for client in BOTH {
        let through = |jump: Host| Host {
            jump_host: Some(Arc::new(jump)),
            ..bed.host(client, &inner)
        };
        let down = Host {
            port: Some(testkit::free_port()),
            ..bed.host(client, &edge)
        };
        let down = target(&through(down));
        let error = down.clone().connect(LONG).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("jump host 127.0.0.1: port ") && text.ends_with("connection refused"),
            "{client:?} {text}"
        );
        assert!(!error.is_ours() && down.hint(&error).contains("nc -vz"));
        let mut beyond = through(bed.host(client, &edge));
        beyond.port = Some(testkit::free_port());
        let error = target(&beyond).connect(LONG).await.unwrap_err();
        match client {
            Client::Ssh2 => assert!(
                matches!(&error, Error::Port { reason, .. } if reason.contains("the jump host 127.0.0.1 cannot connect")),
                "{error:?}"
            ),
            Client::Openssh => assert!(matches!(error, Error::Handshake { .. }), "{error:?}"),
        }
    }
}

/// A host whose certificate an authority has signed, users by certificates, and an agent; all of it
/// known to the `ssh` program's configuration alone.
#[tokio::test]
async fn certificates_an_agent_and_the_programs_own_configuration_are_used() {
    let (bed, agent) = (Bed::new(), SshAgent::start());
    let (hosts, users) = (SshAuthority::new(), SshAuthority::new());
    let start = |validity: &str| {
        SshdSetup {
            certificate: Some(HostCertificate {
                authority: hosts.clone(),
                principals: "web-01.test".to_owned(),
                validity: validity.to_owned(),
            }),
            users_of: Some(users.clone()),
            ..SshdSetup::default()
        }
        .start()
    };
    let (edge, inner, expired) = (Sshd::start(), start("+1h"), start("20200101:20200102"));
    agent.add(&edge.key());
    users.sign(
        &inner.key().with_extension("pub"),
        false,
        inner.user(),
        "+1h",
    );
    agent.add(&inner.key());
    let known = format!(
        "{}{}",
        hosts.known_hosts("*.test,[*.test]:*"),
        edge.known_hosts_for("127.0.0.1")
    );
    let known = bed.write("known", &known);
    let config = format!(
        "Match host web-01 exec \"true\"\n  HostName 127.0.0.1\n  HostKeyAlias web-01.test\n  Port {}\n  ProxyJump edge\n\
         Host old\n  HostName 127.0.0.1\n  HostKeyAlias web-01.test\n  Port {}\n\
         Host edge\n  HostName 127.0.0.1\n  Port {}\n\
         Host *\n  User {}\n  IdentityAgent {}\n  UserKnownHostsFile {}\n  StrictHostKeyChecking accept-new\n",
        inner.port(),
        expired.port(),
        edge.port(),
        inner.user(),
        agent.socket().display(),
        known.display()
    );
    let config = bed.write("config", &config);
    let named = |address: &str| Host {
        address: address.to_owned(),
        ssh: Client::Openssh,
        ssh_config: Some(config.clone()),
        ..Host::default()
    };
    let host = shared(&named("web-01"));
    let said = say(&host, "echo $SSH_CONNECTION").await;
    assert!(said.ends_with(&format!(" {}", inner.port())), "{said}");
    assert_eq!(logins(&edge), 1);
    let log = inner.process().log();
    assert!(
        log.contains("Accepted publickey") && log.contains("-CERT "),
        "{log}"
    );
    let error = target(&named("old")).connect(LONG).await.unwrap_err();
    assert!(matches!(error, Error::HostCertificate { .. }), "{error:?}");
    // No key is learnt, whatever the configuration has.
    bed.write("known", "");
    let error = target(&named("edge")).connect(LONG).await.unwrap_err();
    assert!(matches!(error, Error::HostKeyUnknown { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(known).unwrap(), "");
}

#[tokio::test]
async fn a_key_that_is_a_secret_is_the_only_one_that_counts() {
    let (bed, sshd) = (Bed::new(), Sshd::start());
    let own = format!("Host *\n  IdentityFile {}\n", sshd.key().display());
    let host = Host {
        ssh_config: Some(bed.write("config", &own)),
        key_file: None,
        ..bed.host(Client::Openssh, &sshd)
    };
    let with = |key: String| Target::of(&host, Some(&Secret::from(key)), &Env::default()).unwrap();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let session = with(sshd.add_key(kind, "")).connect(LONG).await.unwrap();
        let output = session.run("true", LIMITS).await.unwrap();
        assert_eq!(output.exit, Exit::Code(0), "{kind}");
    }
    // The program would log in with the key of its configuration.
    let error = with(sshd.stranger_key()).connect(LONG).await.unwrap_err();
    assert!(matches!(error, Error::Login { .. }), "{error:?}");
    let mark = format!("-p\0{}", sshd.port());
    let ended = testkit::wait_until(Duration::from_secs(10), || {
        !testkit::any_process_with(&mark)
    });
    assert!(ended, "what is not wanted is ended at once");
    let error = with("no key".to_owned()).connect(LONG).await.unwrap_err();
    assert!(matches!(error, Error::Key(_)), "{error:?}");
}

#[tokio::test]
async fn nothing_is_left_of_a_connection_by_the_program() {
    let (bed, sshd) = (Bed::new(), Sshd::start());
    let host = shared(&bed.host(Client::Openssh, &sshd));
    say(&host, "true").await;
    let mark = format!("-p\0{}", sshd.port());
    assert!(testkit::any_process_with(&mark));
    drop(host);
    let ended = testkit::wait_until(Duration::from_secs(10), || {
        !testkit::any_process_with(&mark)
    });
    assert!(ended);
}

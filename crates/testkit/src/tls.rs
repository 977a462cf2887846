//! Certificates, and a TLS server that shows one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, Receiver, free_port, tool};

/// A certificate authority of our own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate with its key, as files.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// A self-signed one in a folder, for a name, as `openssl req -x509` makes it.
    pub fn self_signed(folder: &Path, name: &str) -> Certificate {
        let kind = kind_of(name);
        openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key \
                 -out self.pem -days 30 -subj /CN={name} -addext subjectAltName={kind}:{name}"
            ),
        );
        Certificate {
            certificate: folder.join("self.pem"),
            key: folder.join("self.key"),
        }
    }

    /// PEM.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.certificate).expect("the certificate can be read")
    }
}

impl Authority {
    pub fn new() -> Authority {
        let authority = Authority {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        authority.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 3650 -subj /CN=ca -addext basicConstraints=critical,CA:true -addext keyUsage=keyCertSign");
        authority
    }

    /// The authority's own certificate, PEM.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate for a name that ends in `days`; with 0 it has expired when this returns.
    pub fn certificate(&self, name: &str, days: u32) -> Certificate {
        let stem = format!("{}-{days}", name.replace(['*', '/'], "_"));
        let kind = kind_of(name);
        let names = format!("subjectAltName={kind}:{name}\n");
        fs::write(self.folder.path().join("names"), names).expect("a file can be written");
        self.openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {stem}.key -out {stem}.csr -subj /CN={name}"));
        self.openssl(&format!("x509 -req -in {stem}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out {stem}.pem -days {days}"));
        if days == 0 {
            // Its last second is the one in which it was made.
            std::thread::sleep(Duration::from_secs(1));
        }
        let at = |kind: &str| self.folder.path().join(format!("{stem}.{kind}"));
        Certificate {
            certificate: at("pem"),
            key: at("key"),
        }
    }

    fn openssl(&self, args: &str) {
        openssl(self.folder.path(), args);
    }
}

/// The kind of a name in a certificate.
fn kind_of(name: &str) -> &'static str {
    if name.parse::<std::net::IpAddr>().is_ok() {
        "IP"
    } else {
        "DNS"
    }
}

fn openssl(folder: &Path, args: &str) {
    let done = Command::new(tool("openssl"))
        .current_dir(folder)
        .args(args.split_whitespace())
        .output()
        .expect("openssl runs");
    assert!(done.status.success(), "{args}: {done:?}");
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A TLS server on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct TlsServer {
    _process: Process,
    port: u16,
}

impl TlsServer {
    pub fn start(folder: &Path, certificate: &Certificate) -> TlsServer {
        let port = free_port();
        let mut command = Command::new(tool("openssl"));
        command
            .args(["s_server", "-quiet", "-www", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(&certificate.certificate)
            .arg("-key")
            .arg(&certificate.key);
        let process = Process::start(folder, &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        TlsServer {
            _process: process,
            port,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

/// What is wrong with the certificate of a server, or with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    Expired,
    OfAnotherHost,
    Unknown,
    /// TLS is spoken to a server that does not speak it.
    None,
    /// A server that speaks it is spoken to without.
    Only,
}

impl TlsFault {
    pub const ALL: [TlsFault; 5] = [
        TlsFault::Expired,
        TlsFault::OfAnotherHost,
        TlsFault::Unknown,
        TlsFault::None,
        TlsFault::Only,
    ];
}

/// Servers that one should not talk to.
#[derive(Debug)]
pub struct FaultyServers {
    /// The authority whose certificates the machine is to trust.
    pub authority: Authority,
    _folder: TempDir,
    servers: Vec<TlsServer>,
}

impl FaultyServers {
    pub fn start() -> FaultyServers {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let all: [Certificate; 4] = [
            authority.certificate("127.0.0.1", 0),
            authority.certificate("hooks.example.com", 30),
            Certificate::self_signed(folder.path(), "127.0.0.1"),
            authority.certificate("127.0.0.1", 30),
        ];
        let servers = all.iter().enumerate().map(|(number, certificate)| {
            let home = folder.path().join(number.to_string());
            fs::create_dir(&home).expect("a folder can be made");
            TlsServer::start(&home, certificate)
        });
        let servers = servers.collect();
        FaultyServers {
            authority,
            _folder: folder,
            servers,
        }
    }

    /// The address of a server that has this fault; `good` is one that speaks HTTP without TLS.
    pub fn url(&self, fault: TlsFault, good: &Receiver, path: &str) -> String {
        let (server, scheme) = match fault {
            TlsFault::Expired => (0, "https"),
            TlsFault::OfAnotherHost => (1, "https"),
            TlsFault::Unknown => (2, "https"),
            TlsFault::Only => (3, "http"),
            TlsFault::None => return good.url().replace("http://", "https://"),
        };
        let port = self.servers[server].port();
        format!("{scheme}://127.0.0.1:{port}/{path}")
    }
}

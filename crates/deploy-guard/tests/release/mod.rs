//! A release as a forge shows it, by nginx, and servers that fail.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::cell::OnceCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Certificate, Nginx};

/// As the archives are named.
pub(crate) fn machine() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "linux-x86_64"
    } else {
        "linux-arm64"
    }
}

/// The folder within an archive.
pub(crate) fn top() -> String {
    format!("deploy-guard-0.1.0-{}", machine())
}

/// The archive's file.
pub(crate) fn name() -> String {
    format!("{}.tar.gz", top())
}

/// Answered to one token only: what a release is, and where the archive lies.
const API: &str = r#"
    if ($denied) { return 401 '{"message": "Bad credentials"}'; }
    location = /api/v3/repos/acme/deploy-guard/releases/tags/v0.1.0 { alias FOLDER/release.json; }
    location = /api/v3/repos/acme/deploy-guard/releases/assets/42 { return 302 http://localhost:PORT/store/NAME; }"#;

/// Members of an archive: `f` is a file, `l` a link.
const PACK: &str = r#"
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w:gz")
def f(name, text):
    info, data = tarfile.TarInfo(name), text.encode("latin-1")
    info.size, info.mode = len(data), 0o755
    t.addfile(info, io.BytesIO(data))
def l(name, to):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, to
    t.addfile(info)
def script(version):
    return '#!/bin/sh\nif [ "$1" = --version ]; then echo "%s"; else echo "ran [$*]"; fi\n' % version
exec(sys.argv[2])
t.close()
"#;

/// Version 0.1.0 of `acme/deploy-guard` at a forge.
pub(crate) struct Release {
    nginx: Nginx,
    secure: OnceCell<Nginx>,
    folder: TempDir,
}

impl Release {
    /// One whose binary prints its arguments.
    pub(crate) fn start() -> Release {
        Release::with(&format!(
            "f('{0}/LICENSE-MIT', 'x'); f('{0}/deploy-guard', script('deploy-guard 0.1.0'))",
            top()
        ))
    }

    /// One whose archive has these members.
    pub(crate) fn with(members: &str) -> Release {
        let release = Release::empty();
        let archive = release.file();
        let packed = Command::new("python3")
            .args(["-c", PACK])
            .arg(archive)
            .arg(members)
            .status();
        assert!(packed.unwrap().success());
        release.copy();
        release
    }

    /// One with the archive that lies in this folder.
    pub(crate) fn of(dist: &Path) -> Release {
        let release = Release::empty();
        fs::copy(dist.join(name()), release.file()).unwrap();
        release.copy();
        release
    }

    fn empty() -> Release {
        let folder = tempfile::tempdir().unwrap();
        // nginx's workers run as the user `nobody`.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["public/v0.1.0", "store"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        // As GitHub answers, shortened, in its order: a release has a name, an uploader has a URL.
        let api = "https://ghes.example/api/v3";
        let asset = |id: u32, name: &str| {
            format!(
                r#"{{"url":"{api}/repos/acme/deploy-guard/releases/assets/{id}","id":{id},"name":"{name}","label":null,"uploader":{{"login":"bot","url":"{api}/users/bot"}},"browser_download_url":"https://ghes.example/{name}"}}"#
            )
        };
        let name = name();
        let assets = [
            asset(7, "checksums.txt"),
            asset(41, &format!("{name}.sbom.json")),
            asset(42, &name),
            asset(43, "install.sh"),
        ];
        let json = format!(
            r#"{{"url":"{api}/repos/acme/deploy-guard/releases/1","name":"{name}","assets":[{}],"body":"see"}}"#,
            assets.join(",")
        );
        fs::write(folder.path().join("release.json"), json).unwrap();
        let nginx = Nginx::serving(&servers(folder.path(), "PORT", ""));
        Release {
            nginx,
            secure: OnceCell::new(),
            folder,
        }
    }

    fn file(&self) -> PathBuf {
        self.published().join(name())
    }

    /// The folder of what it publishes.
    pub(crate) fn published(&self) -> PathBuf {
        self.folder.path().join("public/v0.1.0")
    }

    fn copy(&self) {
        fs::copy(self.file(), self.folder.path().join("store").join(name())).unwrap();
    }

    /// The forge's address.
    pub(crate) fn server(&self) -> String {
        self.nginx.url("")
    }

    /// The same by HTTPS.
    pub(crate) fn secured(&self, certificate: &Certificate) -> String {
        let tls = format!(
            "ssl_certificate {}; ssl_certificate_key {};",
            certificate.certificate.display(),
            certificate.key.display()
        );
        let servers = servers(self.folder.path(), "PORT ssl", &tls);
        let nginx = self.secure.get_or_init(|| Nginx::serving(&servers));
        format!("https://localhost:{}", nginx.port())
    }

    pub(crate) fn archive(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    /// Puts something else in the archive's place.
    pub(crate) fn serve(&self, bytes: &[u8]) {
        fs::write(self.file(), bytes).unwrap();
    }

    /// Hides it from anonymous requests, or shows it again; the API always serves it.
    pub(crate) fn hide(&self, hidden: bool) {
        let (shown, away) = (
            self.folder.path().join("public"),
            self.folder.path().join("private"),
        );
        let (from, to) = if hidden {
            (&shown, &away)
        } else {
            (&away, &shown)
        };
        if from.exists() {
            fs::rename(from, to).unwrap();
        }
    }

    pub(crate) fn sum(&self) -> String {
        let output = Command::new("sha256sum").arg(self.file()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    }

    /// `action/checksums.txt` of its revision: other machines have archives too.
    pub(crate) fn checksums(&self) -> String {
        let other = "0".repeat(64);
        format!(
            "{other}  deploy-guard-0.1.0-macos-arm64.tar.gz\n{}  {}\n{other}  deploy-guard-0.1.0-linux-s390x.tar.gz\n",
            self.sum(),
            name()
        )
    }

    /// Path and credentials of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        // A line is written after the answer.
        thread::sleep(Duration::from_millis(300));
        self.nginx.access_log().lines().map(str::to_owned).collect()
    }
}

fn servers(folder: &Path, listen: &str, tls: &str) -> String {
    let folder = folder.display().to_string();
    let api = API.replace("FOLDER", &folder).replace("NAME", &name());
    format!(
        "log_format asked '$uri $auth';
        map $http_authorization $auth {{ '' '-'; default $http_authorization; }}
        map $uri$http_authorization $denied {{ default 0; '~^/api/(?!.*Bearer t0ken-value$)' 1; }}
        server {{
            listen 127.0.0.1:{listen};
            {tls}
            access_log access.log asked;
            location /acme/deploy-guard/releases/download/ {{ alias {folder}/public/; }}
            location /acme/deploy-guard/releases/latest/download/ {{
                rewrite ^/acme/deploy-guard/releases/latest/download/(.*)$ http://$http_host/acme/deploy-guard/releases/download/v0.1.0/$1 redirect;
            }}
            location /store/ {{ alias {folder}/store/; }}
            {api}
        }}"
    )
}

/// A server that gives each request the next of its answers, and all further ones the last.
pub(crate) struct Flaky {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

/// An answer is a status with at most one header, or a way to fail.
pub(crate) fn flaky(answers: &[&str], archive: Vec<u8>) -> Flaky {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    let seen = Arc::clone(&heads);
    // Ends with the test program: it only ever answers.
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                return;
            };
            let (seen, answers, archive) = (Arc::clone(&seen), answers.clone(), archive.clone());
            thread::spawn(move || {
                let Some(head) = head(&mut connection) else {
                    return;
                };
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(head);
                    seen.len()
                };
                let answer = &answers[count.min(answers.len()) - 1];
                // A client that stops reading is not a failure here.
                let _ = give(&mut connection, answer, &archive);
            });
        }
    });
    Flaky { port, heads }
}

fn head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16_384 || connection.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn give(connection: &mut TcpStream, answer: &str, archive: &[u8]) -> std::io::Result<()> {
    let ok = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        "200" => {
            connection.write_all(ok(archive.len()).as_bytes())?;
            connection.write_all(archive)
        }
        "close" => Ok(()),
        "half" => {
            connection.write_all(ok(archive.len()).as_bytes())?;
            connection.write_all(&archive[..archive.len() / 2])
        }
        "hang" => {
            connection.set_read_timeout(Some(Duration::from_secs(60)))?;
            connection.read(&mut [0]).map(|_| ())
        }
        "drip" => {
            connection.write_all(ok(100_000).as_bytes())?;
            (0..600).try_for_each(|_| {
                thread::sleep(Duration::from_millis(100));
                connection.write_all(b"x")
            })
        }
        "huge" => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let block = vec![0; 1 << 20];
            (0..400).try_for_each(|_| connection.write_all(&block))
        }
        status => {
            let (status, header) = status.split_once(' ').unwrap_or((status, "X-Nothing: -"));
            let text = format!(
                "HTTP/1.1 {status} Status\r\n{header}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone"
            );
            connection.write_all(text.as_bytes())
        }
    }
}

impl Flaky {
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The target of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        heads.iter().map(target).collect()
    }

    /// All requests as they came.
    pub(crate) fn heads(&self) -> String {
        self.heads.lock().unwrap().concat()
    }
}

/// Makes a folder of busybox's programs, for a `PATH` with nothing else; busybox itself.
pub(crate) fn tools(folder: &Path) -> PathBuf {
    const PROGRAMS: &str = "awk cat chmod cp cut dirname grep gzip head mkdir mktemp mv od rm sed sha256sum sh sleep sort tail tar timeout tr uname wget";
    let busybox = testkit::tool("busybox");
    fs::create_dir_all(folder).unwrap();
    for program in PROGRAMS.split(' ') {
        std::os::unix::fs::symlink(&busybox, folder.join(program)).unwrap();
    }
    busybox
}

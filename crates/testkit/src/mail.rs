//! A mail server: aiosmtpd, with its TLS and its login.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Authority, Certificate, Process, free_port, tool};

/// The server of aiosmtpd; each message becomes a file. `mode` is how the connection is protected, and who may send.
const SERVER: &str = r"
import os, ssl, sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

port, mode, certificate, key = sys.argv[1:]

class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody@'):
            return '550 no such user'
        if address.startswith('later@'):
            return '451 try again later'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        name = f'{len(os.listdir()):03}.eml'
        with open(name + '.part', 'wb') as file:
            file.write(envelope.content)
        os.rename(name + '.part', name)
        return '250 OK'

def login(server, session, envelope, mechanism, data):
    good = data.login == b'me' and data.password == b'c4n4ry-5ecret'
    return AuthResult(success=good, handled=True) if good else AuthResult(success=False, handled=False)

context = None
if mode != 'plain':
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
more = {'authenticator': login, 'auth_required': mode != 'plain'}
if mode == 'starttls':
    more.update(tls_context=context, require_starttls=True)
elif mode == 'tls':
    more.update(ssl_context=context, auth_require_tls=False)
Controller(Keep(), hostname='127.0.0.1', port=int(port), **more).start()
while True:
    time.sleep(60)
";

/// How connections to it are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all; and no login.
    Plain,
}

/// A mail server on a free port of this machine. Who sends logs in as `me` with [`MailServer::PASSWORD`], unless it is
/// [`MailTls::Plain`].
#[derive(Debug)]
pub struct MailServer {
    port: u16,
    inbox: PathBuf,
    authority: Authority,
    _process: Process,
    _folder: TempDir,
}

impl MailServer {
    pub const PASSWORD: &str = "c4n4ry-5ecret";

    /// With a certificate for `localhost`.
    pub fn start(tls: MailTls) -> MailServer {
        MailServer::with(tls, "localhost", 30)
    }

    /// With a certificate for a name that ends in `days`; with 0 it has expired.
    pub fn with(tls: MailTls, name: &str, days: u32) -> MailServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let Certificate { certificate, key } = authority.certificate(name, days);
        let port = free_port();
        let [inbox, log] = ["inbox", "log"].map(|name| folder.path().join(name));
        for folder in [&inbox, &log] {
            fs::create_dir(folder).expect("a folder can be made");
        }
        let mode = match tls {
            MailTls::Starttls => "starttls",
            MailTls::Tls => "tls",
            MailTls::Plain => "plain",
        };
        let mut command = Command::new(tool("python3"));
        command
            .args(["-c", SERVER, &port.to_string(), mode])
            .arg(certificate)
            .arg(key);
        let process = Process::start(&log, command.current_dir(&inbox));
        process.wait_for_port(port, Duration::from_secs(20));
        MailServer {
            port,
            inbox,
            authority,
            _process: process,
            _folder: folder,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who signed its certificate, PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.authority.file()
    }

    /// The messages that it took, in their order, each with line ends of Unix.
    pub fn got(&self) -> Vec<String> {
        let files = fs::read_dir(&self.inbox).expect("the inbox can be read");
        let files = files.map(|file| file.expect("the inbox can be read").path());
        let mut files: Vec<PathBuf> = files
            .filter(|file| file.extension().is_some_and(|kind| kind == "eml"))
            .collect();
        files.sort();
        let read = |file: &PathBuf| fs::read_to_string(file).expect("a message can be read");
        files
            .iter()
            .map(|file| read(file).replace("\r\n", "\n"))
            .collect()
    }
}

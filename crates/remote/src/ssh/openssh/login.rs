//! Starts the `ssh` program, which logs in and stays in the background until we are done.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use model::Secret;
use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::diagnosis::{self, ProgramOutput};
use super::guardian;
use super::master::Master;
use crate::local_error;
use crate::quote;
use crate::ssh::socket::Keeps;
use crate::ssh::{Error, Key, OpensshTarget, Session, Target, bastion};

/// How long the program waits for more to do when we are gone without a word, in seconds.
const PERSIST: u32 = 15;
/// So long may a connection be silent, in seconds; after four times as long it is given up.
const ALIVE: u32 = 15;
/// How often a server that closes at once is asked again, and after which pause.
const MAX_ATTEMPTS: u32 = 4;
const RETRY_DELAY: Duration = Duration::from_millis(150);
/// What is read of what the program prints.
const MAX_PRINTED: u64 = 64 << 10;
const DRAIN: Duration = Duration::from_millis(100);
const MAX_LOG: u64 = 1 << 20;
const MAX_KNOWN_HOSTS: u64 = 16 << 20;
/// A control socket's path has room for about a hundred bytes, of which the program needs some.
const MAX_FOLDER: usize = 70;
const PREFIX: &str = "dg-ssh-";
/// Folders of processes that were killed are removed after this time.
const STALE: Duration = Duration::from_mins(1);

/// Logs in. The first step that fails is the error; all of them together end in time.
pub(in crate::ssh) async fn connect(
    target: &OpensshTarget,
    timeout: Duration,
) -> Result<Session, Error> {
    let deadline = Instant::now() + timeout;
    let program = which::which("ssh").map_err(|_| Error::NoProgram)?;
    if let Some(Key::Text(key)) = &target.key {
        crate::key::inspect_for_login(key.expose()).map_err(Error::Key)?;
    }
    readable(target)?;
    let proxy = match &target.jump {
        Some(jump) => Some(proxy(&program, jump, deadline).await?),
        None => None,
    };
    let mut tries = 1;
    loop {
        let attempt = Attempt {
            program: &program,
            target,
            proxy: proxy.as_ref(),
            deadline,
            timeout,
        };
        let failure = match attempt.make().await {
            Ok(master) => return Ok(Session::openssh(master)),
            Err(failure) => failure,
        };
        let pause = RETRY_DELAY * tries;
        if !failure.is_closed || tries >= MAX_ATTEMPTS || Instant::now() + pause >= deadline {
            return Err(failure.error);
        }
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

/// Whether the files that the configuration names can be read: the program would only find no key there.
fn readable(target: &OpensshTarget) -> Result<(), Error> {
    if let Some(path) = &target.known_hosts {
        files::read(path, MAX_KNOWN_HOSTS).map_err(|error| Error::KnownHosts {
            known_hosts: path.clone(),
            reason: error.to_string(),
        })?;
    }
    let others = [
        target.config.as_ref(),
        match &target.key {
            Some(Key::File(path)) => Some(path),
            _ => None,
        },
    ];
    for path in others.into_iter().flatten() {
        let unreadable = match path.try_exists() {
            Ok(true) => continue,
            Ok(false) => "there is no such file".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(Error::Program {
            reason: format!("{} cannot be read: {unreadable}", path.display()),
        });
    }
    Ok(())
}

/// The way through a jump host.
struct Proxy {
    command: OsString,
    through: Keeps,
}

/// A login at the jump host, by whose control socket the program reaches what is behind it.
async fn proxy(program: &Path, jump: &Arc<Target>, deadline: Instant) -> Result<Proxy, Error> {
    let shared = bastion::at(jump);
    let left = deadline.saturating_duration_since(Instant::now());
    let of_jump = |error| bastion::of_jump(jump, error);
    let session = shared.session_within(left).await.map_err(of_jump)?;
    let Some(control) = session.control() else {
        let reason = "the jump host is reached by another client".to_owned();
        return Err(of_jump(Error::Program { reason }));
    };
    // `%` begins what the program replaces.
    let word = |path: &Path| quote(&path.display().to_string()).replace('%', "%%");
    let command = format!(
        "{} -F none -S {} -o BatchMode=yes -W [%h]:%p -- jump",
        word(program),
        word(control)
    );
    Ok(Proxy {
        command: command.into(),
        through: Arc::new((shared, session)),
    })
}

/// Why a login did not work, and whether the server closed before anything was agreed.
struct Failure {
    error: Error,
    is_closed: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            error,
            is_closed: false,
        }
    }
}

/// One try.
struct Attempt<'a> {
    program: &'a Path,
    target: &'a OpensshTarget,
    proxy: Option<&'a Proxy>,
    deadline: Instant,
    timeout: Duration,
}

impl Attempt<'_> {
    async fn make(&self) -> Result<Master, Failure> {
        let folder = folder().map_err(unusable)?;
        let (socket, log) = (folder.path().join("s"), folder.path().join("log"));
        let mut command = Command::new(self.program);
        command
            .args(self.arguments(&socket, &log))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        match &self.target.key {
            Some(Key::Text(key)) => command.stdin(key_as_input(key).map_err(unusable)?),
            _ => command.stdin(Stdio::null()),
        };
        guardian::watch(self.program, &socket).map_err(unusable)?;
        let child = command.spawn().map_err(unusable)?;
        let ended = wait(child, self.deadline).await;
        let logged = files::read(&log, MAX_LOG).unwrap_or_default();
        let logged = String::from_utf8_lossy(&logged);
        let told = ProgramOutput {
            log: &logged,
            printed: &ended.printed,
            target: self.target,
            timeout: self.timeout,
        };
        if !ended.is_success {
            let (error, is_closed) = if ended.is_late {
                (diagnosis::late(&told), false)
            } else {
                diagnosis::failed(&told)
            };
            return Err(Failure { error, is_closed });
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(&log, flags, Mode::empty());
        let file = file.map_err(|error| unusable(error.into()))?;
        // The program writes on into it, and nothing is left of it when both are gone.
        let _ = rustix::fs::unlink(&log);
        let through = self.proxy.map(|proxy| Arc::clone(&proxy.through));
        let master = Master::new(folder, socket, File::from(file), through).await;
        let master = master.map_err(|error| {
            Failure::from(Error::Program {
                reason: format!("its control socket does not answer: {error}"),
            })
        })?;
        if matches!(&self.target.key, Some(Key::Text(_))) && !diagnosis::is_by(&told, INPUT) {
            // What this key is worth would not be known.
            let reason = "the host took another key of the `ssh` program's configuration";
            return Err(Failure::from(Error::Login {
                user: diagnosis::user(&told),
                reason: reason.to_owned(),
            }));
        }
        Ok(master)
    }

    fn arguments(&self, socket: &Path, log: &Path) -> Vec<OsString> {
        let OpensshTarget {
            address,
            port,
            user,
            key,
            known_hosts,
            config,
            jump: _,
        } = self.target;
        let mut words: Vec<OsString> = ["-M", "-N", "-T"].map(OsString::from).to_vec();
        let mut word = |flag: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            words.extend([flag.into(), value.as_ref().to_owned()]);
        };
        if let Some(config) = config {
            word("-F", config);
        }
        word("-S", &escaped(socket));
        word("-E", &log);
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut options: Vec<String> = OPTIONS.map(str::to_owned).to_vec();
        options.push(format!("ControlPersist={PERSIST}"));
        options.push(format!("ServerAliveInterval={ALIVE}"));
        options.push(format!("ConnectTimeout={}", left.as_secs() + 1));
        if let Some(path) = known_hosts {
            options.push(format!("UserKnownHostsFile={}", as_value(path)));
            options.push("GlobalKnownHostsFile=none".to_owned());
            options.push("KnownHostsCommand=none".to_owned());
        }
        match key {
            Some(Key::Text(_)) => {
                options.push("IdentitiesOnly=yes".to_owned());
                options.push("IdentityAgent=none".to_owned());
                options.push("PreferredAuthentications=publickey".to_owned());
                word("-i", &INPUT);
            }
            Some(Key::File(path)) => {
                options.push("IdentitiesOnly=yes".to_owned());
                word("-i", &escaped(path));
            }
            None => {}
        }
        if let Some(proxy) = self.proxy {
            // The first of these two counts, and the other way of the configuration does not.
            let mut option = OsString::from("ProxyCommand=");
            option.push(&proxy.command);
            word("-o", &option);
        }
        for option in &options {
            word("-o", option);
        }
        if let Some(port) = port {
            word("-p", &port.to_string());
        }
        if let Some(user) = user {
            word("-l", user);
        }
        words.extend(["--".into(), address.into()]);
        words
    }
}

/// What must hold whatever the program's configuration has. Of two options the program takes the first.
const OPTIONS: [&str; 19] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "LogLevel=DEBUG1",
    "ServerAliveCountMax=4",
    "ClearAllForwardings=yes",
    "ExitOnForwardFailure=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "Tunnel=no",
    "AddKeysToAgent=no",
    "NumberOfPasswordPrompts=0",
    "EscapeChar=none",
    "VisualHostKey=no",
];

/// Where the program finds a key that we have as a text.
const INPUT: &str = "/dev/stdin";

fn unusable(error: std::io::Error) -> Failure {
    let fault = local_error::fault(&error).map(str::to_owned);
    Failure::from(Error::Ours(fault.unwrap_or_else(|| error.to_string())))
}

/// A key as a file that the program can open again and again, and that has no name.
#[cfg(target_os = "linux")]
fn key_as_input(key: &Secret) -> std::io::Result<Stdio> {
    use std::io::Write as _;
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::memfd_create("key", flags)?;
    // The program takes no key that others can read.
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(file);
    let text = crate::key::for_login(key.expose()).map_err(std::io::Error::other)?;
    file.write_all(text.as_bytes())?;
    Ok(Stdio::from(file))
}

/// A key as a file that has lost its name before the program starts.
#[cfg(not(target_os = "linux"))]
fn key_as_input(key: &Secret) -> std::io::Result<Stdio> {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile()?;
    let text = crate::key::for_login(key.expose()).map_err(std::io::Error::other)?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(Stdio::from(file))
}

/// A folder of our own for the control socket.
fn folder() -> std::io::Result<TempDir> {
    static SWEEP: Once = Once::new();
    let usual = std::env::temp_dir();
    let place = if usual.as_os_str().len() > MAX_FOLDER {
        PathBuf::from("/tmp")
    } else {
        usual
    };
    SWEEP.call_once(|| sweep(&place));
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)
}

/// Removes the folders of processes that were killed. One that is in use is not empty.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    let is_old = |entry: &std::fs::DirEntry| {
        let changed = entry.metadata().and_then(|data| data.modified());
        let age = changed.ok().map(|at| SystemTime::now().duration_since(at));
        age.is_some_and(|age| age.is_ok_and(|age| age > STALE))
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX) && is_old(&entry) {
            let _ = rustix::fs::rmdir(entry.path());
        }
    }
}

/// A path in which the program replaces nothing.
fn escaped(path: &Path) -> OsString {
    path.display().to_string().replace('%', "%%").into()
}

/// A path as the value of an option.
fn as_value(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// How the program ended.
struct Ended {
    is_success: bool,
    is_late: bool,
    printed: String,
}

/// Waits until it is in the background, or has failed.
async fn wait(mut child: Child, deadline: Instant) -> Ended {
    let group = child.id();
    let stderr = child.stderr.take();
    let mut printed = Vec::new();
    let reading = async {
        if let Some(stderr) = stderr {
            let mut stderr = stderr.take(MAX_PRINTED);
            while stderr
                .read_buf(&mut printed)
                .await
                .is_ok_and(|length| length > 0)
            {}
        }
    };
    let ended = {
        tokio::pin!(reading);
        let until = tokio::time::sleep_until(deadline.into());
        let ended = tokio::select! {
            status = child.wait() => Some(status),
            // What it prints fits into a pipe.
            () = until => None,
        };
        // What it has started may keep its errors open: its own end counts.
        let _ = tokio::time::timeout(DRAIN, &mut reading).await;
        ended
    };
    let is_late = ended.is_none();
    let is_success = matches!(ended, Some(Ok(status)) if status.success());
    if !is_success {
        // With its own children, such as a command that it reaches a jump host by.
        end(group);
    }
    if is_late {
        let _ = child.wait().await;
    }
    Ended {
        is_success,
        is_late,
        printed: String::from_utf8_lossy(&printed).into_owned(),
    }
}

fn end(group: Option<u32>) {
    let pid = group
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

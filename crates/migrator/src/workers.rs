//! The tool's processes, known by a variable that all of them inherit: whatever name a tool gives itself at
//! the database, and the process that started it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use remote::quote;

use crate::session::Session;

/// The variable. Its value names the database and then the run, each with a `;` behind it.
pub(crate) const MARK: &str = "DEPLOY_GUARD_MIGRATE";
/// A look at the processes of a place.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// Of the names of its processes.
const MAX_LIST: usize = 1 << 20;
/// As the kernel has a connection that is open.
const ESTABLISHED: &str = "01";

/// What every process has that works on this database for a run of ours.
fn of_database(session: &Session<'_>) -> String {
    let address = session.database.address.to_string();
    format!("{};", address.replace(';', ","))
}

/// The variable's value for the run that this name is of.
pub(crate) fn value(session: &Session<'_>, name: &str) -> String {
    format!("{}{name};", of_database(session))
}

/// The variable with its value, as an environment has it.
pub(crate) fn mark(session: &Session<'_>, name: &str) -> String {
    format!("{MARK}={}", value(session, name))
}

impl Session<'_> {
    /// Whether a process works on this database for a run of ours, where the tool runs. Nothing is found where
    /// no `/proc` tells it, or there is no `grep`.
    pub(crate) async fn has_workers(&self) -> bool {
        let places = self.inside();
        let mark = quote(&format!("{MARK}={}", of_database(self)));
        let text = format!("grep -lsF -e {mark} /proc/[0-9]*/environ || true");
        let what = "the tool's processes";
        let looked = places.output(&self.place, what, &text, MAX_LIST, QUERY_TIMEOUT);
        looked.await.is_ok_and(|found| !found.is_empty())
    }
}

/// The ends at this machine of all connections that processes with this text in their environment have.
pub(crate) fn ends(mark: &str) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let home = process.path();
        let environment = std::fs::read(home.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        if !variables.any(|variable| variable.starts_with(mark.as_bytes())) {
            continue;
        }
        let sockets = sockets(&home);
        for table in ["net/tcp", "net/tcp6"] {
            let table = std::fs::read_to_string(home.join(table)).unwrap_or_default();
            all.extend(table.lines().filter_map(|line| of_line(line, &sockets)));
        }
    }
    all
}

/// The inodes of a process's sockets.
fn sockets(home: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(home.join("fd")).into_iter().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let inode = |link: std::path::PathBuf| {
        let text = link.to_str()?;
        Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    links.filter_map(inode).collect()
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`.
fn of_line(line: &str, sockets: &BTreeSet<String>) -> Option<SocketAddr> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    (*state == ESTABLISHED && sockets.contains(*inode)).then_some(())?;
    let (ip, port) = local.split_once(':')?;
    Some(SocketAddr::new(
        address(ip)?,
        u16::from_str_radix(port, 16).ok()?,
    ))
}

/// Each four bytes as a number of the machine.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |text: &str| Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(hex)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (nth, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(hex.get(nth * 8..nth * 8 + 8)?)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_environment_and_its_connections_by_their_ends() {
        let own = std::fs::read("/proc/self/environ").unwrap();
        let first = own.split(|byte| *byte == 0).next().unwrap();
        let mark = String::from_utf8_lossy(first).into_owned();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert!(ends(&mark).contains(&client.local_addr().unwrap()));
        assert!(ends("NO_SUCH_VARIABLE_OF_ANY_PROCESS=").is_empty());
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let all = BTreeSet::from(["77".to_owned()]);
        let four = "0: 0100007F:1F90 0100007F:0035 01 0:0 0:0 0 0 0 77 1";
        let six = "0: 0000000000000000FFFF00000100007F:1F90 0:0035 01 0:0 0:0 0 0 0 77 1";
        if cfg!(target_endian = "little") {
            for line in [four, six] {
                let found = of_line(line, &all).unwrap();
                assert_eq!(found.to_string(), "127.0.0.1:8080");
            }
        }
        assert_eq!(of_line("sl local_address rem_address st", &all), None);
        assert_eq!(of_line(&four.replace(" 01 ", " 0A "), &all), None);
    }
}

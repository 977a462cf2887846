//! A backend of HAProxy with two sides, and the socket by which they are set.

use crate::found::{RouterFile, Sides};
use crate::pair::{self, Server};

/// The first backend that has two sides; `Unknown` where no socket takes orders.
pub(crate) fn read(path: &str, text: &str) -> Option<Sides> {
    let mut sections: Vec<(usize, &str, &str, Vec<&str>)> = Vec::new();
    let (mut socket, mut state_file) = (None, None);
    for (at, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = code.split_whitespace().collect();
        match words[..] {
            [
                "global" | "defaults" | "frontend" | "listen" | "backend",
                ..,
            ] if !code.starts_with([' ', '\t']) => {
                let name = words.get(1).copied().unwrap_or_default();
                sections.push((at + 1, words[0], name, Vec::new()));
            }
            ["stats", "socket", socket_path, ref more @ ..]
                if more.windows(2).any(|pair| pair == ["level", "admin"]) =>
            {
                socket = socket.or(Some(socket_path));
            }
            ["server-state-file", file] => state_file = Some(file),
            ["server", ..] => {
                if let Some((.., servers)) = sections.last_mut() {
                    servers.push(line);
                }
            }
            _ => {}
        }
    }
    let loads = text.contains("load-server-state-from-file global");
    let backends = sections.iter().filter(|(_, kind, ..)| *kind == "backend");
    backends.into_iter().find_map(|(at, _, name, lines)| {
        let servers: Vec<Server<'_>> = lines.iter().filter_map(|line| server(line)).collect();
        let (blue, green) = pair::sides(&servers, name)?;
        let is_plain = |word: &str| {
            word.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
        };
        if ![*name, blue, green].into_iter().all(is_plain) {
            return None;
        }
        let router = match socket.filter(|socket| socket.starts_with('/')) {
            Some(socket) => RouterFile::Haproxy {
                backend: (*name).to_owned(),
                socket: socket.to_owned(),
                // Without its path from the root, where it is depends on `server-state-base`.
                state_file: state_file
                    .filter(|file| loads && file.starts_with('/'))
                    .map(str::to_owned),
            },
            None => RouterFile::Unknown,
        };
        Some(Sides {
            router,
            blue: blue.to_owned(),
            green: green.to_owned(),
            at: format!("{path}:{at}"),
        })
    })
}

fn server(line: &str) -> Option<Server<'_>> {
    let code = line.split('#').next()?;
    let words: Vec<&str> = code.split_whitespace().collect();
    let weight = words.windows(2).find(|pair| pair[0] == "weight");
    let weight = weight.and_then(|pair| pair[1].parse().ok());
    Some(Server {
        name: words.get(1)?,
        line,
        waits: words.contains(&"disabled") || words.contains(&"backup") || weight == Some(0),
        weight: weight.unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "global\n  stats socket /run/haproxy/admin.sock mode 660 level admin\n  server-state-file /var/lib/haproxy/state\n\
         defaults\n  load-server-state-from-file global\nbackend pool\n  server a 10.0.0.1:80 check\n  server b 10.0.0.2:80 check\n\
         backend app\n  server one 10.0.0.1:80 check\n  server two 10.0.0.2:80 check disabled # next\n";

    #[test]
    fn a_backend_with_a_server_that_waits_has_two_sides() {
        let sides = read("haproxy.cfg", CONFIG).unwrap();
        assert_eq!((sides.blue.as_str(), sides.green.as_str()), ("one", "two"));
        assert_eq!(sides.at, "haproxy.cfg:9");
        assert_eq!(
            sides.router,
            RouterFile::Haproxy {
                backend: "app".to_owned(),
                socket: "/run/haproxy/admin.sock".to_owned(),
                state_file: Some("/var/lib/haproxy/state".to_owned()),
            }
        );
        let without = CONFIG.replace("level admin", "level operator");
        assert_eq!(
            read("haproxy.cfg", &without).unwrap().router,
            RouterFile::Unknown
        );
        assert_eq!(read("haproxy.cfg", &CONFIG.replace(" disabled", "")), None);
    }
}

//! What `show stat` tells of a backend and its servers. Its columns are named in its first line; an
//! unprivileged socket leaves some of them empty.

use std::collections::BTreeMap;

use place::Error;

/// A server, or the backend itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// `UP`, `DOWN 1/2`, `DRAIN`, `MAINT`, `no check`.
    pub(super) status: String,
    /// What the last check found, such as `L4CON`; `INI` before the first one, empty without checks.
    pub(super) check: String,
    /// The same in words.
    pub(super) said: String,
    /// Requests since HAProxy began to count, and those that are open.
    pub(super) total: u64,
    pub(super) open: u64,
    /// A server that waits for the others to fail.
    pub(super) backup: bool,
    /// Of a backend: its `balance`.
    pub(super) balance: String,
    /// Of a backend: the cookie by which users stay at a server.
    pub(super) cookie: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) backend: Row,
    pub(super) servers: BTreeMap<String, Row>,
}

impl Stat {
    /// That users stay at a server whatever its weight, in words; `None` where they do not.
    pub(super) fn stay(&self) -> Option<String> {
        let cookie = self.backend.cookie.as_str();
        (!cookie.is_empty()).then(|| {
            format!("users whose cookie {cookie} names a server stay there, whatever its weight")
        })
    }
}

impl Row {
    /// Whether checks have an opinion on it.
    pub(super) fn is_checked(&self) -> bool {
        !self.check.is_empty() && !self.status.starts_with("MAINT")
    }

    /// Before its first check, a server is taken for healthy.
    pub(super) fn awaits_first_check(&self) -> bool {
        self.check.trim_start_matches(['*', ' ']) == "INI"
    }

    pub(super) fn is_down(&self) -> bool {
        self.status.starts_with("DOWN")
    }

    /// `DOWN (L4CON: Connection refused)`.
    pub(super) fn shown(&self) -> String {
        match (self.check.as_str(), self.said.as_str()) {
            ("", _) => self.status.clone(),
            (check, "") => format!("{} ({check})", self.status),
            (check, said) => format!("{} ({check}: {said})", self.status),
        }
    }
}

pub(super) fn parse(answer: &str, backend: &str) -> Result<Stat, Error> {
    let mut lines = answer.lines();
    let head = lines.next().and_then(|line| line.strip_prefix("# "));
    let Some(head) = head else {
        let first = answer.lines().next().unwrap_or("no answer");
        return Err(Error::Malformed(first.trim().to_owned()));
    };
    let names = fields(head);
    let mut stat = Stat::default();
    let mut found = false;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row = fields(line);
        let of = |name: &str| {
            let at = names.iter().position(|known| known == name);
            at.and_then(|at| row.get(at)).map_or("", String::as_str)
        };
        if of("pxname") != backend {
            continue;
        }
        let count = |name: &str| {
            let text = of(name);
            text.parse::<u64>()
                .map_err(|_| Error::Malformed(format!("{name} of `show stat` is not a number")))
        };
        let (name, read) = (of("svname"), || {
            Ok::<_, Error>(Row {
                status: of("status").to_owned(),
                check: of("check_status").to_owned(),
                said: of("check_desc").to_owned(),
                total: count("stot")?,
                open: count("scur")?,
                backup: of("bck") == "1",
                balance: of("algo").to_owned(),
                cookie: of("cookie").to_owned(),
            })
        });
        match name {
            "FRONTEND" => {}
            "BACKEND" => {
                found = true;
                stat.backend = read()?;
            }
            name => {
                stat.servers.insert(name.to_owned(), read()?);
            }
        }
    }
    if !found {
        return Err(Error::NoBackend(backend.to_owned()));
    }
    Ok(stat)
}

/// The fields of a line; one with a comma or a quote in it is quoted, and quotes in it are doubled.
fn fields(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (mut field, mut quoted) = (String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    all.push(field);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "# pxname,svname,scur,stot,status,bck,check_status,check_desc,cookie,algo,
web,FRONTEND,1,9,OPEN,,,,,,
app,blue,2,7,UP,0,L7OK,\"Layer7, \"\"passed\"\"\",b,,
app,green,0,2,DOWN,0,L4CON,Connection refused,,,
app,far,0,0,no check,1,,,,,
app,BACKEND,2,9,UP,1,,,SRV,roundrobin,
";

    #[test]
    fn a_backend_and_its_servers_are_read_by_their_columns() {
        let stat = parse(STAT, "app").unwrap();
        assert_eq!(stat.backend.balance, "roundrobin");
        assert_eq!(stat.backend.cookie, "SRV");
        let blue = &stat.servers["blue"];
        assert_eq!((blue.total, blue.open), (7, 2));
        assert_eq!(blue.said, "Layer7, \"passed\"");
        assert!(blue.is_checked() && !blue.is_down());
        let green = &stat.servers["green"];
        assert_eq!(green.shown(), "DOWN (L4CON: Connection refused)");
        assert!(green.is_down());
        assert!(stat.servers["far"].backup && !stat.servers["far"].is_checked());
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        for text in [
            "",
            "Permission denied\n",
            "# pxname,svname,scur,stot\napp,blue,x,y\n",
        ] {
            assert!(parse(text, "app").is_err(), "{text:?}");
        }
        assert!(matches!(parse(STAT, "other"), Err(Error::NoBackend(_))));
    }
}

//! An upstream of nginx, or its `split_clients`, with two sides.

use regex::{Captures, Regex};
use repository::Repository;

use crate::compose;
use crate::found::{OnMachine, RouterFile, Sides, line_at};
use crate::pair::{self, Server};
use crate::script::Script;

/// The first upstream, or `split_clients`, of the file that has two sides.
pub(crate) fn read(repository: &Repository, path: &str, scripts: &[Script]) -> Option<Sides> {
    let text = repository.text(path)?;
    let (blue, green, at, sticky) = divided(&text).or_else(|| upstream(&text))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let at = format!("{path}:{}", line_at(&text, at));
    let of_compose = compose::container_of(repository, path);
    let of_script = scripts.iter().find(|script| script.names(name).is_some());
    let reloads = of_script.or_else(|| scripts.iter().find(|script| script.reload.is_some()));
    // Names inside a network of containers are no addresses for anyone outside.
    let is_inside = [&blue, &green]
        .iter()
        .any(|one| compose::is_service(repository, one));
    let router = match of_compose {
        _ if is_inside => RouterFile::Unknown,
        Some((path, container)) => RouterFile::Nginx {
            file: OnMachine {
                path,
                from: Some(container.compose.clone()),
            },
            sticky,
            test: None,
            reload: None,
            container: Some(container),
        },
        None => RouterFile::Nginx {
            file: on_machine(path, name, of_script),
            sticky,
            test: reloads.and_then(|script| script.test.clone()),
            reload: reloads.and_then(|script| script.reload.clone()),
            container: None,
        },
    };
    Some(Sides {
        router,
        blue,
        green,
        at,
    })
}

/// By a script that names it, by its own path in the repository, or where Debian's nginx reads such files.
fn on_machine(path: &str, name: &str, script: Option<&Script>) -> OnMachine {
    if let Some(script) = script
        && let Some(found) = script.names(name)
    {
        return OnMachine {
            path: found.to_owned(),
            from: Some(script.at.clone()),
        };
    }
    if let Some(at) = path.find("etc/nginx/") {
        return OnMachine {
            path: format!("/{}", &path[at..]),
            from: Some(path.to_owned()),
        };
    }
    OnMachine {
        path: format!("/etc/nginx/conf.d/{name}"),
        from: None,
    }
}

type Found = (String, String, usize, Option<String>);

fn upstream(text: &str) -> Option<Found> {
    let block = Regex::new(r"(?m)^\s*upstream\s+[A-Za-z0-9_.-]+\s*\{([^}]*)\}").ok()?;
    let line = Regex::new(r"(?m)^([\s#]*)server\s+([^\s;]+)([^\n]*)").ok()?;
    let address = Regex::new(r"^[A-Za-z0-9_.-]+:[0-9]{1,5}$").ok()?;
    let weight = Regex::new(r"\bweight=([0-9]{1,9})\b").ok()?;
    block.captures_iter(text).find_map(|found| {
        let (whole, inside) = (found.get(0)?, found.get(1)?);
        let is_comment = |server: &Captures<'_>| server[1].contains('#');
        // A server without a port, or on a socket, takes requests like every other one.
        let has_other =
            |server: Captures<'_>| !is_comment(&server) && !address.is_match(&server[2]);
        if line.captures_iter(inside.as_str()).any(has_other) {
            return None;
        }
        let servers: Vec<Server<'_>> = line
            .captures_iter(inside.as_str())
            .filter(|server| address.is_match(&server[2]))
            .filter_map(|server| {
                let rest = server.get(3)?.as_str();
                let params = rest.split(';').next().unwrap_or_default();
                let is_out = |word: &str| params.split_whitespace().any(|one| one == word);
                let weight = weight.captures(params);
                Some(Server {
                    name: server.get(2)?.as_str(),
                    line: server.get(0)?.as_str(),
                    waits: is_comment(&server) || is_out("down") || is_out("backup"),
                    weight: weight.map_or(1, |weight| weight[1].parse().unwrap_or(1)),
                })
            })
            .collect();
        let (blue, green) = pair::sides(&servers, whole.as_str())?;
        Some((
            blue.to_owned(),
            green.to_owned(),
            whole.start() + lead(whole.as_str()),
            None,
        ))
    })
}

/// `split_clients $cookie_id $up { 10% 127.0.0.1:8002; * 127.0.0.1:8001; }`: who has a share by name is green.
fn divided(text: &str) -> Option<Found> {
    let block = Regex::new(
        r"(?m)^\s*split_clients\s+(\$[A-Za-z0-9_]+)\s+\$[A-Za-z0-9_]+\s*\{\s*[0-9.]+%\s+([A-Za-z0-9_.-]+:[0-9]{1,5})\s*;\s*\*\s+([A-Za-z0-9_.-]+:[0-9]{1,5})\s*;\s*\}",
    )
    .ok()?;
    let found = block.captures(text)?;
    let whole = found.get(0)?;
    Some((
        found[3].to_owned(),
        found[2].to_owned(),
        whole.start() + lead(whole.as_str()),
        Some(found[1].to_owned()),
    ))
}

/// The space that a match begins with.
fn lead(text: &str) -> usize {
    text.len() - text.trim_start().len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_with_a_side_that_waits_is_one() {
        let text = "# shop\nupstream pool { server a:1; server b:1; }\nupstream shop {\n  server 127.0.0.1:8001;\n  # server 127.0.0.1:8002;\n}\n";
        // One line holds two servers of the pool: nothing is read of it.
        let (blue, green, at, sticky) = upstream(text).unwrap();
        assert_eq!(
            (blue.as_str(), green.as_str()),
            ("127.0.0.1:8001", "127.0.0.1:8002")
        );
        assert_eq!((line_at(text, at), sticky), (3, None));
        let pool = "upstream shop {\n  server a:1;\n  server b:1;\n}\n";
        assert_eq!(upstream(pool), None);
        assert!(upstream(&pool.replace("b:1;", "b:1 weight=9;")).is_some());
        assert!(upstream(&pool.replace("b:1;", "b:1; # green")).is_some());
    }

    #[test]
    fn users_that_are_divided_have_a_key() {
        let text =
            "split_clients $cookie_id $up {\n  10% 127.0.0.1:8002;\n  * 127.0.0.1:8001;\n}\n";
        let (blue, green, _, sticky) = divided(text).unwrap();
        assert_eq!(
            (blue.as_str(), green.as_str()),
            ("127.0.0.1:8001", "127.0.0.1:8002")
        );
        assert_eq!(sticky.as_deref(), Some("$cookie_id"));
    }
}

//! The two sides of a router, as the section `traffic:`.

use sides::{RouterFile, Sides};

use crate::back::RunsAt;
use crate::hosts::Reached;
use yaml_edit::tree::{Map, Tree};

/// Why two sides that are seen are not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharesObstacle {
    #[error("what divides the requests between them is not in the repository, or takes no orders")]
    Router,
    #[error(
        "no address is seen through the router that shows which release answers; `--url` names it"
    )]
    Question,
    #[error("the machine of the router is not reached")]
    Nowhere,
    #[error("the folder of Compose on the machine is not seen, whose container has the router")]
    Folder,
    #[error("several machines are reached, and which one has the router is not seen")]
    Several,
    #[error(
        "the deployment needs no configuration of its own here: `--url` and a checkout make one"
    )]
    NoConfiguration,
}

/// The section, but for where the state is. `asks` tells whether the gate asks an address through HTTP,
/// `folder` where the deployment's files are on the machine.
pub(crate) fn section(
    sides: &Sides,
    reach: &RunsAt,
    asks: bool,
    folder: Option<&str>,
) -> Result<Map, SharesObstacle> {
    let folder = match reach {
        RunsAt::Here => Some(folder.unwrap_or(".")),
        RunsAt::Hosts(_) | RunsAt::Nowhere(_) => folder,
    };
    let (kind, mut router) = router(sides, folder)?;
    if !asks {
        return Err(SharesObstacle::Question);
    }
    match reach {
        RunsAt::Here => {}
        RunsAt::Nowhere(_) => return Err(SharesObstacle::Nowhere),
        RunsAt::Hosts(all) => {
            if all.len() > 1 && !is_everywhere(sides) {
                return Err(SharesObstacle::Several);
            }
            let names = all.iter().map(|one: &Reached| one.name.as_str());
            router.add("hosts", Tree::texts(names));
        }
    }
    Ok(Map::default().with(kind, Tree::Map(router)))
}

/// The sides are on the router's own machine: so each machine has a router.
fn is_everywhere(sides: &Sides) -> bool {
    let is_local = |address: &String| {
        ["127.0.0.1:", "localhost:"]
            .iter()
            .any(|local| address.starts_with(local))
    };
    [&sides.blue, &sides.green].into_iter().all(is_local)
}

fn router(sides: &Sides, folder: Option<&str>) -> Result<(&'static str, Map), SharesObstacle> {
    let mut map = Map::default();
    let kind = match &sides.router {
        RouterFile::Unknown => return Err(SharesObstacle::Router),
        RouterFile::Nginx {
            file,
            sticky,
            test,
            reload,
            container,
        } => {
            let mut keys = [
                ("sticky", sticky.clone()),
                ("exec", None),
                ("test", test.clone()),
                ("reload", reload.clone()),
            ];
            let mut path = file.path.clone();
            if let Some(container) = container {
                let folder = folder.ok_or(SharesObstacle::Folder)?;
                let folder = folder.trim_end_matches('/');
                let exec = format!(
                    "docker compose -f {folder}/{} exec -T {}",
                    container.compose, container.service
                );
                if let Some(outside) = &container.outside {
                    path = format!("{folder}/{outside}");
                    keys[2].1 = Some(format!("{exec} nginx -t"));
                    keys[3].1 = Some(format!("{exec} nginx -s reload"));
                } else {
                    keys[1].1 = Some(exec);
                }
            }
            let path = Tree::text(&path);
            match &file.from {
                Some(from) => map.add_noted(&format!("As {from} has it."), "upstream-file", path),
                None => map.add_noted(
                    "Where Debian's nginx reads such files. On your machine it may be elsewhere: `nginx -T`.",
                    "upstream-file",
                    path,
                ),
            }
            for (key, value) in keys {
                let Some(value) = value else { continue };
                let is_key = key == "sticky";
                let tree = if is_key { Tree::text } else { Tree::shell };
                map.add(key, tree(&value));
            }
            "nginx"
        }
        RouterFile::Haproxy {
            backend,
            socket,
            state_file,
        } => {
            map.add("socket", Tree::text(socket));
            if let Some(file) = state_file {
                map.add("state-file", Tree::text(file));
            }
            map.add("backend", Tree::text(backend));
            "haproxy"
        }
    };
    map.add("blue", Tree::text(&sides.blue));
    map.add("green", Tree::text(&sides.green));
    Ok((kind, map))
}

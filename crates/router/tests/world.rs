//! A configuration, and the router that it names.

use std::path::Path;
use std::rc::Rc;

use config::file::Config;
use config::value::Share;
use model::{Env, Redactor};
use place::{Context, PlaceAccess};
use router::{Router, Side, Split};

/// What a router is made of.
pub(crate) struct World {
    config: Config,
    env: Env,
    redactor: Redactor,
    places: PlaceAccess,
}

impl World {
    /// Of a router's section, `caddy: {…}`, and further lines of the file.
    pub(crate) fn new(section: &str, more: &str, env: Env) -> World {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deploy-guard.yml");
        let text =
            format!("version: 1\nservice: shop\n{more}traffic:\n  state: s.json\n  {section}\n");
        std::fs::write(&file, &text).unwrap();
        let config = load(&file, folder.path(), &env).unwrap_or_else(|error| {
            panic!("{error}\n{text}");
        });
        World {
            places: PlaceAccess::new(&config.hosts, &env),
            config,
            env,
            redactor: Redactor::default(),
        }
    }

    pub(crate) fn router(&self) -> Box<dyn Router + '_> {
        let context = Context {
            config: &self.config,
            env: &self.env,
            redactor: &self.redactor,
            places: &self.places,
            release: None,
            repository: None,
            known: Vec::new(),
            github: Rc::new(|_, _, _| unreachable!("no router asks GitHub")),
            say: Rc::new(|_| ()),
        };
        router::kinds::of(self.config.traffic().unwrap().unwrap(), &context).unwrap()
    }
}

fn load(file: &Path, folder: &Path, env: &Env) -> Result<Config, String> {
    let read = config::load(config::Request {
        fetch: None,
        path: Some(file),
        folder,
        environment: None,
        variables: config::Variables { env, release: None },
    });
    read.map(|read| read.config)
        .map_err(|failed| failed.error.to_string())
}

/// What the configuration's check says against a section.
pub(crate) fn refused(section: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deploy-guard.yml");
    let text = format!("version: 1\nservice: shop\ntraffic:\n  state: s.json\n  {section}\n");
    std::fs::write(&file, text).unwrap();
    load(&file, folder.path(), &Env::default()).unwrap_err()
}

/// Green has this share.
pub(crate) fn green(share: &str) -> Split {
    let share: Share = share.parse().unwrap();
    Split::giving(Side::Green, share)
}

//! A router of a configuration, and the requests that go through it.

use std::path::Path;
use std::time::Duration;

use model::Env;
use place::{Error, Place, StepFuture};
use router::{Router, Split};
use testkit::Sshd;
use tokio::runtime::Runtime;

use crate::world::World;

pub(crate) use crate::world::green;

pub(crate) struct Bed {
    world: World,
    runtime: Runtime,
}

impl Bed {
    /// `router`: the key below `traffic:` with all that it has, as JSON.
    pub(crate) fn new(router: &serde_json::Value) -> Bed {
        Bed::with("", router)
    }

    /// The same, where the one host `web-01` is this server.
    pub(crate) fn at(sshd: &Sshd, router: &serde_json::Value) -> Bed {
        let folder = sshd.folder();
        std::fs::write(folder.join("known_hosts"), sshd.known_hosts()).unwrap();
        let hosts = format!(
            "hosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-file: {}, known-hosts: {} }}\n",
            sshd.port(),
            sshd.user(),
            sshd.key().display(),
            folder.join("known_hosts").display()
        );
        Bed::with(&hosts, router)
    }

    fn with(hosts: &str, router: &serde_json::Value) -> Bed {
        let (kind, config) = router.as_object().unwrap().iter().next().unwrap();
        let section = format!("{kind}: {config}");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Bed {
            world: World::new(&section, hosts, Env::default()),
            runtime: runtime.enable_all().build().unwrap(),
        }
    }

    pub(crate) fn router(&self) -> Used<'_> {
        let router = self.world.router();
        let place = router.places()[0].clone();
        Used {
            bed: self,
            router,
            place,
        }
    }
}

/// A router at its first place.
pub(crate) struct Used<'b> {
    bed: &'b Bed,
    pub(crate) router: Box<dyn Router + 'b>,
    pub(crate) place: Place,
}

impl Used<'_> {
    pub(crate) fn run<T>(&self, asking: StepFuture<'_, T>) -> Result<T, Error> {
        self.bed.runtime.block_on(asking)
    }

    #[track_caller]
    pub(crate) fn set(&self, share: &str) {
        self.run(self.router.set(&self.place, green(share)))
            .unwrap_or_else(|why| panic!("{share}: {why}"));
    }

    /// Why the share cannot be set.
    #[track_caller]
    pub(crate) fn set_fails(&self, share: &str) -> String {
        let set = self.run(self.router.set(&self.place, green(share)));
        set.unwrap_err().to_string()
    }

    #[track_caller]
    pub(crate) fn check_fails(&self, share: &str) -> String {
        let checked = self.run(self.router.check(&self.place, green(share)));
        checked.unwrap_err().to_string()
    }

    #[track_caller]
    pub(crate) fn configured(&self) -> Split {
        self.run(self.router.configured(&self.place)).unwrap()
    }

    #[track_caller]
    pub(crate) fn loaded(&self) -> Option<Split> {
        self.run(self.router.loaded(&self.place)).unwrap()
    }

    #[track_caller]
    pub(crate) fn explained(&self) -> Option<String> {
        self.run(self.router.explain(&self.place)).unwrap()
    }

    /// How many of so many users who are new to it get v2.
    #[track_caller]
    pub(crate) fn ask(&self, count: u32) -> u32 {
        let asked = (0..count).map(|_| {
            self.run(self.router.sample_release(&self.place, "v2"))
                .unwrap()
        });
        u32::try_from(asked.filter(|release| release == "v2").count()).unwrap()
    }
}

/// How many of so many requests v2 answers, each over a connection of its own.
pub(crate) fn answered(url: &str, count: u32) -> u32 {
    let answers = (0..count).map(|_| {
        let answer = testkit::get(url).unwrap();
        answer.header("x-version").unwrap_or_default().to_owned()
    });
    u32::try_from(answers.filter(|release| release == "v2").count()).unwrap()
}

/// Until all of twenty answers in a row are of one side, or of both.
#[track_caller]
pub(crate) fn settles(url: &str, fits: impl Fn(u32) -> bool) {
    let settled = testkit::wait_until(Duration::from_secs(20), || fits(answered(url, 20)));
    assert!(settled, "{} of 20 are v2", answered(url, 20));
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

//! nginx on its machines, or in a container of theirs: the upstream file and the commands, as the
//! configuration names them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::file::NginxTarget;
use config::value::ShellText;
use place::{Effect, Error, Place, PlaceAccess};

use super::division::Division;
use super::evidence::{self, Traces};
use super::upstream;

/// From the first new answer on, workers of before may still accept for so long: nginx tells them
/// to go 100 ms after it has started new ones (`ngx_master_process_cycle`).
pub const OVERLAP: Duration = Duration::from_millis(105);

/// nginx as a section of the configuration has it.
#[derive(Debug)]
pub struct Site<'a> {
    pub config: &'a NginxTarget,
    /// The section, as errors name it.
    section: &'static str,
    /// Inside the container, where nginx runs in one.
    places: PlaceAccess,
    /// When it was last made to read its files.
    reloaded: RefCell<BTreeMap<Place, Instant>>,
}

/// How far back a log is read where it is not known when nginx was reloaded.
const LATELY: Duration = Duration::from_mins(5);

impl<'a> Site<'a> {
    pub fn new(config: &'a NginxTarget, section: &'static str, places: &PlaceAccess) -> Self {
        Site {
            config,
            section,
            places: places.inside(config.exec.as_ref()),
            reloaded: RefCell::default(),
        }
    }

    fn limit(&self) -> Duration {
        self.config.timeout.get()
    }

    /// The upstream file; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if it cannot be read within the time.
    pub async fn find(&self, place: &Place, limit: Duration) -> Result<Option<String>, Error> {
        self.places
            .read(place, &self.config.upstream_file, limit)
            .await
    }

    /// The upstream file.
    pub async fn read(&self, place: &Place) -> Result<String, Error> {
        let text = self.find(place, self.limit()).await?;
        text.ok_or_else(|| Error::Missing(upstream::no_file(&self.config.upstream_file)))
    }

    /// How a text of the file divides the traffic.
    ///
    /// # Errors
    /// Where it does not, or between others.
    pub fn division<'t>(&self, text: &'t str) -> Result<Division<'t>, Error>
    where
        'a: 't,
    {
        let division = Division::of(text, self.config, self.section);
        division.map_err(|error| self.unfit(&error))
    }

    pub fn unfit(&self, why: &super::division::Error) -> Error {
        Error::Unfit(format!("{}: {why}", self.config.upstream_file.display()))
    }

    pub async fn write(&self, place: &Place, text: &str) -> Result<(), Error> {
        let path = &self.config.upstream_file;
        self.places.replace(place, path, text, self.limit()).await
    }

    /// Proves that the file can be replaced and that the commands may be called; changes nothing.
    ///
    /// # Errors
    /// Returns what would be in the way.
    pub async fn may_change(&self, place: &Place) -> Result<(), Error> {
        let (path, limit) = (&self.config.upstream_file, self.limit());
        self.places.may_replace(place, path, limit).await?;
        for command in [&self.config.test, &self.config.reload] {
            if let Some(proof) = remote::sudo::proof(command) {
                let what = format!("`{command}`");
                self.places
                    .script(place, &what, &proof, Effect::Reads, limit)
                    .await?;
            }
        }
        Ok(())
    }

    /// Lets nginx check what its files say, as they are; what is odd about `text` among them. `nginx -T`
    /// tells both at once, so that `-t` is for where that may not be run, or finds a fault.
    ///
    /// # Errors
    /// Returns what it said against them.
    pub async fn sound(&self, place: &Place, text: &str) -> Result<Option<String>, Error> {
        match self.shows(place, "-T").await {
            Some(dump) => Ok(self.doubts_by(&dump, text)),
            None => self.test_unchanged(place).await.map(|()| None),
        }
    }

    /// Lets nginx check what its files say, as they are.
    ///
    /// # Errors
    /// Returns what it said against them.
    async fn test_unchanged(&self, place: &Place) -> Result<(), Error> {
        let test = &self.config.test;
        let (what, limit) = (format!("`{test}`"), self.limit());
        let asking =
            self.places
                .full_output(place, &what, test, test.variables(), Effect::Reads, limit);
        let ran = asking.await.map(drop);
        ran.map_err(|error| error.at("the configuration is broken before any change"))
    }

    /// Lets nginx check what its files say, and read them.
    ///
    /// # Errors
    /// Returns what a command said that did not end with 0.
    pub async fn test_and_reload(&self, place: &Place) -> Result<(), Error> {
        self.command(place, &self.config.test).await?;
        self.reload(place).await
    }

    async fn reload(&self, place: &Place) -> Result<(), Error> {
        let now = Instant::now();
        self.reloaded.borrow_mut().insert(place.clone(), now);
        self.command(place, &self.config.reload).await
    }

    /// Puts the file back, and lets nginx read it; what was done, in words. Of what another wrote meanwhile, only the
    /// shares are changed.
    ///
    /// # Errors
    /// Returns which of the two failed.
    pub async fn restore(&self, place: &Place, before: &str) -> Result<String, Error> {
        let path = self.config.upstream_file.display();
        let text = match self.find(place, self.limit()).await? {
            Some(now) => self.undone(&now, before)?,
            None => before.to_owned(),
        };
        self.write(place, &text)
            .await
            .map_err(|error| error.at(format!("putting {path} back failed too")))?;
        match self.reload(place).await {
            Ok(()) => Ok(format!("{path} was put back")),
            Err(error) => Err(error.at(format!("{path} was put back, but nginx did not read it"))),
        }
    }

    /// The text of before; where another has written more than shares into the file, its text with the shares of before.
    fn undone(&self, now: &str, before: &str) -> Result<String, Error> {
        let Ok(old) = self.division(before) else {
            return Ok(before.to_owned());
        };
        let same = |division: &Division<'_>| division.without_shares(&self.config.blue);
        let theirs = self.division(now).and_then(|division| {
            if same(&division).is_some_and(|text| same(&old) == Some(text)) {
                return Ok(before.to_owned());
            }
            let split = old.split().and_then(|split| division.with(split));
            split.map_err(|why| self.unfit(&why))
        });
        theirs.map_err(|error| {
            Error::Raced(format!(
                "another changed {} meanwhile, and it stays so: {error}",
                self.config.upstream_file.display()
            ))
        })
    }

    /// An error, with the file as it was before.
    pub async fn put_back_after(&self, place: &Place, before: &str, error: Error) -> Error {
        match self.restore(place, before).await {
            Ok(done) => error.then(done),
            Err(back) => error.stuck(back),
        }
    }

    /// One of the user's own commands, as they wrote it.
    async fn command(&self, place: &Place, text: &ShellText) -> Result<(), Error> {
        let ran = self.places.command(place, text, self.limit()).await;
        ran.map(drop)
    }

    /// What another action of the command that tests prints: `nginx -T` of `nginx -t`. `None` where
    /// it may not be run, or does not succeed.
    async fn shows(&self, place: &Place, action: &str) -> Option<String> {
        let (command, rest) = self.config.test.rsplit_once(" -t")?;
        let whole = rest.is_empty() || rest.starts_with(' ');
        let text = format!("(\n{command} {action}{rest}\n) 2>&1");
        let (env, limit) = (self.config.test.variables(), self.limit());
        let asking = self
            .places
            .full_output(place, "nginx", &text, env, Effect::Reads, limit);
        if whole { asking.await.ok() } else { None }
    }

    /// What is odd about the file by nginx's own word on its files: that it does not read it, or that no
    /// site passes requests there.
    fn doubts_by(&self, dump: &str, text: &str) -> Option<String> {
        // What a command prints comes without the carriage returns that the file may have.
        let lines = |text: &str| text.replace("\r\n", "\n");
        if !lines(dump).contains(lines(text).trim()) {
            let file = self.config.upstream_file.display();
            return Some(format!(
                "nginx does not read {file}: `nginx -T` shows no such text"
            ));
        }
        let division = self.division(text).ok()?;
        let names = division.names();
        if names.is_empty() || evidence::is_used(dump, &names) {
            return None;
        }
        Some(format!(
            "no site of nginx passes requests to `upstream {}`",
            names.join("`, `upstream ")
        ))
    }

    /// What nginx's files, its error log and its processes say about a change that did not take effect.
    ///
    /// # Errors
    /// Returns an error if its machine cannot be asked.
    pub async fn explain(&self, place: &Place) -> Result<Option<String>, Error> {
        let reloaded = self.reloaded.borrow().get(place).copied();
        let (dump, built) = (self.shows(place, "-T").await, self.shows(place, "-V").await);
        let traces = Traces::of(dump.as_deref(), built.as_deref());
        let ago = || reloaded.map(|at| at.elapsed());
        let seconds = ago().unwrap_or(LATELY).as_secs() + 1;
        let (text, limit) = (traces.script(seconds), self.limit());
        let what = "a look at nginx";
        let printed = self
            .places
            .full_output(place, what, &text, &[], Effect::Reads, limit)
            .await?;
        // A process that is older than that is older than the reload, however long the look took.
        let ago = ago();
        let file = self.find(place, limit).await?;
        let doubts = match (&dump, &file) {
            (Some(dump), Some(file)) => self.doubts_by(dump, file),
            _ => None,
        };
        let told = [doubts, evidence::warnings(&printed, ago)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        Ok((!told.is_empty()).then(|| told.join("; ")))
    }
}

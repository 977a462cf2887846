//! nginx on its machines, or in a container of theirs: the upstream file and the commands, as the
//! configuration names them.

use std::time::Duration;

use config::file::NginxTarget;
use place::{Effect, Error, Place, Places};

use super::upstream::{self, Upstream};

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
    places: Places,
}

impl<'a> Site<'a> {
    pub fn new(config: &'a NginxTarget, section: &'static str, places: &Places) -> Self {
        Site {
            config,
            section,
            places: places.inside(config.exec.as_deref()),
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

    pub fn upstream<'t>(&self, text: &'t str) -> Result<Upstream<'t>, Error>
    where
        'a: 't,
    {
        let upstream = Upstream::of(text, self.config, self.section);
        upstream.map_err(|error| Error::Unfit(error.to_string()))
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

    /// Lets nginx check what its files say, and read them.
    ///
    /// # Errors
    /// Returns what a command said that did not end with 0.
    pub async fn test_and_reload(&self, place: &Place) -> Result<(), Error> {
        self.command(place, &self.config.test).await?;
        self.command(place, &self.config.reload).await
    }

    /// Puts the file back, and lets nginx read it; what was done, in words.
    ///
    /// # Errors
    /// Returns which of the two failed.
    pub async fn restore(&self, place: &Place, before: &str) -> Result<String, Error> {
        let path = self.config.upstream_file.display();
        self.write(place, before)
            .await
            .map_err(|error| error.at(format!("putting {path} back failed too")))?;
        match self.command(place, &self.config.reload).await {
            Ok(()) => Ok(format!("{path} was put back")),
            Err(error) => Err(error.at(format!("{path} was put back, but nginx did not read it"))),
        }
    }

    /// An error, with the file as it was before.
    pub async fn back(&self, place: &Place, before: &str, error: Error) -> Error {
        match self.restore(place, before).await {
            Ok(done) => error.then(done),
            Err(back) => error.stuck(back),
        }
    }

    /// One of the user's own commands, as they wrote it.
    async fn command(&self, place: &Place, text: &str) -> Result<(), Error> {
        let ran = self.places.command(place, text, self.limit()).await;
        ran.map(drop)
    }
}

//! What every check is given, and what it gives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cli::Job;
use config::file::{CheckConfig, FreezeWindow, Preflight};
use config::value::Weight;
use github::Client;
use model::{Outcome, Severity};
use state::Forced;
use tokio::sync::Semaphore;

/// How the entries of a kind of check are asked.
pub(crate) trait Check: CheckConfig {
    /// One for each outcome, before anything is asked.
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>>;
}

/// What every check is given.
pub(crate) struct Context<'a> {
    pub(crate) job: &'a Job,
    /// How long one check may take, where it has no time of its own.
    pub(crate) timeout: Duration,
    /// When the whole stage's time is over.
    pub(crate) until: Instant,
    /// A turn for each host that may be asked at the same time.
    pub(crate) hosts: Semaphore,
    /// The rules that `--force` lifts.
    pub(crate) forced: Vec<Forced>,
    /// Every window, for the end of those that overlap.
    pub(crate) freeze: &'a [FreezeWindow],
    /// `preflight.commit`.
    pub(crate) commit: Option<&'a str>,
    pub(crate) clients: RefCell<BTreeMap<(Option<String>, Instant), Client>>,
    /// What a check that waits has seen so far, by its id.
    pub(crate) notes: RefCell<BTreeMap<String, String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(job: &'a Job, section: &'a Preflight, forced: Vec<Forced>) -> Self {
        Context {
            job,
            timeout: section.timeout.get(),
            until: Instant::now() + section.deadline.get(),
            hosts: Semaphore::new(usize::from(section.parallel_hosts.get())),
            forced,
            freeze: &section.freeze,
            commit: section.commit.as_deref(),
            clients: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// One client for each identity, so that an app makes one token for all checks.
    pub(crate) fn github(&self, token_env: Option<&str>) -> Result<Client, github::Error> {
        self.github_until(token_env, self.until)
    }

    /// A client that waits for a rate limit until then.
    pub(crate) fn github_until(
        &self,
        token_env: Option<&str>,
        until: Instant,
    ) -> Result<Client, github::Error> {
        let key = (token_env.map(str::to_owned), until);
        if let Some(client) = self.clients.borrow().get(&key) {
            return Ok(client.clone());
        }
        let client = self.job.github(token_env, self.timeout, until)?;
        self.clients.borrow_mut().insert(key, client.clone());
        Ok(client)
    }

    /// Shows what a check waits for.
    pub(crate) fn note(&self, id: &str, text: String) {
        self.notes.borrow_mut().insert(id.to_owned(), text);
    }

    /// A check that is waited for, with what it has seen.
    pub(crate) fn waits_for(&self, id: &str) -> String {
        match self.notes.borrow().get(id) {
            Some(note) => format!("{id} ({note})"),
            None => id.to_owned(),
        }
    }

    /// How long a check may take that may have to wait for a rate limit: the rest of the stage's
    /// time. Each of its questions has [`Context::timeout`].
    pub(crate) fn patient(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// A check that is ready to be asked.
pub(crate) struct Planned<'a> {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) severity: Severity,
    pub(crate) weight: Weight,
    /// Which service is queried for what, for `preflight list`: a fragment that fits after "would".
    pub(crate) asks: String,
    /// The permission or the credentials that asking needs, if any.
    pub(crate) needs: Option<String>,
    /// How long asking may take.
    pub(crate) timeout: Duration,
    /// A time of its own, in which it may go on after the stage's deadline: what the configuration
    /// lets it wait for.
    pub(crate) wait: Duration,
    pub(crate) ask: Pin<Box<dyn Future<Output = Outcome> + 'a>>,
}

//! What every subcommand needs: the section, the tool, and the ways to the database and to the tool's
//! files.

use std::time::Duration;

use cli::{Failure, Job, LeaseRequest};
use config::file::Migrate;
use config::value::Span;
use database::{Address, Database, System};
use jiff::Timestamp;
use migrations::{Tool, ToolSite};
use model::{Outcome, Report, Secret, StageName};
use net::Route;
use place::{Place, PlaceAccess};
use state::{Document, Lease, Store};

use crate::tool_end::ToolFailure;

/// The operation of a lease and of a journal.
pub const MIGRATE: &str = StageName::Migrate.as_str();

/// One question to the database, and one look at the files.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// A job with its `migrate:` section.
pub struct Session<'a> {
    pub job: &'a Job,
    pub section: &'a Migrate,
    pub tool: Box<dyn Tool>,
    /// The value of `url-env`.
    pub url: Secret,
    pub database: Database,
    pub places: PlaceAccess,
    /// Where the tool runs and its files are.
    pub place: Place,
    pub store: Store,
    pub started_at: Timestamp,
}

impl<'a> Session<'a> {
    /// # Errors
    /// Returns a usage error where the section, the variable with the URL or the URL itself is not there
    /// or cannot be used.
    pub fn open(job: &'a Job) -> Result<Self, Failure> {
        let Some(section) = job.config.migrate()? else {
            return Err(Failure::usage("no migration tool is configured")
                .hint("add `migrate: { alembic: {} }`, or another tool, to the configuration"));
        };
        // GitHub is asked whether the run that holds the lock has ended.
        job.config.github()?;
        let name = &section.url_env;
        let Some(url) = job
            .env
            .secret(name)
            .filter(|url| !url.expose().trim().is_empty())
        else {
            return Err(Failure::usage(format!("{name} is not set")).hint(format!(
                "it holds the database's URL; {}",
                model::env::mapping_hint(name)
            )));
        };
        let address = Address::parse(url.expose());
        let address = address.map_err(|error| {
            Failure::usage(format!("{name} is not the URL of a database: {error}"))
                .hint("write `postgresql://user:password@host:5432/database` or `mysql://…`")
        })?;
        job.redactor.add([url.clone()]);
        job.redactor.add(address.password.clone());
        let tool = migrations::tool(section);
        let tool = tool.ok_or_else(|| Failure::usage("no migration tool is configured"))?;
        let places = PlaceAccess::new(&job.config.hosts, &job.env).withholding(name);
        let database = Database {
            route: Route::new(&[], section.via.as_deref(), &places.hosts()),
            address,
            name: "deploy-guard".to_owned(),
            timeout: QUERY_TIMEOUT,
        };
        let state = job.state_address()?;
        Ok(Session {
            job,
            section,
            tool,
            url,
            database,
            place: match &section.host {
                Some(host) => Place::Host(host.clone()),
                None => Place::Here,
            },
            places,
            store: job.store(&state)?,
            started_at: Timestamp::now(),
        })
    }

    /// The same job with another database of the same server, such as a copy: the tool gets its URL.
    ///
    /// # Errors
    /// Returns a usage error where the tool runs by `exec`, which has a URL of its own.
    pub fn for_database(&self, name: &str) -> Result<Self, Failure> {
        if self.section.exec.is_some() {
            return Err(Failure::usage(format!(
                "the tool runs by `exec`, where it has a URL of its own: {} would change the database itself instead of a copy",
                self.tool.name()
            ))
            .hint("run the tool without `exec`, in this job or on a `host`"));
        }
        let url = Secret::from(&*database::url_of_other(self.url.expose(), name));
        self.job.redactor.add([url.clone()]);
        Ok(Session {
            url,
            database: self.database.with_name(name),
            ..Session::open(self.job)?
        })
    }

    pub fn system(&self) -> System {
        self.database.address.system
    }

    /// Where the tool's files are: inside the container, where the tool runs in one.
    pub(crate) fn inside(&self) -> PlaceAccess {
        self.places.inside(self.section.exec.as_ref())
    }

    pub(crate) fn at<'p>(&'p self, inside: &'p PlaceAccess) -> ToolSite<'p> {
        ToolSite {
            places: inside,
            place: &self.place,
            folder: self.section.directory.as_deref(),
            timeout: QUERY_TIMEOUT,
        }
    }

    /// The state; `None` where nothing was recorded yet.
    pub async fn read(&self) -> Result<Option<Document>, Failure> {
        let document = self.store.read().await?;
        if let Some(document) = &document {
            self.job.check_owner(document, &self.store.place())?;
        }
        Ok(document)
    }

    /// Takes the lease, as [`Job::acquire`] does, with the state under it.
    async fn acquire(&self) -> Result<(Lease, Document), Failure> {
        let wanted = LeaseRequest {
            operation: MIGRATE,
            wait: self.section.lock_wait,
            ttl: self.section.lock_ttl,
        };
        let copy = |document: &mut Document, _: &mut state::Lock| document.clone();
        self.job.acquire(&self.store, &wanted, copy).await
    }

    /// Renews the lease for as long as it is awaited; ends where the lease is lost, with the reason.
    async fn keep(&self, lease: &Lease) -> state::Error {
        let ttl: Span = self.section.lock_ttl;
        cli::keep_lease(ttl.get(), async || self.store.renew(lease, ttl.get()).await).await
    }

    /// Does something with the lease, which is renewed meanwhile, and with the state under it. The lease is given
    /// back whatever came of it.
    ///
    /// # Errors
    /// Returns an error if the lease is not had, or is lost.
    pub async fn under_lease<T>(
        &self,
        working: impl AsyncFnOnce(&Lease, &Document) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (lease, document) = self.acquire().await?;
        let working = Box::pin(working(&lease, &document));
        let ended = tokio::select! {
            ended = working => ended,
            lost = self.keep(&lease) => Err(Failure::from(lost)),
        };
        self.release(&lease).await;
        ended
    }

    /// Gives back the lease of a run that was killed between the end of its journal and its own: no other run would
    /// before the next change. Nothing depends on it, so that a failure is only told.
    pub async fn give_back_left(&self, document: Option<&Document>) {
        let lock = document.and_then(|document| document.lock.as_ref());
        let Some(lock) = lock.filter(|lock| lock.operation == MIGRATE && !self.job.dry_run) else {
            return;
        };
        if self.job.fate(lock).await.is_gone()
            && let Err(failure) = self.under_lease(async |_, _| Ok(())).await
        {
            tracing::warn!("the lock of a run that is gone stays: {}", failure.chain());
        }
    }

    /// Gives the lease back; one that was lost belongs to another operation.
    async fn release(&self, lease: &Lease) {
        match self.store.release(lease, |_| ()).await {
            Ok(()) | Err(state::Error::Lost { .. }) => {}
            Err(error) => tracing::warn!("the lock was not given back: {error}"),
        }
    }

    /// What to do about a failure of the tool.
    pub fn hint(&self, failure: &ToolFailure) -> String {
        if let Some(hint) = self.tool.hint(&failure.told) {
            return hint;
        }
        if failure.is_missing {
            let name = self.tool.name();
            return format!(
                "{name} was not found: install it, activate its virtual environment in this step, or set how it is \
                 called in `migrate.{name}`"
            );
        }
        "`migrate decide` shows the ways out".to_owned()
    }

    pub fn report(&self, outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes(MIGRATE, self.started_at, outcomes)
    }
}

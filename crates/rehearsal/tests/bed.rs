//! A database with a table of orders, and a change of it as statements.

use std::time::Duration;

use database::{Address, Database, Error, QueryRows as _};
use dump::Programs;
use model::Env;
use net::Route;
use rehearsal::{Copy, Step, Steps, Trial, TrialError, rehearse};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What the release before does with the database.
pub(crate) const SMOKE: &[&str] = &[
    "INSERT INTO orders (id, email, total) VALUES ((SELECT max(o.id) + 1 FROM orders o), 'smoke', 1)",
    "SELECT id, email, total FROM orders WHERE email IS NOT NULL",
];

/// A change, its way down, and the test of the release before.
pub(crate) struct Change<'c> {
    pub(crate) database: &'c Database,
    pub(crate) up: &'c [&'c str],
    pub(crate) down: Option<&'c [&'c str]>,
    pub(crate) smoke: Option<&'c [&'c str]>,
}

/// The database was not asked; shown where the test fails.
#[derive(Debug)]
pub(crate) struct Stop {
    #[expect(dead_code, reason = "it is shown")]
    reason: String,
}

impl From<dump::Error> for Stop {
    fn from(error: dump::Error) -> Stop {
        Stop {
            reason: error.to_string(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop {
            reason: error.to_string(),
        }
    }
}

impl Change<'_> {
    async fn make(&self, statements: &[&str]) -> Result<Step, Stop> {
        let mut connection = self.database.connect().await?;
        for statement in statements {
            if let Err(error) = connection.rows(statement).await {
                return Ok(Step::Failed(error.to_string()));
            }
        }
        Ok(Step::Done)
    }
}

impl Steps for Change<'_> {
    type Error = Stop;

    async fn apply(&self) -> Result<Step, Stop> {
        self.make(self.up).await
    }

    async fn undo(&self) -> Result<Step, Stop> {
        match self.down {
            Some(down) => self.make(down).await,
            None => Ok(Step::None("2_change.sql has none".to_owned())),
        }
    }

    async fn smoke(&self) -> Result<Step, Stop> {
        match self.smoke {
            Some(smoke) => self.make(smoke).await,
            None => Ok(Step::None("`rehearse.smoke` is not set".to_owned())),
        }
    }
}

pub(crate) fn at(url: &str) -> Database {
    Database {
        address: Address::parse(url).expect("it is a URL"),
        route: Route::default(),
        name: "deploy-guard test".to_owned(),
        timeout: Duration::from_secs(20),
    }
}

pub(crate) async fn tried(change: Change<'_>) -> Result<Trial, TrialError> {
    let mut env = Env::default();
    for name in ["PATH", "HOME"] {
        env.set(name, std::env::var(name).unwrap_or_default());
    }
    let copy = Copy {
        database: change.database,
        programs: &Programs::of(&env),
        own: &["schema_migrations".to_owned()],
        within: MINUTE,
    };
    rehearse(&copy, &change).await.expect("it can be rehearsed")
}

//! A database and a connection to it, whatever its system is.

use std::time::Duration;

use net::Route;

use crate::address::{Address, System};
use crate::error::Error;
use crate::rows::{QueryRows, Rows};
use crate::{mysql, postgres};

/// A database, and the way to it.
#[derive(Clone)]
pub struct Database {
    pub address: Address,
    pub route: Route,
    /// What the server shows of our sessions.
    pub name: String,
    /// Of a login, and of an answer.
    pub timeout: Duration,
}

/// A session of its own; it ends when this is dropped.
pub enum Connection {
    Postgres(postgres::Session),
    MySql(Box<mysql::Session>),
}

impl Database {
    pub async fn connect(&self) -> Result<Connection, Error> {
        let (address, route) = (&self.address, &self.route);
        Ok(match address.system {
            System::Postgres => Connection::Postgres(self.postgres().await?),
            System::MySql => {
                let session = mysql::Session::open(address, route, self.timeout).await?;
                Connection::MySql(Box::new(session))
            }
        })
    }

    /// A session at PostgreSQL.
    ///
    /// # Errors
    /// Returns [`Error::System`] where the database is another one.
    pub async fn postgres(&self) -> Result<postgres::Session, Error> {
        match self.address.system {
            System::Postgres => {
                let (address, route) = (&self.address, &self.route);
                postgres::Session::open(address, route, &self.name, self.timeout).await
            }
            System::MySql => Err(Error::System(System::MySql.as_str())),
        }
    }

    /// The same server's other database.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Database {
        Database {
            address: self.address.with_database(name),
            ..self.clone()
        }
    }
}

impl QueryRows for Connection {
    async fn rows(&mut self, sql: &str) -> Result<Rows, Error> {
        match self {
            Connection::Postgres(session) => session.rows(sql).await,
            Connection::MySql(session) => session.rows(sql).await,
        }
    }
}

impl Connection {
    pub fn system(&self) -> System {
        match self {
            Connection::Postgres(_) => System::Postgres,
            Connection::MySql(_) => System::MySql,
        }
    }
}

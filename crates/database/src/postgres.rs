//! A connection to PostgreSQL.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use model::text::excerpt;
use net::limited::{Allowance, Limited};
use net::tls::server_name;
use net::{Place, Route};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::address::{Address, Host};
use crate::error::Error;
use crate::rows::Rows;
use crate::tls::{Tls, ssl_mode};

/// What one answer may have, in bytes.
pub(crate) const MAX_ANSWER: usize = 16 << 20;

/// A session of its own at the server; it ends when this is dropped.
pub struct Session {
    client: Client,
    allowance: Allowance,
    /// Moves the bytes.
    driver: JoinHandle<()>,
    timeout: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Logs in. `name` is shown at the server (`application_name`); each answer may take as long as
    /// `timeout`, and so may the login.
    pub async fn open(
        address: &Address,
        route: &Route,
        name: &str,
        timeout: Duration,
    ) -> Result<Session, Error> {
        let opening = open(address, route, name);
        let opened = tokio::time::timeout(timeout, opening).await;
        let (client, allowance, driver) = opened.map_err(|_| Error::Unreachable {
            at: address.to_string(),
            reason: format!("no answer within {}", model::text::duration(timeout)),
        })??;
        Ok(Session {
            client,
            allowance,
            driver,
            timeout,
        })
    }

    /// The rows of the last of these statements that gives some.
    pub async fn rows(&self, sql: &str) -> Result<Rows, Error> {
        self.rows_within(sql, self.timeout).await
    }

    /// The same, in another time.
    pub async fn rows_within(&self, sql: &str, timeout: Duration) -> Result<Rows, Error> {
        self.allowance.renew();
        let asking = async {
            let answers = self.client.simple_query_raw(sql).await?;
            collect(std::pin::pin!(answers)).await
        };
        match tokio::time::timeout(timeout, asking).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(_)) if self.allowance.is_used_up() => Err(Error::TooLarge(MAX_ANSWER)),
            Ok(Err(error)) => Err(answered(&error)),
            Err(_) => Err(Error::Late(timeout)),
        }
    }
}

async fn open(
    address: &Address,
    route: &Route,
    name: &str,
) -> Result<(Client, Allowance, JoinHandle<()>), Error> {
    let mut config = Config::new();
    config.user(address.user.as_deref().unwrap_or("postgres"));
    config.dbname(address.database_name());
    config.application_name(name);
    if let Some(password) = &address.password {
        config.password(password.expose());
    }
    let host = match &address.host {
        Host::Name(name) => name.as_str(),
        Host::Socket(_) => "localhost",
    };
    // There is no TLS on a socket.
    let is_socket = matches!(address.host, Host::Socket(_));
    let mode = ssl_mode(address.tls);
    config.ssl_mode(if is_socket {
        tokio_postgres::config::SslMode::Disable
    } else {
        mode
    });
    let tls = |error: net::tls::Error| Error::Tls(error.to_string());
    let server = server_name(host).map_err(tls)?;
    let tls = Tls::new(address.tls, address.ca_file.as_deref(), server).map_err(tls)?;
    let stream = Limited::new(stream(address, route).await?, MAX_ANSWER);
    let allowance = stream.allowance();
    let connected = config.connect_raw(stream, tls).await;
    let (client, connection) = connected.map_err(|error| login(address, &error))?;
    let driver = tokio::spawn(async move {
        // Who asks sees why it ended.
        let _ = connection.await;
    });
    Ok((client, allowance, driver))
}

/// The first of the server's addresses that takes a connection.
pub(crate) async fn stream(address: &Address, route: &Route) -> Result<net::Stream, Error> {
    let failed = |problem: &net::ConnectError| Error::unreachable(address, problem);
    let name = match &address.host {
        Host::Name(name) => name.clone(),
        Host::Socket(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", address.port));
            let stream = UnixStream::connect(&path).await;
            let stream = stream.map_err(|error| Error::Unreachable {
                at: address.to_string(),
                reason: format!("{}: {error}", path.display()),
            })?;
            return Ok(Box::new(stream));
        }
    };
    let place = Place {
        host: name,
        port: address.port,
    };
    let ends = route
        .ends(&place)
        .await
        .map_err(|problem| failed(&problem))?;
    let mut last = None;
    for end in ends {
        match route.open(&place, end).await {
            Ok(stream) => return Ok(stream),
            Err(problem) => last = Some(failed(&problem)),
        }
    }
    Err(last.unwrap_or_else(|| Error::Unreachable {
        at: address.to_string(),
        reason: "the name has no address".to_owned(),
    }))
}

async fn collect(
    mut answers: impl Stream<Item = Result<SimpleQueryMessage, tokio_postgres::Error>> + Unpin,
) -> Result<Rows, tokio_postgres::Error> {
    let mut rows = Rows::default();
    while let Some(answer) = answers.next().await {
        match answer? {
            SimpleQueryMessage::RowDescription(columns) => {
                rows = Rows {
                    columns: columns
                        .iter()
                        .map(|column| column.name().to_owned())
                        .collect(),
                    rows: Vec::new(),
                };
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|nth| row.get(nth).map(str::to_owned));
                rows.rows.push(cells.collect());
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn login(address: &Address, error: &tokio_postgres::Error) -> Error {
    let at = address.to_string();
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let reason = cause.unwrap_or_else(|| error.to_string());
        return if reason == "password missing" {
            let reason = "it requires a password, and the URL has no password".to_owned();
            Error::Login { at, reason }
        } else {
            Error::Unreachable { at, reason }
        };
    };
    let reason = excerpt(said.message().as_bytes());
    let code = said.code();
    if *code == SqlState::UNDEFINED_DATABASE {
        Error::NoDatabase(address.database_name().to_owned())
    } else if code.code().starts_with("28") {
        Error::Login { at, reason }
    } else {
        Error::Unreachable { at, reason }
    }
}

fn answered(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        return Error::Lost(cause.unwrap_or_else(|| error.to_string()));
    };
    Error::Server {
        code: said.code().code().to_owned(),
        message: excerpt(said.message().as_bytes()),
        detail: said.detail().map(|detail| excerpt(detail.as_bytes())),
    }
}

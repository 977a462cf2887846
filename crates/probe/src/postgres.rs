//! A PostgreSQL server: it accepts connections, lets us in, and answers a query.

use std::time::Duration;

use config::file::PostgresProbe;
use database::tls::{Tls, ssl_mode};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use model::text::excerpt;
use model::{Secret, Verdict};
use net::Place;
use net::limited::Limited;
use net::tls::server_name;
use net::{ConnectError, Endpoint, Route};
use rustls_pki_types::ServerName;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::addresses::measure_every;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

const PORT: u16 = 5432;
/// The answer to one question about health.
const MAX_ANSWER: usize = 4 << 20;

/// One postgres probe.
pub(crate) struct Postgres {
    probe: PostgresProbe,
    place: Place,
    route: Route,
    name: ServerName<'static>,
    password: Option<Secret>,
}

impl Postgres {
    pub(crate) fn new(probe: PostgresProbe, around: &ProbeContext) -> Result<Self, Error> {
        let place = Place::new(&probe.address, PORT);
        let password = match &probe.password_env {
            None => None,
            Some(name) => Some(around.secret(name)?),
        };
        Ok(Postgres {
            name: server_name(probe.server_name.as_ref().unwrap_or(&place.host))?,
            route: Route::new(&[], probe.via.as_deref(), &around.hosts),
            place,
            password,
            probe,
        })
    }

    fn expected(&self) -> String {
        let PostgresProbe {
            user,
            query,
            equals,
            matches,
            min,
            max,
            ..
        } = &self.probe;
        let mut text = match (user, query) {
            (None, _) => "it accepts connections".to_owned(),
            (Some(user), None) => format!("it lets `{user}` in"),
            (Some(_), Some(query)) => format!("a row for `{}`", excerpt(query.as_bytes())),
        };
        if let Some(wanted) = equals {
            text.push_str(&format!(", `{wanted}`"));
        }
        if let Some(pattern) = matches {
            text.push_str(&format!(" that matches `{}`", pattern.as_str()));
        }
        if let Some(min) = min {
            text.push_str(&format!(", at least {min}"));
        }
        if let Some(max) = max {
            text.push_str(&format!(", at most {max}"));
        }
        text
    }

    async fn measure_endpoint(&self, end: Endpoint, timeout: Duration) -> Reading {
        let expected = self.expected();
        match self.connect_and_query(end, timeout).await {
            Ok(answer) => self.judge(&expected, answer),
            Err(problem) => Reading::of_problem(problem, &expected),
        }
    }

    async fn connect_and_query(
        &self,
        end: Endpoint,
        timeout: Duration,
    ) -> Result<QueryResult, ConnectError> {
        let tls = self.tls()?;
        let stream = self.route.open(&self.place, end).await?;
        let stream = Limited::new(stream, MAX_ANSWER);
        let connected = self.login().connect_raw(stream, tls).await;
        let (client, connection) = match connected {
            Ok(pair) => pair,
            Err(error) if self.probe.user.is_none() && takes_logins(&error) => {
                return Ok(QueryResult::Ready);
            }
            Err(error) => return Err(problem(&error)),
        };
        let asked = Box::pin(self.run_query(&client, timeout));
        match select(asked, Box::pin(connection)).await {
            Either::Left((answer, _)) => answer.map_err(|error| problem(&error)),
            Either::Right((Err(error), _)) => Err(problem(&error)),
            Either::Right((Ok(()), _)) => Err(ConnectError::of_service("it closes the connection")),
        }
    }

    fn login(&self) -> Config {
        let mut config = Config::new();
        config.user(self.probe.user.as_deref().unwrap_or("postgres"));
        config.application_name("deploy-guard");
        config.ssl_mode(ssl_mode(self.probe.tls));
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        if let Some(database) = &self.probe.database {
            config.dbname(database);
        }
        config
    }

    fn tls(&self) -> Result<Tls, ConnectError> {
        let PostgresProbe { tls, ca_file, .. } = &self.probe;
        Ok(Tls::new(*tls, ca_file.as_deref(), self.name.clone())?)
    }

    async fn run_query(
        &self,
        client: &Client,
        timeout: Duration,
    ) -> Result<QueryResult, tokio_postgres::Error> {
        let Some(query) = &self.probe.query else {
            client.simple_query("SELECT 1").await?;
            return Ok(QueryResult::Ready);
        };
        let limit = timeout.as_millis();
        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}");
        client.batch_execute(&begin).await?;
        // It must be one statement: a second could end the transaction, and write.
        client.prepare(query).await?;
        let answers = client.simple_query_raw(query).await?;
        let mut answers = std::pin::pin!(answers);
        while let Some(answer) = answers.next().await {
            if let SimpleQueryMessage::Row(row) = answer? {
                let value = (!row.is_empty()).then(|| row.get(0).map(str::to_owned));
                return Ok(QueryResult::Row(value.flatten()));
            }
        }
        Ok(QueryResult::NoRow)
    }

    fn judge(&self, expected: &str, answer: QueryResult) -> Reading {
        let fail = |actual: String, reason: String| {
            Reading::unmet(Verdict::Fail, expected, actual, reason)
        };
        let value = match answer {
            QueryResult::Ready => return Reading::pass(expected, "ready").value("ready"),
            QueryResult::NoRow => {
                let text = "the query gives no row";
                return fail(text.to_owned(), text.to_owned()).value("no row");
            }
            QueryResult::Row(value) => value,
        };
        let PostgresProbe {
            equals,
            matches,
            min,
            max,
            ..
        } = &self.probe;
        let judged = equals.is_some() || matches.is_some() || min.is_some() || max.is_some();
        let Some(value) = value else {
            if judged {
                return fail("NULL".to_owned(), "the first column is NULL".to_owned());
            }
            return Reading::pass(expected, "NULL").value("NULL");
        };
        let told = excerpt(value.as_bytes());
        let number = value.trim().parse::<f64>().ok().filter(|n| !n.is_nan());
        let reason = if equals.as_ref().is_some_and(|wanted| *wanted != value) {
            Some("it is another value".to_owned())
        } else if matches
            .as_ref()
            .is_some_and(|pattern| !pattern.is_match(value.as_bytes()))
        {
            Some("it does not match".to_owned())
        } else if (min.is_some() || max.is_some()) && number.is_none() {
            Some("it is not a number".to_owned())
        } else if let (Some(min), Some(is)) = (min, number)
            && is < *min
        {
            Some(format!("{is} < min ({min})"))
        } else if let (Some(max), Some(is)) = (max, number)
            && is > *max
        {
            Some(format!("{is} > max ({max})"))
        } else {
            None
        };
        match reason {
            None => Reading::pass(expected, &told).value(told),
            Some(reason) => {
                fail(told.clone(), format!("the query gives {told}: {reason}")).value(told)
            }
        }
    }
}

/// What came of asking.
enum QueryResult {
    Ready,
    /// The first column of the first row; `None` is NULL.
    Row(Option<String>),
    NoRow,
}

/// Whether a server that refused this login would accept others: then it is ready.
fn takes_logins(error: &tokio_postgres::Error) -> bool {
    let asks = wants_password(error);
    let refuses = error.code().is_some_and(|code| {
        // Class 28: no such user, a wrong password, not from here.
        code.code().starts_with("28") || *code == SqlState::UNDEFINED_DATABASE
    });
    asks || refuses
}

fn wants_password(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause.is_some_and(|cause| cause.to_string() == "password missing")
}

/// What the service cannot do is its failure; that we may not ask, or ask nonsense, is ours.
fn problem(error: &tokio_postgres::Error) -> ConnectError {
    if wants_password(error) {
        let text = "it wants a password, name its variable by `password-env`";
        return ConnectError::of_way("not checked", text);
    }
    let Some(said) = error.as_db_error() else {
        return ConnectError::broken(error);
    };
    let text = describe_db_error(said);
    let code = said.code();
    let ours = code.code().starts_with("28")
        || [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::SYNTAX_ERROR,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code);
    if ours {
        ConnectError::of_way("not checked", text)
    } else {
        ConnectError::of_service(text)
    }
}

fn describe_db_error(said: &DbError) -> String {
    let text = excerpt(said.message().as_bytes());
    format!("{text} ({})", excerpt(said.code().code().as_bytes()))
}

impl Kind for PostgresProbe {
    fn subject(&self) -> String {
        self.address.to_string()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Postgres::new(self, around)?))
    }
}

impl Probe for Postgres {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            let rule = self.probe.addresses;
            let ask = async |end| self.measure_endpoint(end, timeout).await;
            let asked = measure_every(&self.route, &self.place, rule, timeout, &expected, ask);
            Box::pin(asked).await
        })
    }

    fn hint(&self) -> String {
        let Place { host, port } = &self.place;
        let at = match &self.probe.via {
            Some(name) => format!("at {name}: "),
            None => String::new(),
        };
        let user = self.probe.user.as_ref().map(|user| format!(" -U {user}"));
        let user = user.unwrap_or_default();
        format!("{at}`pg_isready -h {host} -p {port}{user}`, and the server's log")
    }
}

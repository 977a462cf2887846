//! A connection to MariaDB or MySQL.

use std::time::Duration;

use config::file::PostgresTls;
use model::text::excerpt;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value};
use net::Route;

use crate::address::{Address, Host};
use crate::error::Error;
use crate::forward::Forward;
use crate::rows::Rows;

/// The largest packet that is taken, in bytes: an answer with more is refused by the library.
const MAX_PACKET: usize = 16 << 20;
/// Rows of one answer.
const MAX_ROWS: usize = 200_000;

/// A session of its own at the server; it ends when this is dropped.
pub struct Session {
    connection: Conn,
    timeout: Duration,
    /// What the connection runs through, where it is made from a host.
    _forward: Option<Forward>,
}

impl Session {
    /// Logs in; each answer may take as long as `timeout`, and so may the login.
    pub async fn open(
        address: &Address,
        route: &Route,
        timeout: Duration,
    ) -> Result<Session, Error> {
        let (options, forward) = options(address, route).await?;
        let opening = async {
            let encrypted = options.clone().ssl_opts(encryption(address)?);
            match Conn::new(encrypted).await {
                // `prefer` takes a server that speaks no TLS, or none that we do, as it is.
                Err(mysql_async::Error::Driver(_) | mysql_async::Error::Io(_))
                    if address.tls == PostgresTls::Prefer =>
                {
                    Conn::new(options).await
                }
                opened => opened,
            }
            .map_err(|error| login(address, &error))
        };
        let opened = tokio::time::timeout(timeout, opening).await;
        let opened = opened.map_err(|_| Error::Unreachable {
            at: address.to_string(),
            reason: format!("no answer within {}", model::text::duration(timeout)),
        })?;
        Ok(Session {
            connection: opened?,
            timeout,
            _forward: forward,
        })
    }

    /// The rows of one statement.
    pub async fn rows(&mut self, sql: &str) -> Result<Rows, Error> {
        let timeout = self.timeout;
        let asking = async {
            let mut answer = self
                .connection
                .query_iter(sql)
                .await
                .map_err(|e| answered(&e))?;
            let columns = answer.columns();
            let columns = columns.iter().flat_map(|columns| columns.iter());
            let columns = columns
                .map(|column| column.name_str().into_owned())
                .collect();
            let mut rows = Vec::new();
            let mut bytes = 0;
            while let Some(row) = answer.next().await.map_err(|error| answered(&error))? {
                let row = cells(row);
                bytes += row.iter().flatten().map(String::len).sum::<usize>();
                if bytes > MAX_PACKET || rows.len() >= MAX_ROWS {
                    return Err(Error::TooLarge(MAX_PACKET));
                }
                rows.push(row);
            }
            Ok(Rows { columns, rows })
        };
        match tokio::time::timeout(timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Late(timeout)),
        }
    }
}

async fn options(
    address: &Address,
    route: &Route,
) -> Result<(OptsBuilder, Option<Forward>), Error> {
    let mut options = OptsBuilder::default()
        .user(address.user.as_deref())
        .pass(address.password.as_ref().map(model::Secret::expose))
        .db_name(address.database.as_deref())
        .prefer_socket(Some(false))
        .max_allowed_packet(Some(MAX_PACKET));
    let forward = match &address.host {
        Host::Socket(path) => {
            let path = path.display().to_string();
            options = options.socket(Some(path)).prefer_socket(Some(true));
            None
        }
        Host::Name(name) if route.is_plain() => {
            options = options.ip_or_hostname(name.as_str()).tcp_port(address.port);
            None
        }
        Host::Name(_) => {
            let forward = Forward::open(address, route).await?;
            options = options.ip_or_hostname("127.0.0.1").tcp_port(forward.port());
            Some(forward)
        }
    };
    Ok((options, forward))
}

/// As libpq's `sslmode` has it, except that the library compares the name for `verify-ca`, too. There is no TLS on a
/// socket.
fn encryption(address: &Address) -> Result<Option<SslOpts>, Error> {
    let Host::Name(name) = &address.host else {
        return Ok(None);
    };
    // The connection may be made through a host: then it is not made to the name.
    let options = SslOpts::default().with_danger_tls_hostname_override(Some(name.clone()));
    Ok(match address.tls {
        PostgresTls::Disable => None,
        PostgresTls::Prefer | PostgresTls::Require => Some(
            options
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        PostgresTls::VerifyCa | PostgresTls::VerifyFull => {
            let found = net::tls::authorities(address.ca_file.as_deref());
            let found = found.map_err(|error| Error::Tls(error.to_string()))?;
            let roots = found.into_iter().map(|one| one.to_vec().into());
            let options = options.with_root_certs(roots.collect());
            Some(options.with_disable_built_in_roots(true))
        }
    })
}

fn cells(row: Row) -> Vec<Option<String>> {
    row.unwrap().into_iter().map(cell).collect()
}

fn cell(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

fn login(address: &Address, error: &mysql_async::Error) -> Error {
    let at = address.to_string();
    match error {
        mysql_async::Error::Server(said) if said.code == 1049 => {
            Error::NoDatabase(address.database_name().to_owned())
        }
        mysql_async::Error::Server(said) if matches!(said.code, 1045 | 1044 | 1130 | 1698) => {
            let reason = excerpt(said.message.as_bytes());
            Error::Login { at, reason }
        }
        error => Error::Unreachable {
            at,
            reason: excerpt(error.to_string().as_bytes()),
        },
    }
}

fn answered(error: &mysql_async::Error) -> Error {
    match error {
        mysql_async::Error::Server(said) => Error::Server {
            code: said.code.to_string(),
            message: excerpt(said.message.as_bytes()),
            detail: None,
        },
        error => Error::Lost(excerpt(error.to_string().as_bytes())),
    }
}

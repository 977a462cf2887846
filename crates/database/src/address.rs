//! A database's address, as a tool's URL gives it.

use std::borrow::Cow;
use std::path::PathBuf;

use config::file::PostgresTls;
use model::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Postgres,
    /// MariaDB or MySQL.
    MySql,
}

impl System {
    pub fn as_str(self) -> &'static str {
        match self {
            System::Postgres => "PostgreSQL",
            System::MySql => "MariaDB or MySQL",
        }
    }

    fn port(self) -> u16 {
        match self {
            System::Postgres => 5432,
            System::MySql => 3306,
        }
    }
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    /// A Unix socket; PostgreSQL's is in this folder.
    Socket(PathBuf),
}

/// Which database, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub system: System,
    pub host: Host,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub tls: PostgresTls,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why a text is not the URL of a database. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it is not a URL: {0}")]
    Malformed(String),
    #[error("it does not begin with `postgresql://` or `mysql://`")]
    Scheme,
    #[error("`{0}` is not one of the modes of TLS: `require`, `verify-ca`, `verify-full`")]
    TlsMode(String),
    #[error("a part of it is not UTF-8")]
    Encoding,
    #[error("it names several hosts, and a migration needs exactly one")]
    Hosts,
}

impl Address {
    /// Reads a URL as libpq, SQLAlchemy, Django, Prisma, Rails, node's drivers, Go's and JDBC write it: the
    /// schemes `postgres`, `postgresql`, `postgis`, `pgsql`; `mysql`, `mysql2`, `mariadb`; with
    /// `+driver` behind and `jdbc:` before.
    pub fn parse(text: &str) -> Result<Address, UrlError> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let family = scheme.split_once('+').map_or(scheme, |(family, _)| family);
        let system = match family.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" | "postgis" | "pgsql" => System::Postgres,
            "mysql" | "mysql2" | "mariadb" => System::MySql,
            _ => return Err(UrlError::Scheme),
        };
        let rest = &*of_go(system, rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains(',') {
            return Err(UrlError::Hosts);
        }
        // A URL of a scheme that the library knows nothing of keeps an empty host.
        let url = url::Url::parse(&format!("database://{rest}"));
        let url = url.map_err(|error| UrlError::Malformed(error.to_string()))?;
        let mut address = Address {
            system,
            host: Host::Name("localhost".to_owned()),
            port: url.port().unwrap_or(system.port()),
            user: non_empty(decoded(url.username())?),
            password: url
                .password()
                .map(decoded)
                .transpose()?
                .map(|password| Secret::from(&*password)),
            database: non_empty(decoded(url.path().trim_start_matches('/'))?),
            tls: PostgresTls::Prefer,
            ca_file: None,
        };
        if let Some(host) = url.host_str() {
            address.at(&decoded(host)?);
        }
        for (name, value) in url.query_pairs() {
            address.setting(&name, &value)?;
        }
        Ok(address)
    }

    fn at(&mut self, host: &str) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.starts_with('/') {
            self.host = Host::Socket(host.into());
        } else if !host.is_empty() {
            self.host = Host::Name(host.to_owned());
        }
    }

    fn setting(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        match name {
            "host" => self.at(value),
            "socket" | "unix_socket" if self.system == System::MySql => {
                self.host = Host::Socket(value.into());
            }
            "port" => {
                let port = value.parse();
                self.port = port.map_err(|_| UrlError::Malformed("invalid port".to_owned()))?;
            }
            "user" => self.user = non_empty(value.into()),
            "password" => self.password = Some(Secret::from(value)),
            "dbname" => self.database = non_empty(value.into()),
            "sslmode" | "ssl-mode" | "ssl_mode" => self.tls = tls_mode(value)?,
            // Go's driver.
            "tls" if self.system == System::MySql => self.tls = tls_of_go(value)?,
            "sslrootcert" | "ssl-ca" | "ssl_ca" if value != "system" => {
                self.ca_file = Some(value.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// The same server's other database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Address {
        Address {
            database: Some(name.to_owned()),
            ..self.clone()
        }
    }

    /// The name of the database; PostgreSQL's default is the user's own.
    pub fn database_name(&self) -> &str {
        let named = self.database.as_deref().or(self.user.as_deref());
        named.unwrap_or("postgres")
    }
}

/// For people, without the user and the password: `shop at db:5432`.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at ", self.database_name())?;
        match &self.host {
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Socket(path) => f.write_str(&path.display().to_string()),
        }
    }
}

/// The URL of the same server's other database, with all else as it is.
pub fn url_of_other(url: &str, name: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    let name = utf8_percent_encode(name, PLAIN);
    let (before, query) = match url.trim().split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (url.trim(), None),
    };
    let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
    let authority = rest.split('/').next().unwrap_or_default();
    let mut other = format!("{scheme}://{authority}/{name}");
    if let Some(query) = query {
        // A name among the parameters counts more than that in the path.
        let kept = query.split('&').filter(|pair| !pair.starts_with("dbname="));
        let kept: Vec<&str> = kept.collect();
        if !kept.is_empty() {
            other.push('?');
            other.push_str(&kept.join("&"));
        }
    }
    other
}

/// golang-migrate wants `tcp(host:port)` in the place of the host, as Go's driver for MySQL does.
fn of_go(system: System, rest: &str) -> Cow<'_, str> {
    let plain = || {
        let (before, rest) = rest.split_once("@tcp(")?;
        let (host, after) = rest.split_once(')')?;
        (system == System::MySql).then(|| format!("{before}@{host}{after}"))
    };
    plain().map_or(Cow::Borrowed(rest), Cow::Owned)
}

fn non_empty(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}

fn decoded(text: &str) -> Result<Cow<'_, str>, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| UrlError::Encoding)
}

/// libpq's `sslmode`, and MySQL's words for the same.
fn tls_mode(text: &str) -> Result<PostgresTls, UrlError> {
    Ok(match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => PostgresTls::Disable,
        "allow" | "prefer" | "preferred" => PostgresTls::Prefer,
        "require" | "required" | "no-verify" => PostgresTls::Require,
        "verify-ca" => PostgresTls::VerifyCa,
        "verify-full" | "verify-identity" => PostgresTls::VerifyFull,
        _ => return Err(UrlError::TlsMode(text.chars().take(40).collect())),
    })
}

/// `tls` of Go's driver of MySQL.
fn tls_of_go(text: &str) -> Result<PostgresTls, UrlError> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "false" => PostgresTls::Disable,
        "preferred" => PostgresTls::Prefer,
        "skip-verify" => PostgresTls::Require,
        "true" => PostgresTls::VerifyFull,
        _ => return Err(UrlError::TlsMode(text.chars().take(40).collect())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tools_url_names_the_same_database() {
        for url in [
            "postgresql://app:p%40ss@db:6432/shop",
            "postgres://app:p%40ss@db:6432/shop?schema=public&connect_timeout=3",
            "postgresql+psycopg2://app:p%40ss@db:6432/shop",
            "postgis://app:p%40ss@db:6432/shop",
            "jdbc:postgresql://db:6432/shop?user=app&password=p%40ss",
            "postgresql:///shop?host=db&port=6432&user=app&password=p%40ss",
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.host, Host::Name("db".to_owned()), "{url}");
            assert_eq!(address.port, 6432, "{url}");
            assert_eq!(address.user.as_deref(), Some("app"), "{url}");
            assert_eq!(
                address.password.as_ref().map(Secret::expose),
                Some("p@ss"),
                "{url}"
            );
            assert_eq!(address.database_name(), "shop", "{url}");
            assert_eq!(address.to_string(), "shop at db:6432");
            assert!(!format!("{address:?}").contains("p@ss"));
        }
    }

    #[test]
    fn sockets_addresses_and_defaults() {
        let socket = Address::parse("postgresql://%2Frun%2Fpg/shop").unwrap();
        assert_eq!(socket.host, Host::Socket("/run/pg".into()));
        let socket = Address::parse("postgresql:///shop?host=/run/pg").unwrap();
        assert_eq!(socket.host, Host::Socket("/run/pg".into()));
        let six = Address::parse("postgresql://app@[::1]/shop?sslmode=verify-full").unwrap();
        assert_eq!(six.host, Host::Name("::1".to_owned()));
        assert_eq!((six.port, six.tls), (5432, PostgresTls::VerifyFull));
        let mysql = Address::parse("mysql2://root@127.0.0.1/shop?ssl-mode=REQUIRED").unwrap();
        assert_eq!((mysql.system, mysql.port), (System::MySql, 3306));
        assert_eq!(mysql.tls, PostgresTls::Require);
        let go = Address::parse("mysql://app:p%40ss@tcp(db:3307)/shop?tls=true").unwrap();
        assert_eq!((go.host, go.port), (Host::Name("db".to_owned()), 3307));
        assert_eq!(go.database.as_deref(), Some("shop"));
        assert!(Address::parse("postgresql://app@tcp(db:3307)/shop").is_err());
    }

    #[test]
    fn the_url_of_another_database_differs_in_nothing_else() {
        for (url, other) in [
            (
                "postgresql://app:p%40ss@db:6432/shop?sslmode=require",
                "postgresql://app:p%40ss@db:6432/copy_1?sslmode=require",
            ),
            ("postgres://db", "postgres://db/copy_1"),
            (
                "jdbc:postgresql://db/shop?user=app&dbname=x",
                "jdbc:postgresql://db/copy_1?user=app",
            ),
            (
                "mysql2://root@127.0.0.1/shop",
                "mysql2://root@127.0.0.1/copy_1",
            ),
            (
                "mysql://root@tcp(db:3306)/shop?tls=false",
                "mysql://root@tcp(db:3306)/copy_1?tls=false",
            ),
            (
                "postgresql:///shop?host=/run/pg",
                "postgresql:///copy_1?host=/run/pg",
            ),
        ] {
            assert_eq!(url_of_other(url, "copy_1"), other);
            assert_eq!(Address::parse(other).unwrap().database_name(), "copy_1");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for url in [
            "",
            "sqlite:///shop.db",
            "hunter2",
            "postgresql://app:hunter2@a,b/shop",
            "postgresql://app:hunter2@db:port/shop",
            "postgresql://db/shop?sslmode=maybe",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

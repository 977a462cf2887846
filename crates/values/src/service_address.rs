//! Whether a text is the address of a service, as clients of such services read it: a URL, several
//! hosts in one, a socket, JDBC, or `key=value`. No part of the text is shown.

use std::net::Ipv6Addr;

use url::ParseError;

/// Schemes of the web, which have one host and WHATWG's grammar.
const WEB: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];
/// Where a URL without a host names one, or a socket.
const HOST_KEYS: [&str; 8] = [
    "host",
    "hostaddr",
    "service",
    "socket",
    "unix_socket",
    "unix_sock",
    "servername",
    "server",
];
/// The same in connection strings of ADO.NET, ODBC, libpq and Azure.
const DSN_KEYS: [&str; 14] = [
    "host",
    "hostaddr",
    "hostname",
    "service",
    "server",
    "servername",
    "data source",
    "datasource",
    "address",
    "addr",
    "network address",
    "dsn",
    "endpoint",
    "accountname",
];

/// What is wrong with it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum AddressError {
    #[error("a byte order mark (BOM) precedes it")]
    ByteOrderMark,
    #[error("there is a space or a line break around it")]
    Space,
    #[error("a URL without a host")]
    NoHost,
    /// The error of a URL names its part and never its text.
    #[error("not a URL: {0}")]
    Url(#[from] ParseError),
    #[error("not a URL: `mongodb+srv` takes one name and no port")]
    Srv,
    #[error(
        "not a URL: a `%` in the user name or password that is not followed by two hexadecimal digits"
    )]
    Percent,
    #[error("not a URL: `jdbc:` wants a driver and where to connect")]
    Jdbc,
    #[error("a connection string without a host")]
    Unnamed,
}

/// What form it has, or what is wrong with it.
pub fn read(value: &str) -> Result<&'static str, AddressError> {
    if value.starts_with('\u{feff}') {
        return Err(AddressError::ByteOrderMark);
    }
    if value.trim() != value || value.contains(['\n', '\r']) {
        return Err(AddressError::Space);
    }
    if let Some(rest) = value.strip_prefix("jdbc:") {
        return jdbc(rest).map(|()| "a JDBC URL");
    }
    let Some((scheme, rest)) = with_scheme(value) else {
        return connection_string(value);
    };
    // `https://a:9200,https://b:9200`, as clients of etcd and Elasticsearch take it.
    let several: Vec<&str> = value.split(',').collect();
    if several.len() > 1 && several.iter().all(|one| with_scheme(one).is_some()) {
        for one in several {
            read(one)?;
        }
        return Ok("URLs with a host");
    }
    if WEB.contains(&scheme.as_str()) {
        let url = url::Url::parse(value)?;
        return match url.host_str() {
            Some(host) if !host.is_empty() => Ok("a URL with a host"),
            _ => Err(AddressError::NoHost),
        };
    }
    other_url(&scheme, rest)
}

/// `scheme://rest`.
fn with_scheme(value: &str) -> Option<(String, &str)> {
    let (scheme, rest) = value.split_once("://")?;
    let good = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(good);
    is_one.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// A driver's own scheme: `user:password@host:port,host:port/database?options`.
fn other_url(scheme: &str, rest: &str) -> Result<&'static str, AddressError> {
    let end = rest.find(['/', '?', '#', ';']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if scheme.starts_with("postgres") || scheme.starts_with("mongodb") {
        percent_encoded(user)?;
    }
    let path = after.split(['?', '#', ';']).next().unwrap_or_default();
    if hosts.is_empty() {
        // A file, or a socket as the path.
        let local = ["sqlite", "unix", "socket", "duckdb"];
        if local.iter().any(|word| scheme.contains(word)) && path.len() > 1 {
            return Ok("a URL with a path");
        }
        // libpq has a socket of its own.
        if scheme.starts_with("postgres") && path.len() > 1 {
            return Ok("a URL of the local socket");
        }
        return if names_host(after) {
            Ok("a URL with a host or a socket")
        } else {
            Err(AddressError::NoHost)
        };
    }
    // SQLite's may have no host at all: `sqlite://shop.db`.
    if scheme.contains("sqlite") {
        return Ok("a URL with a path");
    }
    let mut count = 0;
    for one in hosts.split(',') {
        count += 1;
        let port = host(one)?;
        if scheme == "mongodb+srv" && (port || count > 1) {
            return Err(AddressError::Srv);
        }
    }
    Ok(if count > 1 {
        "a URL with several hosts"
    } else {
        "a URL with a host"
    })
}

/// One host, with a port or without; whether there is one.
fn host(text: &str) -> Result<bool, AddressError> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(ParseError::InvalidIpv6Address)?;
        let plain = address.split('%').next().unwrap_or_default();
        if plain.parse::<Ipv6Addr>().is_err() {
            return Err(ParseError::InvalidIpv6Address.into());
        }
        match after.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if after.is_empty() => (address, None),
            None => return Err(ParseError::InvalidPort.into()),
        }
    } else {
        match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    if name.is_empty() {
        return Err(AddressError::NoHost);
    }
    if !text.starts_with('[')
        && name.contains(|c: char| c.is_control() || " <>[]\\^|\"".contains(c))
    {
        return Err(ParseError::InvalidDomainCharacter.into());
    }
    let good = |port: &str| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !good(port)) {
        return Err(ParseError::InvalidPort.into());
    }
    Ok(port.is_some())
}

/// libpq and MongoDB's drivers refuse a percent sign that encodes nothing.
fn percent_encoded(user: &str) -> Result<(), AddressError> {
    let good = |part: &str| part.len() > 1 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if user.split('%').skip(1).all(good) {
        Ok(())
    } else {
        Err(AddressError::Percent)
    }
}

/// Whether the options behind a path (`?a=b&c=d`, or `;a=b` as Microsoft has them) name a host.
fn names_host(after: &str) -> bool {
    after
        .split(['?', '&', ';'])
        .skip(1)
        .filter_map(|option| option.split_once('='))
        .any(|(key, value)| {
            HOST_KEYS.contains(&key.to_ascii_lowercase().as_str()) && !value.is_empty()
        })
}

/// What follows `jdbc:`, which is the driver's own: `postgresql://h1,h2/db`, `oracle:thin:@h:1521:x`.
fn jdbc(rest: &str) -> Result<(), AddressError> {
    let (driver, after) = rest.split_once(':').unwrap_or((rest, ""));
    if driver.is_empty() || after.is_empty() {
        return Err(AddressError::Jdbc);
    }
    let Some((before, place)) = after.split_once("//") else {
        return Ok(());
    };
    // `oracle:thin:@//h:1521/x` and `mysql://(host=h)(port=1)/db` are not split here.
    let end = place.find(['/', '?', ';']).unwrap_or(place.len());
    let (authority, options) = place.split_at(end);
    let authority = authority.rsplit('@').next().unwrap_or_default();
    if authority.is_empty() {
        // PostgreSQL's driver then means this machine.
        let local = driver == "postgresql" && options.len() > 1;
        return if local || names_host(options) {
            Ok(())
        } else {
            Err(AddressError::NoHost)
        };
    }
    if before.contains('@') || authority.contains(['(', '\\']) {
        return Ok(());
    }
    authority.split(',').try_for_each(|one| host(one).map(drop))
}

/// `host=db dbname=shop`, `Server=db;Database=shop`, or Go's `user:password@tcp(db:3306)/shop`.
fn connection_string(value: &str) -> Result<&'static str, AddressError> {
    let go = |kind: &str| {
        let (_, place) = value.rsplit_once(kind)?;
        let (place, rest) = place.split_once(')')?;
        Some(!place.is_empty() && rest.starts_with('/'))
    };
    if ["@tcp(", "@tcp6(", "@unix("]
        .iter()
        .any(|kind| go(kind) == Some(true))
    {
        return Ok("a connection string with a host");
    }
    // libpq takes spaces around the sign.
    let joined = value.replace(" =", "=").replace("= ", "=");
    let Some(pairs) = pairs(&joined) else {
        return Err(AddressError::NoHost);
    };
    let named = pairs.iter().any(|(key, value)| {
        DSN_KEYS.contains(&key.to_ascii_lowercase().as_str()) && !value.is_empty()
    });
    if named {
        Ok("a connection string with a host")
    } else {
        Err(AddressError::Unnamed)
    }
}

/// `None` where it is not a list of `key=value`.
fn pairs(value: &str) -> Option<Vec<(&str, &str)>> {
    let parts: Vec<&str> = if value.contains(';') {
        value
            .split(';')
            .filter(|part| !part.trim().is_empty())
            .collect()
    } else {
        split_words(value)?
    };
    if !parts.first()?.contains('=') {
        return None;
    }
    // A quoted value may contain a semicolon: the fragment after it does not name a host.
    Some(parts.into_iter().filter_map(pair).collect())
}

fn pair(part: &str) -> Option<(&str, &str)> {
    let (key, value) = part.split_once('=')?;
    let (key, value) = (key.trim(), value.trim().trim_matches(['\'', '"']));
    let good = |c: char| c.is_ascii_alphanumeric() || " _-.".contains(c);
    (!key.is_empty() && key.chars().all(good)).then_some((key, value))
}

/// libpq's: parted by white space, a value with spaces in single quotes, a backslash before a quote.
fn split_words(value: &str) -> Option<Vec<&str>> {
    let (mut words, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if at > begin {
                    words.push(&value[begin..at]);
                }
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if quoted {
        return None;
    }
    words.push(&value[begin..]);
    Some(words)
}

//! Where the state is kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A file here, on a host of `hosts:`, or in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateAddress {
    /// `/var/lib/shop/state.json`
    File(PathBuf),
    /// `ssh://web-01/var/lib/shop/state.json`: a name under `hosts:`, and an absolute path there, or one from
    /// the user's home: `ssh://web-01/~/shop/state.json`.
    Host { host: String, path: String },
    /// `s3://bucket/shop/state.json`
    Bucket { bucket: String, key: String },
}

/// The longest path that Linux takes.
const PATH: usize = 4096;
/// The longest key that S3 takes is 1,024 bytes; what is kept beside the state has a longer name.
const KEY: usize = 900;

/// Why a text is not an address of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no place is named: write a path, `ssh://host/path` or `s3://bucket/key`")]
    Empty,
    #[error("it contains a line break or another control character")]
    Control,
    #[error("it is longer than {PATH} bytes")]
    TooLong,
    #[error("`{0}` is a folder: name a file in it")]
    Folder(String),
    #[error(
        "`{0}://` is not a place for the state: write a path, `ssh://host/path` or `s3://bucket/key`"
    )]
    Scheme(String),
    #[error("write it as `ssh://host/path`, with a name under `hosts:`")]
    NoHost,
    #[error("`{0}` is not a name under `hosts:`; user, address and port are set there")]
    Host(String),
    #[error("`{0}` is not a bucket name: 3 to 63 lowercase letters, digits, `.` and `-`")]
    Bucket(String),
    #[error("write it as `s3://bucket/key`, with a key of at most {KEY} bytes")]
    NoKey,
    #[error("the key `{0}` has an empty part, `.` or `..`")]
    Key(String),
}

impl FromStr for StateAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        read(text)
    }
}

fn read(text: &str) -> Result<StateAddress, Error> {
    if text.trim().is_empty() {
        return Err(Error::Empty);
    }
    // A shell, a log and a person must all read the same name.
    if text.chars().any(char::is_control) {
        return Err(Error::Control);
    }
    if text.len() > PATH {
        return Err(Error::TooLong);
    }
    if text.ends_with('/') {
        return Err(Error::Folder(text.to_owned()));
    }
    match text.split_once("://") {
        None => Ok(StateAddress::File(PathBuf::from(text))),
        Some(("ssh", rest)) => on_host(rest),
        Some(("s3", rest)) => in_bucket(rest),
        Some((scheme, _)) => Err(Error::Scheme(scheme.to_owned())),
    }
}

fn on_host(rest: &str) -> Result<StateAddress, Error> {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || path.is_empty() {
        return Err(Error::NoHost);
    }
    if host.contains(['@', ':']) {
        return Err(Error::Host(host.to_owned()));
    }
    if path == "~" {
        return Err(Error::Folder(format!("ssh://{rest}")));
    }
    let path = if path.starts_with("~/") {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(StateAddress::Host {
        host: host.to_owned(),
        path,
    })
}

fn in_bucket(rest: &str) -> Result<StateAddress, Error> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(good) {
        return Err(Error::Bucket(bucket.to_owned()));
    }
    if key.is_empty() || key.len() > KEY {
        return Err(Error::NoKey);
    }
    // An HTTP client makes another path of these.
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::Key(key.to_owned()));
    }
    Ok(StateAddress::Bucket {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

impl fmt::Display for StateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateAddress::File(path) => path.display().fmt(f),
            StateAddress::Host { host, path } if path.starts_with('~') => {
                write!(f, "ssh://{host}/{path}")
            }
            StateAddress::Host { host, path } => write!(f, "ssh://{host}{path}"),
            StateAddress::Bucket { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

textual!(StateAddress, "StateAddress", {
    "type": "string",
    "description": "A path, `ssh://host/path` with a name under `hosts:`, or `s3://bucket/key`.",
    "pattern": r"^(?!.*://).*[^/\s]$|^ssh://[^/@:]+/.*[^/]$|^s3://[a-z0-9.-]{3,63}/.*[^/]$",
    "examples": ["/var/lib/shop/state.json", "ssh://web-01/var/lib/shop/state.json", "ssh://web-01/~/shop/state.json", "s3://shop-state/production.json"]
});

#[cfg(test)]
mod tests {
    use super::StateAddress;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "state.json",
            "/var/lib/shop/it's $(here).json",
            "ssh://web-01/var/lib/shop/state.json",
            "ssh://web-01/-rf",
            "ssh://web-01/~/shop/state.json",
            "ssh://web-01/~shop/state.json",
            "s3://shop-state/production/state.json",
        ] {
            let address: Result<StateAddress, _> = text.parse();
            assert_eq!(address.map(|address| address.to_string()), Ok(text.into()));
        }
        for text in [
            "",
            " ",
            "a\nb",
            "/var/lib/",
            "ssh://web-01",
            "ssh:///state.json",
            "ssh://web-01/~",
            "ssh://deploy@web-01/state.json",
            "ssh://web-01:22/state.json",
            "ssh://web-01/a\0b",
            "s3://Bucket/key",
            "s3://bucket",
            "s3://bucket/../key",
            "gs://bucket/key",
            "file:///state.json",
        ] {
            assert!(text.parse::<StateAddress>().is_err(), "{text}");
        }
    }
}

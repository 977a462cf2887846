//! PostgreSQL servers.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{Addresses, HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Address, Pattern, Portion};
use sections::KeyPosition;

/// A PostgreSQL server that accepts connections, as `pg_isready` checks; with `user`, one that lets
/// them log in; with `query`, one that answers it as expected.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PostgresProbe {
    /// The probe's name.
    pub name: String,
    /// `host:port`; the port is 5432 where none is given.
    pub address: Address,
    /// The user to log in as. Default: no login; it is enough that the server would accept one.
    pub user: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// The database. Default: the user's own.
    pub database: Option<String>,
    /// Whether the connection is encrypted. Default: prefer.
    #[serde(default)]
    pub tls: PostgresTls,
    /// With `tls: verify-ca` or `verify-full`: a file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// With `tls: verify-full`: the name that the certificate must be for. Default: the host of
    /// `address`.
    pub server_name: Option<String>,
    /// One statement, run in a read-only transaction that is given up after the measurement's
    /// time. It must give a row; what follows judges the first column of the first row.
    pub query: Option<String>,
    /// What it must be.
    pub equals: Option<String>,
    /// A regular expression that it must match.
    pub matches: Option<Pattern>,
    /// The smallest number that passes.
    pub min: Option<f64>,
    /// The largest number that passes.
    pub max: Option<f64>,
    /// A name under `hosts:`; the connection is made from there, by SSH. `127.0.0.1` is then
    /// that host itself.
    pub via: Option<String>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// Probe many servers as one group: a file with one of them a line; `#` begins a comment.
    /// `{target}` above is the line, `{host}` its host.
    pub targets_file: Option<PathBuf>,
    /// Probe these machines of `hosts:` as one group: `all`, a pattern, or a list. `{host}` above is
    /// the machine's name, `{address}` its address.
    pub hosts: Option<HostList>,
    /// How many of the group must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// Whether a connection to PostgreSQL is encrypted, in libpq's words (`sslmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresTls {
    /// Never.
    Disable,
    /// Where the server offers it; the server is not verified.
    #[default]
    Prefer,
    /// Always; the server is not verified.
    Require,
    /// Always, and the server's certificate is trusted, whatever its name.
    VerifyCa,
    /// Always, and the server's certificate is trusted and for its name.
    VerifyFull,
}

impl ProbeConfig for PostgresProbe {
    common_fields!();
    group_fields!();
    server_places!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let needs = |key: &str, other: &str| spot.refuse(key, format!("`{key}` needs `{other}`"));
        let judges = [
            ("equals", self.equals.is_some()),
            ("matches", self.matches.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
        ];
        if let Some((key, _)) = judges.iter().find(|(_, given)| *given)
            && self.query.is_none()
        {
            return needs(key, "query");
        }
        for (key, given) in [
            ("query", self.query.is_some()),
            ("password-env", self.password_env.is_some()),
        ] {
            if given && self.user.is_none() {
                return needs(key, "user");
            }
        }
        let full = self.tls == PostgresTls::VerifyFull;
        if self.server_name.is_some() && !full {
            return needs("server-name", "tls: verify-full");
        }
        if self.ca_file.is_some() && !full && self.tls != PostgresTls::VerifyCa {
            return needs("ca-file", "tls: verify-full");
        }
        Ok(())
    }
}

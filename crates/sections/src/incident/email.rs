//! E-mail.

use schemars::JsonSchema;
use serde::Deserialize;
use values::Address;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// What e-mail hears of: the turns of an incident, and how deployments end.
const OF_EMAIL: &[EventKind] = &[
    EventKind::IncidentOpened,
    EventKind::IncidentUpdated,
    EventKind::SeverityChanged,
    EventKind::Escalated,
    EventKind::IncidentResolved,
    EventKind::DeploymentEnded,
];

/// E-mail by SMTP. All messages of an incident are one conversation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmailSink {
    /// The sink's name.
    pub name: String,
    /// The mail server, such as `smtp.example.com:587`. Default port: 587, with `tls: tls` 465, with
    /// `tls: none` 25.
    pub server: Address,
    /// How the connection is protected. Default: starttls.
    #[serde(default)]
    pub tls: EmailTls,
    /// Whether `tls: none` may be used to a server that is not on this machine: what is sent, and the password,
    /// can then be read on the way. Default false.
    #[serde(default)]
    pub allow_plain_text: bool,
    /// A file with authorities in PEM form that are trusted beside those of the system.
    pub ca_file: Option<std::path::PathBuf>,
    /// The environment variable that holds the user's name. Default: no login.
    pub username_env: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// The sender, such as `deploy-guard@example.com` or `Deployments <deploys@example.com>`.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: incident-opened, incident-updated, severity-changed, escalated,
    /// incident-resolved and deployment-ended.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: true.
    pub only_failed: Option<bool>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmailTls {
    /// It begins in plain text and must change to TLS before anything is sent.
    #[default]
    Starttls,
    /// TLS from its first byte.
    Tls,
    /// Not at all: on this machine only, unless `allow-plain-text` is true.
    None,
}

impl SinkConfig for EmailSink {
    common_fields!(events: |_| OF_EMAIL, only_failed: |_| true);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.tls == EmailTls::None && !self.allow_plain_text && !is_here(self.server.host()) {
            let fault = spot.key("tls");
            let fault = fault.fault(format!(
                "`none` to `{}`: anyone on the way could read it",
                self.server
            ));
            return Err(fault.hint("write `tls: starttls`, or add `allow-plain-text: true`"));
        }
        if let Some(file) = &self.ca_file {
            spot.key("ca-file").a_file(file, true)?;
        }
        match (&self.username_env, &self.password_env) {
            (Some(username), Some(password)) => {
                spot.key("username-env").a_variable(username)?;
                spot.key("password-env").a_variable(password)?;
            }
            (None, None) => {}
            (Some(_), None) => {
                return spot.refuse("username-env", "`username-env` needs `password-env`");
            }
            (None, Some(_)) => {
                return spot.refuse("password-env", "`password-env` needs `username-env`");
            }
        }
        mailbox(&self.from, spot.key("from"))?;
        if self.to.is_empty() {
            return spot.refuse("to", "it names no recipient");
        }
        for (nth, to) in self.to.iter().enumerate() {
            mailbox(to, spot.key("to").item(nth))?;
        }
        Ok(())
    }
}

/// Whether a name is this machine's.
fn is_here(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// `user@host`, or `Name <user@host>`; the library that sends it reads it more strictly.
fn mailbox(text: &str, spot: KeyPosition<'_>) -> Result<(), Fault> {
    let bare = match text.trim().strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<').map_or("", |(_, bare)| bare),
        None => text.trim(),
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;".contains(c);
    let is_one = bare
        .rsplit_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !is_one || bare.contains(is_odd) || text.contains(char::is_control) {
        let fault = spot.fault(format!(
            "`{}` is not an e-mail address",
            text.escape_debug()
        ));
        return Err(fault.hint("write it as `user@example.com` or `Name <user@example.com>`"));
    }
    Ok(())
}

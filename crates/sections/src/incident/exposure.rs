//! What a bad release served.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{Pattern, Span};
use yaml::Fault;

use crate::{AccessLog, KeyPosition, LogFormat, PrometheusAccess};

/// How many requests a release served, and how many of them failed: by counters of a Prometheus server, by an access
/// log, or by both, where the log is read if the counters are not exact.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exposure {
    /// The server, such as `http://127.0.0.1:9090`.
    pub server: Option<String>,
    /// A selector of the counters of all its requests, such as `http_requests_total{release="{release}"}`;
    /// `{release}` is the bad release.
    pub total: Option<String>,
    /// A selector of the counters of those that failed: `http_requests_total{release="{release}",status=~"5.."}`.
    pub failed: Option<String>,
    /// A selector of the counters of requests to all releases, such as `http_requests_total`, for the release's share
    /// of them.
    pub total_all_releases: Option<String>,
    /// How the server lets us in.
    pub access: Option<PrometheusAccess>,
    /// How long a stage waits at its end for the server's next scrape. Default 2s.
    #[serde(default = "wait")]
    pub wait: Span,
    /// The access log of the router in front of the releases.
    pub access_log: Option<ExposureLog>,
}

/// An access log that shows which release answered a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExposureLog {
    /// The file. What was moved away last, beside it, is read too.
    pub file: PathBuf,
    /// A name under `hosts:` where it is. Default: the machine that runs us.
    pub host: Option<String>,
    /// How a line is written. Default: combined.
    #[serde(default)]
    pub format: LogFormat,
    /// What names who answered: a key of the object; for `format: combined` the number of the field in the line, from 1,
    /// of which 10 is the first that is added to that format.
    pub field: String,
    /// Its value where the bad release answered, such as `{release}` or `10.0.0.7:*`; `{release}` is the bad release,
    /// and `*` any text. Default: `{release}`.
    #[serde(default = "value")]
    pub value: String,
    /// The key of the status, for `format: json`. Default: `status`.
    pub status: Option<String>,
    /// The key of the time, for `format: json`. Default: the first of `time_iso8601`, `msec`, `time`, `ts` and
    /// `@timestamp` that a line has.
    pub time: Option<String>,
    /// A pattern of the statuses of requests that failed. Default: `5..`.
    #[serde(default = "failures")]
    pub failed: String,
}

impl Exposure {
    pub(super) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.server.is_none() && self.access_log.is_none() {
            let fault = spot.fault("neither `server` nor `access-log` is there: nothing counts");
            return Err(fault.hint("name a Prometheus server with `server`, `total` and `failed`"));
        }
        let selectors = [
            ("total", &self.total, true),
            ("failed", &self.failed, true),
            ("total-all-releases", &self.total_all_releases, false),
        ];
        for (key, selector, is_needed) in selectors {
            match (selector, &self.server) {
                (Some(selector), Some(_)) => spot.key(key).some_text(selector)?,
                (Some(_), None) => {
                    return spot.refuse(key, format!("`{key}` needs `server`"));
                }
                (None, Some(_)) if is_needed => {
                    return spot.refuse("server", format!("`server` needs `{key}`"));
                }
                (None, _) => {}
            }
        }
        match &self.server {
            Some(server) => spot.key("server").http_url(server)?,
            None if self.access.is_some() => {
                return spot.refuse("access", "`access` needs `server`");
            }
            None => {}
        }
        match &self.access_log {
            Some(log) => log.check(spot.key("access-log")),
            None => Ok(()),
        }
    }
}

impl ExposureLog {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("file").a_file(&self.file, true)?;
        if let Some(host) = &self.host {
            spot.key("host").known_host(host)?;
        }
        spot.key("value").some_text(&self.value)?;
        if let Err(why) = self.failed.parse::<Pattern>() {
            return spot.refuse("failed", why.to_string());
        }
        let is_number = self.field.parse::<u8>().is_ok_and(|nth| nth > 0);
        if self.format == LogFormat::Combined && !is_number {
            let field = &self.field;
            let message =
                format!("`{field}` is not the number of a field, from 1: such a log has no names");
            let fault = spot.key("field").fault(message);
            return Err(fault.hint("write `format: json` if the lines are JSON objects"));
        }
        for (key, value) in [("status", &self.status), ("time", &self.time)] {
            if value.is_some() && self.format == LogFormat::Combined {
                return spot.refuse(key, format!("`{key}` needs `format: json`"));
            }
        }
        Ok(())
    }
}

impl ExposureLog {
    /// The log that a canary is compared by; `failed` is its pattern of statuses.
    pub fn of_canary(log: &AccessLog, failed: &str) -> ExposureLog {
        ExposureLog {
            file: log.file.clone(),
            host: log.host.clone(),
            format: log.format,
            field: log.side.field.clone(),
            value: log.side.canary.clone(),
            status: log.status.clone(),
            time: None,
            failed: failed.to_owned(),
        }
    }

    /// The statuses of requests that failed.
    pub fn failures(&self) -> BTreeSet<u16> {
        let whole = format!("^(?:{})$", self.failed).parse::<Pattern>();
        let fails = |status: &u16| {
            let pattern = whole.as_ref();
            pattern.is_ok_and(|pattern| pattern.is_match(status.to_string().as_bytes()))
        };
        (100..1000).filter(fails).collect()
    }
}

fn wait() -> Span {
    Span::from_secs(2)
}

fn value() -> String {
    "{release}".to_owned()
}

fn failures() -> String {
    "5..".to_owned()
}

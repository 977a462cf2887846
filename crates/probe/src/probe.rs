//! What every probe is, and what it finds around it.

use std::pin::Pin;
use std::time::Duration;

use config::file::ProbeConfig;
use model::{Env, Outcome, Redactor, Secret};
use net::hosts::Hosts;

use crate::error::Error;
use crate::reading::Reading;

/// The reading that is being made.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = Reading> + 'a>>;

/// One question about the thing under test.
pub trait Probe {
    /// One measurement, within its time. With `release`, what answers must also be that release.
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a>;

    /// The next step for a person when it does not pass: a command or a place to look.
    fn hint(&self) -> String;

    /// What a person should know besides the verdict: outcomes of their own, whose ids begin with
    /// the probe's. Asked when the watch is over.
    fn remarks(&self, _id: &str) -> Vec<Outcome> {
        Vec::new()
    }

    /// Bounds on the measured value, for charts.
    fn limits(&self) -> model::Limits {
        model::Limits::default()
    }
}

/// How the probe for one entry of the configuration is built.
pub(crate) trait Kind: ProbeConfig {
    /// What is asked, as the file says it.
    fn subject(&self) -> String;

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error>;
}

/// What probes find around them: variables that hold their secrets, machines to ask from.
#[derive(Clone, Debug, Default)]
pub struct ProbeContext {
    pub env: Env,
    pub hosts: Hosts,
    /// For secrets that come into being while asking.
    pub redactor: Redactor,
}

impl ProbeContext {
    /// The value of a variable that a `*-env` key names.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, Error> {
        self.env.secret(name).ok_or_else(|| Error::Unset {
            name: name.to_owned(),
        })
    }
}

//! `incident dashboard` and `incident alerts`: what Grafana and Prometheus need to show and watch the series of
//! `incident metrics`.

use clap::Args;
use cli::Failure;
use measures::alerts::{self, ServiceMetrics};
use measures::dashboard;

/// How the service's own series are found.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// A label of the service's own series, such as `job=shop`; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// The label that distinguishes the canary from stable [default: release]
    #[arg(long, value_name = "NAME")]
    release_label: Option<String>,
}

impl Flags {
    fn service(&self) -> Result<ServiceMetrics, Failure> {
        let pair = |text: &String| {
            let pair = text.split_once('=');
            let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| {
                Failure::usage(format!("`--label {text}` has no value"))
                    .hint("write a name and a value: `--label job=shop`")
            })
        };
        let default = ServiceMetrics::default();
        let service = ServiceMetrics {
            labels: self.labels.iter().map(pair).collect::<Result<_, _>>()?,
            release_label: self.release_label.clone().unwrap_or(default.release_label),
        };
        if service.is_valid() {
            Ok(service)
        } else {
            Err(
                Failure::usage("a label has a name that Prometheus does not accept")
                    .hint("letters, digits and `_`, such as `job`"),
            )
        }
    }

    /// A dashboard for Grafana, as JSON.
    pub(crate) fn dashboard(&self) -> Result<String, Failure> {
        let dashboard = dashboard::dashboard(&self.service()?);
        let text = serde_json::to_string_pretty(&dashboard).map_err(Failure::error)?;
        Ok(text + "\n")
    }

    /// A file of rules for Prometheus, as YAML.
    pub(crate) fn alerts(&self) -> Result<String, Failure> {
        Ok(alerts::rules(&self.service()?))
    }
}

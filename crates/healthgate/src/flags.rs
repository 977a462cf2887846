//! Flags that replace a configuration, or change an existing one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cli::Failure;
use config::Config;
use config::file::{HttpProbe, Impossible, Match, ReleaseSource};
use config::value::{Filter, Pattern, Portion, Size, Span, StatusRange};
use model::{Address, Secret, Shard};

use crate::policy_flags::PolicyFlags;

/// Probe flags make one probe for each `--http`; these take the place of the file's probes. Policy
/// flags change the file's policy key by key.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Probe this URL; repeatable. Replaces the probes of the configuration
    #[arg(long, value_name = "URL", help_heading = "Probe")]
    http: Vec<String>,
    /// Status that passes, or a range such as 200-299; repeatable [default: 2xx]
    #[arg(
        long,
        value_name = "CODE",
        value_delimiter = ',',
        requires = "http",
        help_heading = "Probe"
    )]
    status: Vec<StatusRange>,
    /// Header to send, `Name: value`; its value is kept out of all output
    // Its variable holds one on each line: the arguments of a process can be seen by every user.
    #[arg(
        long,
        value_name = "HEADER",
        value_delimiter = '\n',
        requires = "http",
        help_heading = "Probe"
    )]
    header: Vec<String>,
    /// Regular expression that the body must match
    #[arg(long, value_name = "REGEX", requires = "http", help_heading = "Probe")]
    body_regex: Option<Pattern>,
    /// jq filter over the JSON body that must give true
    #[arg(long, value_name = "FILTER", requires = "http", help_heading = "Probe")]
    jq: Option<Filter>,
    /// The slowest answer that passes
    #[arg(long, value_name = "TIME", requires = "http", help_heading = "Probe")]
    max_latency: Option<Span>,
    /// The largest body that passes [default: 1MiB]
    #[arg(long, value_name = "SIZE", requires = "http", help_heading = "Probe")]
    max_body: Option<Size>,
    /// Read the running release from this URL [default: the probe's own answer]
    #[arg(long, value_name = "URL", requires = "http", help_heading = "Probe")]
    release_url: Option<String>,
    /// jq filter that gives the answering release
    #[arg(
        long,
        value_name = "FILTER",
        requires = "http",
        conflicts_with = "release_header",
        help_heading = "Probe"
    )]
    release_jq: Option<Filter>,
    /// Header that holds the answering release
    #[arg(long, value_name = "NAME", requires = "http", help_heading = "Probe")]
    release_header: Option<String>,
    /// How the answering release must match `--release`
    #[arg(long, value_name = "HOW", requires = "http", value_parser = release_match, help_heading = "Probe")]
    release_match: Option<Match>,
    /// Probe each line of this file as `{target}` in `--http`, as one group
    #[arg(long, value_name = "FILE", requires = "http", help_heading = "Probe")]
    targets_file: Option<PathBuf>,
    /// How many of the group must pass, such as `95%` or `12` [default: 100%]
    #[arg(
        long,
        value_name = "N|SHARE",
        requires = "targets_file",
        help_heading = "Probe"
    )]
    require: Option<Portion>,
    /// Keep measuring after the decision, until SIGINT or SIGTERM; the verdict is the worst state
    /// that each probe came to
    #[arg(long, conflicts_with = "shard")]
    pub(crate) watch: bool,
    /// Write each interval of the comparison with the release before to this file, so that `healthgate
    /// judge` can repeat it
    #[arg(long, value_name = "FILE")]
    pub(crate) record_trace: Option<PathBuf>,
    /// Probe only this part of the endpoints, such as `3/10`; `healthgate merge` puts the reports of
    /// all parts together
    #[arg(long, value_name = "N/ALL")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    policy: PolicyFlags,
}

impl Flags {
    pub(crate) fn lay_over(&self, config: &mut Config) -> Result<(), Failure> {
        let section = config.healthgate_mut()?;
        if !self.http.is_empty() {
            *section = config::file::Healthgate {
                policy: section.policy.clone(),
                release_identity: section.release_identity,
                http: self.probes()?,
                ..config::file::Healthgate::default()
            };
        }
        let policy = &mut section.policy;
        self.policy.lay_over(policy);
        for (name, span) in [
            ("interval", policy.interval),
            ("timeout", policy.timeout),
            ("deadline", policy.deadline),
        ] {
            if span == Span::ZERO {
                return Err(Failure::usage(format!("`--{name}` must be more than zero")));
            }
        }
        Self::check(section)
    }

    /// With flags over the file's policy, each probe must still be able to pass.
    fn check(section: &config::file::Healthgate) -> Result<(), Failure> {
        for planned in probe::kinds::planned(section) {
            if let Some(Impossible { message, hint }) = planned.policy.impossible() {
                return Err(Failure::usage(format!("{}: {message}", planned.id)).hint(hint));
            }
        }
        Ok(())
    }

    /// The values of headers: what is sent in one is often a token.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let values = self
            .header
            .iter()
            .filter_map(|header| header.split_once(':'));
        // `Bearer TOKEN` is printed by some servers without its first word.
        values
            .flat_map(|(_, value)| {
                [
                    value.trim(),
                    value.trim().rsplit(' ').next().unwrap_or_default(),
                ]
            })
            .filter(|value| !value.is_empty())
            .map(Secret::from)
            .collect()
    }

    fn probes(&self) -> Result<Vec<HttpProbe>, Failure> {
        let headers = self.headers()?;
        let asked_for_release = self.release_url.is_some()
            || self.release_jq.is_some()
            || self.release_header.is_some()
            || self.release_match.is_some();
        let release = asked_for_release.then(|| ReleaseSource {
            url: self.release_url.clone(),
            header: self.release_header.clone(),
            jq: self.release_jq.clone(),
            r#match: self.release_match.unwrap_or_default(),
        });
        let mut probes: Vec<HttpProbe> = Vec::new();
        for url in &self.http {
            let example = match &self.targets_file {
                None if config::file::has_place(url) => {
                    return Err(Failure::usage(format!(
                        "nothing is put in the place that `--http {url}` has"
                    ))
                    .hint("name the targets with `--targets-file FILE`"));
                }
                None => url.clone(),
                Some(_) if !config::file::has_place(url) => {
                    return Err(Failure::usage(format!(
                        "`--http {url}` has no place for a target"
                    ))
                    .hint("write it as `--http 'http://{target}/health'`"));
                }
                // A line may be a whole URL, or be one's host.
                Some(_) if url.starts_with('{') => "http://target/".to_owned(),
                Some(_) => config::file::Member::of_line("target").fill(url),
            };
            if let Err(reason) = net::http::request::parse(&example) {
                return Err(Failure::usage(format!("`--http {url}`: {reason}"))
                    .hint("write it as `http://host:port/path` or `https://…`"));
            }
            let name = name_of(url);
            let again = probes
                .iter()
                .filter(|probe| probe.name.starts_with(&name))
                .count();
            let name = if again == 0 {
                name
            } else {
                format!("{name}#{}", again + 1)
            };
            let probe = HttpProbe::get(name, url);
            probes.push(HttpProbe {
                status: self.status.clone().into(),
                headers: headers.clone(),
                body_regex: self.body_regex.clone(),
                jq: self.jq.clone(),
                max_latency: self.max_latency,
                max_body: self.max_body.unwrap_or(probe.max_body),
                release: release.clone(),
                targets_file: self.targets_file.clone(),
                require: self.require,
                ..probe
            });
        }
        Ok(probes)
    }

    fn headers(&self) -> Result<BTreeMap<String, Secret>, Failure> {
        self.header
            .iter()
            .map(|header| match header.split_once(':') {
                Some((name, value)) => Ok((name.trim().to_owned(), value.trim().into())),
                None => Err(Failure::usage("a `--header` has no colon")
                    .hint("write it as `--header 'Name: value'`")),
            })
            .collect()
    }
}

/// A short name: the host and path of a URL.
fn name_of(url: &str) -> String {
    let Address { host, path, .. } = Address::of(url);
    format!("{host}{path}").trim_end_matches('/').to_owned()
}

#[derive(Debug, thiserror::Error)]
#[error("one of exact, prefix, regex")]
struct ParseMatchError;

fn release_match(text: &str) -> Result<Match, ParseMatchError> {
    match text {
        "exact" => Ok(Match::Exact),
        "prefix" => Ok(Match::Prefix),
        "regex" => Ok(Match::Regex),
        _ => Err(ParseMatchError),
    }
}

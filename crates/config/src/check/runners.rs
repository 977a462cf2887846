//! Rules about runners: whose they are, where they live, and what starts in an emergency.

use super::rules::{fault, http_url, known_host, unique};
use crate::file::{Config, Preflight, RunnerCheck, RunnerMetric};
use crate::section::Section;
use crate::value::Span;
use yaml::Node;
use yaml::{Fault, nearest};

/// The section `runners:`.
pub(super) fn hosts(config: &Config, tree: &Node) -> Result<(), Fault> {
    for (name, runner) in &config.runners {
        known_host(tree, &["runners", name, "host"], &runner.host, config)?;
        if let Some(unit) = &runner.unit
            && !is_unit(unit)
        {
            return Err(fault(
                tree,
                &["runners", name, "unit"],
                format!("`{unit}` is no name of a service"),
            )
            .hint("such as `actions.runner.acme-shop.web-01.service`: `systemctl list-units 'actions.runner.*'`"));
        }
    }
    Ok(())
}

/// preflight's checks of runners.
pub(super) fn checks(section: &Preflight, config: &Config, tree: &Node) -> Result<(), Fault> {
    for (nth, check) in section.runners.iter().enumerate() {
        let nth = nth.to_string();
        let path = ["preflight", "runners", &nth];
        let whose = Whose {
            repository: check.repository.as_ref(),
            organization: check.organization.as_ref(),
            enterprise: check.enterprise.as_ref(),
            group: check.group.as_ref(),
        };
        whose.check(None, tree, &path)?;
        repositories(&check.repositories, whose.repository, tree, &path)?;
        let supply = Supply {
            min_online: check.min_online.get(),
            scales_from_zero: check.scales_from_zero,
            github_hosted: check.github_hosted,
            max_start_time: check.max_start_time,
            known_by_name: !check.runners.is_empty() || check.prometheus.is_some(),
        };
        supply.check(tree, &path)?;
        pool_of(
            &check.labels,
            &check.runners,
            check.prometheus.as_ref(),
            config,
            tree,
            &path,
        )?;
    }
    Ok(())
}

/// The characters of a systemd unit's name; none of them means anything to a shell in quotes.
fn is_unit(name: &str) -> bool {
    name.len() <= 255
        && !name.starts_with('-')
        && name
            .strip_suffix(".service")
            .is_some_and(|stem| !stem.is_empty())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c))
}

/// Whose runners, as a section, a pool or a check says it.
struct Whose<'a> {
    repository: Option<&'a String>,
    organization: Option<&'a String>,
    enterprise: Option<&'a String>,
    group: Option<&'a String>,
}

impl Whose<'_> {
    /// At most one owner; a group only of an owner that has groups. `above` is the section's.
    fn check(&self, above: Option<&Whose>, tree: &Node, path: &[&str]) -> Result<(), Fault> {
        let owners = |whose: &Whose| {
            [
                ("repository", whose.repository.is_some()),
                ("organization", whose.organization.is_some()),
                ("enterprise", whose.enterprise.is_some()),
            ]
        };
        let at = |key| path.iter().copied().chain([key]).collect::<Vec<_>>();
        let given: Vec<&str> = owners(self)
            .into_iter()
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
        if let [first, second, ..] = given[..] {
            return Err(fault(
                tree,
                &at(second),
                format!("`{first}` and `{second}` exclude each other"),
            ));
        }
        let owner = if given.is_empty() {
            above.unwrap_or(self)
        } else {
            self
        };
        if self.group.is_some() && owner.organization.is_none() && owner.enterprise.is_none() {
            return Err(
                fault(tree, &at("group"), "a group of whom is meant is not said").hint(
                    "add `organization: NAME` or `enterprise: NAME`: repositories have no groups",
                ),
            );
        }
        Ok(())
    }
}

/// Where a pool's runners come from, as a pool or a check says it.
struct Supply {
    min_online: u32,
    scales_from_zero: bool,
    github_hosted: bool,
    max_start_time: Option<Span>,
    /// Its runners are named, or a metric names them.
    known_by_name: bool,
}

impl Supply {
    fn check(&self, tree: &Node, path: &[&str]) -> Result<(), Fault> {
        let refuse = |key: &str, text: String| {
            let at: Vec<&str> = path.iter().copied().chain([key]).collect();
            Err(fault(tree, &at, text))
        };
        if self.scales_from_zero && self.github_hosted {
            let text = "`scales-from-zero` and `github-hosted` exclude each other";
            return refuse("github-hosted", text.to_owned());
        }
        let declared = match (self.scales_from_zero, self.github_hosted) {
            (true, _) => "scales-from-zero",
            (_, true) => "github-hosted",
            (false, false) => {
                if self.max_start_time.is_some() {
                    let text = "`max-start-time` is for `scales-from-zero` and `github-hosted`";
                    return refuse("max-start-time", text.to_owned());
                }
                return Ok(());
            }
        };
        if self.min_online > 1 {
            let text = format!("`min-online` and `{declared}` exclude each other");
            return refuse("min-online", text);
        }
        if self.github_hosted && self.known_by_name {
            let text = "`runners` and `prometheus` know nothing of GitHub's own machines";
            return refuse("github-hosted", text.to_owned());
        }
        match self.max_start_time {
            Some(span) if span.get().is_zero() => {
                refuse("max-start-time", "must be more than zero".to_owned())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn section(section: &RunnerCheck, config: &Config, tree: &Node) -> Result<(), Fault> {
    let root = "runner-check";
    unique(tree, &[root, "pools"], "name")?;
    let whose = Whose {
        repository: section.repository.as_ref(),
        organization: section.organization.as_ref(),
        enterprise: section.enterprise.as_ref(),
        group: section.group.as_ref(),
    };
    whose.check(None, tree, &[root])?;
    repositories(&section.repositories, whose.repository, tree, &[root])?;
    for (key, zero) in [
        ("timeout", section.timeout.get().is_zero()),
        ("interval", section.interval.get().is_zero()),
        ("verify-timeout", section.verify_timeout.get().is_zero()),
    ] {
        if zero {
            return Err(fault(tree, &[root, key], "must be more than zero"));
        }
    }
    if section.prune_above > 100 {
        return Err(fault(
            tree,
            &[root, "prune-above"],
            "more than 100 per cent",
        ));
    }
    for (nth, pool) in section.pools.iter().enumerate() {
        let nth = nth.to_string();
        let path = [root, "pools", &nth];
        let own = Whose {
            repository: pool.repository.as_ref(),
            organization: pool.organization.as_ref(),
            enterprise: pool.enterprise.as_ref(),
            group: pool.group.as_ref(),
        };
        own.check(Some(&whose), tree, &path)?;
        repositories(&pool.repositories, own.repository, tree, &path)?;
        let supply = Supply {
            min_online: pool.min_online.get(),
            scales_from_zero: pool.scales_from_zero,
            github_hosted: pool.github_hosted,
            max_start_time: pool.max_start_time,
            known_by_name: !pool.runners.is_empty() || pool.prometheus.is_some(),
        };
        supply.check(tree, &path)?;
        pool_of(
            &pool.labels,
            &pool.runners,
            pool.prometheus.as_ref(),
            config,
            tree,
            &path,
        )?;
    }
    if let Some(emergency) = &section.emergency {
        let path = [root, "emergency"];
        match (&emergency.runner, &emergency.run) {
            (Some(_), Some(_)) => {
                return Err(fault(
                    tree,
                    &[path[0], path[1], "run"],
                    "`runner` and `run` exclude each other",
                ));
            }
            (None, None) => {
                return Err(fault(tree, &path, "nothing to start is given")
                    .hint("add `runner: NAME`, a runner under `runners:`, or `run: COMMAND`"));
            }
            (Some(name), None) => known_runner(tree, &[path[0], path[1], "runner"], name, config)?,
            (None, Some(_)) => {}
        }
        if let Some(name) = &emergency.pool
            && !section.pools.iter().any(|pool| &pool.name == name)
        {
            return Err(fault(
                tree,
                &[path[0], path[1], "pool"],
                format!("no pool `{name}` under `pools:`"),
            ));
        }
    }
    Ok(())
}

/// More would cost too many requests for evidence.
const MOST_REPOSITORIES: usize = 20;

/// Whose jobs are asked for: of a repository's runners its own alone.
fn repositories(
    names: &[String],
    repository: Option<&String>,
    tree: &Node,
    path: &[&str],
) -> Result<(), Fault> {
    let at: Vec<&str> = path.iter().copied().chain(["repositories"]).collect();
    if !names.is_empty() && repository.is_some() {
        let text = "`repository` and `repositories` exclude each other";
        return Err(fault(tree, &at, text));
    }
    if names.len() > MOST_REPOSITORIES {
        let text = format!("more than {MOST_REPOSITORIES} repositories");
        return Err(fault(tree, &at, text));
    }
    let wrong = |name: &&String| {
        !name
            .split_once('/')
            .is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty())
    };
    if let Some(name) = names.iter().find(wrong) {
        let text = format!("`{name}` is no name of a repository");
        return Err(fault(tree, &at, text).hint("it is written `OWNER/NAME`"));
    }
    Ok(())
}

/// What pools and preflight's check of runners share.
fn pool_of(
    labels: &[String],
    runners: &[String],
    metric: Option<&RunnerMetric>,
    config: &Config,
    tree: &Node,
    path: &[&str],
) -> Result<(), Fault> {
    let at = |key: &str, nth: Option<usize>| -> Vec<String> {
        let nth = nth.map(|nth| nth.to_string());
        path.iter()
            .map(ToString::to_string)
            .chain([key.to_owned()])
            .chain(nth)
            .collect()
    };
    let refuse = |steps: Vec<String>, text: &str| {
        fault(
            tree,
            &steps.iter().map(String::as_str).collect::<Vec<_>>(),
            text,
        )
    };
    if labels.is_empty() {
        return Err(refuse(at("labels", None), "no label is given"));
    }
    if let Some(nth) = labels.iter().position(|label| label.trim().is_empty()) {
        return Err(refuse(at("labels", Some(nth)), "an empty label"));
    }
    for (nth, name) in runners.iter().enumerate() {
        let steps = at("runners", Some(nth));
        known_runner(
            tree,
            &steps.iter().map(String::as_str).collect::<Vec<_>>(),
            name,
            config,
        )?;
    }
    if let Some(metric) = metric {
        let steps = [at("prometheus", None), vec!["server".to_owned()]].concat();
        http_url(
            tree,
            &steps.iter().map(String::as_str).collect::<Vec<_>>(),
            &metric.server,
        )?;
    }
    Ok(())
}

fn known_runner(tree: &Node, path: &[&str], name: &str, config: &Config) -> Result<(), Fault> {
    if config.runners.contains_key(name) || config.unset.contains_key(&Section::Runners) {
        return Ok(());
    }
    let known: Vec<&str> = config.runners.keys().map(String::as_str).collect();
    let fault = fault(tree, path, format!("no runner `{name}` under `runners:`"));
    Err(match nearest(name, &known) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("add `runners: {{ {name}: {{ host: … }} }}`")),
    })
}

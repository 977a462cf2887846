//! What is asked after a deployment, and what says that it is the right question.

use survey::{HealthSource, Line, Value};

use crate::group::Group;

/// An address to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthAddress {
    pub url: Value,
    pub at: Vec<Line>,
    pub from: HealthSource,
    pub on_host: bool,
}

/// The best address of each row of the group; the one that a flag names instead of all.
pub fn asked(group: &Group<'_>, url: Option<&str>) -> Vec<HealthAddress> {
    best(group, url, &|_| true)
}

/// The same of those that need no machine to ask them.
pub fn open(group: &Group<'_>, url: Option<&str>) -> Vec<HealthAddress> {
    let mut all = best(group, url, &|health| !health.on_host);
    all.retain(|asked| !asked.on_host);
    all
}

fn best(
    group: &Group<'_>,
    url: Option<&str>,
    fits: &dyn Fn(&survey::Health) -> bool,
) -> Vec<HealthAddress> {
    if let Some(url) = url {
        let reached = group.lead.login.is_some();
        return vec![HealthAddress {
            url: Value::new(url),
            at: Vec::new(),
            from: HealthSource::Workflow,
            on_host: reached && is_local(url),
        }];
    }
    let mut all: Vec<HealthAddress> = Vec::new();
    for row in &group.rows {
        let usable = |health: &&survey::Health| {
            // A machine that is reached by SSH is asked from there, wherever it is.
            let known = is_known(health.url.text());
            fits(health)
                && known
                && (health.on_host || row.login.is_none() || !is_local(health.url.text()))
        };
        let Some(best) = row.health.iter().find(usable) else {
            continue;
        };
        // A line that a matrix runs several times asks several addresses, all of them as good.
        let alike = |health: &&survey::Health| health.from == best.from && health.at == best.at;
        for health in row.health.iter().filter(usable).filter(alike) {
            if !all.iter().any(|there| there.url == health.url) {
                all.push(HealthAddress {
                    url: health.url.clone(),
                    at: health.at.clone(),
                    from: health.from,
                    on_host: health.on_host,
                });
            }
        }
    }
    all
}

/// An address that a step can be given: words and expressions, with `http` in front where it is known.
fn is_known(url: &str) -> bool {
    let mut rest = url.to_owned();
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((_, after)) = after.split_once("}}") else {
            return false;
        };
        rest = format!("{before}{after}");
    }
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    (has_scheme || url.starts_with("${{"))
        && !rest.contains(['$', '`', '"', '\\', '<', '>'])
        && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]", "0.0.0.0"]
        .iter()
        .any(|local| host.starts_with(local))
}

impl HealthAddress {
    /// The lines that tell, for a person.
    pub fn evidence(&self) -> String {
        let at: Vec<String> = self.at.iter().map(Line::to_string).collect();
        let at = at.join(" and ");
        match self.from {
            _ if self.at.is_empty() => "as `--url` gives it".to_owned(),
            HealthSource::Guess => format!("a guess, put together from {at}"),
            HealthSource::Platform => {
                format!(
                    "{at}: the platform's address of the app, of which an answer below 500 is all that is known"
                )
            }
            HealthSource::Environment => {
                format!("{at}: the environment's address, which shows that it answers and no more")
            }
            HealthSource::Workflow | HealthSource::Tool if self.at.len() > 1 => {
                format!("put together from {at}")
            }
            HealthSource::Workflow | HealthSource::Tool => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_used_where_a_step_can_be_given_it() {
        for url in [
            "https://shop.example.com/healthz?a=b&c=d",
            "${{ steps.pages.outputs.page_url }}",
            "https://${{ vars.HOST }}/up",
        ] {
            assert!(is_known(url), "{url}");
        }
        for url in [
            "https://$HOST/",
            "shop.example.com",
            "https://${{ a",
            "https://a/ b",
            "",
        ] {
            assert!(!is_known(url), "{url}");
        }
        assert!(is_local("http://127.0.0.1:80/") && !is_local("http://10.0.0.1/"));
    }
}

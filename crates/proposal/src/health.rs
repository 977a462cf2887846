//! What is asked after a deployment, and what says that it is the right question.

use survey::{HealthSource, Line, Tool, Value};

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
    let mut all: Vec<&survey::Health> = Vec::new();
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
                all.push(health);
            }
        }
    }
    let address = |health: &survey::Health, url: Value| HealthAddress {
        url,
        at: health.at.clone(),
        from: health.from,
        on_host: health.on_host,
    };
    match (all.first(), of_each_row(&all)) {
        (Some(first), Some(url)) => vec![address(first, url)],
        _ => (all.iter())
            .map(|health| address(health, health.url.clone()))
            .collect(),
    }
}

/// The one text that gives each row of a matrix, or each call of the workflow, the address that it asks:
/// `https://${{ matrix.host }}/healthz`.
fn of_each_row(all: &[&survey::Health]) -> Option<Value> {
    let [first, others @ ..] = all else {
        return None;
    };
    if others.is_empty() {
        return None;
    }
    let differs = |name: &str| {
        let value = first.row.get(name);
        others.iter().any(|other| other.row.get(name) != value)
    };
    let gives_each = |text: &String| {
        all.iter().all(|health| {
            let of_row = |path: &str| health.row.get(path).cloned();
            survey::fill(text, &of_row) == health.url.text()
        })
    };
    let texts = all.iter().map(|health| in_words_of_row(health, &differs));
    texts.into_iter().find(gives_each).map(Value::new)
}

/// The address with the row's names for what differs among the rows, the longest value first.
fn in_words_of_row(health: &survey::Health, differs: &dyn Fn(&str) -> bool) -> String {
    let values = (health.row.iter()).filter(|(name, value)| !value.is_empty() && differs(name));
    let mut values: Vec<(&String, &String)> = values.collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    let mut text = String::new();
    let mut rest = health.url.text();
    while let Some(next) = rest.chars().next() {
        let expression = rest.find("}}").filter(|_| rest.starts_with("${{"));
        let found = values.iter().find(|(_, value)| rest.starts_with(&***value));
        let length = match (expression, found) {
            (Some(end), _) => end + 2,
            (None, Some((name, value))) => {
                text.push_str(&format!("${{{{ {name} }}}}"));
                rest = &rest[value.len()..];
                continue;
            }
            (None, None) => next.len_utf8(),
        };
        text.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    text
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
    /// Whether only a status of 500 and above tells that the app is broken: nothing names a health check, and what is there
    /// may redirect, or want a login. A site that is only files has no other answer at its root than the page.
    pub fn shows_an_answer_alone(&self, tool: &Tool) -> bool {
        let text = self.url.text();
        let (_, rest) = text.split_once("://").unwrap_or(("", text));
        let is_root = self.url.expression().is_some()
            || rest.split_once('/').is_none_or(|(_, path)| path.is_empty());
        let is_open = match self.from {
            HealthSource::Platform => true,
            HealthSource::Environment => is_root,
            _ => false,
        };
        is_open && !matches!(tool, Tool::Site { .. })
    }

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
            HealthSource::Warning => format!("{at}, where the workflow only warns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_asked_by_what_tells_them_apart() {
        let health = |url: &str, row: &[(&str, &str)]| survey::Health {
            url: Value::new(url),
            at: Vec::new(),
            from: HealthSource::Workflow,
            on_host: false,
            row: (row.iter())
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let of = |rows: &[(&str, &[(&str, &str)])]| {
            let all: Vec<survey::Health> = rows.iter().map(|(url, row)| health(url, row)).collect();
            let all: Vec<&survey::Health> = all.iter().collect();
            of_each_row(&all).map(|url| url.text().to_owned())
        };
        let host = "https://${{ matrix.host }}:81/up";
        let both: [(&str, &[(&str, &str)]); 2] = [
            (
                "https://a1.io:81/up",
                &[
                    ("inputs.tag", "up"),
                    ("matrix.host", "a1.io"),
                    ("matrix.n", "1"),
                ],
            ),
            (
                "https://b.io:81/up",
                &[
                    ("inputs.tag", "up"),
                    ("matrix.host", "b.io"),
                    ("matrix.n", "2"),
                ],
            ),
        ];
        assert_eq!(of(&both).as_deref(), Some(host));
        assert_eq!(of(&both[..1]), None);
        // Each asks both: what one row asks is not told by its own values.
        let same: &[(&str, &str)] = &[("matrix.host", "a.io")];
        assert_eq!(
            of(&[("https://a.io/", same), ("https://b.io/", same)]),
            None
        );
        let numbered = [
            ("https://web1.io:8081/", &[("matrix.n", "1")][..]),
            ("https://web2.io:8081/", &[("matrix.n", "2")]),
        ];
        assert_eq!(
            of(&numbered).as_deref(),
            Some("https://web${{ matrix.n }}.io:8081/")
        );
        let called = [
            (
                "https://a/${{ vars.P }}",
                &[("inputs.url", "https://a")][..],
            ),
            ("https://b/${{ vars.P }}", &[("inputs.url", "https://b")]),
        ];
        assert_eq!(
            of(&called).as_deref(),
            Some("${{ inputs.url }}/${{ vars.P }}")
        );
    }

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

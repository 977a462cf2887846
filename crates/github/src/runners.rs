//! Self-hosted runners: the list, and which of them can take a job.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Client, Error, Needs};

/// Whose runners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `owner/name`.
    Repository(String),
    Organization(String),
}

impl Scope {
    fn path(&self) -> String {
        match self {
            Scope::Repository(name) => format!("/repos/{name}/actions/runners"),
            Scope::Organization(name) => format!("/orgs/{name}/actions/runners"),
        }
    }

    /// What a token needs to list them (docs: "Permissions required for GitHub Apps").
    fn needs(&self) -> Needs {
        let permission = match self {
            Scope::Repository(_) => {
                "`administration: read` on the repository (classic token: `repo`, as an administrator)"
            }
            Scope::Organization(_) => {
                "`organization_self_hosted_runners: read` (classic token: `admin:org`)"
            }
        };
        Needs::token("list runners", permission)
    }

    /// Names that cannot leave their place in a path.
    fn check(&self) -> Result<(), Error> {
        let fits = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && !matches!(part, "." | "..")
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let good = match self {
            Scope::Repository(name) => name
                .split_once('/')
                .is_some_and(|(owner, name)| fits(owner) && fits(name)),
            Scope::Organization(name) => fits(name),
        };
        if good {
            return Ok(());
        }
        Err(Error::Malformed {
            reason: format!("`{self}` is no name of a repository or organisation"),
        })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::Repository(name) | Scope::Organization(name) => f.write_str(name),
        }
    }
}

/// One runner as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Runner {
    pub id: u64,
    pub name: String,
    /// `online` or `offline`; anything else is taken for neither.
    pub status: String,
    pub busy: bool,
    pub labels: Vec<Label>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    pub name: String,
}

#[derive(Deserialize)]
struct Page {
    total_count: u64,
    runners: Vec<Runner>,
}

/// What a scope's pages show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub runners: Vec<Runner>,
    /// Runners that GitHub counts and does not show.
    pub unlisted: u64,
}

/// The most that the API gives at once.
const PER_PAGE: usize = 100;
/// 10,000 runners; a larger answer is not believed.
const PAGES: u32 = 100;

impl Client {
    /// All runners of a scope, all pages.
    pub async fn runners(&self, scope: &Scope) -> Result<Listing, Error> {
        scope.check()?;
        let needs = scope.needs();
        if !self.has_token() {
            return Err(Error::NoToken { needs });
        }
        // By id: pages shift while runners come and go, and show one of them twice.
        let mut all = BTreeMap::new();
        let mut shown = 0;
        for number in 1..=PAGES {
            let path = format!("{}?per_page={PER_PAGE}&page={number}", scope.path());
            let page: Page = self.get(&path, needs).await?;
            let empty = page.runners.is_empty();
            shown += page.runners.len() as u64;
            all.extend(page.runners.into_iter().map(|runner| (runner.id, runner)));
            if empty || shown >= page.total_count {
                return Ok(Listing {
                    unlisted: page.total_count.saturating_sub(all.len() as u64),
                    runners: all.into_values().collect(),
                });
            }
        }
        Err(Error::Malformed {
            reason: format!("more than {PAGES} pages of runners"),
        })
    }
}

/// Which runners match a set of labels, and what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Online and free.
    pub idle: Vec<String>,
    /// Online with a job; they take the next one when they are done.
    pub busy: Vec<String>,
    pub offline: Vec<String>,
    /// With a status that is neither.
    pub unknown: Vec<String>,
    /// Runners that GitHub counts and does not show: they may match or not.
    pub unlisted: u64,
}

impl Judgement {
    pub fn online(&self) -> usize {
        self.idle.len() + self.busy.len()
    }

    /// Whether a runner that was not seen clearly could be one more that is online.
    pub fn is_sure(&self) -> bool {
        self.unknown.is_empty() && self.unlisted == 0
    }

    pub fn matching(&self) -> usize {
        self.online() + self.offline.len() + self.unknown.len()
    }
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.matching() == 0 {
            f.write_str("no runner has these labels")?;
        } else {
            write!(
                f,
                "{} online ({} idle, {} busy), {} offline",
                self.online(),
                self.idle.len(),
                self.busy.len(),
                self.offline.len()
            )?;
        }
        if !self.unknown.is_empty() {
            write!(f, ", {} of unknown status", self.unknown.len())?;
        }
        if self.unlisted > 0 {
            write!(
                f,
                "; GitHub counts {} more and does not list them",
                self.unlisted
            )?;
        }
        Ok(())
    }
}

/// Sorts the runners that have all labels; GitHub compares labels without case.
pub fn judge(listing: &Listing, labels: &[String]) -> Judgement {
    let mut judgement = Judgement {
        unlisted: listing.unlisted,
        ..Judgement::default()
    };
    for runner in &listing.runners {
        let has = |wanted: &String| {
            runner
                .labels
                .iter()
                .any(|label| label.name.eq_ignore_ascii_case(wanted))
        };
        if !labels.iter().all(has) {
            continue;
        }
        let list = match (runner.status.as_str(), runner.busy) {
            ("online", false) => &mut judgement.idle,
            ("online", true) => &mut judgement.busy,
            ("offline", _) => &mut judgement.offline,
            _ => &mut judgement.unknown,
        };
        list.push(runner.name.clone());
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(name: &str, status: &str, busy: bool, labels: &[&str]) -> Runner {
        let labels = labels
            .iter()
            .map(|name| Label {
                name: (*name).to_owned(),
            })
            .collect();
        Runner {
            id: 1,
            name: name.into(),
            status: status.into(),
            busy,
            labels,
        }
    }

    #[test]
    fn a_runner_matches_with_all_labels_in_any_case() {
        let runners = vec![
            runner(
                "a",
                "online",
                false,
                &["self-hosted", "Linux", "production"],
            ),
            runner("b", "online", true, &["self-hosted", "linux", "Production"]),
            runner(
                "c",
                "offline",
                false,
                &["self-hosted", "linux", "production"],
            ),
            runner("d", "online", false, &["self-hosted", "linux"]),
        ];
        let mut listing = Listing {
            runners,
            unlisted: 0,
        };
        let labels = ["LINUX".to_owned(), "production".to_owned()];
        let judgement = judge(&listing, &labels);
        assert_eq!(
            judgement.to_string(),
            "2 online (1 idle, 1 busy), 1 offline"
        );
        assert_eq!(
            judge(&listing, &["gpu".to_owned()]).to_string(),
            "no runner has these labels"
        );
        listing.runners[2].status = "hibernating".into();
        listing.unlisted = 3;
        let judgement = judge(&listing, &labels);
        assert!(!judgement.is_sure());
        assert_eq!(
            judgement.to_string(),
            "2 online (1 idle, 1 busy), 0 offline, 1 of unknown status; GitHub counts 3 more and \
             does not list them"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_path() {
        for name in ["acme", "acme/shop/../..", "../x", "acme/..", "a/b?c"] {
            assert!(Scope::Repository(name.into()).check().is_err(), "{name}");
        }
        assert!(Scope::Repository("acme/shop.js".into()).check().is_ok());
    }
}

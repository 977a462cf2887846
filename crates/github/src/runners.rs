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
    Enterprise(String),
    /// A runner group of an organisation or an enterprise, by name or id.
    Group {
        owner: Box<Scope>,
        group: String,
    },
}

impl Scope {
    /// Where the scope's own things are below; a group's are below its owner.
    fn base(&self) -> String {
        match self {
            Scope::Repository(name) => format!("/repos/{name}/actions"),
            Scope::Organization(name) => format!("/orgs/{name}/actions"),
            Scope::Enterprise(name) => format!("/enterprises/{name}/actions"),
            Scope::Group { owner, .. } => owner.base(),
        }
    }

    /// The repository, where jobs can be asked for.
    pub fn repository(&self) -> Option<&str> {
        match self {
            Scope::Repository(name) => Some(name),
            _ => None,
        }
    }

    /// What a token needs to list them (docs: "Permissions required for GitHub Apps").
    pub fn permission(&self) -> &'static str {
        match self {
            Scope::Repository(_) => {
                "`administration: read` on the repository (classic token: `repo`, as an administrator)"
            }
            Scope::Organization(_) => {
                "`organization_self_hosted_runners: read` (classic token: `admin:org`)"
            }
            Scope::Enterprise(_) => {
                "a classic token with `manage_runners:enterprise`; no app and no fine-grained token can"
            }
            Scope::Group { owner, .. } => owner.permission(),
        }
    }

    fn needs(&self) -> Needs {
        Needs::token("list runners", self.permission())
    }

    /// Names that cannot leave their place in a path.
    pub(crate) fn check(&self) -> Result<(), Error> {
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
            Scope::Organization(name) | Scope::Enterprise(name) => fits(name),
            // Its name is looked up in a list and never part of a path.
            Scope::Group { owner, .. } => return owner.check(),
        };
        if good {
            return Ok(());
        }
        Err(Error::Malformed {
            reason: format!("`{self}` is not a name of a repository or organisation"),
        })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::Repository(name) | Scope::Organization(name) => f.write_str(name),
            Scope::Enterprise(name) => write!(f, "enterprise {name}"),
            Scope::Group { owner, group } => write!(f, "{owner}, group {group}"),
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

#[derive(Deserialize)]
struct Groups {
    total_count: u64,
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
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
        let path = match scope {
            Scope::Group { owner, group } => {
                let id = self.group(owner, group).await?;
                format!("{}/runner-groups/{id}/runners", owner.base())
            }
            _ => format!("{}/runners", scope.base()),
        };
        // By id: pages shift while runners come and go, and show one of them twice.
        let mut all = BTreeMap::new();
        let mut shown = 0;
        for number in 1..=PAGES {
            let path = format!("{path}?per_page={PER_PAGE}&page={number}");
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

    /// The id of a runner group. Digits are an id already.
    async fn group(&self, owner: &Scope, wanted: &str) -> Result<u64, Error> {
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        let mut shown = 0;
        for number in 1..=PAGES {
            let path = format!(
                "{}/runner-groups?per_page={PER_PAGE}&page={number}",
                owner.base()
            );
            let page: Groups = self.get(&path, owner.needs()).await?;
            shown += page.runner_groups.len() as u64;
            let last = page.runner_groups.is_empty() || shown >= page.total_count;
            let found = page
                .runner_groups
                .into_iter()
                .find(|group| group.name.eq_ignore_ascii_case(wanted));
            if let Some(group) = found {
                return Ok(group.id);
            }
            if last {
                break;
            }
        }
        Err(Error::NoGroup {
            owner: owner.to_string(),
            group: wanted.to_owned(),
        })
    }
}

impl Runner {
    /// Whether it has all of these labels; GitHub compares them without case.
    pub fn has(&self, labels: &[String]) -> bool {
        labels.iter().all(|wanted| {
            self.labels
                .iter()
                .any(|label| label.name.eq_ignore_ascii_case(wanted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_matches_with_all_labels_in_any_case() {
        let labels = ["self-hosted", "Linux", "production"].map(|name| Label {
            name: name.to_owned(),
        });
        let runner = Runner {
            id: 1,
            name: "a".into(),
            status: "online".into(),
            busy: false,
            labels: labels.to_vec(),
        };
        let has = |labels: &[&str]| {
            runner.has(&labels.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(has(&["LINUX", "Production"]) && has(&[]));
        assert!(!has(&["linux", "gpu"]));
    }

    #[test]
    fn a_name_cannot_leave_its_path() {
        for name in ["acme", "acme/shop/../..", "../x", "acme/..", "a/b?c"] {
            assert!(Scope::Repository(name.into()).check().is_err(), "{name}");
        }
        assert!(Scope::Enterprise("a/b".into()).check().is_err());
        assert!(Scope::Repository("acme/shop.js".into()).check().is_ok());
    }
}

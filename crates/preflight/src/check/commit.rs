//! Which commit is deployed: what `commit:` names, else the release, else the run's own.
//!
//! A workflow that is dispatched by hand runs on a branch and deploys a tag: `GITHUB_SHA` is the
//! branch's head then, and proves nothing about the release.

use github::Client;
use github::commits::{is_short_id, is_whole_id};

use super::Context;
use super::github_query::{Github, QueryError, short};

/// The commit that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    id: String,
    /// The tag or the short id that it was found by.
    name: Option<String>,
    found: Origin,
}

/// How it is known which commit is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// `commit:` names it.
    Named,
    /// The release is this commit, or a tag of it.
    Release,
    /// Another spelling of the release is a tag.
    Spelling { release: String },
    /// No release is given: the run's own.
    Run,
    /// The release is neither a tag nor a commit of the repository: the run's own instead.
    RunInstead { release: String, repository: String },
}

impl Commit {
    /// The commit that a check is about. `named` is the check's own `commit:`.
    pub(super) async fn of(
        scene: &Context<'_>,
        asked: &Github,
        named: Option<&str>,
    ) -> Result<Self, QueryError> {
        if let Some(name) = named.or(scene.commit) {
            return Commit::named(asked, name, scene).await;
        }
        let actions = &scene.job.actions;
        // The run's own commit is one of the run's own repository.
        let own = actions.sha.as_deref().filter(|_| {
            let here = actions.repository.as_deref();
            here.is_none_or(|here| here.eq_ignore_ascii_case(&asked.repository.to_string()))
        });
        let Some(release) = scene.job.release.as_deref() else {
            let own = own.ok_or_else(|| {
                QueryError::new(
                    "no commit is named",
                    "add `commit: …` to the check, or pass `--release TAG`; in a workflow GITHUB_SHA is the commit",
                )
            })?;
            return Ok(Commit::found(own, None, Origin::Run));
        };
        if is_whole_id(release) {
            return Ok(Commit::found(release, None, Origin::Release));
        }
        if let Some(own) = own
            && is_runs_own(release, own, actions.reference.as_deref())
        {
            return Ok(Commit::found(own, Some(release), Origin::Release));
        }
        let client = &asked.client;
        if let Some(id) = client.commit(&asked.repository, release).await? {
            return Ok(Commit::found(&id, Some(release), Origin::Release));
        }
        let service = scene.job.service();
        let owner_and_name = asked.repository.to_string();
        let repository_name = owner_and_name.split('/').nth(1);
        let products: Vec<&str> = [service.as_deref(), repository_name]
            .into_iter()
            .flatten()
            .collect();
        if let Some((tag, id)) = first_tag(client, asked, &spellings(release, &products)).await? {
            let release = release.to_owned();
            return Ok(Commit::found(&id, Some(&tag), Origin::Spelling { release }));
        }
        match own {
            Some(own) => {
                let found = Origin::RunInstead {
                    release: release.to_owned(),
                    repository: owner_and_name,
                };
                Ok(Commit::found(own, None, found))
            }
            None => Err(QueryError::new(
                format!("release {release} is neither a tag nor a commit of {owner_and_name}"),
                "push its tag, or name its commit: `preflight: { commit: TAG }`, or `commit: TAG` in the check",
            )),
        }
    }

    async fn named(asked: &Github, name: &str, scene: &Context<'_>) -> Result<Self, QueryError> {
        if is_whole_id(name) {
            return Ok(Commit::found(name, None, Origin::Named));
        }
        let own = scene.job.actions.sha.as_deref();
        if let Some(own) = own.filter(|own| is_short_id(name) && starts_with(own, name)) {
            return Ok(Commit::found(own, Some(name), Origin::Named));
        }
        match asked.client.commit(&asked.repository, name).await? {
            Some(id) => Ok(Commit::found(&id, Some(name), Origin::Named)),
            // Where lists show whole ids, the beginning of one is enough.
            None if is_short_id(name) => Ok(Commit::found(name, None, Origin::Named)),
            None => Err(QueryError::new(
                format!(
                    "`commit: {name}` is neither a tag, a branch nor a commit of {}",
                    asked.repository
                ),
                format!(
                    "compare it with `gh api repos/{}/tags --jq '.[].name'`; was its tag pushed?",
                    asked.repository
                ),
            )),
        }
    }

    fn found(id: &str, name: Option<&str>, found: Origin) -> Self {
        Commit {
            id: id.to_ascii_lowercase(),
            name: name.map(str::to_owned),
            found,
        }
    }

    /// Its id: the whole one, but for a short one that the repository does not know.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Its whole id, to filter by.
    pub(super) fn whole_id(&self) -> Option<&str> {
        is_whole_id(&self.id).then_some(self.id.as_str())
    }

    /// Whether this whole id is the commit's.
    pub(super) fn is(&self, id: &str) -> bool {
        starts_with(id, &self.id)
    }

    /// All that it is called by.
    pub(super) fn names(&self) -> Vec<&str> {
        let other = self
            .name
            .as_deref()
            .filter(|name| !starts_with(&self.id, name));
        [Some(self.id.as_str()), other]
            .into_iter()
            .flatten()
            .collect()
    }

    /// `v1.2.3 (1234abcd)`.
    pub(super) fn label(&self) -> String {
        let id = short(&self.id);
        match self.names().get(1) {
            Some(name) => format!("{name} ({id})"),
            None => id.to_owned(),
        }
    }

    /// What a person must know of how it was found.
    pub(super) fn remark(&self) -> Option<String> {
        match &self.found {
            Origin::Named | Origin::Release | Origin::Run => None,
            Origin::Spelling { release } => {
                let tag = self.name.as_deref().unwrap_or_default();
                Some(format!("the tag of release {release} is {tag}"))
            }
            Origin::RunInstead {
                release,
                repository,
            } => Some(format!(
                "release {release} is neither a tag nor a commit of {repository}, so this is the commit of the workflow run (GITHUB_SHA); `commit: TAG` names another"
            )),
        }
    }
}

fn starts_with(id: &str, beginning: &str) -> bool {
    id.len() >= beginning.len()
        && id
            .bytes()
            .zip(beginning.bytes())
            .all(|(one, other)| one.eq_ignore_ascii_case(&other))
}

/// Whether the run was started on the release itself: its tag was pushed or chosen, or the release
/// is a short id of its commit.
fn is_runs_own(release: &str, own: &str, reference: Option<&str>) -> bool {
    let tag = reference.and_then(|reference| reference.strip_prefix("refs/tags/"));
    tag == Some(release) || is_short_id(release) && starts_with(own, release)
}

/// How a release's tag is spelled where it is not spelled like the release: with a `v` or without
/// it (images are often tagged `1.2.3`, and commits `v1.2.3`), and without the name of the product
/// (`shop-1.2.3`). The name of something else is never taken away: in a repository of several
/// products `web-1.2.3` is not `v1.2.3`.
fn spellings(release: &str, products: &[&str]) -> Vec<String> {
    let is_version =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    let bare = |text: &str| {
        let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
        is_version(bare).then(|| bare.to_owned())
    };
    let mut found = Vec::new();
    let mut add = |text: String| {
        if text != release && !found.contains(&text) {
            found.push(text);
        }
    };
    if let Some(version) = bare(release) {
        add(format!("v{version}"));
        add(version);
        return found;
    }
    // The version begins after the last separator that a version follows.
    let cut = release
        .char_indices()
        .filter(|(_, c)| "-_@/".contains(*c))
        .map(|(at, _)| at)
        .find(|at| bare(&release[at + 1..]).is_some());
    let Some(at) = cut else { return found };
    let (name, rest) = release.split_at(at);
    let (separator, rest) = rest.split_at(1);
    let Some(version) = bare(rest) else {
        return found;
    };
    add(format!("{name}{separator}v{version}"));
    add(format!("{name}{separator}{version}"));
    if products
        .iter()
        .any(|product| product.eq_ignore_ascii_case(name))
    {
        add(format!("v{version}"));
        add(version);
    }
    found
}

/// The first of these names that exists in the repository.
async fn first_tag(
    client: &Client,
    asked: &Github,
    names: &[String],
) -> Result<Option<(String, String)>, QueryError> {
    for name in names {
        if let Some(id) = client.commit(&asked.repository, name).await? {
            return Ok(Some((name.clone(), id)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_may_be_spelled_in_another_way_than_its_release() {
        let spelled = |release: &str| spellings(release, &["shop"]);
        assert_eq!(spelled("1.2.3"), ["v1.2.3"]);
        assert_eq!(spelled("v1.2.3-rc.1"), ["1.2.3-rc.1"]);
        assert_eq!(spelled("shop-1.2.3"), ["shop-v1.2.3", "v1.2.3", "1.2.3"]);
        assert_eq!(spelled("shop@v1.2.3"), ["shop@1.2.3", "v1.2.3", "1.2.3"]);
        // Another product of the repository keeps its name.
        assert_eq!(spelled("web-1.2.3"), ["web-v1.2.3"]);
        for release in ["main", "20261128", "nightly-7", "abc1234", ""] {
            assert_eq!(spelled(release), [""; 0], "{release}");
        }
    }

    #[test]
    fn a_run_of_the_releases_own_tag_needs_no_asking() {
        let own = "a".repeat(40);
        assert!(is_runs_own("v1.2.3", &own, Some("refs/tags/v1.2.3")));
        assert!(!is_runs_own("v1.2.3", &own, Some("refs/heads/v1.2.3")));
        assert!(is_runs_own("AAAAAAA", &own, Some("refs/heads/main")));
        assert!(!is_runs_own("aaaaaab", &own, None));
    }

    #[test]
    fn a_commit_is_called_by_its_id_and_by_its_tag() {
        let id = "a".repeat(40);
        let tag = Commit::found(&id, Some("v1"), Origin::Release);
        assert_eq!(tag.names(), [id.as_str(), "v1"]);
        assert_eq!(tag.label(), "v1 (aaaaaaaa)");
        let short = Commit::found(&id, Some("aaaaaaa"), Origin::Release);
        assert_eq!(
            (short.names().len(), short.label().as_str()),
            (1, "aaaaaaaa")
        );
        let unknown = Commit::found("abc1234", None, Origin::Named);
        assert!(unknown.is(&format!("abc1234{}", "0".repeat(33))) && unknown.whole_id().is_none());
        assert!(!unknown.is("abc123"));
    }
}

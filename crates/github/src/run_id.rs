//! Which run of a workflow.

/// The number of a workflow run, the same for all attempts at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(u64);

impl From<u64> for RunId {
    fn from(id: u64) -> Self {
        RunId(id)
    }
}

impl From<RunId> for u64 {
    fn from(id: RunId) -> u64 {
        id.0
    }
}

impl RunId {
    /// As in `GITHUB_RUN_ID`.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(RunId)
    }

    /// The run that a page of GitHub's is about: `…/actions/runs/7/job/1` is of 7.
    pub fn of_url(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("/actions/runs/")?;
        RunId::parse(rest.split(['/', '?', '#']).next()?)
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

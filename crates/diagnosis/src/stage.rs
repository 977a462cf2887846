//! The stages of a deployment.

/// Where in a deployment a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Source into what is deployed, an image's Dockerfile among it.
    Build,
    Test,
    /// An image on its way: login, push, pull, scan, signature.
    Image,
    Migration,
    /// Everything that changes what runs, and the checks before it.
    Deploy,
    Health,
    Smoke,
    Rollback,
    Unknown,
}

impl Stage {
    pub const ALL: [Stage; 9] = [
        Stage::Build,
        Stage::Test,
        Stage::Image,
        Stage::Migration,
        Stage::Deploy,
        Stage::Health,
        Stage::Smoke,
        Stage::Rollback,
        Stage::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Build => "build",
            Stage::Test => "test",
            Stage::Image => "image",
            Stage::Migration => "migration",
            Stage::Deploy => "deploy",
            Stage::Health => "health",
            Stage::Smoke => "smoke",
            Stage::Rollback => "rollback",
            Stage::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

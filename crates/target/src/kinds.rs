//! The configured target. The kinds are the rows of `config::target_kinds`.

use config::file::{Config, Rollback, TargetConfig};

use crate::fit::{self, CheckFit, FitReport};
use crate::target::Target;
use place::{Context, Error, PlaceAccess};

/// What a kind of target is made of.
pub(crate) trait Kind: TargetConfig {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error>;

    /// The target itself, if it can report anything before it is used.
    fn fits(&self) -> Option<&dyn CheckFit> {
        None
    }
}

fn configured(section: &Rollback) -> Option<&dyn Kind> {
    macro_rules! first {
        ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
            $(if let Some(target) = &section.$kind {
                return Some(target);
            })*
        };
    }
    config::target_kinds!(first);
    None
}

/// The configured target; the configuration has exactly one.
pub fn of<'a>(section: &'a Rollback, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
    let Some(kind) = configured(section) else {
        let what = "no target is configured under `rollback:`";
        return Err(Error::Unconfigured(what.to_owned()));
    };
    kind.make(context)
}

fn fits(section: &Rollback) -> Option<&dyn CheckFit> {
    configured(section).and_then(Kind::fits)
}

/// What is looked at before the target is used, in words: a fragment that fits after "would look
/// at".
pub fn subject(section: &Rollback) -> Option<String> {
    fits(section).map(CheckFit::subject)
}

/// Looks at the configured target on each of its machines, side by side. Empty where the target
/// reports nothing before it is used: a command of the user, ECS, a workflow.
pub async fn check_fit(
    section: &Rollback,
    config: &Config,
    places: &PlaceAccess,
) -> Vec<FitReport> {
    match fits(section) {
        Some(target) => fit::check_each_machine(target, config, places).await,
        None => Vec::new(),
    }
}

#[cfg(not(feature = "ecs"))]
impl Kind for config::file::EcsTarget {
    fn make<'a>(&'a self, _context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Err(Error::Unconfigured(
            "this build does not include `ecs`: build with `--features ecs`, or take a release's binary"
                .to_owned(),
        ))
    }
}

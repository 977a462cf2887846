//! The kinds of target, and which of them is configured.

use config::file::{EcsTarget, Rollback};

use crate::command::Command;
use crate::compose::Compose;
use crate::context::Context;
#[cfg(feature = "ecs")]
use crate::ecs::Ecs;
use crate::error::Error;
use crate::haproxy::Haproxy;
use crate::nginx::Nginx;
use crate::systemd::Systemd;
use crate::target::Target;
use crate::workflow::Workflow;

/// The configured target; the configuration has exactly one.
pub fn of<'a>(section: &'a Rollback, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
    Ok(if let Some(command) = &section.command {
        Box::new(Command::new(command, context))
    } else if let Some(nginx) = &section.nginx {
        Box::new(Nginx::new(nginx, context)?)
    } else if let Some(haproxy) = &section.haproxy {
        Box::new(Haproxy::new(haproxy, context)?)
    } else if let Some(compose) = &section.compose {
        Box::new(Compose::new(compose, context))
    } else if let Some(systemd) = &section.systemd {
        Box::new(Systemd::new(systemd, context))
    } else if let Some(workflow) = &section.workflow {
        Box::new(Workflow::new(workflow, context)?)
    } else if let Some(target) = &section.ecs {
        return ecs(target, context);
    } else {
        let what = "no target is configured under `rollback:`";
        return Err(Error::Unconfigured(what.to_owned()));
    })
}

#[cfg(feature = "ecs")]
#[expect(clippy::unnecessary_wraps, reason = "other builds cannot")]
fn ecs<'a>(target: &'a EcsTarget, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
    Ok(Box::new(Ecs::new(target, context)))
}

#[cfg(not(feature = "ecs"))]
fn ecs<'a>(_target: &'a EcsTarget, _context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
    Err(Error::Unconfigured(
        "this build knows no `ecs`: build with `--features ecs`, or take a release's binary"
            .to_owned(),
    ))
}

//! The configured router. The kinds are the rows of `config::router_kinds`.

use config::file::Traffic;
use place::{Context, Error};

use crate::router::Router;

/// What a kind of router is made of.
pub(crate) trait Kind {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error>;
}

/// The configured router; the configuration has exactly one.
///
/// # Errors
/// Returns an error if the release cannot be read anywhere, or a client cannot be made.
pub fn of<'a>(section: &'a Traffic, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
    macro_rules! first {
        ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
            $(if let Some(router) = &section.$kind {
                return Kind::make(router, context);
            })*
        };
    }
    config::router_kinds!(first);
    let what = "no router is configured under `traffic:`";
    Err(Error::Unconfigured(what.to_owned()))
}

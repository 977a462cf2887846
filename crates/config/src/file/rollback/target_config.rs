//! What every kind of target tells of itself, and the rules of its kind.

use std::path::Path;

use model::release::Match;
use yaml::Fault;

use crate::file::HostList;
use crate::value::Span;
use sections::KeyPosition;

/// A kind of target, by its type in the file.
pub trait TargetConfig {
    /// How the name of a release in its answers is compared, where it says so.
    fn release_rule(&self) -> Option<Match> {
        None
    }

    /// The rules of this kind that its type cannot state; `spot` is where the target stands.
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault>;
}

/// A zero interval would be rate-limited; one above the timeout would never poll.
pub(super) fn pause(spot: KeyPosition<'_>, pause: Span, timeout: Span) -> Result<(), Fault> {
    let interval = spot.key("interval");
    if pause.get().is_zero() {
        return Err(interval.fault("`interval` must be longer than 0s"));
    }
    if pause > timeout {
        let message = format!("`interval` ({pause}) is longer than `timeout` ({timeout})");
        let place = if interval.is_given() {
            interval
        } else {
            spot.key("timeout")
        };
        return Err(place
            .fault(message)
            .hint("set a shorter `interval` or a longer `timeout`"));
    }
    Ok(())
}

/// Scripts that run in an unknown folder need whole paths.
pub(in crate::file) fn absolute(spot: KeyPosition<'_>, value: &Path) -> Result<(), Fault> {
    if value.is_absolute() {
        return Ok(());
    }
    let fault = spot.fault(format!("`{}` is not an absolute path", value.display()));
    Err(fault.hint("write it from the root: `/srv/…`"))
}

/// A folder on a host: from the root, or from the user's home.
pub(super) fn folder_there(spot: KeyPosition<'_>, value: &Path) -> Result<(), Fault> {
    if value.starts_with("~") {
        return Ok(());
    }
    absolute(spot, value).map_err(|fault| {
        fault.hint("write it from the root, `/srv/…`, or from the user's home, `~/…`")
    })
}

/// A selector that fits no machine would be a rollback of nothing.
pub(in crate::file) fn machines(
    spot: KeyPosition<'_>,
    list: Option<&HostList>,
) -> Result<(), Fault> {
    let Some(list) = list else { return Ok(()) };
    for selector in list.selectors() {
        if spot.fits_none(selector) {
            if selector == "all" || selector.contains(['*', '?']) {
                let message = format!("no machine under `hosts:` fits `{selector}`");
                return Err(spot.fault(message));
            }
            spot.known_host(selector)?;
        }
    }
    if list.selectors().next().is_none() {
        return Err(spot.fault("no machine is named"));
    }
    Ok(())
}

//! Rules about the checks of `preflight:`, of every kind and together.

use std::collections::BTreeMap;

use yaml::Fault;

use crate::file::{CheckConfig, FreezeWindow, Preflight, Waiver, named_hosts};
use sections::KeyPosition;

pub(super) fn section(section: &Preflight, spot: KeyPosition<'_>) -> Result<(), Fault> {
    if !(0.0..=10.0).contains(&section.pass_score) {
        return spot.refuse("pass-score", "not a score from 0 to 10");
    }
    macro_rules! check {
        ($($(#[$attribute:meta])* $kind:ident: $entries:ty,)*) => {$(
            let key = stringify!($kind).replace('_', "-");
            checks(section.$kind.iter(), spot.key(&key))?;
        )*};
    }
    crate::check_kinds!(check);
    each_host_once(section, spot.key("hosts"))?;
    never_open(section, spot.key("freeze"))?;
    Waiver::check(&section.waivers, spot.key("waivers"))
}

fn checks<'c, C: CheckConfig + 'c>(
    entries: impl Iterator<Item = &'c C>,
    list: KeyPosition<'_>,
) -> Result<(), Fault> {
    for key in C::KEYS {
        list.unique(key)?;
    }
    for (nth, entry) in entries.enumerate() {
        // A kind without keys has one entry, and it is not a list.
        let spot = if C::KEYS.is_empty() {
            list
        } else {
            list.item(nth)
        };
        entry.check(spot)?;
    }
    Ok(())
}

/// Selectors may name a host twice.
fn each_host_once(section: &Preflight, list: KeyPosition<'_>) -> Result<(), Fault> {
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    for (nth, check) in section.hosts.iter().enumerate() {
        let spot = list.item(nth).key("host");
        for name in named_hosts(spot, &check.host)? {
            if let Some(other) = asked.insert(name, &check.host) {
                let fault = spot.fault(format!("`{name}` is already checked by `host: {other}`"));
                return Err(fault.hint("outcomes are distinguished by the host's name"));
            }
        }
    }
    Ok(())
}

/// Windows in which nothing is deployed must leave some time in which something is.
fn never_open(section: &Preflight, list: KeyPosition<'_>) -> Result<(), Fault> {
    for (nth, window) in section.freeze.iter().enumerate() {
        if crate::freeze::is_endless(&[window]) {
            let text = format!(
                "`{}` never ends: nothing could ever be deployed",
                window.name
            );
            let fault = list.item(nth).fault(text);
            return Err(fault.hint("give it `days`, `from` and `to`, or a `last-date`"));
        }
    }
    let required = |window: &&FreezeWindow| window.severity == model::Severity::Required;
    let all: Vec<&FreezeWindow> = section.freeze.iter().filter(required).collect();
    if crate::freeze::is_endless(&all) {
        let text = "together these windows never end: nothing could ever be deployed";
        return Err(list.fault(text).hint("leave some time between them"));
    }
    Ok(())
}

//! Rules for the ways back.

use yaml::Fault;

use crate::file::{Entrypoint, Hook, Rollback};
use crate::value::StateAddress;
use sections::KeyPosition;

pub(super) fn section(section: &Rollback, spot: KeyPosition<'_>) -> Result<(), Fault> {
    let targets = section.targets();
    if let StateAddress::Host { host, path: _ } = &section.state {
        spot.key("state").known_host(host)?;
    }
    match targets[..] {
        [] => {
            let names: Vec<String> = Rollback::TARGETS
                .iter()
                .map(|name| format!("`{name}:`"))
                .collect();
            return Err(spot
                .fault("no target is given")
                .hint(format!("add one of {}", names.join(", "))));
        }
        [(key, target)] => target.check(spot.key(key))?,
        [(first, _), (second, _), ..] => {
            let fault = spot.key(second);
            let fault = fault.fault(format!("`{first}` and `{second}` exclude each other"));
            return Err(fault.hint("a service has one target: keep one of them"));
        }
    }
    for (key, hooks) in [
        ("backup", &section.backup),
        ("after", &section.after),
        ("capture", &section.capture),
    ] {
        Hook::check(hooks, spot.key(key))?;
    }
    Entrypoint::check(&section.entrypoints, spot.key("entrypoints"))
}

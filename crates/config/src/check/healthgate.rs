//! Rules that are the same for every kind of probe: its name, its policy, its endpoints and
//! the route to them.

use yaml::Fault;

use crate::file::{Healthgate, HostList, Impossible, Policy, ProbeConfig, has_place};
use crate::value::Portion;
use sections::KeyPosition;

pub(super) fn section(section: &Healthgate, spot: KeyPosition<'_>) -> Result<(), Fault> {
    policy(&section.policy, spot.key("policy"))?;
    macro_rules! check {
        ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {$(
            let list = spot.key(stringify!($kind));
            probes(&section.$kind, &section.policy, list)?;
        )*};
    }
    crate::probe_kinds!(check);
    if let Some(slo) = &section.slo {
        let spot = spot.key("slo");
        policy(
            &section.policy.with(slo.policy.as_ref()),
            spot.key("policy"),
        )?;
        slo.check(section.prometheus.is_empty(), spot)?;
    }
    if let Some(canary) = &section.canary {
        canary.check(spot.key("canary"))?;
    }
    Ok(())
}

fn probes<P: ProbeConfig>(
    probes: &[P],
    stage: &Policy,
    list: KeyPosition<'_>,
) -> Result<(), Fault> {
    list.unique("name")?;
    for (nth, probe) in probes.iter().enumerate() {
        let spot = list.item(nth);
        policy(&stage.with(probe.policy()), spot.key("policy"))?;
        group(probe, spot)?;
        probe.check(spot)?;
        tunnel(spot)?;
    }
    Ok(())
}

/// `via` is a host's name, and there is one way to a server.
fn tunnel(spot: KeyPosition<'_>) -> Result<(), Fault> {
    let via = spot.key("via");
    let Some(host) = via.text() else {
        return Ok(());
    };
    // In a group each member has its own.
    if !has_place(host) {
        via.known_host(host)?;
    }
    for key in ["resolve", "proxy"] {
        if spot.key(key).is_given() {
            return Err(via.fault(format!("`{key}` and `via` exclude each other")));
        }
    }
    Ok(())
}

/// Rules about a probe with many endpoints.
fn group(probe: &impl ProbeConfig, spot: KeyPosition<'_>) -> Result<(), Fault> {
    let Some(group) = probe.group() else {
        return Ok(());
    };
    match group.require {
        Some(_) if !group.is_meant() => {
            return spot.refuse("require", "`require` is for `targets-file` or `hosts`");
        }
        Some(Portion::Count(0)) => return spot.refuse("require", "at least one must pass"),
        Some(Portion::Percent(percent)) if percent <= 0.0 => {
            return spot.refuse("require", "at least one must pass");
        }
        _ => {}
    }
    if !group.is_meant() {
        if probe.has_place() {
            let message = "nothing is put in the place of `{target}`, `{host}` or `{address}`";
            return Err(spot
                .fault(message)
                .hint("set `hosts: all` or `targets-file: endpoints.txt`"));
        }
        return Ok(());
    }
    if group.targets_file.is_some() && group.hosts.is_some() {
        return spot.refuse("hosts", "`targets-file` and `hosts` exclude each other");
    }
    if !has_own_place(probe) {
        let message = "every endpoint would get the same request: there is no `{target}`, `{host}` or `{address}`";
        return Err(spot
            .fault(message)
            .hint("write the place of each as `http://{target}/health` or `{address}:5432`"));
    }
    for selector in group.hosts.into_iter().flat_map(HostList::selectors) {
        if spot.fits_none(selector) {
            return spot.refuse("hosts", format!("no host `{selector}` under `hosts:`"));
        }
    }
    Ok(())
}

/// Whether the members of its group are distinguished.
fn has_own_place<P: ProbeConfig>(probe: &P) -> bool {
    !P::HAS_PLACES || probe.has_place()
}

fn policy(policy: &Policy, spot: KeyPosition<'_>) -> Result<(), Fault> {
    for (key, zero) in [
        ("success-threshold", policy.success_threshold == 0),
        ("interval", policy.interval.get().is_zero()),
        ("timeout", policy.timeout.get().is_zero()),
        ("deadline", policy.deadline.get().is_zero()),
    ] {
        spot.key(key).not_zero(zero)?;
    }
    let Some(Impossible { message, hint }) = policy.impossible() else {
        return interval(policy, spot);
    };
    // Where the probe changes none of the keys, the stage's own policy was refused before it.
    let mut keys = Impossible::KEYS.iter().map(|key| spot.key(key));
    let given = keys.find(|key| key.is_given());
    Err(given.unwrap_or(spot).fault(message).hint(hint))
}

/// Where the last measurement is the first one, the interval is a slip. A default may be longer than
/// a short deadline.
fn interval(policy: &Policy, spot: KeyPosition<'_>) -> Result<(), Fault> {
    let given = spot.key("interval");
    if policy.interval <= policy.deadline || !given.is_given() {
        return Ok(());
    }
    let message = format!(
        "`interval` ({}) is longer than `deadline` ({}): nothing is measured twice",
        policy.interval, policy.deadline
    );
    Err(given
        .fault(message)
        .hint("set a shorter `interval` or a longer `deadline`"))
}

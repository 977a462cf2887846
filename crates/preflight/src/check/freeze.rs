//! Calendar windows in which nothing is deployed: weekends, nights, the week before Christmas.

use config::file::FreezeWindow;
use jiff::Timestamp;
use model::{Outcome, Severity};

use super::{Check, Context, Planned};

impl Check for FreezeWindow {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene.freeze, scene)]
    }
}

/// `all` are the windows of the section: what follows this one without a gap goes on freezing.
fn plan<'a>(
    window: &'a FreezeWindow,
    all: &'a [FreezeWindow],
    scene: &'a Context<'a>,
) -> Planned<'a> {
    let id = id(window);
    Planned {
        id: id.clone(),
        subject: window.name.clone(),
        severity: window.severity,
        weight: window.weight,
        asks: format!("look at the clock in {}", zone(window)),
        needs: None,
        timeout: scene.timeout,
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move {
            // What does not stop a deployment does not prolong what does.
            let stops = |other: &&FreezeWindow| {
                other.severity == Severity::Required && scene.job.only.selects(&self::id(other))
            };
            let others: Vec<&FreezeWindow> = all.iter().filter(stops).collect();
            judge(&id, window, &others, Timestamp::now())
        }),
    }
}

fn id(window: &FreezeWindow) -> String {
    format!("freeze/{}", window.name)
}

fn zone(window: &FreezeWindow) -> &str {
    window.time_zone.get().iana_name().unwrap_or("UTC")
}

fn judge(id: &str, window: &FreezeWindow, others: &[&FreezeWindow], now: Timestamp) -> Outcome {
    let in_zone = |at: Timestamp| at.to_zoned(window.time_zone.get().clone());
    let clock = in_zone(now).strftime("%a %Y-%m-%d %H:%M").to_string();
    let zone = zone(window);
    let expected = format!("now is outside of `{}`", window.name);
    let holds = config::freeze::end(&[window], now).is_some();
    let end = config::freeze::end(&[&[window], others].concat(), now);
    let Some(end) = end.filter(|_| holds) else {
        return Outcome::pass(id, &window.name)
            .expected(expected)
            .actual(format!("{clock} in {zone}"));
    };
    let end = in_zone(end).strftime("%a %Y-%m-%d %H:%M").to_string();
    let why = window
        .reason
        .as_deref()
        .unwrap_or("no deployment in this window");
    Outcome::fail(id, &window.name)
        .expected(expected)
        .actual(format!("{clock} in {zone}, frozen until {end}"))
        .reason(format!("frozen until {end} in {zone}: {why}"))
        .hint(format!(
            "wait until then, or, for a fix that cannot wait, leave it out: `--skip {id}`"
        ))
}

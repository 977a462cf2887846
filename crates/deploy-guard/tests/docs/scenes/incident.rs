//! docs/guide/incident.md: an incident from its opening to its report.

use crate::docs::walk::{Walk, World, lines, yaml};

const PAGE: &str = "docs/guide/incident.md";

pub(crate) fn page() {
    let mut walk = Walk::of(PAGE);
    let world = World::new();
    world.write(
        "deploy-guard.yml",
        &yaml(PAGE, "version: 1\nservice: shop\nincident: {}"),
    );
    let log = lines(&walk.next("incident open --release v1.2.4"));
    let [open, note, update, status, resolve, list] = log.as_slice() else {
        panic!("{log:?}");
    };
    world.sh(open).code(0).says("is open, high");
    world.sh(note).code(0).says("written down in inc-");
    world.sh(update).code(0).says("is updated");
    world.sh(status).code(0).says("identified, high");
    world.sh(resolve).code(0).says("is resolved after");
    world.sh(list).code(0).says("1 incident, 0 of them open");

    // GitHub's place is taken by a port without a listener.
    for ask in lines(&walk.next("incident stage --run")) {
        world.sh(&ask).code(4).says("GitHub could not be reached");
    }

    let reports = lines(&walk.next("incident report > incident.md"));
    let [markdown, page, json, issue] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    world.sh(markdown).code(0);
    world
        .sh("cat incident.md")
        .code(0)
        .says("## Timeline (UTC)");
    world.sh(page).code(0);
    world
        .sh("cat incident.html")
        .code(0)
        .says("<h2>Timeline (UTC)</h2>");
    world.sh(json).code(0);
    world
        .sh("cat deployment_failure_report.json")
        .code(0)
        .says("\"summary\": \"checkout answers 500\"");

    world.sh(issue).code(4);
    world
        .sh("cat incident.md")
        .code(0)
        .says("## Timeline (UTC)");

    let figures = lines(&walk.next("incident metrics"));
    let [table, view, series, textfile, events, dashboard, alerts] = figures.as_slice() else {
        panic!("{figures:?}");
    };
    world.sh(table).code(0).says("Change fail rate");
    world.sh(view).code(0).says("deploy-guard/measures/v1");
    world.sh(series).code(0).says("deployment_started_total{");
    world.sh(textfile).code(0);
    world
        .sh("cat deploy-guard.prom")
        .code(0)
        .says("deployment_started_total{");
    world.sh(events).code(0);
    world
        .sh("cat events.jsonl")
        .code(0)
        .says("dev.cdevents.incident.resolved");
    world.sh(dashboard).code(0);
    world.sh("cat dashboard.json").code(0).says("\"panels\"");
    world.sh(alerts).code(0);
    world
        .sh("cat deploy-guard.rules.yml")
        .code(0)
        .says("groups:");
    walk.end();
}

//! docs/guide/canary.md: what is told before a rollout and after it. The rollouts themselves are tests of healthgate.

use std::fmt::Write as _;

use crate::docs::walk::{Walk, World};

pub(crate) fn page() {
    let mut walk = Walk::of("docs/guide/canary.md");
    let world = World::new();
    world.write(
        "deploy-guard.yml",
        "version: 1\nservice: shop\nhealthgate:\n  canary:\n    interval: 1m\n    deadline: 60m\n    \
         server: http://127.0.0.1:9090\n    label: release\n    metrics: [{ name: errors, kind: ratio, tolerance: 2 }]\n",
    );

    let plan = walk.next("healthgate plan");
    let planned = world.run(&plan, &[]).code(0);
    planned.says("a good release passes").says("50%");

    // The page's line, and an hour like stable's after it.
    let mut trace = walk.next(r#"{"at""#).text;
    for minute in 46..106 {
        let at = format!("{:02}:{:02}", 2 + minute / 60, minute % 60);
        writeln!(
            trace,
            r#"{{"at": "2026-11-21T{at}:00Z", "metrics": {{"errors": {{"canary": {{"failed": 1, "total": 100}}, "stable": {{"failed": 9, "total": 900}}}}}}}}"#
        )
        .unwrap();
    }
    world.write("trace.jsonl", &trace);
    let judge = walk.next("healthgate judge");
    world.run(&judge, &[]).code(0).says("canary/errors");
    walk.end();
}

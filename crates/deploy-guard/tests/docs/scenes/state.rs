//! docs/guide/state.md: a state on a host.

use serde_json::{Value, json};
use testkit::Sshd;

use crate::docs::walk::{Walk, World, replaced, yaml};

pub(crate) fn page() {
    let mut walk = Walk::of("docs/guide/state.md");
    let mut world = World::new();
    let sshd = Sshd::start();
    let folder = world.path("on-the-host").display().to_string();
    let config = replaced(
        &yaml("docs/guide/state.md", "hosts:\n"),
        "docs/guide/state.md",
        &[
            (
                "address: 10.0.0.11",
                &format!("address: 127.0.0.1, port: {}", sshd.port()),
            ),
            ("user: deploy", &format!("user: {}", sshd.user())),
            ("/var/lib/shop", &folder),
        ],
    );
    world.write(
        "deploy-guard.yml",
        &format!("version: 1\nservice: shop\n{config}"),
    );
    world.write(".github/known_hosts", &sshd.known_hosts());
    world.sh("mkdir on-the-host").code(0);
    world.set("PRODUCTION_SSH_PRIVATE_KEY", &sshd.private_key());
    world.script("switch.sh", "exit 1");
    world.script("live.sh", "echo v1.2.4");

    world.sh("rollback state validate").code(3);

    let digest = format!("sha256:{:064x}", 0x9f86);
    let record = walk.next("rollback record --release v1.2.4");
    world.run(&record, &[("sha256:9f86…", &digest)]).code(0);
    let state = world.read("on-the-host/production-state.json");
    let state: Value = serde_json::from_str(&state).unwrap();
    let recorded = &state["history"][0];
    assert_eq!(state["last_known_good"], "v1.2.4", "{state}");
    assert_eq!(recorded["digest"], digest, "{state}");
    assert_eq!(recorded["schema_revision"], "0042_orders", "{state}");
    let compatible = json!(["0041_users", "0042_orders"]);
    assert_eq!(recorded["compatible_with"], compatible, "{state}");

    // The rest of the page, in its order.
    world.script("live.sh", "echo v1.2.3");
    world.sh("rollback record --release v1.2.4").code(5);
    world.script("live.sh", "exit 1");
    world.sh("rollback record --release v1.2.4").code(4);
    world.sh("rollback state validate").code(0);
    world.sh("rollback state validate none.json").code(4);
    world.write("damaged.json", "{");
    world.sh("rollback state validate damaged.json").code(1);
    walk.end();
}

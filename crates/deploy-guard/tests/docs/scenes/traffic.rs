//! docs/guide/traffic.md: two sides behind nginx.

use testkit::{Nginx, Shop};

use crate::docs::walk::{Walk, World, lines, replaced, yaml};

const PAGE: &str = "docs/guide/traffic.md";

pub(crate) fn page() {
    let mut walk = Walk::of(PAGE);
    let world = World::new();
    let (blue, green) = (Shop::start("v1.2.3"), Shop::start("v1.2.4"));
    let nginx = Nginx::start(&blue.address());
    let commands = format!(
        "    test: {}\n    reload: {}\n    blue: ",
        nginx.test_command(),
        nginx.reload_command()
    );
    let file = nginx.upstream_file().display().to_string();
    let config = replaced(
        &yaml(PAGE, "version: 1\n"),
        PAGE,
        &[
            ("/var/lib/shop/production-state.json", "state.json"),
            ("10m", "300ms"),
            ("/etc/nginx/conf.d/shop-upstream.conf", &file),
            ("127.0.0.1:8001", &blue.address()),
            ("127.0.0.1:8002", &green.address()),
            ("http://127.0.0.1/", &nginx.url("/")),
            ("    blue: ", &commands),
            (
                "healthgate:\n",
                "healthgate:\n  policy: { interval: 100ms }\n",
            ),
        ],
    );
    world.write("deploy-guard.yml", &config);

    let status = walk.next("traffic status");
    let status = world.run(&status, &[]).code(0);
    status.says("blue 100%, green 0%").says("observed");
    let switch = walk.next("traffic switch --dry-run");
    let switched = world.run(&switch, &[]).code(0);
    switched
        .says("nothing was changed")
        .says("v1.2.4 has 100%, v1.2.3 has none")
        .says("v1.2.3 has 100%, v1.2.4 has none");
    let ramp = walk.next("traffic plan --release v1.2.4");
    let ramped = world.run(&ramp, &[]).code(0);
    ramped
        .says("would give 10%, 50%, 100% to v1.2.4")
        .says("v1.2.4 has 100%, v1.2.3 has none");

    // The next one, on the side that is idle now, and by hand.
    blue.set_release("v1.2.5");
    let by_hand = config.replace("  stages:", "  auto-promote: false\n  stages:");
    world.write("deploy-guard.yml", &by_hand);
    let waiting = lines(&walk.next("traffic ramp --release v1.2.5 --no-wait"));
    let [ramp, promote, abort] = waiting.as_slice() else {
        panic!("{waiting:?}");
    };
    world.sh(ramp).code(3).says("v1.2.5 has 10%");
    world.sh(promote).code(3).says("v1.2.5 has 50%");
    world.sh(abort).code(0).says("v1.2.4 has 100% again");

    let set = walk.next("traffic set 25% --release v1.2.5");
    let set = world.run(&set, &[]).code(0);
    set.says("v1.2.5 has 25%")
        .says("v1.2.5 has 50%")
        .says("v1.2.4 has 100% again")
        .says("v1.2.5 at 25%");
    walk.end();
}

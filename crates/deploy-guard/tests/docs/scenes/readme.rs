//! README.md.

use super::install;
use super::shop::Live;
use crate::docs::walk::{Walk, World, lines, replaced, yaml};

pub(crate) fn page() {
    let mut walk = Walk::of("README.md");
    walk.elsewhere(
        "cargo run --release -- demo\ncargo xtask test\n",
        "the first builds for minutes, and the second runs this test",
        &[
            (
                ".github/workflows/ci.yml",
                "run: cargo run --release -- demo",
            ),
            (".github/workflows/ci.yml", "run: .ci/run"),
            (".ci/run", "cargo xtask test"),
        ],
    );
    install::by_script(&walk.next("curl -fsSLO"));
    let init = walk.next("deploy-guard init\n");
    from_init_to_doctor(&World::new(), &lines(&init));

    // v2 is bad and goes back, later it is good.
    let shop = live();
    let by_hand = walk.next("preflight --release v2 || exit");
    shop.green.set_health("no database", 503);
    shop.world.sh("rollback record --release v1").code(0);
    shop.world.run(&by_hand, &[]).code(0).says("rollback: pass");
    assert_eq!(shop.release(), "v1");
    let run = walk.next("deploy-guard run --release v2\n");
    shop.world.run(&run, &[]).code(5).says("known bad");
    assert_eq!(shop.release(), "v1");

    let good = live();
    good.world.sh("rollback record --release v1").code(0);
    good.world.run(&by_hand, &[]).code(0);
    assert_eq!(good.release(), "v2");
    let other = live();
    other.world.sh("rollback record --release v1").code(0);
    other.world.run(&run, &[]).code(0);
    assert_eq!(other.release(), "v2");
    let step = yaml("README.md", "- uses: org/deploy-guard@v1\n");
    let step = yaml::read(&step).unwrap();
    other.green.set_release("v3");
    let (code, log) = other.step(&step[0], &[("${{ github.ref_name }}", "v3")]);
    assert_eq!(code, Some(0), "{log}");

    let alone = walk.next("healthgate --http http://127.0.0.1:8000/health");
    let port = shop.blue.port().to_string();
    shop.world
        .run(&alone, &[("8000", &port), ("1s", "100ms")])
        .code(0)
        .says("healthgate: pass");
    shop.world.sh(&format!(
        "healthgate --http {} --report report.json",
        shop.blue.url("/")
    ));
    shop.world.sh("healthgate explain report.json").code(0);
    walk.end();
}

/// The configuration of the page, with this nginx and these colours.
fn live() -> Live {
    let live = Live::new();
    let commands = format!(
        "{{ test: \"{}\", reload: \"{}\", upstream-file: ",
        live.nginx.test_command(),
        live.nginx.reload_command(),
    );
    let state = live.world.path("state.json").display().to_string();
    let config = yaml("README.md", "version: 1\n");
    let config = replaced(
        &config,
        "README.md",
        &[
            ("/var/lib/shop/production-state.json", &state),
            (
                "/etc/nginx/conf.d/shop-upstream.conf",
                &live.nginx.upstream_file().display().to_string(),
            ),
            ("{ upstream-file: ", &commands),
            (
                "127.0.0.1:8000",
                &format!("127.0.0.1:{}", live.nginx.port()),
            ),
            ("127.0.0.1:8001", &live.blue.address()),
            ("127.0.0.1:8002", &live.green.address()),
            ("interval: 2s", "interval: 100ms"),
            ("timeout: 1s", "timeout: 5s"),
        ],
    );
    live.world.write("deploy-guard.yml", &config);
    live
}

/// A repository whose workflow starts a Compose project on the runner.
pub(super) fn deploying(world: &World) {
    let compose =
        "services:\n  web:\n    image: shop:${TAG:-v1}\n    build: .\n    ports: ['8000:8000']\n";
    world.write("compose.yml", compose);
    let workflow = "on: { push: { tags: ['v*'] } }\njobs:\n  ship:\n    runs-on: [self-hosted, linux]\n    environment: production\n    steps:\n      \
        - uses: actions/checkout@v4\n        with:\n          clean: false\n      - run: docker compose up -d --build web\n        env:\n          TAG: ${{ github.ref_name }}\n";
    world.write(".github/workflows/ship.yml", workflow);
}

/// In a repository that deploys: the configuration is written, the steps are shown, and missing parts are reported.
pub(super) fn from_init_to_doctor(world: &World, lines: &[String]) {
    deploying(world);
    let [init, doctor] = lines else {
        panic!("{lines:?}");
    };
    let workflow = world.read(".github/workflows/ship.yml");
    let said = world.sh(init).code(0);
    let said = said.says("by Compose: .github/workflows/ship.yml:10");
    said.says("+          stage: healthgate");
    let written = world.read(".github/deploy-guard.yml");
    assert!(
        written.contains("compose:") && written.contains('#'),
        "{written}"
    );
    assert_eq!(world.read(".github/workflows/ship.yml"), workflow);
    // Whether an engine runs here is the machine's own affair.
    let said = world.sh(doctor);
    assert!(
        [Some(0), Some(1)].contains(&said.code),
        "{}{}",
        said.out,
        said.err
    );
    said.says("doctor: ");
}

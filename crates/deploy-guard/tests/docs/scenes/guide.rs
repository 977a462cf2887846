//! docs/guide/README.md: from one step to all of it.

use super::readme::{deploying, from_init_to_doctor};
use super::shop::Live;
use crate::docs::walk::{Walk, World, lines, replaced, yaml};

const PAGE: &str = "docs/guide/README.md";

pub(crate) fn page() {
    let mut walk = Walk::of(PAGE);
    let shop = Live::new();
    one_step(&shop, &mut walk);
    the_way_back(&shop, &mut walk);
    before(&shop, &mut walk);

    let run = walk.next("deploy-guard run --release v3");
    append(&shop, "deploy:\n", &[]);
    shop.green.set_release("v3");
    shop.green.set_health("healthy", 200);
    shop.world.run(&run, &[]).code(0);
    assert_eq!(shop.release(), "v3");

    from_init_to_doctor(&World::new(), &lines(&walk.next("deploy-guard init\n")));
    forms_of_init(&lines(&walk.next("deploy-guard init  ")));

    // As a workflow runs it; here nothing is missing, and nothing has changed.
    let again = lines(&walk.next("deploy-guard reproduce report.json"));
    let [check, again] = again.as_slice() else {
        panic!("{again:?}");
    };
    let ci = "GITHUB_ACTIONS=true GITHUB_RUN_ID=1 healthgate --release v3 --report report.json";
    shop.world.sh(ci).code(0);
    shop.world.sh(check).code(0).says("report.json");
    shop.world.sh(again).code(0);
    shop.green.set_health("no database", 503);
    shop.world.sh(again).code(1);
    shop.world.sh("rm deploy-guard.yml").code(0);
    shop.world.sh(check).code(3);

    let shell = walk.next("source <(deploy-guard completions bash)");
    let text = format!("{}complete -p deploy-guard", shell.text);
    let shell = crate::docs::page::Block { text, ..shell };
    let said = shop.world.run(&shell, &[]).code(0);
    assert!(
        said.out.contains("last-known-good"),
        "the page: {}",
        said.out
    );
    said.says("-F _deploy__guard deploy-guard");
    walk.end();
}

/// Each in a repository that nothing guards yet, but for the comparison.
fn forms_of_init(commands: &[String]) {
    let [shown, patch, gate, new, check] = commands else {
        panic!("{commands:?}");
    };
    let steps = |world: &World| {
        world
            .read(".github/workflows/ship.yml")
            .matches("org/deploy-guard@")
            .count()
    };
    for (command, count) in [(shown, 0), (patch, 4), (gate, 1), (new, 0)] {
        let world = World::new();
        deploying(&world);
        world.sh(command).code(0);
        assert_eq!(steps(&world), count, "{command}");
    }
    let world = World::new();
    deploying(&world);
    world.sh(patch).code(0);
    world.sh(check).code(0);
}

/// The step by the Action's own script, then the same question in a shell.
fn one_step(shop: &Live, walk: &mut Walk) {
    let step = yaml::read(&yaml(PAGE, "- uses: org/deploy-guard@v1\n")).unwrap();
    let url = shop.nginx.url("/health/ready");
    let release = |release| {
        [
            ("https://shop.example/health", url.as_str()),
            ("2m", "9s"),
            ("${{ github.sha }}", release),
        ]
    };
    let (code, log) = shop.step(&step[0], &release("v1"));
    assert_eq!(code, Some(0), "{log}");
    // It answers, and is another release.
    let (code, log) = shop.step(&step[0], &release("v2"));
    assert_eq!(code, Some(1), "{log}");

    let shell = walk.next("healthgate --http https://shop.example/health");
    let words = [("https://shop.example/health", url.as_str())];
    shop.world.run(&shell, &words).code(0);
}

fn the_way_back(shop: &Live, walk: &mut Walk) {
    let front = shop.nginx.url("");
    append(
        shop,
        "version: 1\n",
        &[
            (
                "https://shop.example/health",
                &format!("{front}/health/ready"),
            ),
            ("https://shop.example/api", &format!("{front}/api")),
            ("interval: 2s", "interval: 100ms"),
        ],
    );
    shop.world.sh("healthgate --release v1").code(0);
    let state = shop.world.path("state.json").display().to_string();
    let state = [("/var/lib/shop/production-state.json", state.as_str())];
    append(shop, "rollback:\n", &state);
    let commands = lines(&walk.next("rollback record --release v1"));
    let [record, deploy, dry, run] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    shop.world.sh(record).code(0);
    shop.world.sh(deploy).code(0);
    shop.green.set_health("no database", 503);
    shop.world.sh("healthgate --release v2").code(1);
    shop.world.sh(dry).code(0).says("nothing was changed");
    assert_eq!(shop.release(), "v2", "a dry run changes nothing");
    shop.world.sh(run).code(0);
    assert_eq!(shop.release(), "v1");
    shop.world.sh(run).code(5).says("already");

    // The same by the Action.
    let steps = yaml::read(&yaml(PAGE, "- id: gate\n")).unwrap();
    let (code, log) = shop.step(&steps[0], &[("${{ github.sha }}", "v1")]);
    assert_eq!(code, Some(0), "{log}");
    let (code, log) = shop.step(&steps[1], &[("${{ github.sha }}", "v1")]);
    assert_eq!(code, Some(0), "{log}");
    shop.world.sh(deploy).code(0);
    let failed = [
        ("${{ github.sha }}", "v2"),
        ("${{ steps.gate.outcome }}", "failure"),
    ];
    let (code, log) = shop.step(&steps[2], &failed);
    assert_eq!((code, shop.release().as_str()), (Some(0), "v1"), "{log}");
    let (code, log) = shop.step(&steps[2], &failed);
    assert_eq!(code, Some(5), "{log}");
}

fn before(shop: &Live, walk: &mut Walk) {
    append(shop, "preflight:\n  secrets", &[]);
    let commands = lines(&walk.next("preflight list"));
    let [list, preflight] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    shop.world.sh(list).code(0).says("secrets/DEPLOY_KEY");
    shop.world.sh(preflight).code(1).says("DEPLOY_KEY");
    let key = "ssh-keygen -q -t ed25519 -N '' -f key";
    shop.world.sh(key).code(0);
    // The shell takes the last line break off, without which OpenSSH reads no key.
    let with_key = format!("key=$(cat key; printf x); DEPLOY_KEY=${{key%x}} {preflight}");
    shop.world.sh(&with_key).code(0);
    // `run` asks it again.
    shop.world
        .sh("sed -i '/^  secrets:/d' deploy-guard.yml")
        .code(0);
}

/// The next part of the configuration, below the existing text.
fn append(shop: &Live, begins: &str, words: &[(&str, &str)]) {
    let text = replaced(&yaml(PAGE, begins), PAGE, words);
    let before = shop.world.read("deploy-guard.yml");
    shop.world.write("deploy-guard.yml", &(before + &text));
}

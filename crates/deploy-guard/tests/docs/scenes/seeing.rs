//! docs/guide/seeing-the-gate.md: the page shows what the commands print.

use std::time::Duration;

use regex::Regex;
use testkit::Shop;

use crate::docs::page::Block;
use crate::docs::walk::{Walk, World};

pub(crate) fn page() {
    let mut walk = Walk::of("docs/guide/seeing-the-gate.md");
    live(&walk.next("healthgate  "));
    let world = World::new();
    let shop = Shop::start("v1.2.4");
    let address = shop.address();
    let soak = walk.next("$ healthgate --http http://127.0.0.1:8123/health/ready");
    let (commands, shown) = session(&soak);
    let [gate, cat] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            testkit::wait_until(Duration::from_secs(60), || shop.requests() >= 6);
            shop.set_health("no database", 503);
        });
        let gate = gate.replace("127.0.0.1:8123", &address);
        world.sh(&gate).code(1);
    });
    same(&soak, &shown, &world.sh(cat).code(0).out, &address);
    assert!(world.read("summary.md").contains("healthgate: fail"));

    let page = walk.next("$ healthgate --release v1.2.4 --html page.html\n");
    let (commands, _) = session(&page);
    shop.set_health("healthy", 200);
    let config = format!(
        "version: 1\nhealthgate: {{ policy: {{ interval: 50ms }}, http: [{{ name: ready, url: '{}' }}] }}\n",
        shop.url("/health/ready")
    );
    world.write("deploy-guard.yml", &config);
    world.sh(&commands[0]).code(0);
    assert!(world.read("page.html").starts_with("<!DOCTYPE html>"));

    let explain = walk.next("$ healthgate explain report.json\n");
    let (commands, shown) = session(&explain);
    let said = world.sh(&commands[0]).code(0);
    same(&explain, &shown, &said.out, &address);
    let json = world
        .sh("healthgate explain report.json --format json")
        .code(0);
    let story: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(story["schema"], "deploy-guard/story/v1");
    walk.end();
}

/// A hundred and two probes on a small screen: at some moment it is the one that the page shows.
fn live(block: &Block) {
    let (worst, bad, good) = (Shop::start("v1"), Shop::start("v1"), Shop::start("v1"));
    worst.set_health("no database", 503);
    let probe = |name: &str, shop: &Shop, more: &str| {
        format!(
            "    - {{ name: {name}, url: '{}'{more} }}\n",
            shop.url("/health/ready")
        )
    };
    let mut config = "version: 1\nhealthgate:\n  policy: { interval: 2s, failure-limit: 2, deadline: 30s }\n  http:\n".to_owned();
    let quick = ", severity: advisory, policy: { interval: 500ms, failure-limit: 2 }";
    config += &probe("worst", &worst, quick);
    config += &probe("bad", &bad, "");
    for n in 0..100 {
        config += &probe(&n.to_string(), &good, "");
    }
    let world = World::new();
    world.write("deploy-guard.yml", &config);
    let line = testkit::bin_path("healthgate").display().to_string();
    let screens = std::thread::scope(|scope| {
        scope.spawn(|| {
            testkit::wait_until(Duration::from_secs(60), || bad.requests() > 0);
            bad.set_health("no database", 503);
        });
        testkit::screens(&line, &world.path(""), (6, 100), &[])
    });
    let latency = Regex::new("[▁-█]").unwrap();
    let plain = |text: &str| timeless(&latency.replace_all(text, "▂"));
    let shown = plain(&block.text);
    assert!(
        screens.iter().any(|screen| plain(screen) == shown),
        "{} shows\n{}\nand these were seen\n{}",
        block.place(),
        block.text,
        screens.join("\n---\n")
    );
}

/// The commands after `$`, and their output.
fn session(block: &Block) -> (Vec<String>, String) {
    let joined = block.text.replace("\\\n", " ");
    let (commands, printed): (Vec<_>, Vec<_>) =
        joined.lines().partition(|line| line.starts_with("$ "));
    let commands = commands.iter().map(|line| line[2..].to_owned()).collect();
    (commands, printed.join("\n"))
}

/// The page shows what was printed, except for times and the address; `…` matches any lines.
fn same(block: &Block, shown: &str, printed: &str, address: &str) {
    let printed = timeless(&printed.replace(address, "127.0.0.1:8123"));
    let mut rest = printed.as_str();
    let parts: Vec<String> = shown.split("\n…\n").map(timeless).collect();
    for (n, part) in parts.iter().enumerate() {
        let at = rest.find(part.as_str()).unwrap_or_else(|| {
            panic!(
                "{} shows\n{part}\nand what is printed is\n{rest}",
                block.place()
            )
        });
        assert!(n > 0 || at == 0, "{}: begins with\n{rest}", block.place());
        rest = &rest[at + part.len()..];
    }
    assert!(
        rest.trim().is_empty(),
        "{} leaves out\n{rest}",
        block.place()
    );
}

fn timeless(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in [
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "DATE"),
        (r"\d\d:\d\d:\d\d\.\d+", "CLOCK"),
        (r"\d+(\.\d+)? ?(ms|s|m)\b( \d+s)?", "TIME"),
        // What took less than a millisecond has no time.
        (r" \(took TIME\)", ""),
        (r"[ \t]+", " "),
        (r"(?m) $", ""),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, word)
            .into_owned();
    }
    text.trim().to_owned()
}

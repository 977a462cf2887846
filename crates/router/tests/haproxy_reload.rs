//! HAProxy: what a reload finds, by the state file, by its configuration, or by neither.

use serde_json::json;

use crate::bed::{Bed, answered, green, read};
use crate::haproxy::World;

#[test]
fn without_a_state_file_a_reload_loses_the_share_and_that_is_known_before() {
    let world = World::new(false);
    world
        .proxy
        .changed("  load-server-state-from-file global\n", "");
    let bed = world.bed();
    let used = bed.router();
    used.set("25%");
    assert_eq!(used.loaded(), Some(green("25%")));
    assert_eq!(used.configured(), green("0%"), "what a reload finds");
    world.proxy.reloaded();
    assert_eq!(used.loaded(), Some(green("0%")));
    assert_eq!(answered(&world.url(), 20), 0);
}

#[test]
fn with_a_state_file_a_reload_keeps_it() {
    for drain in [true, false] {
        let world = World::new(false);
        let mut section = world.section();
        section["haproxy"]["state-file"] = json!(world.proxy.state_file());
        section["haproxy"]["drain"] = drain.into();
        let bed = Bed::new(&section);
        let used = bed.router();
        for share in ["25%", "100%", "0%", "10%"] {
            used.set(share);
            assert_eq!(used.configured(), green(share));
            world.proxy.reloaded();
            assert_eq!(used.loaded(), Some(green(share)), "{share}");
        }
        // A weight of the configuration that was changed since counts more than the file's.
        assert!((3..=5).contains(&answered(&world.url(), 40)));
        let old = format!("127.0.0.1:{}", world.blue.port());
        world.proxy.changed(&old, &format!("{old} weight 5"));
        assert_eq!(used.loaded(), Some(used.configured()));
    }
}

#[test]
fn with_its_configuration_written_a_reload_keeps_it() {
    for drain in [true, false] {
        let world = World::new(false);
        world
            .proxy
            .changed("  load-server-state-from-file global\n", "");
        let file = world.proxy.socket().with_file_name("haproxy.cfg");
        let mut section = world.section();
        section["haproxy"]["config-file"] = json!(file);
        section["haproxy"]["drain"] = drain.into();
        section["haproxy"]["test"] = format!(
            "{} -c -f {}",
            testkit::tool("haproxy").display(),
            file.display()
        )
        .into();
        let bed = Bed::new(&section);
        let used = bed.router();
        assert_eq!(used.configured(), green("0%"));
        let (text, image) = (
            read(&file),
            used.run(used.router.snapshot(&used.place)).unwrap(),
        );
        for share in ["25%", "100%", "0%", "10%"] {
            used.set(share);
            assert_eq!(used.configured(), green(share));
            world.proxy.reloaded();
            assert_eq!(used.loaded(), Some(green(share)), "{share}");
        }
        assert!((3..=5).contains(&answered(&world.url(), 40)));
        let changed = read(&file)
            .lines()
            .zip(text.lines())
            .filter(|(one, other)| one != other)
            .count();
        assert!(changed <= 2, "{}", read(&file));
        used.run(used.router.restore(&used.place, &image)).unwrap();
        assert_eq!(read(&file), text);
        // What HAProxy would not start with is not left there.
        std::fs::write(&file, text.replace("mode http", "mode nonsense")).unwrap();
        let broken = read(&file);
        let why = used.set_fails("50%");
        assert!(why.contains("was put back"), "{why}");
        assert_eq!(read(&file), broken);
    }
}

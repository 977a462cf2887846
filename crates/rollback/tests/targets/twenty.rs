//! Twenty hosts, of which four have a bad night.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::targets::systemd::{World, answers};

const DEAD: usize = 3;
const FULL: usize = 7;
const HANGS: usize = 11;
const REBOOTS: usize = 15;
const DEADLINE: Duration = Duration::from_secs(40);

#[test]
fn one_dead_one_full_one_hanging_one_rebooting() {
    let extra = "  max-failed: 20%\n  batch: 100%\n  deadline: 40s\n";
    let mut world = World::new(20, &["v1", "v2"], extra);
    world.bed.recorded("v1", "v2");
    world.deploy("v2");
    for (_, port) in &world.hosts {
        answers(*port, "v2");
    }
    world.hosts[DEAD].0.power_off();
    // No inode is left for the new link.
    let fill = "cp -a /srv/shop /srv/kept && mount -t tmpfs -o nr_inodes=64 tmpfs /srv/shop &&
        cp -a /srv/kept/. /srv/shop/ && n=0; while touch /srv/shop/fill.$n; do n=$((n+1)); done 2>/dev/null; rm -r /srv/kept";
    world.hosts[FULL].0.must(&["sh", "-c", fill]);
    world.hosts[HANGS].0.must(&["touch", "/srv/hang"]);

    let started = Instant::now();
    let mut rebooting = world.hosts.remove(REBOOTS);
    let (end, rebooting) = std::thread::scope(|scope| {
        let bed = &world.bed;
        let reboot = scope.spawn(move || {
            let begun = format!("systemd/web-{REBOOTS}");
            let seen = testkit::wait_until(DEADLINE, || bed.journal().contains(&begun));
            assert!(seen, "its step never began");
            rebooting.0.power_off();
            std::thread::sleep(Duration::from_secs(2));
            rebooting.0.boot();
            rebooting
        });
        let end = bed.rollback(&["run", "--report", "report.json"]);
        (end, reboot.join().unwrap())
    });
    let took = started.elapsed();
    world.hosts.insert(REBOOTS, rebooting);
    let report: Value = serde_json::from_str(&world.bed.read("report.json")).unwrap();
    let end = end.is(
        6,
        &[
            "4 of 20 hosts do not run it",
            "No space left",
            "refused",
            "not done in time",
        ],
    );
    // The gate runs once more after the deadline of the switch.
    assert!(
        took < DEADLINE + Duration::from_secs(15),
        "{took:?}: {}",
        end.text
    );

    for nth in 0..20 {
        let id = format!("runs/web-{nth:02}");
        let outcomes = report["outcomes"].as_array().unwrap();
        let runs = outcomes.iter().find(|outcome| outcome["id"] == id.as_str());
        let runs = runs.unwrap_or_else(|| panic!("{id} is not in {report}"));
        let actual = runs["actual"].as_str().unwrap();
        let known = actual.split([' ', ':']).next().unwrap();
        match nth {
            DEAD => assert_eq!(known, "unknown", "{runs}"),
            FULL => assert_eq!(known, "v2", "{runs}"),
            // Any answer but v2 is true of the machine.
            HANGS => assert_ne!(known, "v2", "{runs}"),
            REBOOTS => assert!(["v1", "v2", "unknown"].contains(&known), "{runs}"),
            _ => {
                assert_eq!(known, "v1", "{runs}");
                answers(world.hosts[nth].1, "v1");
            }
        }
    }

    // In the morning.
    world.hosts[DEAD].0.boot();
    world.hosts[FULL]
        .0
        .must(&["sh", "-c", "rm /srv/shop/fill.*"]);
    world.hosts[HANGS].0.must(&["rm", "/srv/hang"]);
    world.bed.resume_converges("v1", "in the morning");
    for (_, port) in &world.hosts {
        answers(*port, "v1");
    }
}

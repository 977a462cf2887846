//! The state on a host and in a bucket: a rollback that one runner left is finished by another.

use testkit::{Moto, Sshd};

use crate::e2e::world::{World, wait_for};

/// The state at the same path, but reached by SSH.
fn over_ssh(world: &World, sshd: &Sshd) {
    world.write("known_hosts", &sshd.known_hosts());
    let path = world.path("state.json").display().to_string();
    let config = world.read("deploy-guard.yml");
    let config = config.replace("state: state.json", &format!("state: ssh://web-01{path}"));
    let host = format!(
        "hosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-file: '{}', known-hosts: known_hosts }}\n",
        sshd.port(),
        sshd.user(),
        sshd.key().display()
    );
    world.write("deploy-guard.yml", &(config + &host));
}

#[test]
fn runbook_004_rollback_also_fails_the_state_on_the_host_is_read_and_finished_from() {
    let sshd = Sshd::start();
    let world = World::new(&["localhost"], true);
    over_ssh(&world, &sshd);
    world.deploy_v2();
    world
        .rollback(&["status"])
        .exits(0)
        .says("ssh://web-01")
        .says("v1 good");
    for script in ["before-run", "after-run"] {
        world.set_live("v2");
        world.write(script, &format!("rm {script}; kill -9 $PPID; exit 1"));
        world.spawn(&["run"]).wait().unwrap();
        wait_for("the hook ends", || !world.path(script).exists());
        assert!(world.state().lock.is_some(), "a dead holder's lock is left");
        world.resume_converges(script);
    }
    world.rollback(&["state", "validate"]).exits(0);
    let damaged = "{\"schema\": \"deploy-guard/state/v1\", \"gen";
    world.write("state.json", damaged);
    world
        .rollback(&["run"])
        .exits(5)
        .says("rollback state repair");
    assert_eq!(world.read("state.json"), damaged);
    world.rollback(&["state", "repair", "--yes"]).exits(0);
    assert_eq!(world.state().current.as_deref(), Some("v1"));
}

#[test]
fn a_host_that_cannot_be_reached_is_an_error_and_nothing_is_changed() {
    let sshd = Sshd::start();
    let world = World::new(&["localhost"], true);
    over_ssh(&world, &sshd);
    world.set_live("v2");
    sshd.process().signal("TERM");
    let ended = || !sshd.process().alive();
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(20),
        ended
    ));
    for args in [
        &["run"] as &[&str],
        &["status"],
        &["record", "--release", "v2"],
    ] {
        world.rollback(args).exits(4).says("web-01").says("nc -vz");
    }
    assert_eq!(world.live(), "v2");
    let config = world
        .read("deploy-guard.yml")
        .replace("ssh://web-01", "ssh://web-1");
    world.write("deploy-guard.yml", &config);
    world
        .rollback(&["status"])
        .exits(2)
        .says("did you mean `web-01`");
}

#[test]
fn a_rollback_with_its_state_in_a_bucket_is_resumed() {
    let moto = Moto::start();
    moto.make_bucket("shop-state");
    let world = World::new(&["localhost"], true);
    let variables = moto.variables();
    let named = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    world.env.lock().unwrap().extend(named);
    let config = world.read("deploy-guard.yml");
    let config = config.replace(
        "state: state.json",
        "state: s3://shop-state/live/state.json",
    );
    world.write("deploy-guard.yml", &config);
    world.deploy_v2();
    world.write("after-run", "rm after-run; kill -9 $PPID; exit 1");
    world.spawn(&["run"]).wait().unwrap();
    wait_for("the hook ends", || !world.path("after-run").exists());
    world
        .rollback(&["status"])
        .exits(1)
        .says("a rollback from v2 to v1 has not ended");
    world.rollback(&["resume"]).exits(0);
    assert_eq!(world.live(), "v1");
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    world
        .rollback(&["status"])
        .exits(0)
        .says("v1 good")
        .says("s3://shop-state/live/state.json");
    assert!(!world.path("state.json").exists());
    let wrong = (
        "AWS_ENDPOINT_URL".to_owned(),
        "http://127.0.0.1:9".to_owned(),
    );
    world.env.lock().unwrap().push(wrong);
    world.rollback(&["run"]).exits(4).says("127.0.0.1:9");
}

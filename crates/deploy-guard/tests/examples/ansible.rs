//! Machines of an Ansible inventory, to which a playbook deploys: Ansible is real, and so are the machines.

use crate::examples::systemd::Fleet;
use crate::examples::world::Example;

#[test]
fn ansible_from_a_good_release_through_a_bad_one_and_back() {
    let example = Example::copy("ansible-inventory");
    let fleet = Fleet::of(example, 2, &|example, there, here, port| {
        example.fill(
            &format!("ansible_host={there}"),
            &format!("ansible_host={here} ansible_port={port}"),
        )
    });
    fleet.build("v1", "nowhere");
    // `doctor` finds nothing missing before the first deployment.
    testkit::bin("deploy-guard")
        .current_dir(fleet.example.repository.path(""))
        .env("PRODUCTION_SSH_PRIVATE_KEY", &fleet.key)
        .args(["doctor", "--environment", "production"])
        .assert()
        .code(0);
    fleet.example.deploy("v1").passes().skipped("Roll back");
    fleet.runs("v1");
    fleet.state("v1", &[("v1", "good")]);

    // On one machine of the group it is not healthy.
    fleet.build("v2", "127.0.1.2");
    let run = fleet.example.deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("web-02")
        .skipped("Record as good")
        .succeeded("Roll back");
    fleet.runs("v1");
    fleet.state("v1", &[("v1", "good"), ("v2", "bad")]);
    let run = fleet.example.deploy("v2").fails().failed("Preflight");
    run.says("known bad").skipped("Begin").skipped("Roll back");
}

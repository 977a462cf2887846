//! The example with ansible: the real one, over real sshd, on machines with a real systemd.

use std::time::Duration;

use crate::targets::bed::{gate, host_line, points};
use crate::targets::systemd::{UNIT, World};

/// The example's own playbook and commands, on our machines.
fn world() -> World {
    let world = World::new(2, &["v1", "v2"], "");
    let example = testkit::workspace().join("examples/rollback");
    let read = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
    let (mut hosts, mut inventory, mut known) =
        ("hosts:\n".to_owned(), "[web]\n".to_owned(), String::new());
    for (nth, (host, _)) in world.hosts.iter().enumerate() {
        let address = format!("127.0.8.{nth}");
        let line = host_line(
            &format!("web-0{}", nth + 1),
            host.port(),
            &host.key(),
            &world.bed.path("known_hosts"),
        );
        hosts.push_str(&line.replace("address: 127.0.0.1", &format!("address: {address}")));
        inventory.push_str(&format!(
            "{address} ansible_port={} ansible_ssh_private_key_file={}\n",
            host.port(),
            host.key().display()
        ));
        known.push_str(&host.known_hosts_for(&address));
    }
    inventory.push_str(&format!(
        "[web:vars]\nansible_user=root\nansible_python_interpreter=/usr/bin/python3\n\
         ansible_ssh_common_args='-o UserKnownHostsFile={} -o StrictHostKeyChecking=yes'\n",
        world.bed.path("known_hosts").display()
    ));
    world.bed.write("known_hosts", &known);
    std::fs::create_dir(world.bed.path("ansible")).unwrap();
    world.bed.write("ansible/inventory.ini", &inventory);
    let playbook = read("ansible/switch.yml").replace("shop.service", UNIT);
    world.bed.write("ansible/switch.yml", &playbook);
    let config = read("ansible.yml");
    let (_, command) = config.split_once("  command:\n").unwrap();
    let gate = gate(world.hosts[0].1);
    world
        .bed
        .configure(&hosts, &format!("  command:\n{command}"), &gate);
    world.bed.write("ansible.cfg", "");
    let settings = world.bed.path("ansible.cfg").display().to_string();
    let sockets = world.bed.path("cp").display().to_string();
    World {
        bed: world
            .bed
            // Not this machine's own settings; connections that are kept open end by themselves.
            .env("ANSIBLE_CONFIG", &settings)
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", &sockets)
            .env(
                "ANSIBLE_SSH_ARGS",
                "-o ControlMaster=auto -o ControlPersist=5s",
            ),
        hosts: world.hosts,
    }
}

#[test]
fn a_playbook_makes_the_switch_on_every_host() {
    let world = world();
    world.bed.recorded("v1", "v2");
    world.deploy("v2");
    world
        .bed
        .rollback(&["plan"])
        .is(0, &["from v2", "command/web-01", "command/web-02"]);
    world.runs("v2");
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.runs("v1");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
}

#[test]
fn what_the_playbook_cannot_do_is_refused_and_names_are_never_code() {
    let world = world();
    world.deploy("v2");
    for release in ["{{ 1 + 1 }} $(touch pwned)", "it's gone"] {
        assert!(world.bed.recorded_anew(release, "v2"));
        world.bed.rollback(&["run"]).is(
            5,
            &["`rollback.command.check` fails", "nothing was changed"],
        );
        assert!(!world.bed.path("pwned").exists());
    }
    world.runs("v2");
    // An existing release is matched by its name, whatever its form.
    let odd = "{{1+1}}`touch_pwned`";
    for (host, _) in &world.hosts {
        let folder = format!("/srv/shop/releases/{odd}");
        host.must(&["cp", "-r", "--", "/srv/shop/releases/v1", &folder]);
        host.must(&[
            "sh",
            "-c",
            "printf %s \"$1\" >\"$2/VERSION\"",
            "sh",
            odd,
            &folder,
        ]);
    }
    // The gate does not read such a text as a release; the target itself reports what runs.
    let config = world.bed.read("deploy-guard.yml");
    let (config, _) = config.split_once("healthgate:").unwrap();
    world.bed.write("deploy-guard.yml", config);
    assert!(world.bed.recorded_anew(odd, "v2"));
    world.bed.rollback(&["run"]).is(0, &[]);
    world.runs(odd);
    assert!(!world.bed.path("pwned").exists());
}

#[test]
fn killed_while_ansible_is_at_work() {
    let world = world();
    world.bed.recorded("v1", "v2");
    let state = world.bed.keep();
    let points = points(4, Duration::from_millis(3000), 1);
    // One rollback takes four runs of ansible, so the short run takes every second point.
    let every = if std::env::var_os("KILLS").is_some() {
        1
    } else {
        2
    };
    for (lines, then) in points.into_iter().step_by(every) {
        world.bed.put_back(&state);
        world.deploy("v2");
        world.bed.killed(lines, then);
        world
            .bed
            .resume_converges("v1", &format!("{lines} lines and {then:?}"));
        world.runs("v1");
    }
}

//! `command` with `on-hosts`: the script that deploys is on the machine, and is run there.

use std::fs;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::Sshd;

/// A machine whose `switch.sh` makes the release live that its environment names.
struct World {
    folder: TempDir,
    sshd: Sshd,
    config: String,
}

impl World {
    fn new(more: &str) -> World {
        let (folder, sshd) = (tempfile::tempdir().unwrap(), Sshd::start());
        let there = folder.path().join("machine");
        fs::create_dir(&there).unwrap();
        fs::write(there.join("live"), "v2\n").unwrap();
        let script = "test -n \"$SSH_CONNECTION\" || exit 9\n[ \"$TAG\" != v0 ] || exit 7\nprintf '%s\\n' \"$TAG\" >live\n\
                      printf '%s %s %s\\n' \"$TAG\" \"$PREVIOUS_RELEASE\" \"$HOST\" >>calls\n";
        fs::write(there.join("switch.sh"), script).unwrap();
        fs::write(folder.path().join("known_hosts"), sshd.known_hosts()).unwrap();
        let there = there.display();
        let config = format!(
            "version: 1\nhosts:\n  web: {{ address: 127.0.0.1, port: {}, user: {}, key-file: '{}', known-hosts: known_hosts }}\n\
             rollback:\n  state: 'ssh://web{there}/.deploy-guard/state.json'\n  command:\n    hosts: [web]\n{more}    \
             run: 'cd {there} && TAG=\"$RELEASE\" sh ./switch.sh'\n    current: 'test -n \"$SSH_CONNECTION\" && cat {there}/live'\n",
            sshd.port(),
            sshd.user(),
            sshd.key().display(),
        );
        let world = World {
            folder,
            sshd,
            config,
        };
        world.write(&world.config);
        world
    }

    fn write(&self, config: &str) {
        fs::write(self.folder.path().join("deploy-guard.yml"), config).unwrap();
    }

    fn rollback(&self, words: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = testkit::bin("rollback");
        command.current_dir(self.folder.path()).args(words).assert()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("machine").join(name)).unwrap_or_default()
    }
}

#[test]
fn a_script_on_the_machine_goes_back_where_it_is() {
    let world = World::new("    on-hosts: true\n");
    fs::write(world.folder.path().join("machine/live"), "v1\n").unwrap();
    world.rollback(&["record", "--release", "v1"]).code(0);
    fs::write(world.folder.path().join("machine/live"), "v2\n").unwrap();
    world.rollback(&["plan"]).code(0).stdout(contains("web"));
    assert_eq!(world.read("calls"), "", "a plan changes nothing");
    world.rollback(&["run"]).code(0);
    assert_eq!(world.read("live"), "v1\n");
    assert_eq!(world.read("calls"), "v1 v2 127.0.0.1\n");
    // It is there already: nothing is run again.
    world.rollback(&["run"]).code(5);
    assert_eq!(world.read("calls").lines().count(), 1);
}

#[test]
fn what_fails_on_the_machine_fails_the_rollback_with_its_words() {
    let world = World::new("    on-hosts: true\n");
    fs::write(world.folder.path().join("machine/live"), "v0\n").unwrap();
    world.rollback(&["record", "--release", "v0"]).code(0);
    fs::write(world.folder.path().join("machine/live"), "v2\n").unwrap();
    world
        .rollback(&["run"])
        .code(predicates::ord::ne(0))
        .stdout(contains("exit status 7"));
    assert_eq!(world.read("live"), "v2\n");
    // A machine that is not reached leaves everything as it is, and is named.
    let mut world = world;
    world.config = world
        .config
        .replace(&format!("port: {}", world.sshd.port()), "port: 1");
    world.write(&world.config);
    world
        .rollback(&["run"])
        .code(predicates::ord::ne(0))
        .stdout(contains("web").or(contains("127.0.0.1:1")));
}

#[test]
fn without_hosts_there_is_nowhere_to_run() {
    let world = World::new("    on-hosts: true\n");
    world.write(&world.config.replace("    hosts: [web]\n", ""));
    let refused = world.rollback(&["plan"]).code(2);
    refused.stderr(contains("no host is named").and(contains("hosts: [web-01]")));
}

//! Hosts of an inventory that is kept elsewhere, against real sshds and Ansible's own program.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::Sshd;

struct World {
    sshd: Sshd,
    folder: TempDir,
}

impl World {
    fn new() -> World {
        let world = World {
            sshd: Sshd::start(),
            folder: tempfile::tempdir().unwrap(),
        };
        let known: String = ["127.0.0.1", "127.0.0.2"]
            .map(|address| world.sshd.known_hosts_for(address))
            .concat();
        world.write("known_hosts", &known);
        world
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn preflight(&self, from: &str, host: &str) -> assert_cmd::assert::Assert {
        let config = format!(
            "version: 1\nhosts-from:\n  {from}\n  defaults: {{ known-hosts: known_hosts, key-file: '{}' }}\n\
             preflight:\n  timeout: 20s\n  hosts: [{{ host: {host} }}]\n",
            self.sshd.key().display()
        );
        self.write("deploy-guard.yml", &config);
        let mut command = testkit::bin("preflight");
        command.current_dir(self.folder.path());
        command.env("ANSIBLE_HOME", self.folder.path().join("ansible"));
        command.assert()
    }
}

#[test]
fn a_file_a_command_and_ansible_name_the_hosts() {
    let world = World::new();
    let (port, user) = (world.sshd.port(), world.sshd.user());
    let list = format!(
        "- {{ name: web-01, address: 127.0.0.1, port: {port}, user: {user}, groups: [web] }}\n\
         - {{ name: db-01, address: 127.0.0.2, port: {port}, user: {user} }}\n"
    );
    world.write("hosts.yml", &list);
    let ini = format!(
        "[web]\nweb-01 ansible_host=127.0.0.1 password=hunter2\n[db]\ndb-01 ansible_host=127.0.0.2\n\
         [all:vars]\nansible_port={port}\nansible_user={user}\n"
    );
    world.write("production", &ini);
    for from in [
        "file: hosts.yml",
        "command: 'cat hosts.yml'",
        "ansible: production",
        "command: 'ansible-inventory -i production --list'",
    ] {
        let web = contains("✓ hosts/web-01/login");
        let db = contains("✓ hosts/db-01/login");
        world
            .preflight(from, "all")
            .code(0)
            .stdout(web.clone().and(db.clone()));
        world
            .preflight(from, "web")
            .code(0)
            .stdout(web.and(db.not()));
    }
    world
        .preflight("file: hosts.yml", "wep")
        .code(2)
        .stderr(contains("no host `wep`"));
}

#[test]
fn an_inventory_that_cannot_be_read_is_an_error_of_the_configuration() {
    let world = World::new();
    let secret = "{\"_meta\": {\"hostvars\": {\"web-01\": {\"ansible_port\": \"hunter2\"}}}}";
    world.write("hosts.json", secret);
    world.write("empty.ini", "# none yet\n");
    for (from, error) in [
        ("file: none.yml", "none.yml cannot be read"),
        (
            "file: hosts.json",
            "`ansible_port` of the host `web-01` is not a port",
        ),
        ("command: 'echo why >&2; exit 3'", "exit status 3: why"),
        ("command: no-such-program", "it is not installed"),
        ("command: 'echo'", "expected a list"),
        (
            "ansible: none",
            "none cannot be read: there is no such file",
        ),
        ("ansible: empty.ini", "the inventory has no host"),
    ] {
        world
            .preflight(from, "all")
            .code(2)
            .stderr(contains(error).and(contains("hunter2").not()));
    }
    let slow = "command: 'sleep 60'\n  timeout: 300ms";
    world
        .preflight(slow, "all")
        .code(2)
        .stderr(contains("not done in time"));
}

#[test]
fn a_key_logs_in_at_each_host_of_a_group_once() {
    let world = World::new();
    let (port, user) = (world.sshd.port(), world.sshd.user());
    let host = |name: &str, address: &str, groups: &str| {
        format!(
            "- {{ name: {name}, address: {address}, port: {port}, user: {user}, groups: [{groups}] }}\n"
        )
    };
    let list = [
        host("web-01", "127.0.0.1", "web"),
        host("web-02", "127.0.0.2", "web"),
        host("db-01", "127.0.0.1", "db"),
    ];
    world.write("hosts.yml", &list.concat());
    let run = |hosts: &str| {
        let config = format!(
            "version: 1\nhosts-from:\n  file: hosts.yml\n  defaults: {{ known-hosts: known_hosts, key-env: KEY }}\n\
             preflight:\n  timeout: 20s\n  secrets: [{{ name: KEY, kind: ssh-private-key, hosts: {hosts} }}]\n"
        );
        world.write("deploy-guard.yml", &config);
        let mut command = testkit::bin("preflight");
        command.current_dir(world.folder.path());
        command.env("KEY", std::fs::read_to_string(world.sshd.key()).unwrap());
        command.assert()
    };
    let each = contains("✓ secrets/KEY@web-01").and(contains("✓ secrets/KEY@web-02"));
    run("[web, web-01, 'web-*']").code(0).stdout(
        each.and(contains("KEY@db-01").not())
            .and(contains("KEY@web-01").count(1)),
    );
    run("[wep]")
        .code(2)
        .stderr(contains("no host `wep` under `hosts:`"));
    run("['mail-*']")
        .code(2)
        .stderr(contains("`mail-*` fits no host"));
}

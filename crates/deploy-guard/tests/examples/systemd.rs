//! Three machines with systemd, reached by SSH as a user with only the permissions on the page.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use testkit::{SystemdHost, free_port};

use crate::examples::world::{Example, answers, state, version};

/// The machines of the example, and where they answer here.
const MACHINES: [(&str, &str); 3] = [
    ("10.0.0.11", "127.0.1.1"),
    ("10.0.0.12", "127.0.1.2"),
    ("10.0.0.13", "127.0.1.3"),
];

/// The shop: files beside it name its release, and the machine where it is not healthy.
const SHOP: &str = "#!/usr/bin/python3
import http.server, json, os
release, unwell = open('VERSION').read(), open('UNWELL').read()
address, port = os.environ['LISTEN'].split(':')
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        health = {'status': 'degraded' if address == unwell else 'healthy'}
        body = json.dumps(health if 'health' in self.path else {'version': release}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer((address, int(port)), Answer).serve_forever()
";

pub(super) struct Fleet {
    pub(super) machines: Vec<SystemdHost>,
    pub(super) example: Example,
    pub(super) key: String,
    pub(super) port: u16,
}

impl Fleet {
    fn new() -> Fleet {
        let example = Example::copy("systemd-on-a-fleet");
        Fleet::of(example, 3, &|example, there, here, port| {
            example
                .fill(
                    &format!("address: {there}"),
                    &format!("address: {here}, port: {port}"),
                )
                .fill(there, &format!("{here}:{port}"))
        })
    }

    /// So many machines, each put into the example by its address there and here, and its port.
    pub(super) fn of(
        example: Example,
        machines: usize,
        put: &dyn Fn(Example, &str, &str, u16) -> Example,
    ) -> Fleet {
        let port = free_port();
        let mut example = example.fill(":8000", &format!(":{port}"));
        let read = |name: &str| fs::read_to_string(example.repository.path(name)).unwrap();
        let (unit, config) = (read("shop.service"), read("deploy-guard.yml"));
        let sudoers = config
            .lines()
            .find_map(|line| line.split_once("# sudoers: "));
        let (_, sudoers) = sudoers.unwrap();
        let machines: Vec<_> = thread::scope(|scope| {
            let each = MACHINES.iter().take(machines).map(|(_, here)| {
                let unit = unit.replace("0.0.0.0", here);
                scope.spawn(move || machine(&unit, sudoers))
            });
            let each: Vec<_> = each.collect();
            each.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut known = String::new();
        for (machine, (there, here)) in machines.iter().zip(MACHINES) {
            known.push_str(&machine.known_hosts_for(here));
            example = put(example, there, here, machine.port());
        }
        example.repository.write(".github/known_hosts", &known);
        // One key for all of them, as the example has it.
        let key = fs::read_to_string(machines[0].key()).unwrap();
        let public = fs::read_to_string(machines[0].key().with_extension("pub")).unwrap();
        for machine in &machines {
            let script = "printf %s \"$1\" >/etc/testkit/authorized";
            machine.must(&["sh", "-c", script, "sh", &public]);
        }
        let example = example
            .fill("interval: 2s, timeout: 1s", "interval: 100ms, timeout: 5s")
            .fill("startup: 20s", "startup: 3s")
            .fill("sudo: true", "sudo: true\n    settle: 500ms")
            .secret("PRODUCTION_SSH_PRIVATE_KEY", &key);
        Fleet {
            machines,
            example,
            key,
            port,
        }
    }

    /// What a build leaves in `dist/`.
    pub(super) fn build(&self, release: &str, unwell: &str) {
        let repository = &self.example.repository;
        repository.write("dist/shop", SHOP);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(repository.path("dist/shop"), executable).unwrap();
        repository.write("dist/VERSION", release);
        repository.write("dist/UNWELL", unwell);
    }

    /// This release answers on every machine, and runs from its folder.
    #[track_caller]
    pub(super) fn runs(&self, release: &str) {
        for (machine, (_, here)) in self.machines.iter().zip(MACHINES) {
            let url = format!("http://{here}:{}/api/v1/version", self.port);
            answers(&url, &version(release));
            let link = machine.must(&["readlink", "/srv/shop/current"]);
            assert_eq!(link, format!("/srv/shop/releases/{release}"), "{here}");
        }
    }

    #[track_caller]
    pub(super) fn state(&self, good: &str, releases: &[(&str, &str)]) {
        let text = self.machines[0].must(&["cat", "/var/lib/shop/production-state.json"]);
        state(text.as_bytes(), good, releases);
    }
}

/// A machine as the page wants it.
fn machine(unit: &str, sudoers: &str) -> SystemdHost {
    let machine = SystemdHost::start(&[("shop.service", unit)]);
    // `*` matches no password but does not lock the account: sshd refuses a locked one.
    machine.must(&["useradd", "--create-home", "--password", "*", "deploy"]);
    let script = "printf '%s\\n' \"$1\" >/etc/sudoers.d/deploy && chmod 440 /etc/sudoers.d/deploy
                  mkdir -p /srv/shop /var/lib/shop && chown deploy: /srv/shop /var/lib/shop";
    machine.must(&["sh", "-ec", script, "sh", sudoers]);
    machine
}

#[test]
fn systemd_from_a_good_release_through_a_bad_one_and_back() {
    let fleet = Fleet::new();
    fleet.build("v1", "nowhere");
    // `doctor` finds nothing missing before the first deployment.
    testkit::bin("deploy-guard")
        .current_dir(fleet.example.repository.path(""))
        .env("PRODUCTION_SSH_PRIVATE_KEY", &fleet.key)
        .args(["doctor", "--environment", "production"])
        .assert()
        .code(0);
    let run = fleet.example.deploy("v1").passes();
    run.skipped("Roll back");
    fleet.runs("v1");
    fleet.state("v1", &[("v1", "good")]);

    // On one machine of three it is not healthy.
    fleet.build("v2", "127.0.1.3");
    let run = fleet.example.deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("web-03")
        .skipped("Record as good")
        .succeeded("Roll back");
    fleet.runs("v1");
    fleet.state("v1", &[("v1", "good"), ("v2", "bad")]);
    let run = fleet.example.deploy("v2").fails().failed("Preflight");
    run.says("known bad").skipped("Begin").skipped("Roll back");

    // A deployment that stops half-way leaves machines with different releases.
    fleet.build("v3", "nowhere");
    let own = |user: &str| {
        fleet.machines[1].must(&["chown", user, "/srv/shop/releases"]);
    };
    own("root");
    let run = fleet.example.deploy("v3").fails().failed("Deploy");
    run.skipped("Gate").succeeded("Roll back");
    fleet.runs("v1");
    own("deploy");

    fleet.build("v4", "nowhere");
    fleet.example.deploy("v4").passes();
    fleet.runs("v4");
    fleet.state("v4", &[("v2", "bad"), ("v3", "bad"), ("v4", "good")]);
}

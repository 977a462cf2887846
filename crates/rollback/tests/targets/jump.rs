//! A host as people have it: behind a jump host, with a key that an agent holds and certificates on both
//! sides. Everything on the way is real.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{
    End, HostCertificate, Nginx, Shop, SshAgent, SshAuthority, Sshd, SshdSetup, free_port,
    wait_until,
};

use crate::targets::bed::Bed;

struct World {
    bed: Bed,
    nginx: Nginx,
    blue: Shop,
    green: Shop,
    edge: Sshd,
    inner: Sshd,
    _agent: SshAgent,
}

impl World {
    /// Blue runs v1, green runs v2 and has the traffic of the nginx at `web-01`.
    fn new() -> World {
        let (bed, agent) = (Bed::new(), SshAgent::start());
        let (hosts, users) = (SshAuthority::new(), SshAuthority::new());
        let certificate = |name: &str| HostCertificate {
            authority: hosts.clone(),
            principals: name.to_owned(),
            validity: "+1h".to_owned(),
        };
        let start = |name: &str| {
            SshdSetup {
                certificate: Some(certificate(name)),
                users_of: Some(users.clone()),
                ..SshdSetup::default()
            }
            .start()
        };
        let (edge, inner) = (start("edge.test"), start("web-01.test"));
        for sshd in [&edge, &inner] {
            let public = sshd.key().with_extension("pub");
            users.sign(&public, false, sshd.user(), "+1h");
            agent.add(&sshd.key());
        }
        bed.write("known_hosts", &hosts.known_hosts("*.test,[*.test]:*"));
        let named = |name: &str, sshd: &Sshd| {
            format!(
                "Host {name}\n  HostKeyAlias {name}.test\n  Port {}\n",
                sshd.port()
            )
        };
        let config = format!(
            "{}{}Host *\n  HostName 127.0.0.1\n  User {}\n  IdentityAgent {}\n",
            named("edge", &edge),
            named("web-01", &inner),
            inner.user(),
            agent.socket().display()
        );
        bed.write("ssh_config", &config);
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let port = free_port();
        let nginx = Nginx::start_at(&green.address(), Ipv4Addr::LOCALHOST, port);
        std::fs::create_dir(bed.path("state")).unwrap();
        let config = bed.path("ssh_config").display().to_string();
        let host = |name: &str, more: &str| {
            format!(
                "  {name}: {{ address: {name}, ssh: openssh, ssh-config: {config}, known-hosts: known_hosts{more} }}\n"
            )
        };
        let hosts = format!(
            "hosts:\n{}{}",
            host("edge", ""),
            host("web-01", ", jump: edge")
        );
        let target = json!({
            "upstream-file": nginx.upstream_file(),
            "blue": blue.address(),
            "green": green.address(),
            "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
            "hosts": "web-01",
            "test": nginx.test_command(),
            "reload": nginx.reload_command(),
            "timeout": "15s",
        });
        let gate = format!(
            "preflight:\n  timeout: 30s\n  hosts: [{{ host: web-01, commands: [sh] }}]\n  \
             command: [{{ name: nginx, host: web-01, run: test -d / }}]\n  rollback-ready: {{}}\n\
             healthgate:\n  policy: {{ interval: 100ms, timeout: 10s, success-threshold: 2, deadline: 30s, failure-limit: 3 }}\n  \
             http: [{{ name: shop, url: \"{0}\", via: web-01, release: {{ url: \"{0}\", jq: .version }} }}]\n",
            nginx.url("/api/v1/version")
        );
        bed.configure(&hosts, &format!("  nginx: {target}\n"), &gate);
        let state = format!(
            "state: ssh://web-01{}/state.json",
            bed.path("state").display()
        );
        let config = bed.read("deploy-guard.yml");
        bed.write(
            "deploy-guard.yml",
            &config.replace("state: state.json", &state),
        );
        World {
            bed,
            nginx,
            blue,
            green,
            edge,
            inner,
            _agent: agent,
        }
    }

    fn stage(&self, name: &str, args: &[&str]) -> End {
        let mut command = Command::new(testkit::bin_path(name));
        let output = testkit::clear_environment(&mut command)
            .current_dir(self.bed.path(""))
            .args(args)
            .output()
            .unwrap();
        output.into()
    }

    fn upstream(&self) -> String {
        std::fs::read_to_string(self.nginx.upstream_file()).unwrap()
    }
}

#[test]
fn a_host_behind_a_jump_host_with_an_agent_and_certificates_is_checked_gated_and_rolled_back() {
    let world = World::new();
    world.bed.recorded("v1", "v2");
    world.stage("preflight", &["--release", "v2"]).is(
        0,
        &[
            "hosts/web-01/login",
            "hosts/web-01/commands",
            "command/nginx",
            "rollback-ready",
        ],
    );
    let before = world
        .edge
        .process()
        .log()
        .matches("Accepted publickey")
        .count();
    world
        .stage("healthgate", &["--release", "v2"])
        .is(0, &["shop", "v2"]);
    let log = world.edge.process().log();
    let logins = log.matches("Accepted publickey").count() - before;
    assert_eq!(logins, 1, "one connection a host: {log}");
    assert!(log.contains("-CERT "), "{log}");
    assert!(world.inner.process().log().contains("-CERT "));
    world
        .stage("healthgate", &["--release", "v3"])
        .is(1, &["v2"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    assert!(world.upstream().contains(&world.blue.address()));
    assert!(!world.upstream().contains(&world.green.address()));
    let served = || {
        let answer = testkit::get(&world.nginx.url("/api/v1/version")).unwrap();
        answer.header("x-version") == Some("v1")
    };
    assert!(wait_until(Duration::from_secs(20), served));
    world
        .bed
        .rollback(&["status"])
        .is(0, &["ssh://web-01", "v1 good"]);
    // Nothing of it is left.
    let mark = world.bed.path("ssh_config").display().to_string();
    let ended = wait_until(Duration::from_secs(10), || {
        !testkit::any_process_with(&mark)
    });
    assert!(ended);
    // Without the agent it is the host's answer, and named.
    let config = world.bed.read("ssh_config");
    let without = "  IdentityAgent none\n  IdentityFile none\n  # ";
    let config = config.replace("  IdentityAgent ", without);
    world.bed.write("ssh_config", &config);
    world
        .stage("preflight", &["--only", "hosts"])
        .is(1, &["jump host edge: user", "may not log in with this key"]);
}

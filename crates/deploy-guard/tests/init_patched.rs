//! A workflow that `init --patch` changed, run by act: a good release, a bad one, and the way back.

use std::fs;
use std::process::Command;

use crate::init_guards::{images, live};
use crate::job::act::{Repository, Run};
use testkit::{Compose, Docker, Sshd, SshdSetup, free_port};

const WORKFLOW: &str = r#"on:
  workflow_dispatch:
    inputs:
      release: { required: true }

jobs:
  deploy:
    runs-on: ubuntu-latest
    env:
      SHOP_TAG: ${{ inputs.release }}
    steps:
      - uses: actions/checkout@v4

      # It is there already, on this machine.
      - name: Image
        if: github.event_name == 'push'
        run: docker build -t "shop:$SHOP_TAG" .

      # As people do it.
      - name: Key
        env:
          KEY: ${{ secrets.SHOP_KEY }}
        run: |
          install -d -m 700 ~/.ssh
          printf '%s\n' "$KEY" > ~/.ssh/shop && chmod 600 ~/.ssh/shop
BETWEEN
      - name: Start the release
        run: |
          ssh -i ~/.ssh/shop WAY-p PORT -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null USER@127.0.0.1 "cd FOLDER && COMMAND"
"#;

/// The key of a machine in between, which has its own.
const BETWEEN: &str = r#"
      - name: Key of the machine in between
        env:
          KEY: ${{ secrets.EDGE_KEY }}
        run: printf '%s\n' "$KEY" > ~/.ssh/edge && chmod 600 ~/.ssh/edge
"#;

/// A repository whose workflow logs in to a machine, that machine, and the one in between.
struct Shop {
    repository: Repository,
    sshd: Sshd,
    edge: Option<Sshd>,
}

impl Shop {
    fn new(setup: SshdSetup, command: &str) -> Shop {
        Shop::behind(None, setup, command)
    }

    /// By way of another machine, where there is one.
    fn behind(edge: Option<Sshd>, setup: SshdSetup, command: &str) -> Shop {
        let sshd = setup.start();
        let folder = sshd.folder().join("shop");
        fs::create_dir(&folder).unwrap();
        let repository = Repository::new();
        let way = edge.as_ref().map_or_else(String::new, |edge| {
            format!(
                "-o ProxyCommand='ssh -i ~/.ssh/edge -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -W %h:%p {}@127.0.0.1' ",
                edge.port(),
                edge.user()
            )
        });
        let between = edge.as_ref().map_or("", |_| BETWEEN);
        let workflow = WORKFLOW
            .replace("BETWEEN\n", between)
            .replace("WAY", &way)
            .replace("PORT", &sshd.port().to_string())
            .replace("USER", sshd.user())
            .replace("FOLDER", folder.to_str().unwrap())
            .replace("COMMAND", command)
            .replace(
                &format!("{}KnownHostsFile", sshd.user()),
                "UserKnownHostsFile",
            );
        repository.write(".github/workflows/deploy.yml", &workflow);
        Shop {
            repository,
            sshd,
            edge,
        }
    }

    /// Adds the steps, and the keys that a person fetches.
    fn patch(&self, more: &[&str]) -> String {
        let program = testkit::bin_path("deploy-guard");
        let bin = program.parent().unwrap().display().to_string();
        let output = testkit::bin("deploy-guard")
            .current_dir(self.repository.path(""))
            .args(["init", "--patch", "--bin-dir", &bin])
            .args(more)
            .assert()
            .code(0);
        let mut known = self.sshd.known_hosts();
        if let Some(edge) = &self.edge {
            known.push_str(&edge.known_hosts());
        }
        self.repository.write(".github/known_hosts", &known);
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    }

    fn deploy(&self, release: &str) -> Run {
        let (release, key) = (format!("release={release}"), self.sshd.private_key());
        let key = format!("SHOP_KEY={key}");
        let mut words = vec!["workflow_dispatch", "--input", &release, "--secret", &key];
        let edge = self.edge.as_ref();
        let edge = edge.map(|edge| format!("EDGE_KEY={}", edge.private_key()));
        words.extend(edge.iter().flat_map(|key| ["--secret", key]));
        self.repository.act(&words)
    }
}

fn compose_over_ssh_goes_back_from_a_bad_release(compose: Compose) {
    let docker = Docker::start();
    images(&docker);
    let port = free_port();
    let setup = SshdSetup {
        config: format!(
            "SetEnv DOCKER_HOST={} DOCKER_CONFIG={}\n",
            docker.address(),
            compose.config().display()
        ),
        ..SshdSetup::default()
    };
    let shop = Shop::new(
        setup,
        "if docker compose version >/dev/null 2>&1; then SHOP_TAG=$SHOP_TAG docker compose -p shop -f compose.prod.yml up -d web; else SHOP_TAG=$SHOP_TAG docker-compose -p shop -f compose.prod.yml up -d web; fi",
    );
    let file = format!(
        "services:\n  web:\n    image: shop:${{SHOP_TAG}}\n    network_mode: host\n    restart: always\n    stop_signal: SIGKILL\n    \
         command: [/bin/sh, /run.sh, '{port}']\n    healthcheck:\n      test: [CMD, busybox, wget, -qO-, 'http://127.0.0.1:{port}/ready']\n      interval: 1s\n"
    );
    shop.repository.write("compose.prod.yml", &file);
    fs::write(shop.sshd.folder().join("shop/compose.prod.yml"), &file).unwrap();
    let printed = shop.patch(&[]);
    let config = fs::read_to_string(shop.repository.path(".github/deploy-guard.yml"));
    let config = config.unwrap_or_else(|error| panic!("{error}: {printed}"));

    let run = shop.deploy("v1").passes();
    assert_eq!(live(port), "v1", "{}", run.log);

    let run = shop.deploy("v2").fails();
    assert_eq!(live(port), "v1", "{}\n{config}", run.log);
    let run = run
        .failed("Gate the release")
        .succeeded("Put the last good release back");
    let states = shop.sshd.folder().join("shop/.deploy-guard/shop.json");
    let state: serde_json::Value = serde_json::from_slice(&fs::read(states).unwrap()).unwrap();
    assert_eq!(state["last_known_good"], "v1", "{state}\n{}", run.log);

    // And it is known from then on: not deployed again.
    let run = shop
        .deploy("v2")
        .fails()
        .failed("Check before the deployment");
    let run = run.skipped("Put the last good release back");
    assert_eq!(live(port), "v1", "{}", run.log);
}

testkit::with_both! {
    compose_over_ssh_goes_back_from_a_bad_release
}

/// The script takes no release: nothing is taken back, and the gate tells.
#[test]
fn a_script_over_ssh_is_gated_from_its_machine() {
    let port = free_port();
    let shop = Shop::new(SshdSetup::default(), "./deploy.sh");
    let script = format!(
        "#!/bin/sh\n# Takes what lies in `next`, and tells whether it answers: port {port}.\nset -e\ncp next/* .\n"
    );
    shop.repository.write("deploy.sh", &script);
    let there = shop.sshd.folder().join("shop");
    fs::write(there.join("deploy.sh"), &script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(there.join("deploy.sh"), mode).unwrap();
    fs::create_dir(there.join("next")).unwrap();
    let mut server = Command::new(testkit::tool("busybox"))
        .args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
        .arg(&there)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/ready");
    let printed = shop.patch(&["--url", &url]);
    assert!(printed.contains("deploy.sh takes no release"), "{printed}");

    fs::write(there.join("next/ready"), "ok").unwrap();
    shop.deploy("v1").passes().succeeded("Gate the release");
    fs::remove_file(there.join("ready")).unwrap();
    fs::remove_file(there.join("next/ready")).unwrap();
    fs::write(there.join("next/other"), "ok").unwrap();
    shop.deploy("v2").fails().failed("Gate the release");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The script takes the release, so the same script on the same machine goes back.
#[test]
fn a_script_over_ssh_that_takes_the_release_goes_back_where_it_is() {
    goes_back_where_it_is(None);
}

/// And so it does by way of another machine, as the workflow goes it.
#[test]
fn a_machine_behind_a_jump_host_is_reached_as_the_workflow_reaches_it() {
    let config = goes_back_where_it_is(Some(Sshd::start()));
    assert!(config.contains("jump: bastion"), "{config}");
}

fn goes_back_where_it_is(edge: Option<Sshd>) -> String {
    let port = free_port();
    let setup = SshdSetup::default();
    let shop = Shop::behind(edge, setup, "TAG=$SHOP_TAG ./switch.sh");
    let script = "#!/bin/sh\n# Makes $TAG live.\nset -eu\ntest -d \"releases/$TAG\"\nln -sfn \"releases/$TAG\" new\nmv -T new live\n";
    shop.repository.write("switch.sh", script);
    let there = shop.sshd.folder().join("shop");
    fs::write(there.join("switch.sh"), script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(there.join("switch.sh"), mode).unwrap();
    for (release, ready) in [("v1", "ready"), ("v2", "not-ready"), ("v3", "ready")] {
        let folder = there.join("releases").join(release);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("version"), release).unwrap();
        fs::write(folder.join(ready), "ok").unwrap();
    }
    let mut server = Command::new("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(there.join("live"))
        .arg(port.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/ready");
    shop.patch(&["--url", &url]);
    let config = fs::read_to_string(shop.repository.path(".github/deploy-guard.yml")).unwrap();
    assert!(config.contains("on-hosts: true"), "{config}");

    let run = shop.deploy("v1").passes().succeeded("Gate the release");
    assert_eq!(live(port), "v1", "{}", run.log);
    let run = shop.deploy("v2").fails().failed("Gate the release");
    let run = run.succeeded("Put the last good release back");
    assert_eq!(live(port), "v1", "{}", run.log);
    let run = shop.deploy("v3").passes();
    assert_eq!(live(port), "v3", "{}", run.log);

    // The deploying step fails before it changes anything: the good one serves on, and the new one is not bad.
    let run = shop.deploy("v4").fails().failed("Start the release");
    let run = run.skipped("Gate the release");
    assert_eq!(live(port), "v3", "{}", run.log);
    let folder = there.join("releases/v4");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("version"), "v4").unwrap();
    fs::write(folder.join("ready"), "ok").unwrap();
    let run = shop.deploy("v4").passes();
    assert_eq!(live(port), "v4", "{}", run.log);
    server.kill().unwrap();
    server.wait().unwrap();
    config
}

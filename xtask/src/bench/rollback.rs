//! How soon the last release is back: one nginx here beside a bare shell script, and twenty hosts
//! over SSH beside an ansible playbook. All of them switch the upstream file, test it, reload, and
//! see the release through nginx.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{Figure, failed, median, milliseconds};
use crate::command::{Failure, output, program, run, succeeds};

const HERE: usize = 20;
const HOSTS: usize = 20;
const ROUNDS: usize = 3;
/// nginx, the good colour and the bad one.
const PORTS: [u16; 3] = [18_080, 18_081, 18_082];

pub(super) fn figures(rollback: &Path) -> Result<Vec<Figure>, Failure> {
    let mut figures = here(rollback)?;
    figures.push(fleet(rollback)?);
    Ok(figures)
}

/// Until the release answers through nginx again, and until the command ends: it waits until no
/// old worker can still answer, which the script does not check.
fn here(rollback: &Path) -> Result<Vec<Figure>, Failure> {
    let site = Site::new("")?;
    let folder = site.path("site");
    let mut nginx = nginx_at(&folder)
        .args(["-g", "daemon off;"])
        .spawn()
        .map_err(failed)?;
    let measured = (|| {
        site.record(rollback)?;
        let (mut restored, mut ended, mut script) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that a busy moment of the machine falls on both. The first pair warms up.
        for round in 0..=HERE {
            site.deploy_bad()?;
            let outputs = site.path("outputs");
            let mut we = site.at(program(rollback));
            we.args(["run", "-q"]).env("GITHUB_OUTPUT", &outputs);
            let started = SystemTime::now();
            let we = timed(&mut we)?;
            let answered = restored_at(&outputs)?.duration_since(started);
            site.deploy_bad()?;
            let it = timed(site.at(program("sh")).args(["switch.sh"]))?;
            if round > 0 {
                restored.push(answered.map_err(std::io::Error::other).map_err(failed)?);
                ended.push(we);
                script.push(it);
            }
        }
        Ok((median(restored), median(ended), median(script)))
    })();
    let _ = nginx_at(&folder).args(["-s", "quit"]).status();
    let _ = nginx.wait();
    let (restored, ended, script) = measured?;
    let beside = |what, ours: Duration| Figure {
        what,
        ours: milliseconds(ours),
        peer: format!("shell script {}", milliseconds(script)),
        ratio: Some(ours.as_secs_f64() / script.as_secs_f64()),
    };
    Ok(vec![
        beside("one nginx switched and seen (1.3)", restored),
        beside("one nginx, old workers gone", ended),
    ])
}

/// The moment that the last rollback wrote down.
fn restored_at(outputs: &Path) -> Result<SystemTime, Failure> {
    let text = fs::read_to_string(outputs).map_err(failed)?;
    let mut words = text.split_whitespace().rev().filter_map(|word| {
        word.trim_start_matches("restored-at=")
            .parse::<jiff::Timestamp>()
            .ok()
    });
    let at = words
        .next()
        .ok_or_else(|| Failure::new("no restored-at was written"))?;
    Ok(at.into())
}

fn fleet(rollback: &Path) -> Result<Figure, Failure> {
    let site = Site::new("hosts: all")?;
    let hosts = Hosts::start(&site)?;
    site.record(rollback)?;
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        hosts.deploy_bad(&site)?;
        ours.push(timed(hosts.from(&site, rollback).args(["run", "-q"]))?);
    }
    hosts.deploy_bad(&site)?;
    let mut playbook = hosts.from(&site, "ansible-playbook");
    playbook
        .args(["-f", "20", "-i", "inventory", "playbook.yml"])
        .env("ANSIBLE_CONFIG", site.path("ansible.cfg"))
        .env("ANSIBLE_HOME", site.path("ansible"))
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", site.path("cp"))
        .stdout(Stdio::null());
    let ansible = timed(&mut playbook)?;
    let ours = median(ours);
    Ok(Figure {
        what: "20 hosts, times faster (5.0)",
        ours: format!("{:.2} s", ours.as_secs_f64()),
        peer: format!("ansible-playbook {:.1} s", ansible.as_secs_f64()),
        ratio: Some(ansible.as_secs_f64() / ours.as_secs_f64()),
    })
}

/// A folder with an nginx before two colours, and what each program needs to switch it.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(hosts: &str) -> Result<Site, Failure> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let site = Site { folder };
        let [front, good, bad] = PORTS;
        let here = site.path("site");
        let here = here.display();
        fs::create_dir(site.path("site")).map_err(failed)?;
        fs::create_dir(site.path("home")).map_err(failed)?;
        let mut temporary = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary.push_str(&format!("{name}_temp_path {name}; "));
        }
        site.write(
            "site/nginx.conf",
            &format!(
                "worker_processes 1; pid pid; error_log stderr error;\nevents {{ worker_connections 256; }}\n\
                 http {{ access_log off; {temporary}\ninclude upstream.conf;\n\
                 server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://app; }} }}\n\
                 server {{ listen 127.0.0.1:{good}; location / {{ return 200 v1; }} }}\n\
                 server {{ listen 127.0.0.1:{bad}; location / {{ return 200 v2; }} }} }}\n"
            ),
        )?;
        site.write("site/upstream.conf", &upstream(bad))?;
        let nginx = format!("nginx -e stderr -p {here} -c nginx.conf");
        site.write(
            "switch.sh",
            &format!(
                "set -e\nsed -i s/:{bad}/:{good}/ {here}/upstream.conf\n{nginx} -t 2>/dev/null\n\
                 {nginx} -s reload\ncurl -sf http://127.0.0.1:{front}/ >/dev/null\n"
            ),
        )?;
        let (list, via) = if hosts.is_empty() {
            (String::new(), "")
        } else {
            (site.hosts(), ", hosts: all, via: \"{host}\"")
        };
        site.write(
            "deploy-guard.yml",
            &format!(
                "version: 1\nservice: shop\n{list}rollback:\n  state: state.json\n  nginx:\n    upstream-file: {here}/upstream.conf\n    \
                 blue: 127.0.0.1:{good}\n    green: 127.0.0.1:{bad}\n    release: {{ url: \"http://127.0.0.1:{front}/\" }}\n    \
                 test: {nginx} -t\n    reload: {nginx} -s reload\n    {hosts}\nhealthgate:\n  policy: {{ success-threshold: 1 }}\n  \
                 http: [{{ name: shop, url: \"http://127.0.0.1:{front}/\"{via} }}]\n"
            ),
        )?;
        site.write(
            "playbook.yml",
            &format!(
                "- hosts: all\n  gather_facts: false\n  tasks:\n    \
                 - replace: {{ path: {here}/upstream.conf, regexp: ':{bad}', replace: ':{good}' }}\n    \
                 - command: {nginx} -t\n    - command: {nginx} -s reload\n    \
                 - uri: {{ url: 'http://127.0.0.1:{front}/', return_content: true }}\n      register: seen\n      \
                 until: seen.content == 'v1'\n      retries: 50\n      delay: 0.1\n"
            ),
        )?;
        site.write("ansible.cfg", "")?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        fs::write(self.path(name), text).map_err(failed)
    }

    fn at(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path());
        command
    }

    fn hosts(&self) -> String {
        let here = self.folder.path().display();
        let mut list = "hosts:\n".to_owned();
        for n in 1..=HOSTS {
            list.push_str(&format!(
                "  web-{n}: {{ address: 10.99.0.{n}, user: root, key-file: {here}/client, known-hosts: {here}/known_hosts }}\n"
            ));
        }
        list
    }

    /// v1 was good, v2 runs; kept, to be put back before each round.
    fn record(&self, rollback: &Path) -> Result<(), Failure> {
        for words in [
            &["--release=v1", "--force=not-running", "--reason=bench"] as &[&str],
            &["--release=v2", "--pending"],
        ] {
            let mut record = self.at(program(rollback));
            run(record
                .args(["record", "-q"])
                .args(words)
                .stdout(Stdio::null()))?;
        }
        fs::copy(self.path("state.json"), self.path("kept.json")).map_err(failed)?;
        Ok(())
    }

    fn put_back(&self) -> Result<(), Failure> {
        let _ = fs::remove_dir_all(self.path("state.json.journals"));
        fs::copy(self.path("kept.json"), self.path("state.json")).map_err(failed)?;
        Ok(())
    }

    /// v2 has the traffic, and no old worker answers.
    fn deploy_bad(&self) -> Result<(), Failure> {
        self.put_back()?;
        self.write("site/upstream.conf", &upstream(PORTS[2]))?;
        let url = format!("http://127.0.0.1:{}/", PORTS[0]);
        let patient = ["-sf", "--retry", "50", "--retry-connrefused", &url];
        let ask = || output(program("curl").args(patient));
        ask()?;
        run(nginx_at(&self.path("site")).args(["-s", "reload"]))?;
        settle(|| Ok((0..5).all(|_| ask().is_ok_and(|text| text == "v2"))))
    }
}

/// The hosts of `fleet.sh`, which end with it.
struct Hosts {
    process: Child,
    /// The process in whose network they are.
    inside: String,
}

impl Hosts {
    fn start(site: &Site) -> Result<Hosts, Failure> {
        for key in ["host", "client"] {
            run(program("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(site.path(key)))?;
        }
        let key = fs::read_to_string(site.path("host.pub")).map_err(failed)?;
        let (mut known, mut inventory) = (String::new(), String::new());
        let here = site.folder.path().display();
        for n in 1..=HOSTS {
            known.push_str(&format!("10.99.0.{n} {key}"));
            inventory.push_str(&format!(
                "10.99.0.{n} ansible_user=root ansible_ssh_private_key_file={here}/client \
                 ansible_ssh_common_args='-o UserKnownHostsFile={here}/known_hosts'\n"
            ));
        }
        site.write("known_hosts", &known)?;
        site.write("inventory", &inventory)?;
        site.write("fleet.sh", include_str!("fleet.sh"))?;
        let process = program("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "sh"])
            .arg(site.path("fleet.sh"))
            .arg(site.folder.path())
            .spawn()
            .map_err(failed)?;
        let id = process.id();
        let mut hosts = Hosts {
            process,
            inside: String::new(),
        };
        settle(|| {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            hosts.inside = children.unwrap_or_default().trim().to_owned();
            Ok(!hosts.inside.is_empty())
        })?;
        for n in 1..=HOSTS {
            settle(|| {
                let listens = format!("exec 3<>/dev/tcp/10.99.0.{n}/22");
                Ok(succeeds(
                    hosts
                        .from(site, "bash")
                        .args(["-c", &listens])
                        .stderr(Stdio::null()),
                ))
            })?;
        }
        Ok(hosts)
    }

    /// A program of this machine in their network.
    fn from(&self, site: &Site, what: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = site.at(program("nsenter"));
        command.args(["--net", "-t", &self.inside, "--"]).arg(what);
        command
    }

    fn deploy_bad(&self, site: &Site) -> Result<(), Failure> {
        site.put_back()?;
        let [front, _, bad] = PORTS;
        let script = format!(
            "cd site && printf '%s' '{}' >upstream.conf && nginx -e stderr -p \"$PWD\" -c nginx.conf -s reload && \
             sleep 0.5 && [ \"$(curl -sf http://127.0.0.1:{front}/)\" = v2 ]",
            upstream(bad)
        );
        let here = site.folder.path().display();
        let mut switching = Vec::new();
        for n in 1..=HOSTS {
            let mut ssh = self.from(site, "ssh");
            ssh.args(["-o", &format!("UserKnownHostsFile={here}/known_hosts")])
                .args(["-i", &format!("{here}/client")])
                .args([
                    &format!("root@10.99.0.{n}"),
                    &format!("cd {here} && {script}"),
                ]);
            switching.push(ssh.spawn().map_err(failed)?);
        }
        for mut one in switching {
            if !one.wait().map_err(failed)?.success() {
                return Err(Failure::new("a host does not take its bad release"));
            }
        }
        Ok(())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn upstream(port: u16) -> String {
    format!("upstream app {{ server 127.0.0.1:{port}; }}\n")
}

fn nginx_at(folder: &Path) -> Command {
    let mut command = program("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-p"]).arg(folder);
    command.args(["-c", "nginx.conf"]);
    command
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let started = Instant::now();
    run(command)?;
    Ok(started.elapsed())
}

fn settle(mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(20);
    while !done()? {
        if Instant::now() > end {
            return Err(Failure::new("the site of the benchmark does not settle"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

//! A folder with a configuration and a state, two sides behind nginx, and `traffic` as a user runs it
//! there.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{End, Nginx, Shop};

/// The format of the access log tells which side a request went to.
const LOGGED: &str = "upstream sides { include SIDES; }
log_format sides '$remote_addr - - [$time_local] \"$request\" $status $body_bytes_sent \"-\" \"-\" $upstream_addr';
access_log access.log sides;
server { listen 127.0.0.1:PORT; location / { proxy_pass http://sides; } }";

pub(crate) struct Bed {
    folder: TempDir,
    pub(crate) blue: Shop,
    pub(crate) green: Shop,
    pub(crate) nginx: Nginx,
}

impl Bed {
    /// Blue runs v1 and has everything, green runs v2.
    pub(crate) fn new(more: &str, rest: &str) -> Bed {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let bed = Bed {
            folder: tempfile::tempdir().unwrap(),
            blue,
            green,
            nginx,
        };
        bed.all_to_blue();
        bed.configure(more, rest);
        bed
    }

    /// Every request goes to blue, by a hand that is not ours.
    pub(crate) fn all_to_blue(&self) {
        let (blue, green) = (self.blue.address(), self.green.address());
        self.nginx.read(&format!(
            "upstream shop {{\n    server {blue};\n    server {green} down;\n}}\n"
        ));
    }

    /// The same weights, by a hand that is not ours.
    pub(crate) fn weigh(&self, blue: u32, green: u32) {
        let (one, other) = (self.blue.address(), self.green.address());
        self.nginx.read(&format!(
            "upstream shop {{\n    server {one} weight={blue};\n    server {other} weight={green};\n}}\n"
        ));
    }

    /// The same in the file alone, which nginx does not read yet.
    pub(crate) fn write_weights(&self, blue: u32, green: u32) {
        let (one, other) = (self.blue.address(), self.green.address());
        let text = format!(
            "upstream shop {{\n    server {one} weight={blue};\n    server {other} weight={green};\n}}\n"
        );
        fs::write(self.nginx.upstream_file(), text).unwrap();
    }

    /// Both sides take so long for each answer.
    pub(crate) fn slow_answers(&self, delay: Duration) {
        self.blue.set_delay(delay);
        self.green.set_delay(delay);
    }

    /// Waits until a share was set, and green answers requests of its proof.
    #[track_caller]
    pub(crate) fn proof(&self) {
        self.phase("setting");
        let before = self.green.requests();
        self.wait_for("the proof", |bed| bed.green.requests() > before + 1);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of the router.
    pub(crate) fn router(&self) -> String {
        format!(
            "  nginx:\n    upstream-file: {}\n    test: {}\n    reload: {}\n    blue: {}\n    green: {}\n    release: {{ url: {}, jq: .version }}\n",
            self.nginx.upstream_file().display(),
            self.nginx.test_command(),
            self.nginx.reload_command(),
            self.blue.address(),
            self.green.address(),
            self.nginx.url("/api/v1/version"),
        )
    }

    /// The section `traffic` with these further lines, and what else the file has.
    pub(crate) fn configure(&self, more: &str, rest: &str) {
        self.write(&format!("{more}{}", self.router()), rest);
    }

    /// The section `traffic` with these lines alone.
    pub(crate) fn write(&self, traffic: &str, rest: &str) {
        let config =
            format!("version: 1\nservice: shop\ntraffic:\n  state: state.json\n{traffic}\n{rest}");
        fs::write(self.path("deploy-guard.yml"), config).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin_path("traffic"));
        testkit::clear_environment(&mut command)
            .current_dir(self.folder.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn traffic(&self, args: &[&str]) -> End {
        End::from(self.command(args).output().unwrap())
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The state document.
    pub(crate) fn state(&self) -> Value {
        let text = fs::read_to_string(self.path("state.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The share that the state has for the rollout's release, in percent; `None` without a rollout.
    pub(crate) fn recorded(&self) -> Option<u32> {
        let share = &self.state()["rollout"]["share"];
        share.as_str()?.trim_end_matches('%').parse().ok()
    }

    /// The share that the upstream file gives to green, in percent.
    pub(crate) fn configured(&self) -> u32 {
        let text = fs::read_to_string(self.nginx.upstream_file()).unwrap();
        let weight = |address: String| {
            let line = text.lines().find(|line| line.contains(&address))?;
            if line.contains(" down") {
                return Some(0);
            }
            let weight = line.split("weight=").nth(1);
            let digits = weight.map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_digit());
                rest[..end.unwrap_or(rest.len())].parse::<u32>().unwrap()
            });
            Some(digits.unwrap_or(1))
        };
        let blue = weight(self.blue.address()).unwrap_or_default();
        let green = weight(self.green.address()).unwrap_or_default();
        100 * green / (blue + green)
    }

    /// Takes away the state and all that would tell of one.
    pub(crate) fn forget(&self) {
        for name in ["state.json", "state.json.bak"] {
            let _ = fs::remove_file(self.path(name));
        }
        let _ = fs::remove_dir_all(self.path("state.json.journals"));
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, done: impl Fn(&Bed) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !done(self) {
            assert!(Instant::now() < end, "{what}: {}", self.state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub(crate) fn phase(&self, phase: &str) {
        self.wait_for(phase, |bed| bed.state()["rollout"]["phase"] == phase);
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, process: u32) {
    let mut kill = Command::new("kill");
    let sent =
        testkit::clear_environment(&mut kill).args([&format!("-{name}"), &process.to_string()]);
    assert!(sent.status().unwrap().success());
}

/// nginx that logs the side of each request, with this file of `server` lines.
pub(crate) fn logging(sides: &std::path::Path) -> Nginx {
    Nginx::serving(&LOGGED.replace("SIDES", &sides.display().to_string()))
}

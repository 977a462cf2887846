//! How soon a release that was judged bad has nothing again: `traffic abort` at 10 %, from its start to its end,
//! which comes after the proof; and a whole `traffic switch` beside shell scripts: a bare one that writes,
//! tests, reloads and waits for the first new answer, and a careful one that waits for as many in a row as
//! prove it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Figure, failed, median, milliseconds};
use crate::command::{Failure, program, run};

/// How often each is done by default.
pub(super) const RUNS: usize = 20;
/// So many answers in a row prove that a side has everything.
const PROOF: &str = "44";
/// nginx and HAProxy in front, the blue side and the green one.
const NGINX: u16 = 18_090;
const HAPROXY: u16 = 18_091;
const BLUE: u16 = 18_092;
const GREEN: u16 = 18_093;

pub(super) fn figures(traffic: &Path, runs: usize) -> Result<Vec<Figure>, Failure> {
    let site = Site::new()?;
    let mut figures = Vec::new();
    for (router, what) in [
        ("haproxy", "haproxy, abort to a proved 0% (50 ms)"),
        ("nginx", "nginx, abort to a proved 0% (250 ms)"),
    ] {
        figures.push(abort(&site, traffic, (router, what), runs)?);
    }
    figures.extend(switch(&site, traffic, runs)?);
    Ok(figures)
}

/// The first one only warms up.
fn abort(
    site: &Site,
    traffic: &Path,
    (router, what): (&str, &'static str),
    runs: usize,
) -> Result<Figure, Failure> {
    let mut times = Vec::new();
    for round in 0..=runs {
        run(&mut site.traffic(traffic, router, &["set", "10%", "--release", "v2"]))?;
        let took = timed(&mut site.traffic(traffic, router, &["abort"]))?;
        if round > 0 {
            times.push(took);
        }
    }
    times.sort();
    // The 99th percentile; of less than a hundred, the longest.
    let late = times[(runs * 99).div_ceil(100) - 1];
    Ok(Figure {
        what,
        ours: milliseconds(median(times)),
        peer: format!("99th of {runs}: {}", milliseconds(late)),
        ratio: None,
    })
}

/// Until the new side is seen through nginx, and until the command ends. Each script does what it takes to
/// know as much: the bare one ends with the first new answer, the careful one with as many in a row as our
/// proof takes.
fn switch(site: &Site, traffic: &Path, runs: usize) -> Result<Vec<Figure>, Failure> {
    let [mut seen, mut ended, mut bare, mut careful] = [const { Vec::new() }; 4];
    let back = || run(&mut site.traffic(traffic, "nginx", &["switch", "--to", "v1"]));
    // In turns, so that a busy moment of the machine falls on both.
    for round in 0..=runs {
        let ours = watched(&mut site.traffic(traffic, "nginx", &["switch", "--to", "v2"]))?;
        back()?;
        let mut theirs = [Duration::ZERO; 2];
        for (took, answers) in theirs.iter_mut().zip(["1", PROOF]) {
            let mut script = program("sh");
            script
                .args(["switch.sh", answers])
                .current_dir(site.path("nginx"));
            *took = timed(&mut script)?;
            back()?;
        }
        if round > 0 {
            seen.push(ours.0);
            ended.push(ours.1);
            bare.push(theirs[0]);
            careful.push(theirs[1]);
        }
    }
    let beside = |what, ours: Vec<Duration>, script: Vec<Duration>, kind| {
        let (ours, script) = (median(ours), median(script));
        Figure {
            what,
            ours: milliseconds(ours),
            peer: format!("{kind} script {}", milliseconds(script)),
            ratio: Some(ours.as_secs_f64() / script.as_secs_f64()),
        }
    };
    Ok(vec![
        beside("nginx, switched and seen (1.3)", seen, bare, "bare"),
        beside(
            "nginx, switched and proved (1.3)",
            ended,
            careful,
            "careful",
        ),
    ])
}

/// How long a command takes until v2 answers through nginx, and until it ends.
fn watched(command: &mut Command) -> Result<(Duration, Duration), Failure> {
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let (seen, ended) = thread::scope(|scope| {
        let seen = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if answer(NGINX).is_ok_and(|text| text.ends_with("v2")) {
                    return Some(began.elapsed());
                }
                thread::sleep(Duration::from_millis(1));
            }
            None
        });
        let ran = run(command);
        let ended = began.elapsed();
        over.store(true, Ordering::Relaxed);
        (seen.join(), ran.map(|()| ended))
    });
    let ended = ended?;
    let seen = seen.ok().flatten();
    let seen = seen.ok_or_else(|| Failure::new("v2 was not seen before the switch ended"))?;
    Ok((seen, ended))
}

fn answer(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Both routers before the same two sides; each has a folder with its configuration and a state.
struct Site {
    folder: tempfile::TempDir,
    nginx: Child,
    haproxy: Child,
}

impl Site {
    fn new() -> Result<Site, Failure> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let at = |name: &str| folder.path().join(name);
        for name in ["nginx", "haproxy"] {
            fs::create_dir(at(name)).map_err(failed)?;
        }
        let write = |name: &str, text: &str| fs::write(at(name), text).map_err(failed);
        let here = at("nginx").display().to_string();
        let mut temporary = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary.push_str(&format!("{name}_temp_path {name}; "));
        }
        write(
            "nginx/nginx.conf",
            &format!(
                "worker_processes 1; pid pid; error_log stderr error;\nevents {{ worker_connections 256; }}\n\
                 http {{ access_log off; {temporary}\ninclude upstream.conf;\n\
                 server {{ listen 127.0.0.1:{NGINX}; location / {{ proxy_pass http://app; }} }}\n\
                 server {{ listen 127.0.0.1:{BLUE}; location / {{ return 200 v1; }} }}\n\
                 server {{ listen 127.0.0.1:{GREEN}; location / {{ return 200 v2; }} }} }}\n"
            ),
        )?;
        write(
            "nginx/upstream.conf",
            &format!("upstream app {{\n  server 127.0.0.1:{BLUE};\n}}\n"),
        )?;
        let nginx = format!("nginx -e stderr -p {here} -c nginx.conf");
        write(
            "nginx/switch.sh",
            &format!(
                "set -e\nprintf 'upstream app {{\\n  server 127.0.0.1:{GREEN};\\n}}\\n' >upstream.conf.new\n\
                 mv upstream.conf.new upstream.conf\n{nginx} -t 2>/dev/null\n{nginx} -s reload\n\
                 n=0\nuntil [ $n = $1 ]; do\n  if [ \"$(curl -sf http://127.0.0.1:{NGINX}/)\" = v2 ]; then n=$((n + 1)); else n=0; fi\ndone\n"
            ),
        )?;
        let head = "version: 1\nservice: shop\ntraffic:\n  state: state.json\n";
        write(
            "nginx/deploy-guard.yml",
            &format!(
                "{head}  nginx:\n    upstream-file: {here}/upstream.conf\n    blue: 127.0.0.1:{BLUE}\n    \
                 green: 127.0.0.1:{GREEN}\n    release: {{ url: \"http://127.0.0.1:{NGINX}/\" }}\n    \
                 test: {nginx} -t\n    reload: {nginx} -s reload\n"
            ),
        )?;
        let there = at("haproxy").display().to_string();
        write(
            "haproxy/haproxy.cfg",
            &format!(
                "global\n  stats socket {there}/admin.sock mode 600 level admin\n  server-state-file {there}/state\n\
                 defaults\n  mode http\n  timeout connect 2s\n  timeout client 10s\n  timeout server 10s\n  \
                 load-server-state-from-file global\nfrontend web\n  bind 127.0.0.1:{HAPROXY}\n  default_backend app\n\
                 backend app\n  server blue 127.0.0.1:{BLUE}\n  server green 127.0.0.1:{GREEN} disabled\n"
            ),
        )?;
        write(
            "haproxy/deploy-guard.yml",
            &format!(
                "{head}  haproxy:\n    socket: {there}/admin.sock\n    state-file: {there}/state\n    backend: app\n    \
                 blue: blue\n    green: green\n    release: {{ url: \"http://127.0.0.1:{HAPROXY}/\" }}\n"
            ),
        )?;
        let nginx = program("/usr/sbin/nginx")
            .args(["-e", "stderr", "-p", &here, "-c", "nginx.conf"])
            .args(["-g", "daemon off;"])
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let haproxy = program("/usr/sbin/haproxy")
            .args(["-db", "-f"])
            .arg(at("haproxy/haproxy.cfg"))
            .stderr(Stdio::null())
            .spawn();
        let site = match haproxy {
            Ok(haproxy) => Site {
                folder,
                nginx,
                haproxy,
            },
            Err(error) => {
                end(nginx);
                return Err(failed(error));
            }
        };
        for port in [NGINX, HAPROXY] {
            let until = Instant::now() + Duration::from_secs(20);
            while !answer(port).is_ok_and(|text| text.ends_with("v1")) {
                if Instant::now() > until {
                    return Err(Failure::new("the site of the benchmark does not answer"));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn traffic(&self, traffic: &Path, router: &str, words: &[&str]) -> Command {
        let mut command = program(traffic);
        command
            .args(words)
            .arg("-q")
            .current_dir(self.path(router))
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The master takes its workers with it.
        let pid = self.nginx.id().to_string();
        let _ = program("kill").args(["-TERM", &pid]).status();
        let _ = self.nginx.wait();
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

fn end(mut process: Child) {
    let _ = process.kill();
    let _ = process.wait();
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let started = Instant::now();
    run(command)?;
    Ok(started.elapsed())
}

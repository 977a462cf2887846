//! nginx before two colours.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// nginx with one upstream, `shop`, in a file of its own that a rollback may rewrite.
#[derive(Debug)]
pub struct Nginx {
    // Stopped before its folder goes away: fields are dropped in this order.
    process: Process,
    folder: TempDir,
    address: Ipv4Addr,
    port: u16,
}

impl Nginx {
    /// Starts it with the traffic on `live`, an `address:port`.
    pub fn start(live: &str) -> Nginx {
        Nginx::with(live, SHOP, Ipv4Addr::LOCALHOST, free_port())
    }

    /// The same at another address of 127.0.0.0/8, so that several have one port.
    pub fn start_at(live: &str, address: Ipv4Addr, port: u16) -> Nginx {
        Nginx::with(live, SHOP, address, port)
    }

    /// Starts it on a port that another nginx may have too: the kernel gives each connection to one.
    pub fn sharing(live: &str, port: u16) -> Nginx {
        let servers = SHOP.replace("listen ADDRESS:PORT;", "listen ADDRESS:PORT reuseport;");
        Nginx::with(live, &servers, Ipv4Addr::LOCALHOST, port)
    }

    /// Starts it with `servers` as its `server` blocks, in which `PORT` is a free port; what a
    /// `log_format` of theirs writes into `access.log` is [`Nginx::access_log`].
    pub fn serving(servers: &str) -> Nginx {
        Nginx::with("127.0.0.1:1", servers, Ipv4Addr::LOCALHOST, free_port())
    }

    fn with(live: &str, servers: &str, address: Ipv4Addr, port: u16) -> Nginx {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let upstream = folder.path().join("upstream.conf");
        fs::write(upstream, upstream_block(live)).expect("the upstream file can be written");
        let servers = servers
            .replace("PORT", &port.to_string())
            .replace("ADDRESS", &address.to_string());
        fs::write(
            folder.path().join("nginx.conf"),
            main_config(folder.path(), &servers),
        )
        .expect("the configuration can be written");
        let mut command = Command::new(tool("nginx"));
        command
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .args(["-c", "nginx.conf"]);
        command.args(["-g", "daemon off;"]);
        let process = Process::start(folder.path(), &mut command);
        let limit = Duration::from_millis(200);
        process.wait(Duration::from_secs(20), || {
            TcpStream::connect_timeout(&(address, port).into(), limit).is_ok()
        });
        Nginx {
            process,
            folder,
            address,
            port,
        }
    }

    /// The content of `access.log`.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path that begins with a slash, through nginx.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.address, self.port)
    }

    /// The file with the `upstream` block.
    pub fn upstream_file(&self) -> PathBuf {
        self.folder.path().join("upstream.conf")
    }

    /// The folder with the configuration, for a test that wants to break it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A shell command that checks this nginx's configuration, for `rollback.nginx.test`.
    pub fn test_command(&self) -> String {
        self.shell_command("-t")
    }

    /// A shell command that reloads this nginx, for `rollback.nginx.reload`.
    pub fn reload_command(&self) -> String {
        self.shell_command("-s reload")
    }

    /// Sends the traffic to `live` as a deploy script would.
    pub fn switch_to(&self, live: &str) {
        self.read(&upstream_block(live));
    }

    /// Lets it read another upstream file; done when the workers of before accept no connection any more,
    /// which is 100 ms and more after the reload.
    pub fn read(&self, upstream: &str) {
        fs::write(self.upstream_file(), upstream).expect("the file can be written");
        let before = self.workers();
        let status = Command::new("sh")
            .args(["-c", &self.reload_command()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "nginx did not reload"
        );
        let left = || {
            let accepting = self.workers();
            !before.iter().any(|worker| accepting.contains(worker))
        };
        let settled = crate::wait_until(Duration::from_secs(20), left);
        assert!(
            settled,
            "workers of before the reload still accept connections"
        );
    }

    /// The ids of the workers that accept connections.
    fn workers(&self) -> Vec<String> {
        let master = self.process.pid();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        let children = children.unwrap_or_default();
        let accepts = |id: &&str| {
            let title = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title).into_owned();
            !title.is_empty() && !title.contains("shutting down")
        };
        let workers = children.split_whitespace().filter(accepts);
        workers.map(str::to_owned).collect()
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn shell_command(&self, action: &str) -> String {
        let program = tool("nginx");
        let folder = self.folder.path();
        format!(
            "{} -e stderr -p '{}' -c nginx.conf {action}",
            program.display(),
            folder.display()
        )
    }
}

fn upstream_block(live: &str) -> String {
    format!("upstream shop {{\n    server {live};\n    keepalive 8;\n}}\n")
}

/// Passes everything on to the colour that is live.
const SHOP: &str = "access_log off;
    server {
        listen ADDRESS:PORT;
        location / {
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            # Tests count what each colour answered; a silent retry elsewhere would hide it.
            proxy_next_upstream off;
        }
    }";

fn main_config(folder: &Path, servers: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "worker_processes 1;
pid {pid};
error_log stderr warn;
error_log {log} warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {body};
    proxy_temp_path {proxy};
    fastcgi_temp_path {fastcgi};
    uwsgi_temp_path {uwsgi};
    scgi_temp_path {scgi};
    include {upstream};
    {servers}
}}
",
        pid = path("nginx.pid"),
        log = path("error.log"),
        body = path("body"),
        proxy = path("proxy"),
        fastcgi = path("fastcgi"),
        uwsgi = path("uwsgi"),
        scgi = path("scgi"),
        upstream = path("upstream.conf"),
    )
}

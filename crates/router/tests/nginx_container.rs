//! nginx in a container of a real Docker engine: its file and its commands are those inside.

use serde_json::{Value, json};
use testkit::{Docker, Shop, free_port, tool};

use crate::bed::{Bed, answered, green, read, settles};

struct World {
    blue: Shop,
    green: Shop,
    docker: Docker,
    folder: tempfile::TempDir,
    port: u16,
}

impl World {
    /// nginx of this machine, with the shell and the programs of busybox. `mount`: what of the folder is
    /// mounted.
    fn new(mount: &str) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let docker = Docker::start();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let text = format!(
            "user root;\nworker_processes 1;\npid /nginx.pid;\nerror_log /error.log;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path /body; proxy_temp_path /proxy; fastcgi_temp_path /fcgi;\n\
             uwsgi_temp_path /uwsgi; scgi_temp_path /scgi; include /conf/upstream.conf;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shop; }} }} }}\n"
        );
        docker.image(
            "web",
            &[
                ("nginx.conf", &text),
                ("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
                ("etc/group", "root:x:0:\n"),
            ],
        );
        std::fs::write(
            folder.path().join("upstream.conf"),
            format!("upstream shop {{ server {}; }}\n", blue.address()),
        )
        .unwrap();
        let mount = mount.replace('@', &folder.path().display().to_string());
        let program = tool("nginx").display().to_string();
        docker.must(&[
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            "host",
            "-v",
            "/usr:/usr:ro",
            "-v",
            "/lib:/lib:ro",
            "-v",
            "/lib64:/lib64:ro",
            "-v",
            &mount,
            "-e",
            "PATH=/bin",
            "web",
            &program,
            "-e",
            "/error.log",
            "-c",
            "/nginx.conf",
            "-g",
            "daemon off;",
        ]);
        let world = World {
            blue,
            green,
            docker,
            folder,
            port,
        };
        let up = testkit::wait_until(std::time::Duration::from_secs(20), || {
            testkit::get(&world.url()).is_ok()
        });
        assert!(up, "{:?}", world.docker.run(&["logs", "web"]));
        world
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn section(&self) -> Value {
        let nginx = format!("{} -e /error.log -c /nginx.conf", tool("nginx").display());
        json!({"nginx": {
            "upstream-file": "/conf/upstream.conf",
            "exec": format!("DOCKER_HOST={} {} exec web", self.docker.address(), tool("docker").display()),
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": format!("{}api/v1/version", self.url()), "jq": ".version"},
            "test": format!("{nginx} -t"),
            "reload": format!("{nginx} -s reload"),
        }})
    }
}

#[test]
fn the_file_and_the_commands_are_those_inside() {
    let world = World::new("@:/conf");
    let bed = Bed::new(&world.section());
    let used = bed.router();
    assert_eq!(used.configured(), green("0%"));
    let change = used
        .run(used.router.check(&used.place, green("50%")))
        .unwrap();
    assert!(
        !change.does.contains("nginx does not read"),
        "{}",
        change.does
    );
    used.set("50%");
    assert_eq!(used.configured(), green("50%"));
    settles(&world.url(), |seen| (9..=11).contains(&seen));
    assert_eq!(used.explained(), None);
    let file = world.folder.path().join("upstream.conf");
    let before = read(&file);
    world.docker.must(&[
        "exec",
        "web",
        "/bin/busybox",
        "sh",
        "-c",
        "echo 'nonsense;' >>/nginx.conf",
    ]);
    let why = used.set_fails("10%");
    assert!(why.contains("unknown directive \"nonsense\""), "{why}");
    assert_eq!(read(&file), before);
}

#[test]
fn a_file_that_is_mounted_alone_is_refused_with_what_to_mount() {
    let world = World::new("@/upstream.conf:/conf/upstream.conf");
    let before = read(&world.folder.path().join("upstream.conf"));
    let bed = Bed::new(&world.section());
    let used = bed.router();
    for why in [used.check_fails("10%"), used.set_fails("10%")] {
        assert!(
            why.contains("/conf/upstream.conf is mounted as a single file, which cannot be replaced: mount its folder"),
            "{why}"
        );
    }
    assert_eq!(read(&world.folder.path().join("upstream.conf")), before);
    assert_eq!(answered(&world.url(), 20), 0);
}

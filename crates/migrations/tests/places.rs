//! Where the files are: a host behind SSH, or inside a container with busybox alone.

use migrations::Error;
use model::Env;
use place::{Place, PlaceAccess};
use serde_json::json;
use testkit::{Docker, Sshd, tool};

use crate::bed::Bed;

fn bed() -> Bed {
    let bed = Bed::new(json!({ "alembic": {} }));
    bed.write("alembic.ini", "[alembic]\nscript_location = alembic\n");
    bed.write("alembic/env.py", "");
    // A name that a shell or a careless reader would take for several.
    bed.write(
        "alembic/versions/a b\n'$(c)_ü.py",
        "revision = 'a1'\ndown_revision = None\n",
    );
    bed.write(
        "alembic/versions/b2.py",
        "revision = 'b2'\ndown_revision = 'a1'",
    );
    bed
}

#[test]
fn files_on_a_host_are_the_same_files() {
    let bed = bed();
    let sshd = Sshd::start();
    bed.write("known_hosts", &sshd.known_hosts());
    let hosts = json!({ "web-01": {
        "address": "127.0.0.1",
        "port": sshd.port(),
        "user": sshd.user(),
        "key-file": sshd.key(),
        "known-hosts": bed.folder().join("known_hosts"),
    }});
    let places = PlaceAccess::new(&serde_json::from_value(hosts).unwrap(), &Env::default());
    let place = Place::Host("web-01".to_owned());
    let there = bed.read_at(&places, &place, bed.folder()).unwrap();
    assert_eq!(there, bed.read());
    assert_eq!(there.pending, ["a1", "b2"]);
}

#[test]
fn files_inside_a_container_are_the_same_files() {
    let bed = bed();
    let docker = Docker::start();
    docker.image("app:v1", &[]);
    let folder = format!("{}:/srv/app", bed.folder().display());
    let wait = "/bin/busybox --install /bin; sleep 1000";
    docker.must(&[
        "run",
        "-d",
        "--name",
        "api",
        "--network",
        "host",
        "-v",
        &folder,
        "-e",
        "PATH=/bin",
        "app:v1",
        "/bin/sh",
        "-c",
        wait,
    ]);
    let exec = format!(
        "DOCKER_HOST={} {} exec api",
        docker.address(),
        tool("docker").display()
    );
    let exec = exec.into();
    let places =
        PlaceAccess::new(&config::file::Hosts::default(), &Env::default()).inside(Some(&exec));
    let up = testkit::wait_until(std::time::Duration::from_secs(20), || {
        docker
            .run(&["exec", "api", "find", "/srv"])
            .status
            .success()
    });
    assert!(up, "{:?}", docker.run(&["logs", "api"]));
    let there = bed.read_at(&places, &Place::Here, std::path::Path::new("/srv/app"));
    assert_eq!(there.unwrap(), bed.read());
}

#[test]
fn what_is_too_much_or_unreadable_is_an_error_and_never_half_a_list() {
    let bed = bed();
    let file = std::fs::File::create(bed.folder().join("alembic/versions/big.py")).unwrap();
    file.set_len(40 << 20).unwrap();
    let error = bed.try_read_as("app").unwrap_err();
    assert!(matches!(error, Error::Files(_)), "{error}");
    assert!(
        error.to_string().contains("more than 33554432 bytes"),
        "{error}"
    );
    bed.remove("alembic/versions/big.py");
    // A folder that leads into itself.
    std::os::unix::fs::symlink(bed.folder(), bed.folder().join("alembic/loop")).unwrap();
    assert_eq!(bed.read().pending, ["a1", "b2"]);
    std::os::unix::fs::symlink("/nowhere", bed.folder().join("alembic/versions/gone.py")).unwrap();
    assert_eq!(bed.read().pending, ["a1", "b2"]);
}

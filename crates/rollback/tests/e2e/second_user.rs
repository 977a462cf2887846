//! Who may not look at a holder: another user where `/proc` hides processes, and a container that
//! shares the state. What may not be seen is alive.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::e2e::world::{World, kill, wait_for};

/// How often each of them tries: `RACES=200` for more.
fn often() -> u32 {
    let wanted = std::env::var("RACES").ok();
    wanted.map_or(50, |races| races.parse().unwrap())
}

/// A user that is not root, and owns nothing.
const USER: u32 = 4242;

/// Another user, who sees only their own processes in `/proc`.
const HIDDEN: &str = "mount -t proc -o hidepid=2 proc /proc && \
exec setpriv --reuid 4242 --regid 4242 --clear-groups -- sh -c \"$TRY\"";

/// A world in whose folder every user may write, as a runner and a person share one.
fn shared() -> World {
    let world = World::with_v2_deployed();
    // The holder's step waits until all have tried.
    let config = world.read("deploy-guard.yml");
    assert!(config.contains("timeout: 10s"), "{config}");
    world.write(
        "deploy-guard.yml",
        &config.replace("timeout: 10s", "timeout: 10m"),
    );
    let folder = world.path(".");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    world
}

/// `rollback run` of root, which holds the lock until `go` is there.
fn holding(world: &World) -> Child {
    world.write(
        "before-run",
        "rm before-run; touch begun; while [ ! -f go ]; do sleep 0.05; done",
    );
    let holder = world.spawn(&["run"]);
    wait_for("the step", || world.path("begun").exists());
    holder
}

/// Tries to record in separate namespaces; returns how often each exit code came.
fn tries(world: &World, unshare: &[&str], script: &str, tries: u32) -> String {
    each(
        world,
        unshare,
        script,
        "record --release v2 --force not-running --reason test",
        tries,
    )
}

/// A copy that every user may run: the one that was built may be in root's home.
fn program(world: &World) -> PathBuf {
    let program = world.path("rollback-of-all");
    if !program.exists() {
        fs::copy(testkit::bin_path("rollback"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
}

fn each(world: &World, unshare: &[&str], script: &str, verb: &str, tries: u32) -> String {
    program(world);
    let attempt =
        format!("for n in $(seq {tries}); do ./rollback-of-all {verb} >>out 2>&1; echo $?; done");
    let mut command = Command::new("unshare");
    let output = testkit::clear_environment(&mut command)
        .current_dir(world.path("."))
        .args(unshare)
        .args(["--", "sh", "-c", script])
        .env("TRY", attempt)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut codes: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let all = codes.len();
    codes.dedup();
    format!("{all} × {}", codes.join(" "))
}

#[test]
fn a_live_lock_is_never_taken_by_who_may_not_look_at_its_holder() {
    let world = shared();
    let mut holder = holding(&world);
    let before = world.read("state.json");
    let container = "exec sh -c \"$TRY\"";
    let often = often();
    for (unshare, script) in [
        (&["--mount"][..], HIDDEN),
        (&["--pid", "--fork", "--mount-proc"], container),
        // The numbers that this one sees are those of the processes around it.
        (&["--pid", "--fork"], container),
        (
            &[
                "--pid",
                "--fork",
                "--mount-proc",
                "--time",
                "--boottime",
                "100000",
            ],
            container,
        ),
    ] {
        let codes = tries(&world, unshare, script, often);
        assert_eq!(
            codes,
            format!("{often} × 5"),
            "{unshare:?}: {}",
            world.read("out")
        );
        assert_eq!(world.read("state.json"), before, "{unshare:?}");
    }
    let (pid, live) = (holder.id(), world.live());
    assert_eq!(live, "v2");
    kill("KILL", pid);
    holder.wait().unwrap();
    world.write("go", "");
    // A container in its own namespace cannot know it; the kernel reports it to another user.
    let codes = tries(&world, &["--pid", "--fork", "--mount-proc"], container, 1);
    assert_eq!(codes, "1 × 5", "{}", world.read("out"));
    let codes = each(&world, &["--mount"], HIDDEN, "unlock", 1);
    assert_eq!(codes, "1 × 0", "{}", world.read("out"));
}

/// A folder and all that is in it.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else {
            all.push(path);
        }
    }
    all
}

#[test]
fn rb_state_owner_what_a_person_does_as_root_leaves_files_that_the_runners_user_writes_next() {
    let world = World::new(&["localhost"], true);
    let folder = world.path(".");
    let give = |world: &World| {
        let all = [folder.clone()].into_iter().chain(
            fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
        for path in all {
            std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
        }
        assert_eq!(fs::metadata(world.path(".")).unwrap().uid(), USER);
    };
    world.set_live("v1");
    give(&world);
    let runner = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        let output = testkit::clear_environment(&mut command)
            .current_dir(world.path("."))
            .args(["--reuid", "4242", "--regid", "4242", "--clear-groups", "--"])
            .arg(program(&world))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        )
    };
    // Even the first state is made by root.
    world.rollback(&["record", "--release", "v1"]).exits(0);
    world.set_live("v2");
    let (code, told) = runner(&["record", "--pending", "--release", "v2"]);
    assert_eq!(code, Some(0), "{told}");
    let outputs = [
        "--report",
        "r.json",
        "--html",
        "r.html",
        "--summary",
        "r.md",
    ];
    world
        .rollback(&[&["run"][..], &outputs[..]].concat())
        .exits(0);
    let evidence = tree(&world.path(".deploy-guard"));
    assert!(evidence.len() > 3, "{evidence:?}");
    let outputs = ["r.json", "r.html", "r.md"].map(|name| world.path(name));
    for path in evidence.iter().chain(&outputs) {
        let meta = fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (USER, USER), "{path:?}");
    }
    for entry in [
        "state.json",
        "state.json.bak",
        "state.json.lock",
        "state.json.journals",
        "state.json.journals/00000001.jsonl",
    ] {
        let meta = fs::metadata(world.path(entry)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (USER, USER), "{entry}");
    }
    world.set_live("v3");
    fs::set_permissions(world.path("live"), fs::Permissions::from_mode(0o666)).unwrap();
    for verb in ["plan", "run"] {
        let (code, told) = runner(&[verb, "--release", "v3"]);
        assert_eq!(code, Some(0), "{verb}: {told}");
    }
    // What an earlier release left as root's is seen before the act.
    let journals = world.path("state.json.journals");
    std::os::unix::fs::chown(&journals, Some(0), Some(0)).unwrap();
    world.set_live("v4");
    for verb in ["plan", "run"] {
        let (code, told) = runner(&[verb, "--release", "v4"]);
        assert_eq!(code, Some(4), "{verb}: {told}");
        assert!(told.contains("state.json.journals"), "{verb}: {told}");
    }
    assert_eq!(world.live(), "v4", "nothing was changed");
}

//! The release workflow's scripts, on a repository with its own remote.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A clone of a project with one commit, and the bare repository that it pushes to.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new(version: &str) -> Project {
        let project = Project {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(project.at("clone/action")).unwrap();
        let cargo = format!(
            "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"{version}\"\n\n[workspace.dependencies]\nserde = {{ version = \"9.9.9\" }}\n"
        );
        fs::write(project.at("clone/Cargo.toml"), cargo).unwrap();
        let changes = "# Changelog\n\n## Unreleased\n\nLater.\n\n## [1.2.0] - 2026-11-21\n\n### Added\n- A thing.\n\n## 1.1.0\n\nOld.\n";
        fs::write(project.at("clone/CHANGELOG.md"), changes).unwrap();
        fs::write(project.at("clone/action/run.sh"), "").unwrap();
        project.git(&["init", "-q", "--bare", "-b", "main", "../remote"]);
        project.git(&["init", "-q", "-b", "main"]);
        project.git(&["remote", "add", "origin", "../remote"]);
        project.git(&["add", "-A"]);
        project.commit("first");
        project.git(&["push", "-q", "origin", "main"]);
        project
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        testkit::clear_environment(&mut command).current_dir(self.at("clone"));
        // No setting of the user who runs the tests, such as signed commits.
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, message: &str) {
        let author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        self.git(
            &[
                &author[..],
                &["commit", "-q", "--allow-empty", "-m", message],
            ]
            .concat(),
        );
    }

    fn script(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let script = testkit::workspace().join("xtask/release").join(name);
        let output = self.command(script).args(arguments).output().unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let text = [stdout, stderr].concat();
        (status.success(), String::from_utf8(text).unwrap())
    }

    /// The commit that a tag of the remote is.
    fn tagged(&self, tag: &str) -> String {
        let reference = format!("refs/tags/{tag}");
        let line = self.git(&["ls-remote", "origin", &reference]);
        line.split('\t').next().unwrap().to_owned()
    }

    /// Releases a version from main, as a job does: on its own checkout.
    fn release(&self, version: &str) {
        let sums = self.at("checksums.txt");
        fs::write(
            &sums,
            format!("{}  deploy-guard-{version}-x.tar.gz\n", "a".repeat(64)),
        )
        .unwrap();
        self.git(&["checkout", "-q", "--detach", "origin/main"]);
        let (passed, text) = self.script("tag.sh", &[version, &sums.display().to_string()]);
        assert!(passed, "{text}");
        self.git(&["checkout", "-q", "--detach", "origin/main"]);
    }
}

#[test]
fn only_the_version_of_this_commit_is_released_and_only_once() {
    let project = Project::new("1.2.0");
    let check = |version: &str| project.script("check.sh", &[version]);
    assert_eq!(check("1.2.0"), (true, String::new()));
    for (version, complaint) in [
        ("1.3.0", "Cargo.toml has version 1.2.0"),
        ("v1.2.0", "is not a version"),
        ("1.2", "is not a version"),
        ("1.2.0; id", "is not a version"),
        ("--help", "is not a version"),
    ] {
        let (passed, text) = check(version);
        assert!(
            !passed && text.contains(complaint) && text.contains("hint: "),
            "{text}"
        );
    }
    project.release("1.2.0");
    let (passed, text) = check("1.2.0");
    assert!(!passed && text.contains("v1.2.0 is released"), "{text}");
    let other = Project::new("9.9.9");
    let (passed, text) = other.script("check.sh", &["9.9.9"]);
    assert!(
        !passed && text.contains("CHANGELOG.md has no heading for 9.9.9"),
        "{text}"
    );
}

#[test]
fn the_notes_are_what_the_changelog_says_of_the_version() {
    let project = Project::new("1.2.0");
    let (passed, notes) = project.script("notes.sh", &["1.2.0"]);
    assert!(passed && notes.trim() == "### Added\n- A thing.", "{notes}");
    assert_eq!(project.script("notes.sh", &["1.1.0"]).1.trim(), "Old.");
    assert_eq!(
        project.script("notes.sh", &["3.0.0"]),
        (true, String::new())
    );
}

#[test]
fn the_tag_holds_the_checksums_and_never_moves() {
    let project = Project::new("1.2.0");
    let main = project.git(&["rev-parse", "origin/main"]);
    project.release("1.2.0");
    let tag = project.tagged("v1.2.0");
    let shown = project.git(&["show", "--stat", "--format=%s", &tag]);
    assert!(
        shown.starts_with("release: v1.2.0\n") && shown.contains("1 file changed"),
        "{shown}"
    );
    assert_eq!(project.git(&["rev-parse", &format!("{tag}^")]), main);
    assert!(
        project
            .git(&["show", &format!("{tag}:action/checksums.txt")])
            .ends_with("1.2.0-x.tar.gz")
    );
    // main is as it was: it builds from its source.
    assert_eq!(
        project.git(&["ls-remote", "origin", "refs/heads/main"]),
        format!("{main}\trefs/heads/main")
    );

    // A job that is run again on a fresh checkout finds its own tag.
    project.git(&["tag", "-d", "v1.2.0"]);
    project.release("1.2.0");
    assert_eq!(project.tagged("v1.2.0"), tag);
    // Other files, or another commit, do not move it.
    let sums = project.at("checksums.txt");
    fs::write(&sums, "changed\n").unwrap();
    let path = sums.display().to_string();
    let (passed, text) = project.script("tag.sh", &["1.2.0", &path]);
    assert!(
        !passed && text.contains("v1.2.0 is there, with other files"),
        "{text}"
    );
    project.commit("another");
    let (passed, text) = project.script("tag.sh", &["1.2.0", &path]);
    assert!(!passed && text.contains("with other files"), "{text}");
    assert_eq!(project.tagged("v1.2.0"), tag);
}

#[test]
fn the_major_tag_moves_forward_alone() {
    let project = Project::new("1.2.0");
    let major = |version: &str| project.script("move-major.sh", &[version]);
    for version in ["1.2.0", "1.9.0", "1.10.0", "2.0.0", "1.11.0-rc.1"] {
        project.release(version);
    }
    assert_eq!(
        major("1.2.0"),
        (true, "v1 stays: v1.10.0 is newer than v1.2.0\n".to_owned())
    );
    assert_eq!(project.tagged("v1"), "");
    assert_eq!(major("1.10.0"), (true, "v1 is v1.10.0 now\n".to_owned()));
    assert_eq!(project.tagged("v1"), project.tagged("v1.10.0"));
    project.release("1.10.1");
    assert_eq!(
        major("1.11.0-rc.1").1,
        "v1 stays: v1.11.0-rc.1 is a preview\n"
    );
    assert_eq!(major("1.10.1").1, "v1 is v1.10.1 now\n");
    assert_eq!(project.tagged("v1"), project.tagged("v1.10.1"));
    assert_eq!(project.tagged("v2"), "");
}

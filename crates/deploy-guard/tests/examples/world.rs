//! What every example's test needs: a repository made from the example, and what is live.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Docker, Registry};

use crate::job::act::{Repository, Run, copy};

/// A repository that was made from an example as its page says: everything copied, the
/// placeholders filled in.
pub(crate) struct Example {
    pub(crate) repository: Repository,
    /// What the runner gets: `--secret NAME=…`, `--env NAME=…`.
    words: Vec<String>,
}

impl Example {
    pub(crate) fn copy(name: &str) -> Example {
        let repository = Repository::new();
        let example = testkit::workspace().join("examples").join(name);
        copy(&example, &repository.path(""));
        Example::of(repository)
    }

    /// One from a repository that was made in another way.
    pub(crate) fn of(repository: Repository) -> Example {
        Example {
            repository,
            words: Vec::new(),
        }
    }

    /// Fills in a placeholder everywhere; it must occur.
    #[track_caller]
    pub(crate) fn fill(self, placeholder: &str, value: &str) -> Example {
        let mut found = 0;
        fill(&self.repository.path(""), placeholder, value, &mut found);
        assert!(found > 0, "the example has no `{placeholder}` any more");
        self
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Example {
        self.word("--env", name, value)
    }

    pub(crate) fn secret(self, name: &str, value: &str) -> Example {
        self.word("--secret", name, value)
    }

    pub(crate) fn variable(self, name: &str, value: &str) -> Example {
        self.word("--var", name, value)
    }

    /// Replaces a third-party action, by the name that a workflow uses, on machines without the
    /// internet.
    pub(crate) fn action(self, uses: &str, text: &str) -> Example {
        let folder = self.repository.home().join("actions");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("action.yml"), text).unwrap();
        self.word("--local-repository", uses, &folder.display().to_string())
    }

    fn word(mut self, option: &str, name: &str, value: &str) -> Example {
        self.words.push(option.to_owned());
        self.words.push(format!("{name}={value}"));
        self
    }

    /// Starts the workflow `deploy` with this release.
    pub(crate) fn deploy(&self, release: &str) -> Run {
        self.dispatch("deploy.yml", &[("release", release)])
    }

    /// Starts a workflow.
    pub(crate) fn dispatch(&self, workflow: &str, inputs: &[(&str, &str)]) -> Run {
        self.command(workflow, inputs).output().unwrap().into()
    }

    /// The same, still to be started.
    pub(crate) fn command(&self, workflow: &str, inputs: &[(&str, &str)]) -> Command {
        let file = format!(".github/workflows/{workflow}");
        let mut words = vec!["workflow_dispatch".to_owned(), "-W".to_owned(), file];
        for (name, value) in inputs {
            words.extend(["--input".to_owned(), format!("{name}={value}")]);
        }
        words.extend_from_slice(&self.words);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        self.repository.command(&words)
    }
}

fn fill(folder: &Path, placeholder: &str, value: &str, found: &mut usize) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != ".git" {
            fill(&path, placeholder, value, found);
        } else if path.is_file() && entry.file_name() != "README.md" {
            let text = fs::read_to_string(&path).unwrap();
            *found += text.matches(placeholder).count();
            // Not by a new file: it would lose its mode.
            fs::write(&path, text.replace(placeholder, value)).unwrap();
        }
    }
}

/// Waits until `url` answers this.
#[track_caller]
pub(crate) fn answers(url: &str, expected: &str) {
    let mut body = String::new();
    let same = testkit::wait_until(Duration::from_secs(20), || {
        let answer = testkit::get(url);
        body = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
        body.trim() == expected
    });
    assert!(same, "{url}: {body} instead of {expected}");
}

/// The state holds this release as good and current, and each of these with its status.
#[track_caller]
pub(crate) fn state(text: &[u8], good: &str, releases: &[(&str, &str)]) {
    let state: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(state["last_known_good"], good, "{state}");
    assert_eq!(state["current"], good, "{state}");
    assert!(state["lock"].is_null(), "{state}");
    let history = state["history"].as_array().unwrap();
    for (release, status) in releases {
        let entry = history.iter().rfind(|entry| entry["release"] == *release);
        assert_eq!(entry.unwrap()["status"], *status, "{release}: {state}");
    }
}

/// An engine, and a registry with images of the shop that the engine does not have yet.
pub(crate) struct Containers {
    pub(crate) docker: Docker,
    pub(crate) images: Registry,
    /// Where the project and its state lie, in place of `/srv` and `/var/lib`.
    pub(crate) folder: TempDir,
}

impl Containers {
    /// Each release with what it says of its health; one that is `broken` does not even start. It
    /// listens on `$PORT`.
    pub(crate) fn new(releases: &[(&str, &str)]) -> Containers {
        let docker = Docker::start();
        let images = Registry::start();
        for (release, health) in releases {
            let name = format!("{}/acme/shop:{release}", images.address());
            let files = [
                (
                    "run.sh",
                    "exec busybox httpd -f -p \"127.0.0.1:$PORT\" -h /www",
                ),
                ("www/health/ready", &format!("{{\"status\": \"{health}\"}}")),
                ("www/api/v1/version", &version(release)),
            ];
            docker.image("made", &files);
            docker.must(&["create", "--name", "made", "made", "none"]);
            let program = match *health {
                "broken" => r#"CMD ["/there/is/no/such/program"]"#,
                _ => r#"CMD ["/bin/sh", "/run.sh"]"#,
            };
            docker.must(&["commit", "--change", program, "made", &name]);
            docker.must(&["push", "-q", &name]);
            docker.must(&["rm", "made"]);
            docker.must(&["rmi", &name, "made"]);
        }
        let folder = tempfile::tempdir().unwrap();
        Containers {
            docker,
            images,
            folder,
        }
    }

    /// The image's name without its tag.
    pub(crate) fn image(&self) -> String {
        format!("{}/acme/shop", self.images.address())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn state(&self) -> Vec<u8> {
        fs::read(self.path("production-state.json")).unwrap()
    }
}

/// What a shop of this release answers at `/api/v1/version`.
pub(crate) fn version(release: &str) -> String {
    format!("{{\"version\": \"{release}\"}}")
}

//! Two new files, or none.

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use model::{Env, ExitCode};

use super::problem::Problem;
use super::text::line;

/// The whole text of each file.
pub(super) struct Files {
    pub(super) configuration: String,
    pub(super) workflow: String,
}

/// Where they go.
pub(super) struct Places {
    root: PathBuf,
    configuration: PathBuf,
    workflow: PathBuf,
}

impl Files {
    /// Whether the configuration is one that every stage reads; that it is not would be a mistake
    /// of ours.
    pub(super) fn hold(&self, root: &Path, env: &Env) -> Result<(), Problem> {
        let broken = |why: String| {
            Problem {
            code: ExitCode::Error,
            what: format!("the configuration would not be one: {why}"),
            hint: "write it by hand: `deploy-guard schema` prints its keys; and tell us what the repository has".to_owned(),
        }
        };
        let folder = tempfile::tempdir().map_err(|error| broken(error.to_string()))?;
        let path = folder.path().join("deploy-guard.yml");
        state::atomic::replace(&path, self.configuration.as_bytes())
            .map_err(|error| broken(error.to_string()))?;
        config::load(config::Request {
            fetch: None,
            path: Some(&path),
            folder: root,
            environment: None,
            variables: config::Variables { env, release: None },
        })
        .map_err(|refusal| broken(refusal.error.to_string()))?;
        yaml::read(&self.workflow).map_err(|fault| broken(fault.message))?;
        Ok(())
    }

    pub(super) fn shown(&self, places: &Places) -> String {
        format!(
            "\n# {}\n{}\n# {}\n{}",
            places.configuration.display(),
            self.configuration,
            places.workflow.display(),
            self.workflow
        )
    }
}

impl Places {
    pub(super) fn new(root: &Path, configuration: &Path, workflow: &Path) -> Result<Self, Problem> {
        for path in [configuration, workflow] {
            let plain = path
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            if !plain || path.as_os_str().is_empty() || !path.to_string_lossy().chars().all(good) {
                return Err(Problem::usage(
                    format!(
                        "`{}` cannot be written: it is no plain path below the repository's root",
                        line(&path.display().to_string())
                    ),
                    "name a file such as `.github/deploy-guard.yml`",
                ));
            }
        }
        if configuration == workflow {
            return Err(Problem::usage(
                "both files have one name",
                "give `--config` or `--workflow` another",
            ));
        }
        Ok(Places {
            root: root.to_owned(),
            configuration: configuration.to_owned(),
            workflow: workflow.to_owned(),
        })
    }

    /// Refuses where a file is there already, also another configuration that would be read first,
    /// and where a link leads out of the repository.
    pub(super) fn are_free(&self) -> Result<(), Problem> {
        let usual = config::PLACES.iter().map(PathBuf::from);
        let others = usual.filter(|_| {
            config::PLACES
                .iter()
                .any(|place| self.configuration == Path::new(place))
        });
        for path in others.chain([self.configuration.clone(), self.workflow.clone()]) {
            let mut part = self.root.clone();
            let count = path.components().count();
            for (at, name) in path.components().enumerate() {
                part.push(name);
                let Ok(meta) = part.symlink_metadata() else {
                    break;
                };
                if at + 1 == count {
                    return Err(taken(&path));
                }
                if !meta.is_dir() {
                    let what = format!(
                        "not written: {} is no folder of this repository",
                        part.display()
                    );
                    return Err(Problem {
                        code: ExitCode::Refused,
                        what,
                        hint: "name other files with `--config` and `--workflow`".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes both or none; a file that another process wrote meanwhile stays.
    pub(super) fn write(&self, files: &Files) -> Result<(), Problem> {
        self.are_free()?;
        self.create(&self.configuration, &files.configuration)?;
        self.create(&self.workflow, &files.workflow)
            .inspect_err(|_| {
                let _ = std::fs::remove_file(self.root.join(&self.configuration));
            })
    }

    fn create(&self, path: &Path, text: &str) -> Result<(), Problem> {
        let failed = |error: std::io::Error| Problem {
            code: ExitCode::Error,
            what: format!("{} was not written: {error}", path.display()),
            hint: "see who owns the folder: `ls -ld .github`".to_owned(),
        };
        let whole = self.root.join(path);
        let folder = whole.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = tempfile::Builder::new()
            .prefix(".deploy-guard-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        match file.persist_noclobber(&whole) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(taken(path))
            }
            Err(error) => Err(failed(error.error)),
        }
    }
}

fn taken(path: &Path) -> Problem {
    let path = path.display();
    Problem {
        code: ExitCode::Refused,
        what: format!("not written: {path} is there already, and nothing is written over"),
        hint: format!(
            "`deploy-guard init --dry-run` shows what would be written; or name other files with `--config` and `--workflow`, or move {path} away"
        ),
    }
}

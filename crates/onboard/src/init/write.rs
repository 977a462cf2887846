//! New files, all or none, and a workflow that is replaced whole.

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use model::{Env, ExitCode};

use super::problem::InitError;
use yaml_edit::text::line;

/// A file that is not there yet.
#[derive(Debug)]
pub(super) struct NewFile {
    /// From the repository's root.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A file that is there, and what becomes of it.
#[derive(Debug)]
pub(super) struct Replaced<'t> {
    pub(super) path: &'t str,
    pub(super) old: &'t str,
    pub(super) new: &'t str,
}

/// Where the new ones go.
pub(super) struct Places {
    root: PathBuf,
    paths: Vec<PathBuf>,
}

/// Whether the configuration is one that every stage reads; that it is not would be a mistake
/// of ours.
pub(super) fn holds(
    configuration: &str,
    root: &Path,
    environments: &[&str],
    env: &Env,
) -> Result<(), InitError> {
    let broken = |why: String| {
        InitError {
        code: ExitCode::Error,
        what: format!("the configuration would not be one: {why}"),
        hint: "write it by hand: `deploy-guard schema` prints its keys; and open an issue with what the repository has".to_owned(),
    }
    };
    let folder = tempfile::tempdir().map_err(|error| broken(error.to_string()))?;
    let path = folder.path().join("deploy-guard.yml");
    state::atomic::replace(&path, configuration.as_bytes())
        .map_err(|error| broken(error.to_string()))?;
    let load = |environment: Option<&str>, env: &Env| {
        config::load(config::Request {
            fetch: None,
            path: Some(&path),
            folder: root,
            environment,
            variables: config::Variables { env, release: None },
        })
        .map_err(|refusal| broken(refusal.error.to_string()))
    };
    let names: Vec<Option<&str>> = if environments.is_empty() {
        vec![None]
    } else {
        environments.iter().copied().map(Some).collect()
    };
    for environment in names {
        let loaded = load(environment, env)?;
        // What a workflow will hand over is not here.
        let mut full = env.clone();
        for name in &loaded.variables {
            if full.non_empty(name).is_none() {
                full.set(name, stand_in(configuration, name));
            }
        }
        load(environment, &full)?;
    }
    Ok(())
}

/// A value that fits where a variable begins a value: an address, the absolute path of a folder or of a file, else a
/// number, which fits wherever a variable may stand.
fn stand_in(configuration: &str, name: &str) -> &'static str {
    let begins = format!("\"${{{name}}}");
    let is_of = |key: &str| {
        let mut lines = configuration.lines();
        lines.any(|line| (line.split_once(key)).is_some_and(|(_, value)| value.contains(&begins)))
    };
    if is_of("url: ") {
        "https://example.com"
    } else if is_of("folder: ") || is_of("files: ") {
        "/srv/app"
    } else {
        "2222"
    }
}

/// Replaces a workflow whose text is still what was read.
pub(super) fn replace(root: &Path, replaced: &Replaced<'_>) -> Result<(), InitError> {
    let path = root.join(replaced.path);
    let failed = |code: ExitCode, why: String| InitError {
        code,
        what: format!("{} was not changed: {why}", replaced.path),
        hint: "see who owns the folder: `ls -ld .github/workflows`".to_owned(),
    };
    let plain = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    // A link above it may lead out of the repository.
    let inside = path
        .canonicalize()
        .is_ok_and(|real| root.canonicalize().is_ok_and(|root| real.starts_with(root)));
    if !plain || !inside {
        return Err(failed(
            ExitCode::Refused,
            "it is not a file of this repository".to_owned(),
        ));
    }
    let now = files::read_text(&path, 1 << 20)
        .map_err(|error| failed(ExitCode::Error, error.to_string()))?;
    if now != replaced.old {
        return Err(InitError {
            hint: "call it again".to_owned(),
            ..failed(ExitCode::Refused, "it was changed meanwhile".to_owned())
        });
    }
    state::atomic::replace(&path, replaced.new.as_bytes())
        .map_err(|error| failed(ExitCode::Error, error.to_string()))
}

impl Places {
    pub(super) fn new(root: &Path, paths: &[&Path]) -> Result<Self, InitError> {
        for path in paths {
            is_plain(path)?;
        }
        if paths.len() > 1 && paths[0] == paths[1] {
            return Err(InitError::usage(
                "both files have one name",
                "give `--config` or `--workflow` another",
            ));
        }
        Ok(Places {
            root: root.to_owned(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        })
    }

    /// Refuses where a file is there already, also another configuration that would be read first,
    /// and where a link leads out of the repository.
    pub(super) fn are_free(&self) -> Result<(), InitError> {
        let is_usual = |path: &PathBuf| config::PLACES.iter().any(|place| path == Path::new(place));
        let usual = config::PLACES
            .iter()
            .map(PathBuf::from)
            .filter(|_| self.paths.iter().any(is_usual));
        for path in usual.chain(self.paths.iter().cloned()) {
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
                        "not written: {} is not a folder of this repository",
                        part.display()
                    );
                    return Err(InitError {
                        code: ExitCode::Refused,
                        what,
                        hint: "name other files with `--config` and `--workflow`".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes all or none; a file that another process wrote meanwhile stays.
    pub(super) fn write(&self, files: &[NewFile]) -> Result<(), InitError> {
        self.are_free()?;
        for (nth, file) in files.iter().enumerate() {
            self.create(&file.path, &file.text)
                .inspect_err(|_| self.take_back(&files[..nth]))?;
        }
        Ok(())
    }

    /// Removes what was written a moment ago.
    pub(super) fn take_back(&self, files: &[NewFile]) {
        for file in files {
            let _ = std::fs::remove_file(self.root.join(&file.path));
        }
    }

    fn create(&self, path: &Path, text: &str) -> Result<(), InitError> {
        let failed = |error: std::io::Error| InitError {
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

/// A path below the root in words that need no quotes.
pub(super) fn is_plain(path: &Path) -> Result<(), InitError> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if plain && !path.as_os_str().is_empty() && path.to_string_lossy().chars().all(good) {
        return Ok(());
    }
    Err(InitError::usage(
        format!(
            "`{}` cannot be written: it is not a plain path below the repository's root",
            line(&path.display().to_string())
        ),
        "name a file such as `.github/deploy-guard.yml`",
    ))
}

fn taken(path: &Path) -> InitError {
    let path = path.display();
    InitError {
        code: ExitCode::Refused,
        what: format!("not written: {path} is there already, and nothing is written over"),
        hint: format!(
            "`deploy-guard init --dry-run` shows what would be written; or name other files with `--config` and `--workflow`, or move {path} away"
        ),
    }
}

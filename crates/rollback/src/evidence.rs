//! The folder that keeps what a rollback found and what came of it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cli::Failure;
use jiff::Timestamp;
use model::Report;
use state::atomic::{self, Owner};

use crate::hooks::HookContext;
use crate::session::Session;

/// The end of each text is kept.
const MAX_TEXT_BYTES: usize = 256 << 10;
/// So many rollbacks' folders are kept.
const KEPT_FOLDERS: usize = 20;
/// Where the configuration names no other.
const FOLDER: &str = ".deploy-guard/evidence";

impl Session<'_> {
    /// This rollback's folder; made when it is first asked for.
    pub(crate) fn evidence(&self, hook_context: &mut HookContext) -> Result<PathBuf, Failure> {
        if let Some(folder) = &hook_context.evidence {
            return Ok(folder.clone());
        }
        let base = self.section.evidence.clone();
        let base = base.unwrap_or_else(|| PathBuf::from(FOLDER));
        let base = std::path::absolute(&base).unwrap_or(base);
        let left = hook_context.left.as_deref().unwrap_or("unknown");
        let name = format!(
            "{}-{}-to-{}",
            Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
            plain(&self.redact(left)),
            plain(&self.redact(&hook_context.destination))
        );
        let folder = make(&base, &name).map_err(|error| {
            Failure::error(format!(
                "failed to make a folder in {}: {error}",
                base.display()
            ))
        })?;
        forget(&base);
        hook_context.evidence = Some(folder.clone());
        Ok(folder)
    }

    /// The report as it is so far, beside what was found; `None` where it cannot be written.
    pub(crate) fn keep_report(
        &self,
        hook_context: &mut HookContext,
        report: &Report,
    ) -> Option<PathBuf> {
        let folder = self.evidence(hook_context).ok()?;
        let text = cli::hooks::document(self.job, report);
        let path = folder.join("report.json");
        atomic::replace(&path, text.as_bytes()).ok()?;
        Some(path)
    }
}

/// Keeps a text's end under `PLACE/NAME`; how long it is.
pub(crate) fn keep(folder: &Path, name: &str, text: &str) -> Result<usize, Failure> {
    let start = text.ceil_char_boundary(text.len().saturating_sub(MAX_TEXT_BYTES));
    let name: Vec<String> = name.split('/').map(plain).collect();
    let path = folder.join(format!("{}.txt", name.join(".")));
    let owner = Owner::of_new(&path);
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        if let Some(owner) = owner {
            owner.give_to(&file);
        }
        if start > 0 {
            writeln!(file, "… {start} bytes before this were left out …")?;
        }
        file.write_all(&text.as_bytes()[start..])
    };
    write()
        .map_err(|error: std::io::Error| Failure::error(format!("{}: {error}", path.display())))?;
    Ok(text.len() - start)
}

/// Only its owner reads it: logs hold what people typed.
const PRIVATE: u32 = 0o700;

fn make(base: &Path, name: &str) -> std::io::Result<PathBuf> {
    atomic::make_folders(base, PRIVATE)?;
    let mut nth = 1;
    loop {
        let folder = match nth {
            1 => base.join(name),
            _ => base.join(format!("{name}-{nth}")),
        };
        match atomic::make_folder(&folder, PRIVATE) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && nth < 100 => {
                nth += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes the oldest of our folders away; whatever else lies there stays.
fn forget(base: &Path) {
    let Ok(all) = fs::read_dir(base) else { return };
    let mut ours: Vec<PathBuf> = all
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_ours)
        })
        .collect();
    ours.sort();
    let most = ours.len().saturating_sub(KEPT_FOLDERS);
    for old in &ours[..most] {
        // One that stays does no harm.
        let _ = fs::remove_dir_all(old);
    }
}

/// `20261121T024549Z-v2-to-v1`.
fn is_ours(name: &str) -> bool {
    let Some((time, rest)) = name.split_once("Z-") else {
        return false;
    };
    let digit = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let time = time.split_once('T');
    time.is_some_and(|(day, hour)| day.len() == 8 && hour.len() == 6 && digit(day) && digit(hour))
        && rest.contains("-to-")
}

/// A name that is one file's name and nothing else.
fn plain(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = text
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .take(64)
        .collect();
    match plain.trim_start_matches('.') {
        "" => "_".to_owned(),
        plain => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_files_name() {
        for (given, plain_one) in [
            ("v1.2.3", "v1.2.3"),
            ("../../etc", "_.._etc"),
            ("a/b\n$(x)", "a_b___x_"),
            ("..", "_"),
            ("", "_"),
        ] {
            assert_eq!(plain(given), plain_one);
        }
        assert!(is_ours("20261121T024549Z-v2-to-v1"));
        for other in [
            "notes",
            "20261121",
            "2026T02Z-v2-to-v1",
            "20261121T024549Z-v2",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}

//! Units of systemd whose files are in the repository.

use repository::Repository;

/// Whether the file of a unit says that it does one thing and ends.
pub fn is_oneshot(repository: &Repository, unit: &str) -> bool {
    let mut files = repository.files.iter();
    let file = files.find(|file| file.rsplit('/').next() == Some(unit));
    let text = file.and_then(|file| repository.text(file));
    text.is_some_and(|text| {
        let has = |line: &str| text.lines().any(|one| one.trim() == line);
        has("Type=oneshot") && !has("RemainAfterExit=yes")
    })
}

//! The shared configuration and credentials files, as `aws configure` writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{Env, Secret};

use crate::Error;

/// Such a file is a few kilobytes.
const LIMIT: u64 = 1 << 20;

/// The settings of one profile in both files; the credentials file wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// Any of them may be a secret.
    values: BTreeMap<String, Secret>,
}

impl Profile {
    /// The profile that `AWS_PROFILE` names, otherwise `default`; empty if there are no files.
    pub(crate) fn load(env: &Env) -> Result<Profile, Error> {
        let name = env.non_empty("AWS_PROFILE").unwrap_or("default").to_owned();
        let place = |variable: &str, file: &str| {
            let given = env.non_empty(variable).map(PathBuf::from);
            given.or_else(|| Some(Path::new(env.non_empty("HOME")?).join(".aws").join(file)))
        };
        let mut values = BTreeMap::new();
        for path in [
            place("AWS_CONFIG_FILE", "config"),
            place("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ]
        .into_iter()
        .flatten()
        {
            values.extend(section(&read(&path)?.unwrap_or_default(), &name));
        }
        Ok(Profile { name, values })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.secret(key).map(Secret::expose)
    }

    pub(crate) fn secret(&self, key: &str) -> Option<&Secret> {
        self.values.get(key)
    }
}

/// A small file's text; `None` if the file does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let unreadable = |reason: String| Error::Profile {
        path: path.display().to_string(),
        reason,
    };
    match files::read_text(path, LIMIT) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// `[profile NAME]` in one file, `[NAME]` in the other; nested values (indented) are left out.
fn section(text: &str, name: &str) -> BTreeMap<String, Secret> {
    let mut inside = false;
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default().trim();
            let header = header.strip_prefix("profile ").unwrap_or(header).trim();
            inside = header == name;
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            values.insert(key.trim().to_owned(), value.trim().into());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_profile_is_read_out_of_many() {
        let text = "[default]\nregion = eu-west-1\n# note\n[profile ci]\nregion=us-east-2\ns3 =\n  region = no\naws_secret_access_key = a=b\n[other]\nregion = x\n";
        let ci = section(text, "ci");
        assert_eq!(ci.get("region").map(Secret::expose), Some("us-east-2"));
        assert_eq!(
            ci.get("aws_secret_access_key").map(Secret::expose),
            Some("a=b")
        );
        assert_eq!(
            section(text, "default").get("region").map(Secret::expose),
            Some("eu-west-1")
        );
        assert!(section(text, "nobody").is_empty());
    }
}

//! What scripts and workflows say of nginx on its machine: where its file is, how it is tested and made to
//! read it.

use regex::Regex;
use repository::{Repository, ends_in};

/// More scripts than this are not read.
const MAX_SCRIPTS: usize = 200;

/// One that makes nginx read its files, or names one of them.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) at: String,
    paths: Vec<String>,
    pub(crate) test: Option<String>,
    pub(crate) reload: Option<String>,
}

impl Script {
    /// The path on the machine of a file with this name.
    pub(crate) fn names(&self, name: &str) -> Option<&str> {
        // What is made in `/tmp` first is no file of nginx.
        let mut paths = self.paths.iter().filter(|path| !path.starts_with("/tmp/"));
        let found = paths.find(|path| path.rsplit('/').next() == Some(name));
        found.map(String::as_str)
    }
}

pub(crate) fn all(repository: &Repository) -> Vec<Script> {
    let is_one = |path: &&String| {
        let of_workflow = path.starts_with(".github/") && ends_in(path, &["yml", "yaml"]);
        ends_in(path, &["sh"]) || of_workflow || path.ends_with("Makefile")
    };
    let files = repository.files.iter().filter(is_one).take(MAX_SCRIPTS);
    files
        .filter_map(|path| read(path, &repository.text(path)?))
        .collect()
}

fn read(path: &str, text: &str) -> Option<Script> {
    let file = Regex::new(r"/(?:[A-Za-z0-9._-]+/)+[A-Za-z0-9._-]+\.conf\b").ok()?;
    let tests = Regex::new(r"(?:sudo (?:-n )?)?(?:/usr/sbin/)?nginx -t\b").ok()?;
    let reloads = Regex::new(
        r"(?:sudo (?:-n )?)?(?:(?:/usr/sbin/)?nginx -s reload|systemctl reload nginx|service nginx reload)\b",
    )
    .ok()?;
    let first = |regex: &Regex| regex.find(text).map(|found| found.as_str().to_owned());
    let mut paths: Vec<String> = Vec::new();
    for found in file.find_iter(text) {
        // `$HOME/…` and `./…` are not from the root.
        let before = text[..found.start()].chars().next_back();
        let from_root = before.is_none_or(|c| !(c.is_alphanumeric() || "._-}$".contains(c)));
        if from_root && !paths.iter().any(|path| path == found.as_str()) {
            paths.push(found.as_str().to_owned());
        }
    }
    let reload = first(&reloads);
    (reload.is_some() || !paths.is_empty()).then(|| Script {
        at: path.to_owned(),
        paths,
        test: first(&tests),
        reload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_switches_says_where_the_file_is_and_how_it_is_read() {
        let text = "cp nginx/shop.conf $HOME/x/shop.conf\nsudo cp /tmp/shop.conf /etc/nginx/conf.d/shop.conf\nsudo nginx -t && sudo systemctl reload nginx\n";
        let script = read("switch.sh", text).unwrap();
        assert_eq!(
            script.names("shop.conf"),
            Some("/etc/nginx/conf.d/shop.conf")
        );
        assert_eq!(script.names("other.conf"), None);
        assert_eq!(script.test.as_deref(), Some("sudo nginx -t"));
        assert_eq!(
            script.reload.as_deref(),
            Some("sudo systemctl reload nginx")
        );
        assert!(read("a.sh", "echo hello").is_none());
    }
}

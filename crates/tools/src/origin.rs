//! What command lines and actions tell of where something comes from, and where it goes.

use crate::compose;
use crate::deed::With;

/// Whether words of Git's lead to the newest commit of a branch: `pull`, `reset --hard origin/main`.
pub fn takes_newest(words: &[String]) -> bool {
    let has = |verbs: &[&str]| words.iter().any(|word| verbs.contains(&word.as_str()));
    let newest = words.iter().any(|word| {
        word.starts_with("origin/")
            || matches!(word.as_str(), "FETCH_HEAD" | "@{u}" | "@{upstream}")
    });
    has(&["pull"]) || newest && has(&["reset", "merge", "checkout", "switch", "rebase", "push"])
}

/// Whether a command hands files or images of the runner to a machine or a store: `rsync`, `docker save | ssh …`.
pub fn sends(words: &[String]) -> bool {
    const PROGRAMS: [&str; 10] = [
        "rsync", "scp", "sftp", "lftp", "ncftpput", "tar", "cp", "mv", "install", "gsutil",
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["docker" | "podman", "save", ..]
        | ["git", "archive" | "push", ..]
        | ["aws", "s3" | "s3api", ..]
        | ["aws", "deploy", "push", ..]
        | ["gcloud", "compute", "scp", ..] => true,
        [program, ..] => PROGRAMS.contains(&program),
        [] => false,
    }
}

/// Whether an action does.
pub fn uploads(name: &str) -> bool {
    let all = ["scp", "rsync", "ssh-deploy", "ftp", "s3"];
    all.iter().any(|word| name.contains(word))
}

/// Whether a call starts an image by a tag that is the same for each release: `--image acme/shop:latest`.
pub fn starts_fixed(words: &[String]) -> bool {
    let after = words.iter().zip(words.iter().skip(1));
    let named = after.filter(|(word, _)| matches!(&***word, "--image" | "-i"));
    let joined = words
        .iter()
        .filter_map(|word| word.strip_prefix("--image="));
    let mut all = named.map(|(_, image)| image.as_str()).chain(joined);
    all.any(moves)
}

/// Whether an action's inputs do.
pub fn is_fixed(with: &With) -> bool {
    let keys = ["image", "images", "imagetodeploy"].iter();
    let mut all = keys.filter_map(|key| with.get(*key));
    all.any(|image| moves(image.value.text()))
}

fn moves(image: &str) -> bool {
    let tag = compose::split_tag(image).1.unwrap_or("latest");
    !image.is_empty() && !image.contains(['$', '@']) && matches!(tag, "latest" | "main" | "stable")
}

/// Whether a command takes away what no longer runs: `docker image prune`, `docker rmi`.
pub fn cleans(words: &[String]) -> bool {
    let is_docker = words.first().is_some_and(|first| first.ends_with("docker"));
    is_docker && words.iter().any(|word| matches!(&**word, "prune" | "rmi"))
}

/// Whether a command may change what a file of the repository says: a program that edits, or one that is given the file.
pub fn edits(words: &[String], file: &str) -> bool {
    const PROGRAMS: [&str; 9] = [
        "sed",
        "envsubst",
        "yq",
        "jq",
        "perl",
        "kustomize",
        "python",
        "python3",
        "ytt",
    ];
    words
        .first()
        .is_some_and(|program| PROGRAMS.contains(&&**program))
        || !file.is_empty() && words.iter().any(|word| word.contains(file))
}

/// Whether an action writes such a file.
pub fn renders(name: &str) -> bool {
    let all = [
        "render", "replace", "yaml", "json", "token", "template", "subst",
    ];
    all.iter().any(|word| name.contains(word))
}

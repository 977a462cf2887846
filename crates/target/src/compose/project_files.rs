//! Compose: the override file that holds the images of services and nothing else, and where a
//! project is.

use std::collections::BTreeMap;
use std::path::Path;

use config::file::ComposeTarget;

use place::word;

/// The names by which Compose finds a project's file.
const FOUND: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// What an override file has besides the images of services.
pub(crate) fn more_than_images(text: &str) -> Option<String> {
    let Some(leaves) = yaml::leaves(text) else {
        return Some("no YAML that we read".to_owned());
    };
    let more = leaves.into_iter().find(|path| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        !matches!(
            path[..],
            ["version" | "services"] | ["services", _] | ["services", _, "image"]
        )
    })?;
    Some(more.join("."))
}

/// Why our file cannot be written where it is.
pub(crate) fn not_ours(file: &Path, more: &str) -> String {
    format!(
        "{} has more than images (`{more}`) and would be written over: name a file of ours under `rollback.compose.override-file`, and this one under `files`",
        file.display()
    )
}

/// Our file: JSON, which is YAML that cannot be misread.
pub(crate) fn override_text(images: &BTreeMap<String, String>) -> String {
    let service = |(service, image): (&String, &String)| {
        (service.clone(), serde_json::json!({ "image": image }))
    };
    let services: serde_json::Map<String, serde_json::Value> = images.iter().map(service).collect();
    let text = serde_json::json!({ "services": services });
    format!("# Written by `rollback`: the images that these services run.\n{text:#}\n")
}

/// A script that calls `absent WHY` where the project is not where the configuration has it.
pub(crate) fn project_is_there(target: &ComposeTarget) -> String {
    let folder = word(&target.folder);
    let mut text = format!(
        "[ -d {folder} ] || absent there is no folder {folder}\n\
         {{ [ -r {folder} ] && [ -x {folder} ]; }} || absent the user \"$(id -un)\" cannot read the folder {folder}\n"
    );
    if target.files.is_empty() {
        let any: Vec<String> = FOUND.iter().map(|name| format!("[ -e {name} ]")).collect();
        text.push_str(&format!(
            "cd -- {folder}\n[ -n \"${{COMPOSE_FILE-}}\" ] || grep -qs '^COMPOSE_FILE=' .env || {} || absent none of {} exists in {folder}\n",
            any.join(" || "),
            FOUND.join(", "),
        ));
    }
    for file in &target.files {
        let file = word(file);
        text.push_str(&format!(
            "( cd -- {folder} && [ -e {file} ] ) || absent there is no file {file} in {folder}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_more_than_images_is_known() {
        let images = |image: &str| {
            let images = [("backend".to_owned(), image.to_owned())];
            override_text(&images.into_iter().collect())
        };
        for ours in [
            "",
            "---\n# theirs\nversion: '3.8'\nservices:\n  backend: # ours\n    image: shop:v1\n",
            "services:\n  backend: { image: shop:v1 }\n",
            "{\"services\": {\"backend\": {\"image\": \"shop:v1\"}}}",
            &images("shop:v1"),
        ] {
            assert_eq!(more_than_images(ours), None, "{ours}");
        }
        for more in [
            "services:\n  backend:\n    environment:\n      A: b\n",
            "services:\n  backend:\n    ports:\n    - 80:80\n",
            "services:\n  backend: { image: shop:v1, environment: { A: b } }\n",
            "services:\n  backend:\n    image: shop:v1\nvolumes:\n  data:\n",
            "{\"services\": {\"backend\": {\"image\": \"shop:v1\", \"restart\": \"no\"}}}",
            "just a text",
        ] {
            assert!(more_than_images(more).is_some(), "{more}");
        }
    }
}

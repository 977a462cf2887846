//! Inputs of workflows, by their names.

/// What a person calls the input with the release.
const INPUTS: [&str; 14] = [
    "version",
    "release",
    "tag",
    "sha",
    "commit",
    "release_version",
    "release_tag",
    "image_tag",
    "docker_tag",
    "git_sha",
    "commit_sha",
    "deploy_tag",
    "deploy_version",
    "app_version",
];

/// Whether an input's name is one that a person gives to the release.
pub(crate) fn is_input_of_release(name: &str) -> bool {
    INPUTS.contains(&name.to_ascii_lowercase().replace('-', "_").as_str())
}

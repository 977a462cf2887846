//! Which files are of Compose, by their names.

/// Whether a file's name is one that Compose files have.
pub fn is_compose_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name
        .strip_suffix(".yml")
        .or_else(|| name.strip_suffix(".yaml"));
    let Some(stem) = stem else {
        return false;
    };
    stem.split(['.', '-', '_']).any(|word| word == "compose")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_has_the_word_in_its_name() {
        for name in [
            "compose.yml",
            "a/docker-compose.prod.yaml",
            "compose-production.yaml",
            "prod.compose.yml",
        ] {
            assert!(is_compose_file(name), "{name}");
        }
        for name in ["composer.yml", "compose.json", "decompose.yml"] {
            assert!(!is_compose_file(name), "{name}");
        }
    }
}

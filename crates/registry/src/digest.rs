//! Digests: `sha256:…`, by which content is named, and which names only that content.

use sha2::{Digest as _, Sha256, Sha512};

/// The digest of these bytes by the algorithm of `like`; `None` for an algorithm we do not know.
pub(crate) fn of(bytes: &[u8], like: &str) -> Option<String> {
    let (name, hash) = match like.split_once(':').map_or(like, |(name, _)| name) {
        "sha256" => ("sha256", Sha256::digest(bytes).to_vec()),
        "sha512" => ("sha512", Sha512::digest(bytes).to_vec()),
        _ => return None,
    };
    Some(format!("{name}:{}", model::text::hex(hash)))
}

/// Only a digest becomes part of a path.
pub(crate) fn is_one(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, hash)| {
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_alphanumeric())
            && (32..=256).contains(&hash.len())
            && hash.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_named_by_the_algorithm_that_is_asked() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of(b"", empty).as_deref(), Some(empty));
        assert!(of(b"", "sha512:x").is_some_and(|digest| digest.len() == 7 + 128));
        assert_eq!(of(b"", "md5:x"), None);
        assert!(is_one(empty));
        assert!(!is_one("sha256:../../../etc/passwd"));
        assert!(!is_one("sha256:"));
    }
}

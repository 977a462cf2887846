//! Which commit a tag, a branch or a short id means.

use serde::Deserialize;

use crate::repository::step;
use crate::{Client, Error, Needs, Repository};

const CONTENTS: Needs = Needs::workflow(
    "look up which commit a tag or a short id means",
    "contents: read",
    "`contents: read` (classic token: `repo`)",
);

#[derive(Deserialize)]
struct Found {
    sha: String,
}

/// Whether it is the whole id of a commit, of either of Git's hashes.
pub fn is_whole_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

/// Whether it can be the beginning of a commit's id.
pub fn is_short_id(text: &str) -> bool {
    (7..40).contains(&text.len()) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether Git lets a tag or a branch be called so (`git check-ref-format`); others need no asking.
pub fn is_ref_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !text.is_empty()
        && text.len() <= 255
        && !text.contains(forbidden)
        && !["..", "@{", "//"].iter().any(|part| text.contains(part))
        && !text.starts_with(['-', '/'])
        && !text.ends_with(['/', '.'])
}

impl Client {
    /// The whole id of the commit that a tag (annotated or not), a branch or a short id names in
    /// the repository; `None` if it names none.
    pub async fn commit(
        &self,
        repository: &Repository,
        name: &str,
    ) -> Result<Option<String>, Error> {
        if !is_ref_name(name) {
            return Ok(None);
        }
        // A page of one: the commit's files come along, and they are many.
        let path = format!("{}/commits/{}?per_page=1", repository.path(), step(name));
        match self.get::<Found>(&path, CONTENTS).await {
            Ok(found) if is_whole_id(&found.sha) => Ok(Some(found.sha)),
            Ok(found) => Err(Error::Malformed {
                reason: format!("`{}` is not the id of a commit", found.sha.escape_debug()),
            }),
            // 422 is what GitHub answers to a name that it does not know, 409 of an empty
            // repository. A repository that the token may not see at all answers 404 to the next
            // question, too.
            Err(
                Error::NoPermission { status: 404, .. }
                | Error::Server {
                    status: 404 | 409 | 422,
                },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_tag_can_be_called_is_not_asked_for() {
        for name in [
            "v1.2.3",
            "shop@1.2.3",
            "shop/v1.2.3",
            "1.2.3+build.7",
            "abc1234",
        ] {
            assert!(is_ref_name(name), "{name}");
        }
        for name in [
            "", "a b", "shop:v1", "v1..v2", "x@{1}", "-v1", "v1^", "v1.", "a\nb",
        ] {
            assert!(!is_ref_name(name), "{name}");
        }
    }

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_whole_id(&"a1".repeat(20)) && is_whole_id(&"B2".repeat(32)));
        assert!(!is_whole_id("abc1234") && is_short_id("abc1234"));
        assert!(!is_short_id("abc123") && !is_short_id("v123456") && !is_short_id(&"a".repeat(40)));
    }
}

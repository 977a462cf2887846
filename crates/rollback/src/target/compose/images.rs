//! The images of services: what may be one, the release in its name, and the override file that
//! says them and nothing else.

use std::collections::BTreeMap;

use super::RELEASE;

/// What an override file says besides which images services run.
pub(super) fn more_than_images(text: &str) -> Option<String> {
    let Some(leaves) = config::leaves(text) else {
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

/// Our file: JSON, which is YAML that cannot be misread.
pub(super) fn override_text(images: &BTreeMap<String, String>) -> String {
    let service = |(service, image): (&String, &String)| {
        (service.clone(), serde_json::json!({ "image": image }))
    };
    let services: serde_json::Map<String, serde_json::Value> = images.iter().map(service).collect();
    let text = serde_json::json!({ "services": services });
    format!("# Written by `rollback`: the images that these services run.\n{text:#}\n")
}

/// The characters of names, tags and digests, none of which a shell, YAML or Compose takes for
/// more than itself.
pub(super) fn is_image(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.len() <= 512
        && text.chars().all(good)
}

/// What stands in the place of the release.
pub(super) fn release_of(template: &str, image: &str) -> Option<String> {
    let (head, tail) = template.split_once(RELEASE)?;
    let release = image.strip_prefix(head)?.strip_suffix(tail)?;
    (!release.is_empty() && !release.contains(['/', '@'])).then(|| release.to_owned())
}

/// An image's name without its tag and digest: `ghcr.io/acme/shop`.
pub(super) fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    // A port has a colon too.
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => &name[..last + colon],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_stands_in_its_place() {
        let of = |image: &str| release_of("ghcr.io/acme/shop:{release}-web", image);
        assert_eq!(of("ghcr.io/acme/shop:v1-web").as_deref(), Some("v1"));
        for other in [
            "ghcr.io/acme/shop:-web",
            "ghcr.io/acme/other:v1-web",
            "shop",
            "ghcr.io/acme/shop:v1",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_repository_is_what_tag_and_digest_are_of() {
        for image in [
            "localhost:5000/shop",
            "localhost:5000/shop:v1",
            "localhost:5000/shop:{release}-web",
            "localhost:5000/shop@{digest}",
            "localhost:5000/shop:v1@sha256:00",
        ] {
            assert_eq!(repository(image), "localhost:5000/shop", "{image}");
        }
        assert_eq!(repository("shop:v1"), "shop");
    }

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

    #[test]
    fn what_is_no_image_is_refused() {
        for good in [
            "shop:v1",
            "ghcr.io/acme/shop@sha256:00",
            "localhost:5000/a/b:1.2_3",
        ] {
            assert!(is_image(good), "{good}");
        }
        for bad in [
            "",
            "-v",
            "shop:v 1",
            "shop:$(x)",
            "shop:`x`",
            "shop:v1\n",
            "shop:'",
            "shop:",
            "shop:${X}",
        ] {
            assert!(!is_image(bad), "{bad}");
        }
    }
}

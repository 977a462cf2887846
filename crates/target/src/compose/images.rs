//! The images of services: what may be one, and the release in its name.

use super::deployment::RELEASE;

/// The characters of names, tags and digests, none of which a shell, YAML or Compose takes for
/// more than itself.
pub(super) fn is_image(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.len() <= 512
        && text.chars().all(good)
}

/// The part of the image in place of the release.
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

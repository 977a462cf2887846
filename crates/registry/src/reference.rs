//! Names of images, by the grammar of Docker and the OCI distribution specification.
//!
//! `[registry[:port]/]path[:tag][@digest]`; the rules are those of `distribution/reference`:
//! the first part is a registry if it holds a dot or a colon, or is `localhost`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longer than any reference that the grammar allows.
const LIMIT: usize = 1024;
/// The longest repository path, by `distribution/reference`.
const PATH_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;
const DOCKER_HUB: &str = "docker.io";

/// Which image, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Text that names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse the image reference `{text}`: {reason}")]
pub struct ReferenceError {
    pub text: String,
    pub reason: Reason,
}

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {LIMIT} bytes")]
    TooLong,
    #[error("a reference has no scheme such as `https://`")]
    Scheme,
    #[error("`{0}` is not a registry name")]
    Registry(String),
    #[error("`{0}` is not a port")]
    Port(String),
    #[error("it names no repository")]
    NoRepository,
    #[error("the repository's name is longer than {PATH_LIMIT} bytes")]
    LongRepository,
    /// The name as it has to be written.
    #[error("a repository's name is all lower case: `{0}`")]
    UpperCase(String),
    #[error("`{0}` is not a repository name")]
    Repository(String),
    #[error("the tag is empty")]
    EmptyTag,
    #[error("`{0}` is not a tag")]
    Tag(String),
    #[error("`{0}` is not a digest such as `sha256:` and 64 hexadecimal digits")]
    Digest(String),
}

impl Reference {
    /// Reads a reference; what is left out is filled in as Docker does: Docker Hub, its
    /// `library/`, the tag `latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = text.trim();
        read(text).map_err(|reason| ReferenceError {
            text: printable_excerpt(text),
            reason,
        })
    }

    /// As it was named: `docker.io`, `ghcr.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host, with its port, that serves the registry's API.
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB | "index.docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// `acme/shop`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What the manifest is asked by: the digest if there is one, else the tag.
    pub fn target(&self) -> &str {
        self.digest().or(self.tag()).unwrap_or("latest")
    }

    /// The same image without its digest, by its tag alone; `None` where it has no tag.
    pub fn tagged(&self) -> Option<Reference> {
        self.tag.as_ref()?;
        Some(Reference {
            digest: None,
            ..self.clone()
        })
    }

    /// Whether the registry is on this machine, where plain HTTP is what one speaks.
    pub fn is_loopback(&self) -> bool {
        let host = self.registry.strip_prefix('[').map_or_else(
            || self.registry.split(':').next().unwrap_or_default(),
            |rest| rest.split(']').next().unwrap_or_default(),
        );
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text)
    }
}

fn read(text: &str) -> Result<Reference, Reason> {
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.len() > LIMIT {
        return Err(Reason::TooLong);
    }
    if text.contains("://") {
        return Err(Reason::Scheme);
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(check_digest(digest)?)),
        None => (text, None),
    };
    let (registry, rest) = split_registry(name);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(check_tag(tag)?)),
        None => (rest, None),
    };
    check_path(path)?;
    let registry = match registry {
        Some(registry) => check_registry(registry)?,
        None => DOCKER_HUB.to_owned(),
    };
    let official = registry == DOCKER_HUB && !path.contains('/');
    let repository = if official {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    let tag = match (tag, &digest) {
        (None, None) => Some("latest".to_owned()),
        (tag, _) => tag,
    };
    Ok(Reference {
        registry,
        repository,
        tag,
        digest,
    })
}

fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':', '['])
                || first == "localhost"
                || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn check_registry(registry: &str) -> Result<String, Reason> {
    let bad = || Err(Reason::Registry(printable_excerpt(registry)));
    let (host, port) = if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return bad();
        };
        if address.parse::<Ipv6Addr>().is_err() {
            return bad();
        }
        match after.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if after.is_empty() => (None, None),
            None => return bad(),
        }
    } else {
        match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        }
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if host.is_some_and(|host| host.len() > 253 || !host.split('.').all(label)) {
        return bad();
    }
    if let Some(port) = port
        && (!port.bytes().all(|b| b.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|p| p > 0))
    {
        return Err(Reason::Port(printable_excerpt(port)));
    }
    Ok(registry.to_ascii_lowercase())
}

fn check_path(path: &str) -> Result<(), Reason> {
    if path.is_empty() {
        return Err(Reason::NoRepository);
    }
    if path.len() > PATH_LIMIT {
        return Err(Reason::LongRepository);
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Reason::UpperCase(printable_excerpt(
            &path.to_ascii_lowercase(),
        )));
    }
    if path.split('/').all(is_component) {
        return Ok(());
    }
    Err(Reason::Repository(printable_excerpt(path)))
}

/// Lower-case letters and digits, separated by one dot, one or two underscores, or dashes.
fn is_component(component: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_plain =
        bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
    ends_plain
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| {
                matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
            })
}

/// Whether the text has the form of a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_LIMIT
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn check_tag(tag: &str) -> Result<String, Reason> {
    if is_tag(tag) {
        return Ok(tag.to_owned());
    }
    if tag.is_empty() {
        return Err(Reason::EmptyTag);
    }
    Err(Reason::Tag(printable_excerpt(tag)))
}

fn check_digest(digest: &str) -> Result<String, Reason> {
    let fits = digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if fits {
        return Ok(digest.to_owned());
    }
    Err(Reason::Digest(printable_excerpt(digest)))
}

/// Short and printable, for an error.
fn printable_excerpt(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(80)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn references_are_completed_as_docker_completes_them() {
        let sha = format!("sha256:{}", "a".repeat(64));
        for (given, host, repository, target) in [
            ("nginx", "registry-1.docker.io", "library/nginx", "latest"),
            (
                "nginx:1.27-alpine",
                "registry-1.docker.io",
                "library/nginx",
                "1.27-alpine",
            ),
            ("acme/shop", "registry-1.docker.io", "acme/shop", "latest"),
            (
                "docker.io/nginx",
                "registry-1.docker.io",
                "library/nginx",
                "latest",
            ),
            (
                "index.docker.io/acme/shop:v1",
                "registry-1.docker.io",
                "acme/shop",
                "v1",
            ),
            ("ghcr.io/acme/shop:v1", "ghcr.io", "acme/shop", "v1"),
            ("GHCR.io/acme/shop:v1", "ghcr.io", "acme/shop", "v1"),
            ("localhost/shop", "localhost", "shop", "latest"),
            ("localhost:5000/a/b/c:V1", "localhost:5000", "a/b/c", "V1"),
            ("registry:5000/shop", "registry:5000", "shop", "latest"),
            ("[::1]:5000/shop:v1", "[::1]:5000", "shop", "v1"),
            (
                "10.0.0.1/a__b/c.d/e--f",
                "10.0.0.1",
                "a__b/c.d/e--f",
                "latest",
            ),
            (
                "  nginx \n",
                "registry-1.docker.io",
                "library/nginx",
                "latest",
            ),
        ] {
            let reference = Reference::parse(given).unwrap();
            assert_eq!(reference.host(), host, "{given}");
            assert_eq!(reference.repository(), repository, "{given}");
            assert_eq!(reference.target(), target, "{given}");
        }
        let pinned = Reference::parse(&format!("ghcr.io/acme/shop:v1@{sha}")).unwrap();
        assert_eq!((pinned.tag(), pinned.target()), (Some("v1"), sha.as_str()));
        assert_eq!(pinned.to_string(), format!("ghcr.io/acme/shop:v1@{sha}"));
        assert_eq!(
            Reference::parse("nginx").unwrap().to_string(),
            "docker.io/library/nginx:latest"
        );
    }

    #[test]
    fn what_is_no_reference_is_refused_and_said_why() {
        let long = "a".repeat(256);
        let very_long = "a".repeat(100_000);
        for (given, reason) in [
            ("", "empty"),
            ("   ", "empty"),
            ("https://ghcr.io/acme/shop", "scheme"),
            ("ghcr.io/", "names no repository"),
            ("ghcr.io/Acme/shop", "lower case"),
            ("Shop", "lower case"),
            ("ghcr.io/acme//shop", "not a repository name"),
            ("ghcr.io/acme/../shop", "not a repository name"),
            ("ghcr.io/acme/shop:", "tag is empty"),
            ("ghcr.io/acme/shop:-v1", "not a tag"),
            ("ghcr.io/acme/shop:v1/x", "not a tag"),
            ("ghcr.io/acme/sh op:v1", "not a repository name"),
            ("ghcr.io/acme/shop?x=1", "not a repository name"),
            ("ghcr.io/acme/shop\r\nHost: evil", "not a tag"),
            ("ghcr.io/acme/shop@sha256:abc", "not a digest"),
            ("ghcr.io/acme/shop@", "not a digest"),
            ("user:pw@ghcr.io/acme/shop", "not a digest"),
            ("ghcr.io:99999/shop", "not a port"),
            ("ghcr.io:/shop", "not a port"),
            ("-bad.io/shop", "not a registry name"),
            ("[::1/shop", "not a registry name"),
            ("[zz]:5000/shop", "not a registry name"),
            ("ghcr..io/shop", "not a registry name"),
            ("a_._b", "not a repository name"),
            ("a___b", "not a repository name"),
            (&long, "longer than"),
            (&very_long, "longer than"),
        ] {
            let error = Reference::parse(given).unwrap_err();
            assert!(
                error.reason.to_string().contains(reason),
                "{given:.40}: {error}"
            );
            assert!(error.to_string().len() < 400, "{given:.40}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for (given, loopback) in [
            ("localhost/a", true),
            ("localhost:5000/a", true),
            ("127.0.0.1:5000/a", true),
            ("127.9.9.9/a", true),
            ("[::1]:5000/a", true),
            ("127.0.0.1.evil.com/a", false),
            ("localhost.evil.com/a", false),
            ("10.0.0.1:5000/a", false),
            ("nginx", false),
        ] {
            assert_eq!(
                Reference::parse(given).unwrap().is_loopback(),
                loopback,
                "{given}"
            );
        }
    }
}

//! What a registry reports about an image.

use jiff::Timestamp;

use crate::platform;

/// The registry's answer. Not being able to ask is an [`Error`](crate::Error) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageStatus {
    /// The image is there.
    Found {
        /// `sha256:…` of the manifest or index.
        digest: Option<String>,
        /// `os/architecture[/variant]`, sorted. Empty unless platforms were asked for.
        platforms: Vec<String>,
        /// When the image was made, by its own configuration; the oldest of several platforms'.
        /// `None` unless asked for, or where one of them does not tell.
        created: Option<Timestamp>,
    },
    /// The registry does not have the image or tag: 404.
    Absent,
    /// Something exists under this name, but no engine can run it.
    Unusable(ManifestError),
    /// The registry does not let us know whether the image is there: 401 or 403, also after
    /// authentication. That is never the same as absent.
    Denied {
        status: u16,
        /// The registry's own words, short; or where the refusal came from.
        detail: String,
    },
}

/// Why the manifest is not an image that an engine can pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("its index is empty: it names no image")]
    Empty,
    #[error("its index holds only attestations, and no image")]
    OnlyAttestations,
    #[error("it is a manifest of schema 1, which engines do not pull any more")]
    Schema1,
}

impl ImageStatus {
    /// Whether a machine of this platform finds an image for it here.
    pub fn has_platform(&self, wanted: &str) -> bool {
        let ImageStatus::Found { platforms, .. } = self else {
            return false;
        };
        platforms
            .iter()
            .any(|present| platform::meets(present, wanted))
    }
}

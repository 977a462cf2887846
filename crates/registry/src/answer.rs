//! What a registry says of an image.

use jiff::Timestamp;

use crate::platform;

/// The registry's answer. Not being able to ask is an [`Error`](crate::Error) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
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
    /// The registry knows no such image or tag: 404.
    Absent,
    /// The registry does not let us know whether the image is there: 401 or 403, also after
    /// authentication. That is never the same as absent.
    Denied {
        status: u16,
        /// The registry's own words, short; or where the refusal came from.
        detail: String,
    },
}

impl Answer {
    /// Whether the image has this platform. A platform without a variant is met by any variant.
    pub fn has_platform(&self, wanted: &str) -> bool {
        let Answer::Found { platforms, .. } = self else {
            return false;
        };
        platforms
            .iter()
            .any(|present| platform::meets(present, wanted))
    }
}

//! What a registry says of an image.

/// The registry's answer. Not being able to ask is an [`Error`](crate::Error) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The image is there.
    Found {
        /// `sha256:…` of the manifest or index; old registries do not tell it to a HEAD request.
        digest: Option<String>,
        /// `os/architecture[/variant]`, sorted. Empty unless platforms were asked for.
        platforms: Vec<String>,
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
        let wanted = wanted.to_ascii_lowercase();
        platforms.iter().any(|platform| {
            platform == &wanted
                || platform
                    .strip_prefix(&wanted)
                    .is_some_and(|rest| rest.starts_with('/') && wanted.split('/').count() == 2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_without_a_variant_is_met_by_any_variant_but_not_the_reverse() {
        let platforms = ["linux/arm64/v8", "linux/amd64"]
            .map(str::to_owned)
            .to_vec();
        let answer = Answer::Found {
            digest: None,
            platforms,
        };
        for (wanted, met) in [
            ("linux/arm64", true),
            ("linux/arm64/v8", true),
            ("linux/arm64/v7", false),
            ("Linux/AMD64", true),
            ("linux/amd64/v3", false),
            ("linux/arm", false),
            ("linux", false),
            ("", false),
        ] {
            assert_eq!(answer.has_platform(wanted), met, "{wanted}");
        }
        assert!(!Answer::Absent.has_platform("linux/amd64"));
    }
}

//! Platforms: `os/architecture[/variant]`, under the names that containerd gives them.

use serde_json::Value;

/// As a manifest or an image configuration names it. Attestations beside the images have the
/// platform `unknown`.
pub(crate) fn read(of: &Value) -> Option<String> {
    let (os, architecture) = (of["os"].as_str()?, of["architecture"].as_str()?);
    if os == "unknown" || os.is_empty() || architecture.is_empty() {
        return None;
    }
    let mut text = format!("{os}/{architecture}");
    if let Some(variant) = of["variant"].as_str().filter(|variant| !variant.is_empty()) {
        text.push('/');
        text.push_str(variant);
    }
    Some(text.to_lowercase())
}

/// Whether an image for `present` is one for `wanted`. A platform without a variant is met by any
/// variant.
pub(crate) fn meets(present: &str, wanted: &str) -> bool {
    let (present, wanted) = (normal(present), normal(wanted));
    // Where none is said, each architecture has a variant that it means.
    let meant = match (present.1.as_str(), present.2.as_str()) {
        ("arm64", "") => "v8",
        ("arm", "") => "v7",
        ("amd64", "") => "v1",
        (_, variant) => variant,
    };
    let variant = wanted.2.is_empty() || meant == wanted.2;
    present.0 == wanted.0 && present.1 == wanted.1 && variant
}

/// Operating system, architecture and variant, the architecture under its usual name.
fn normal(platform: &str) -> (String, String, String) {
    let platform = platform.to_ascii_lowercase();
    let mut parts = platform.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (os, architecture, variant) = (next(), next(), next());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        (architecture, variant) => (architecture, variant),
    };
    (os, architecture.to_owned(), variant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_without_a_variant_is_met_by_any_variant_but_not_the_reverse() {
        for (present, wanted, met) in [
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
            ("linux/arm64/v8", "linux/arm64/v7", false),
            ("linux/amd64", "Linux/AMD64", true),
            ("linux/amd64", "linux/x86_64", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/armhf", true),
            ("linux/arm64", "linux/arm", false),
            ("linux/amd64", "linux", false),
            ("linux/amd64", "windows/amd64", false),
        ] {
            assert_eq!(meets(present, wanted), met, "{present} {wanted}");
        }
    }
}

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

/// Whether a machine of the platform `wanted` runs an image for `present`, by the rule of
/// containerd (`platforms.Only`): a newer variant runs what an older one does, 64 bits run 32.
pub(crate) fn meets(present: &str, wanted: &str) -> bool {
    let ((os, architecture, variant), wanted) = (normal(present), normal(wanted));
    let version = |variant: &str| variant.strip_prefix('v')?.parse::<u32>().ok();
    // ARM of 64 bits also has variants such as `v9.1`.
    let not_above = || match (version(&variant), version(&wanted.2)) {
        (Some(present), Some(wanted)) => present <= wanted,
        _ => variant == wanted.2,
    };
    os == wanted.0
        && match (wanted.1.as_str(), architecture.as_str()) {
            ("amd64" | "arm" | "arm64", same) if same == wanted.1 => not_above(),
            ("amd64", "386") => true,
            ("arm64", "arm") => version(&variant).is_some_and(|version| version <= 8),
            (_, same) => same == wanted.1 && variant == wanted.2,
        }
}

/// Operating system, architecture and variant: the architecture under its usual name, and with its
/// default variant if none is given.
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
        ("i386", _) => ("386", ""),
        (architecture, variant) => (architecture, variant),
    };
    let variant = match (architecture, variant) {
        ("arm64", "" | "8") => "v8",
        ("arm", "5") => "v5",
        ("arm", "6") => "v6",
        ("arm", "" | "7") => "v7",
        ("amd64", "") => "v1",
        (_, variant) => variant,
    };
    (os, architecture.to_owned(), variant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_meet_as_containerd_matches_them() {
        for (present, wanted, met) in [
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
            ("linux/arm64/v9", "linux/arm64", false),
            ("linux/amd64", "Linux/AMD64", true),
            ("linux/amd64", "linux/x86_64", true),
            ("linux/amd64", "linux/amd64/v3", true),
            ("linux/amd64/v3", "linux/amd64", false),
            ("linux/386", "linux/amd64", true),
            ("linux/amd64", "linux/386", false),
            ("linux/arm/v6", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm64", true),
            ("linux/arm/v5", "linux/arm64/v8", true),
            ("linux/arm/v6", "linux/arm", true),
            ("linux/ppc64le", "linux/ppc64le", true),
            ("linux/arm64/v8", "linux/arm64/v9", true),
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

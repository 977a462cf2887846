//! The secrets in the proxies' addresses: `HTTPS_PROXY=http://user:password@proxy:3128`.
//!
//! Every HTTP client here honours these variables by itself; this is only about what must not be
//! shown.

use model::{Env, Secret};
use url::Url;

const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// The user part of every proxy's address, whole and in parts, as written and as meant.
pub(crate) fn secrets(env: &Env) -> Vec<Secret> {
    let mut found = Vec::new();
    for name in env.names() {
        if !VARIABLES.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        let Some(value) = env.non_empty(name) else {
            continue;
        };
        // Without a scheme it is an HTTP proxy.
        let url = if value.contains("://") {
            Url::parse(value)
        } else {
            Url::parse(&format!("http://{value}"))
        };
        if let Some((user, _)) = authority(value).rsplit_once('@') {
            found.push(Secret::from(user));
        }
        let Ok(url) = url else { continue };
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let user = plain(url.username());
        if let Some(password) = url.password() {
            let password = plain(password);
            found.push(format!("{user}:{password}").into());
            found.push(password.into());
        }
        found.push(user.into());
    }
    found
}

/// The address behind its scheme and before its path.
fn authority(value: &str) -> &str {
    let value = value.split_once("://").map_or(value, |(_, rest)| rest);
    value.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_of_a_proxy_is_secret_in_each_of_its_forms() {
        let env = Env::from_iter([
            ("HTTPS_PROXY", "http://robot:p%40ss-word@proxy:3128/"),
            ("http_proxy", "only-a-token@proxy:3128"),
            ("NO_PROXY", "a@b"),
        ]);
        let found = secrets(&env);
        for secret in [
            "robot:p%40ss-word",
            "robot:p@ss-word",
            "p@ss-word",
            "only-a-token",
        ] {
            assert!(found.iter().any(|one| one.expose() == secret), "{found:?}");
        }
        assert!(!found.iter().any(|one| one.expose().contains("a@b")));
    }
}

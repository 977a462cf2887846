//! Addresses as they may be shown.

use url::Url;

/// Without a user and a password.
pub fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for addresses that have no host, which are not asked.
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}

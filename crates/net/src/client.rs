//! How every client of an HTTP API begins that is above this crate.

/// A client that introduces itself, heeds the proxies of the environment and follows no redirect: it would carry
/// what is secret elsewhere.
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .proxy(reqwest::Proxy::custom(|url| {
            model::proxy::of_process(url.scheme(), url.host_str(), url.port_or_known_default())
        }))
        .user_agent(crate::USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
}

/// The same, which trusts the servers that probes trust.
pub fn trusting_builder() -> reqwest::ClientBuilder {
    let tls = crate::tls::Settings {
        protocols: &["h2", "http/1.1"],
        ..crate::tls::Settings::default()
    };
    match tls.config() {
        Ok(tls) => builder().tls_backend_preconfigured((*tls).clone()),
        // Without it, a server in plain text still answers.
        Err(_) => builder(),
    }
}

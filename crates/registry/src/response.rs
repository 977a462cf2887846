//! A registry's response, bounded, and what is sent to it.

use model::Secret;
use model::text::cut;
use reqwest::Response;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio_rustls::rustls;
use url::Url;

use crate::Error;

/// The registry's own words are shown up to here.
const DETAIL: usize = 200;
/// The maximum length of a token or an error.
pub(crate) const MAX_TOKEN_BYTES: usize = 64 << 10;

pub(crate) async fn read(
    mut response: Response,
    limit: usize,
    host: &str,
    what: &'static str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let url = response.url().clone();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport(&url, &error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::TooLarge {
                host: host.to_owned(),
                what,
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The registry's own words: `errors[0].message` of the protocol.
pub(crate) async fn error_message(response: Response) -> String {
    let bytes = read(response, MAX_TOKEN_BYTES, "", "error")
        .await
        .unwrap_or_default();
    let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let error = &said["errors"][0];
    let text = error["message"]
        .as_str()
        .or(error["code"].as_str())
        .or(said["details"].as_str());
    cut(text.unwrap_or("no reason given"), DETAIL)
}

pub(crate) fn sensitive(authorization: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(authorization.expose()).map_err(|_| Error::Setup {
        reason: "the credentials hold a control character".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost cause, without the URL, which may hold a token.
pub(crate) fn transport(url: &Url, error: &reqwest::Error) -> Error {
    let host = url.authority().to_owned();
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(rustls::Error::InvalidCertificate(why)) = cause.downcast_ref() {
            return Error::Untrusted {
                host,
                reason: why.to_string(),
            };
        }
        match inner_cause(cause) {
            Some(source) => cause = source,
            None => break,
        }
    }
    Error::Transport {
        host,
        reason: cause.to_string(),
        connected: !error.is_connect(),
    }
}

/// What an error is made of: one of I/O hides what it was made from behind the source of that.
fn inner_cause<'e>(
    cause: &'e (dyn std::error::Error + 'static),
) -> Option<&'e (dyn std::error::Error + 'static)> {
    let io = cause.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}

//! Reads an answer's body to its end, or to the limit, whichever comes first.

use reqwest::Response;

/// What came of reading a body. Time is bounded by the caller.
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// More than the limit; the rest was not read.
    TooLarge,
    /// The connection broke; the reason.
    Broken(String),
}

pub(crate) async fn read(mut response: Response, limit: u64) -> Body {
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Body::TooLarge;
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if (bytes.len() + chunk.len()) as u64 > limit => return Body::TooLarge,
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(bytes),
            Err(error) => return Body::Broken(crate::plain_cause(&error)),
        }
    }
}

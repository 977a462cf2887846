//! Reads an answer's body to its end, or to the limit, whichever comes first.

use reqwest::Response;

use crate::budget::Share;

/// What came of reading a body. Time is bounded by the caller.
pub enum Body {
    /// With its share of memory, to be kept for as long.
    Whole(Vec<u8>, Share),
    /// More than the limit; the rest was not read.
    TooLarge,
    /// The connection broke; the reason.
    Broken(String),
}

pub async fn read(mut response: Response, limit: u64) -> Body {
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Body::TooLarge;
    }
    let (mut bytes, mut share) = (Vec::new(), Share::default());
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if (bytes.len() + chunk.len()) as u64 > limit => return Body::TooLarge,
            Ok(Some(chunk)) => {
                share.room(&mut bytes, chunk.len(), most).await;
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => {
                share.finish_waiting();
                return Body::Whole(bytes, share);
            }
            Err(error) => return Body::Broken(crate::cause::plain_cause(&error)),
        }
    }
}

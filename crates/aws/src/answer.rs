//! A service's answer, bounded: its text, or the error that it tells.

use model::text::cut;
use reqwest::Response;
use url::Url;

use crate::{Error, xml};

/// Answers other than an object's content.
const LIMIT: usize = 8 << 20;
/// A service's own words are shown up to here.
const WORDS: usize = 200;

/// The text of a good answer; what else comes is an error with the service's own words.
pub(crate) async fn read_success(
    service: &'static str,
    response: Response,
) -> Result<String, Error> {
    let status = response.status().as_u16();
    let text = read(service, response).await?;
    if status == 200 {
        return Ok(text);
    }
    Err(service_error(service, status, &text))
}

/// The error that a status and a body tell.
pub(crate) fn service_error(service: &'static str, status: u16, text: &str) -> Error {
    let (code, message) = parse_error(text);
    let code = code.unwrap_or_else(|| format!("status {status}"));
    match status {
        401 | 403 => Error::Denied {
            service,
            code,
            message,
        },
        404 => Error::Absent { service, code },
        // Of Elastic Load Balancing: `RuleNotFound`.
        400 if code.ends_with("NotFound") => Error::Absent { service, code },
        409 | 412 => Error::Conflict { code },
        // The codes of S3 and STS for wrong keys, with a 400.
        400 if [
            "Token",
            "Signature",
            "AccessKey",
            "AccessDenied",
            "Identity",
            "UnrecognizedClient",
        ]
        .iter()
        .any(|word| code.contains(word)) =>
        {
            Error::Denied {
                service,
                code,
                message,
            }
        }
        status => Error::Status {
            service,
            status,
            code,
            message,
        },
    }
}

/// Code and message: XML of S3, STS and Elastic Load Balancing, JSON of ECR and ECS.
fn parse_error(text: &str) -> (Option<String>, String) {
    let short = |text: &str| cut(text, WORDS);
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let code = json["__type"].as_str().map(short);
        let message = json["message"].as_str().or(json["Message"].as_str());
        return (code, message.map(short).unwrap_or_default());
    }
    let Ok(document) = roxmltree::Document::parse(text) else {
        return (None, String::new());
    };
    let part = |name: &str| xml::text(document.root(), name).map(short);
    (part("Code"), part("Message").unwrap_or_default())
}

pub(crate) async fn read(service: &'static str, mut response: Response) -> Result<String, Error> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| transport(&url, &e))? {
        if bytes.len() + chunk.len() > LIMIT {
            return Err(Error::Malformed {
                service,
                reason: format!("it is larger than {LIMIT} bytes"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Error::Malformed {
        service,
        reason: "it is not UTF-8".to_owned(),
    })
}

/// The innermost cause, without the URL's query.
pub(crate) fn transport(url: &Url, error: &reqwest::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Transport {
        host: url.authority().to_owned(),
        reason: cause.to_string(),
    }
}

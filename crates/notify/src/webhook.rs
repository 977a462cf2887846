//! A webhook of the user's own: JSON by POST, signed where a key is given.
//!
//! `X-Deploy-Guard-Signature` is `sha256=` and the HMAC-SHA256, in hexadecimal digits, of the value of
//! `X-Deploy-Guard-Timestamp` (seconds since 1970), a dot and the body. A receiver refuses a timestamp that is old.

use std::time::Instant;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use model::Secret;
use model::text::hex;
use reqwest::header::CONTENT_TYPE;
use sections::incident::WebhookSink;
use url::Url;

use crate::body::{Body, default_body};
use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext};
use crate::sinks::Kind;
use crate::template::{Output, Template};
use crate::web::Web;
use crate::{DeliveryError, Notice, digest, secret};

impl Kind for WebhookSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let url = secret::address(around.env, &self.url_env)?;
        let key = self.hmac_key_env.as_deref();
        let key = key
            .map(|name| secret::value(around.env, name))
            .transpose()?;
        let template = self.template.as_deref();
        let template = template.map(|file| Template::read(around.folder, file, Output::Json));
        let template = template.transpose().map_err(|error| {
            let hint = error.hint();
            DeliveryError::refused(error.to_string(), hint)
        })?;
        let redactor = secret::of_address(&url);
        redactor.add(&key);
        Ok(Box::new(Webhook {
            web: Web::new(redactor)?,
            url,
            key,
            template,
        }))
    }
}

struct Webhook {
    url: Url,
    key: Option<Secret>,
    template: Option<Template>,
    web: Web,
}

impl Sink for Webhook {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let body = self.body(notice)?;
            let now = Timestamp::now().as_second().to_string();
            let mut request = self
                .web
                .post(&self.url)
                .header(CONTENT_TYPE, "application/json")
                .header("X-Deploy-Guard-Event", notice.kind.word())
                .header("X-Deploy-Guard-Timestamp", &now)
                .header("Idempotency-Key", key(&notice.id));
            if let Some(key) = &self.key {
                let signature = format!("sha256={}", signature(key, &now, &body));
                request = request.header("X-Deploy-Guard-Signature", signature);
            }
            let request = request.body(body);
            let wrong = "look at the log of the server that the variable names";
            self.web
                .deliver(request, &self.url, deadline, wrong)
                .await?;
            Ok(Delivered::default())
        })
    }
}

impl Webhook {
    fn body(&self, notice: &Notice) -> Result<String, DeliveryError> {
        let Some(template) = &self.template else {
            return Ok(default_body(notice));
        };
        let text = template.render(Body::of(notice));
        let text = text.map_err(|error| {
            let hint = error.hint();
            DeliveryError::refused(error.to_string(), hint)
        })?;
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(error) => {
                let reason = format!("what the template makes is not JSON: {error}");
                let hint = "a text stands in quotes, `\"text\": \"{{ title }}\"`, anything else as `{{ fields | tojson }}`";
                Err(DeliveryError::refused(reason, hint))
            }
        }
    }
}

/// What stands in a header: the id itself, or a digest of one that cannot.
fn key(id: &str) -> String {
    let is_plain = id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic());
    if is_plain {
        id.to_owned()
    } else {
        digest::of(id)
    }
}

fn signature(key: &Secret, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    hex(hmac::sign(&key, format!("{timestamp}.{body}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of `printf '1700000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn a_body_is_signed_with_its_time() {
        assert_eq!(
            signature(&"key".into(), "1700000000", "{}"),
            "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
        );
    }
}

//! A request with the captured values in their places, each escaped as its place demands: a value
//! is never more than a value.

use std::collections::BTreeMap;

use config::file::SmokeRequest;
use config::value::Json;
use config::value::template::{self, Piece, pieces};
use model::Secret;
use net::http::request::{self, Body, Request};
use net::http::transport::same_server;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

/// Captured values by name.
pub(super) type Values = BTreeMap<String, Value>;

/// What needs no escape in a part of a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Why a request cannot be made with the values that were captured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Template(#[from] template::Error),
    #[error("`{0}` is not captured")]
    NotCaptured(String),
    #[error("`{name}` {cause}")]
    Unfit { name: String, cause: ValueError },
    #[error("`{0}` leads to another server")]
    OtherServer(String),
    #[error("`{0}` is neither a URL nor a path")]
    NoUrl(String),
    #[error(transparent)]
    Request(#[from] request::Error),
}

/// Why a value does not fit its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValueError {
    #[error("holds a line break or another control character, no header may")]
    ControlCharacter,
    #[error("is `{0}`, which cannot be a part of a URL")]
    PartOfUrl(String),
}

/// The request as it is sent; `before` is the URL that was asked before it.
pub(super) fn filled(
    request: &SmokeRequest,
    values: &Values,
    before: Option<&Url>,
) -> Result<Request, Error> {
    let mut headers = BTreeMap::new();
    for (name, text) in &request.headers {
        let text = fill(text.expose(), values, Place::Header)?;
        headers.insert(name.clone(), text.into());
    }
    let mut form = BTreeMap::new();
    for (name, text) in &request.form {
        // Escaped with the field itself.
        form.insert(name.clone(), fill(text, values, Place::Plain)?);
    }
    let text = match &request.body {
        None => None,
        Some(text) => Some(fill(text, values, Place::of_body(&request.headers))?),
    };
    let json = match &request.json {
        None => None,
        Some(json) => Some(Json::from(in_json(json.get(), values)?)),
    };
    let url = url(&request.url, values, before)?;
    let body = Body {
        text: text.as_deref(),
        file: request.body_file.as_deref(),
        json: json.as_ref(),
        form: &form,
    };
    Ok(Request::new(
        request.method.as_ref(),
        &url,
        &headers,
        &body,
    )?)
}

/// Where a value is put.
#[derive(Clone, Copy)]
enum Place {
    /// Where it needs no escape, or is escaped later.
    Plain,
    Header,
    Url,
    Json,
    Form,
    Xml,
}

impl Place {
    /// A text body, by its type.
    fn of_body(headers: &BTreeMap<String, Secret>) -> Place {
        let kind = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map(|(_, kind)| kind.expose().to_ascii_lowercase())
            .unwrap_or_default();
        if kind.contains("json") {
            Place::Json
        } else if kind.contains("x-www-form-urlencoded") {
            Place::Form
        } else if kind.contains("xml") || kind.contains("html") {
            Place::Xml
        } else {
            Place::Plain
        }
    }

    fn escape(self, text: &str) -> Result<String, ValueError> {
        Ok(match self {
            Place::Header if text.chars().any(char::is_control) => {
                return Err(ValueError::ControlCharacter);
            }
            // Escaped or not, these lead to another path.
            Place::Url if matches!(text, "." | ".." | "") => {
                return Err(ValueError::PartOfUrl(text.to_owned()));
            }
            Place::Plain | Place::Header => text.to_owned(),
            Place::Url => utf8_percent_encode(text, PLAIN).to_string(),
            Place::Json => {
                let quoted = Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Place::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Place::Xml => xml(text),
        })
    }
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn fill(text: &str, values: &Values, place: Place) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(name) => {
                let escaped = place.escape(&render_value(value(name, values)?));
                out.push_str(&escaped.map_err(|cause| Error::Unfit {
                    name: name.to_owned(),
                    cause,
                })?);
            }
        }
    }
    Ok(out)
}

fn value<'v>(name: &str, values: &'v Values) -> Result<&'v Value, Error> {
    let value = values.get(name);
    value.ok_or_else(|| Error::NotCaptured(name.to_owned()))
}

fn render_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn in_json(template: &Value, values: &Values) -> Result<Value, Error> {
    Ok(match template {
        Value::String(text) => match pieces(text)?.as_slice() {
            [Piece::Name(name)] => value(name, values)?.clone(),
            _ => Value::String(fill(text, values, Place::Plain)?),
        },
        Value::Array(items) => {
            let items = items.iter().map(|item| in_json(item, values));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, field)| Ok((key.clone(), in_json(field, values)?)));
            Value::Object(fields.collect::<Result<_, Error>>()?)
        }
        other => other.clone(),
    })
}

/// A name alone is a place that the server gave; it must be one of its own.
fn url(template: &str, values: &Values, before: Option<&Url>) -> Result<String, Error> {
    let pieces = pieces(template)?;
    let ([Piece::Name(name)], Some(before)) = (pieces.as_slice(), before) else {
        return fill(template, values, Place::Url);
    };
    let given = render_value(value(name, values)?);
    match before.join(&given) {
        Ok(url) if same_server(before, &url) => Ok(url.to_string()),
        Ok(_) => Err(Error::OtherServer((*name).to_owned())),
        Err(_) => Err(Error::NoUrl((*name).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> Values {
        let evil = "a\"b&c=d/../e\r\nX: y</x>";
        [
            ("id", json!(7)),
            ("evil", json!(evil)),
            ("dots", json!("..")),
            ("next", json!("/orders/7?x=1")),
            ("away", json!("https://evil.test/")),
            ("list", json!(["a", null])),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    fn request(text: &str) -> Result<Request, Error> {
        let request = SmokeRequest {
            name: None,
            url: "http://shop.test/".to_owned(),
            method: None,
            headers: BTreeMap::new(),
            body: None,
            body_file: None,
            json: None,
            form: BTreeMap::new(),
            status: config::value::Statuses::default(),
            expect_headers: BTreeMap::new(),
            body_regex: None,
            jq: None,
            max_latency: None,
            max_redirects: 0,
            capture: BTreeMap::new(),
        };
        let (key, text) = text.split_once(": ").unwrap();
        let request = match key {
            "url" => SmokeRequest {
                url: text.to_owned(),
                ..request
            },
            "json" => SmokeRequest {
                json: Some(Json::from(serde_json::from_str::<Value>(text).unwrap())),
                ..request
            },
            "header" => SmokeRequest {
                headers: [("X-Id".to_owned(), text.into())].into(),
                ..request
            },
            "form" => SmokeRequest {
                form: [("f".to_owned(), text.to_owned())].into(),
                ..request
            },
            kind => SmokeRequest {
                body: Some(text.to_owned()),
                headers: [("content-type".to_owned(), kind.into())].into(),
                ..request
            },
        };
        let before = Url::parse("http://shop.test/orders").unwrap();
        filled(&request, &values(), Some(&before))
    }

    #[test]
    fn a_value_is_never_more_than_a_value() {
        let url = |text: &str| match request(&format!("url: {text}")) {
            Ok(request) => request.url.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(url("http://a/x/{{id}}?q={{id}}"), "http://a/x/7?q=7");
        assert_eq!(
            url("http://a/{{evil}}/x?q={{evil}}"),
            "http://a/a%22b%26c%3Dd%2F..%2Fe%0D%0AX%3A%20y%3C%2Fx%3E/x?q=a%22b%26c%3Dd%2F..%2Fe%0D%0AX%3A%20y%3C%2Fx%3E"
        );
        assert!(url("http://a/{{dots}}/x").contains("cannot be a part of a URL"));
        assert_eq!(url("{{next}}"), "http://shop.test/orders/7?x=1");
        assert_eq!(url("{{away}}"), "`away` leads to another server");
        assert!(url("http://a{{evil}}/").contains("not a URL"));

        let body = |text: &str| match request(text) {
            Ok(request) => String::from_utf8(request.body.to_vec()).unwrap(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            body(r#"json: {"a": "{{id}}", "b": "no {{id}}", "c": ["{{list}}"], "d": "{{evil}}"}"#),
            r#"{"a":7,"b":"no 7","c":[["a",null]],"d":"a\"b&c=d/../e\r\nX: y</x>"}"#
        );
        assert_eq!(
            body(r#"application/json: {"a": "{{evil}}"}"#),
            r#"{"a": "a\"b&c=d/../e\r\nX: y</x>"}"#
        );
        assert_eq!(
            body("form: {{evil}}"),
            "f=a%22b%26c%3Dd%2F..%2Fe%0D%0AX%3A+y%3C%2Fx%3E"
        );
        assert_eq!(
            body("application/xml: <a>{{evil}}</a>"),
            "<a>a&quot;b&amp;c=d/../e\r\nX: y&lt;/x&gt;</a>"
        );
        assert_eq!(body("text/plain: {{id}}"), "7");
        assert!(body("header: {{evil}}").contains("no header may"));
        assert!(body("text/plain: {{nobody}}").contains("is not captured"));
    }
}

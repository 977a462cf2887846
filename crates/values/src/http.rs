//! Values of HTTP: methods, statuses, JSON bodies, proxies.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::error::{Error, Form};

/// A request's method, such as `GET` or `PROPFIND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(String);

impl Method {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let good = |b: u8| b.is_ascii_uppercase() || b == b'-';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(good) {
            let upper = text.to_ascii_uppercase();
            return Err(
                if text.len() <= 32 && !upper.is_empty() && upper.bytes().all(good) {
                    Form::Method.meant(text, format!("`{upper}`"))
                } else {
                    Form::Method.malformed(text)
                },
            );
        }
        if text == "CONNECT" {
            return Err(Error::Connect);
        }
        Ok(Method(text.to_owned()))
    }
}

/// Statuses that pass: `200`, `200-299` or `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl std::str::FromStr for StatusRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no_status = || {
            let parts = |sign: &str| -> Option<(u16, u16)> {
                let (first, last) = text.split_once(sign)?;
                Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
            };
            let is_list = text.split([',', ' ']).filter(|part| !part.is_empty());
            let all: Option<Vec<u16>> = is_list.map(|part| part.parse().ok()).collect();
            if let Some((first, last)) = parts("..").or_else(|| parts("…")).or_else(|| parts("–"))
            {
                Form::Status.meant(text, format!("`{first}-{last}`"))
            } else if let Some(all) = all.filter(|all| all.len() > 1) {
                let all: Vec<String> = all.iter().map(u16::to_string).collect();
                Form::Status.meant(text, format!("a list: `[{}]`", all.join(", ")))
            } else {
                Form::Status.malformed(text)
            }
        };
        let trimmed = text.trim();
        let one = |text: &str| text.trim().parse::<u16>().map_err(|_| no_status());
        let (first, last) = if let Some(hundreds) = trimmed.strip_suffix("xx") {
            let hundreds = one(hundreds)?;
            if hundreds > 9 {
                return Err(no_status());
            }
            (hundreds * 100, hundreds * 100 + 99)
        } else if let Some((first, last)) = trimmed.split_once('-') {
            (one(first)?, one(last)?)
        } else {
            (one(trimmed)?, one(trimmed)?)
        };
        if first < 100 || last > 599 {
            return Err(no_status());
        }
        if first > last {
            return Err(Error::Reversed { first, last });
        }
        Ok(StatusRange { first, last })
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{} to {}", self.first, self.last)
        }
    }
}

/// A status or a range.
const STATUS: &str = r"^\s*[1-5](?:xx|[0-9]{2}(?:\s*-\s*[1-5][0-9]{2})?)\s*$";

/// One or several of them; none is any from 200 to 299.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(Vec<StatusRange>);

impl Statuses {
    const DEFAULT: StatusRange = StatusRange {
        first: 200,
        last: 299,
    };

    fn ranges(&self) -> &[StatusRange] {
        if self.0.is_empty() {
            &[Self::DEFAULT]
        } else {
            &self.0
        }
    }

    pub fn accept(&self, status: u16) -> bool {
        let within = |range: &StatusRange| (range.first..=range.last).contains(&status);
        self.ranges().iter().any(within)
    }
}

impl From<Vec<StatusRange>> for Statuses {
    fn from(ranges: Vec<StatusRange>) -> Self {
        Statuses(ranges)
    }
}

/// `200 to 299 or 304`.
impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, range) in self.ranges().iter().enumerate() {
            let or = if nth > 0 { " or " } else { "" };
            write!(f, "{or}{range}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct StatusesVisitor;

impl<'de> de::Visitor<'de> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a status, a range of them, or a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
        let one = text.parse().map_err(E::custom)?;
        Ok(Statuses(vec![one]))
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<Statuses, E> {
        self.visit_str(&status.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Statuses, E> {
        Ok(Statuses::default())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Statuses, A::Error> {
        let mut all = Vec::new();
        while let Some(range) = list.next_element()? {
            all.push(range);
        }
        Ok(Statuses(all))
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer", "array"],
            "pattern": STATUS,
            "minimum": 100,
            "maximum": 599,
            "items": {"type": ["string", "integer"], "pattern": STATUS, "minimum": 100, "maximum": 599},
            "description": "Statuses: one, a range such as `200-299` or `2xx`, or a list of these.",
            "examples": [200, "200-299", [200, 204]]
        })
    }
}

/// A document of JSON, written in YAML. Text with `${NAME}` in it stays text.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(serde_json::Value);

impl Json {
    pub fn get(&self) -> &serde_json::Value {
        &self.0
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Json(value)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Json)
    }
}

impl JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["object", "array", "string", "number", "boolean", "null"],
            "description": "A document of JSON, written in YAML."
        })
    }
}

/// Whom an HTTP request goes through: `http://proxy:3128`, or `none`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Option<String>);

impl Proxy {
    /// No proxy, whatever the environment says.
    pub const NONE: Proxy = Proxy(None);

    /// `None` means no proxy, whatever the environment says.
    pub fn url(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A proxy's URL holds a password.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Proxy(…)"
        } else {
            "none"
        })
    }
}

impl std::str::FromStr for Proxy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "none" {
            return Ok(Proxy(None));
        }
        // Not shown: it may hold a password.
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Proxy(Some(text.to_owned())))
            }
            _ => Err(Error::Proxy),
        }
    }
}

textual!(Method, "Method", {
    "type": "string",
    "description": "An HTTP method, such as `GET` or `POST`.",
    "pattern": "^[A-Z-]+$"
});

textual!(StatusRange, "StatusRange", {
    "type": ["string", "integer"],
    "description": "An HTTP status or a range of them: `200`, `200-299`, `2xx`.",
    "pattern": STATUS,
    "minimum": 100,
    "maximum": 599
});

textual!(Proxy, "Proxy", {
    "type": "string",
    "description": "`http://[user:password@]host:port`, or `none`.",
    "pattern": "^none$|^https?://."
});

//! The last moment of something: a day, to its end, or a time.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::error::{Error, Form};

/// The last moment of something, written `2026-12-01` (to its end in UTC) or
/// `2026-12-01T12:00:00Z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    last: Timestamp,
    text: String,
}

impl Expiry {
    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.last
    }
}

/// As it was written.
impl std::fmt::Display for Expiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Expiry {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let end_of = |date: Date| {
            let next = date.tomorrow().ok()?;
            Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp())
        };
        let is_date = text.len() == "2026-12-01".len();
        let last = if is_date {
            text.parse().ok().and_then(end_of)
        } else {
            text.parse().ok()
        };
        match last {
            Some(last) => Ok(Expiry {
                last,
                text: text.to_owned(),
            }),
            None => Err(Form::Expiry.malformed(text)),
        }
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Expiry {
    fn schema_name() -> Cow<'static, str> {
        "Expiry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The last day, to its end in UTC, or a time: `2026-12-01`, `2026-12-01T12:00:00Z`.",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ].+)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_to_its_end() {
        let over = |text: &str, now: &str| {
            let expiry: Result<Expiry, _> = text.parse();
            expiry.map(|expiry| now.parse().is_ok_and(|now| expiry.is_over(now)))
        };
        assert_eq!(over("2026-12-01", "2026-12-01T23:59:59Z"), Ok(false));
        assert_eq!(over("2026-12-01", "2026-12-02T00:00:00Z"), Ok(true));
        assert_eq!(
            over("2026-12-01T12:00:00+01:00", "2026-12-01T11:00:00Z"),
            Ok(true)
        );
        assert!(over("2026-13-01", "2026-12-01T11:00:00Z").is_err());
        assert!(over("soon", "2026-12-01T11:00:00Z").is_err());
    }
}

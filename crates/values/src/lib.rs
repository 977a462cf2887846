//! Values with a form of their own: durations, sizes, patterns, filters.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

#[macro_use]
mod textual;

mod error;
mod expiry;
mod http;
mod member;
mod portion;
mod quantity;
pub mod service_address;
mod share;
mod shell_text;
mod side;
mod split;
pub mod state_address;
pub mod template;
mod url;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use error::is_number;
pub use error::{Error, Form, dollar_name};
pub use expiry::Expiry;
pub use http::{Json, Method, Proxy, StatusRange, Statuses};
pub use member::{Member, has_place};
pub use portion::Portion;
pub use quantity::{Quantity, Unit};
pub use share::Share;
pub use shell_text::ShellText;
pub use side::Side;
pub use split::Split;
pub use state_address::StateAddress;
pub use url::{HTTP_URL, url_problem};

/// Whether a text can be the name of an environment variable.
pub fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(fits) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A duration, written `90s`, `1m 30s` or `500ms`. Not negative, at most 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    pub const ZERO: Span = Span(Duration::ZERO);
    const MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    pub const fn from_secs(secs: u64) -> Self {
        Span(Duration::from_secs(secs))
    }

    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Span(duration)
    }
}

impl std::str::FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_number(text) {
            // Nobody waits for thousands of seconds: other tools count in milliseconds.
            let is_long = text
                .trim()
                .parse::<f64>()
                .is_ok_and(|number| number >= 1000.0);
            let units = if is_long { ["ms", "s"] } else { ["s", "m"] };
            return Err(Error::no_unit(text.trim(), &units));
        }
        let parsed = text.trim().parse::<jiff::SignedDuration>();
        let parsed = parsed.map_err(|_| Self::meant(text))?;
        let duration = Duration::try_from(parsed).map_err(|_| Form::Span.negative(text))?;
        if duration > Self::MAX {
            return Err(Error::TooLong(text.to_owned()));
        }
        Ok(Span(duration))
    }
}

impl Span {
    /// The error of a text that may be one of days, or in capitals.
    fn meant(text: &str) -> Error {
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        let read = |text: &str| text.trim().parse::<jiff::Span>().ok();
        let is_lower = text.to_ascii_lowercase() == text;
        let hours = read(text).and_then(|span| span.to_duration(days).ok());
        match hours.map(|duration| duration.as_hours()) {
            Some(hours) if hours > 0 => Form::Span.meant(text, format!("it in hours: `{hours}h`")),
            None if !is_lower && read(&text.to_ascii_lowercase()).is_some() => {
                Form::Span.meant(text, format!("`{}`", text.to_ascii_lowercase()))
            }
            _ => Form::Span.malformed(text),
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&model::text::duration(self.0))
    }
}

/// How old something may be, written `90d`, `12h` or `1w 2d`; a day has 24 hours. At most 20 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(Duration);

impl Age {
    const MAX: Duration = Duration::from_secs(20 * 366 * 24 * 60 * 60);

    pub const fn get(self) -> Duration {
        self.0
    }
}

impl std::str::FromStr for Age {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no_age = || Form::Age.malformed(text);
        if is_number(text) {
            return Err(Error::no_unit(text.trim(), &["d", "h"]));
        }
        let parsed: jiff::Span = text.trim().parse().map_err(|_| no_age())?;
        let duration = parsed
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| no_age())?;
        let duration = Duration::try_from(duration).map_err(|_| Form::Age.negative(text))?;
        if duration > Self::MAX {
            return Err(Error::TooOld(text.to_owned()));
        }
        Ok(Age(duration))
    }
}

/// In the two largest units that are not zero: `3d 4h`, `12m 5s`, `0s`.
impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut left = self.0.as_secs();
        let mut parts = Vec::new();
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if left >= seconds {
                parts.push(format!("{}{unit}", left / seconds));
                left %= seconds;
            }
        }
        parts.truncate(2);
        match parts.as_slice() {
            [] => f.write_str("0s"),
            parts => f.write_str(&parts.join(" ")),
        }
    }
}

impl From<Duration> for Age {
    fn from(duration: Duration) -> Self {
        Age(duration)
    }
}

/// A check's share of the readiness score, relative to the others: a number from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight(f64);

impl Weight {
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Weight {
    /// An equal share of it for each of so many parts.
    pub fn split(self, parts: usize) -> Weight {
        let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        Weight(self.0 / f64::from(parts))
    }
}

impl Default for Weight {
    fn default() -> Self {
        Weight(1.0)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight = f64::deserialize(deserializer)?;
        // Beyond that sums of them would no longer be numbers.
        if (0.0..=1e6).contains(&weight) {
            return Ok(Weight(weight));
        }
        Err(de::Error::custom("a weight is a number from 0 to 1000000"))
    }
}

impl JsonSchema for Weight {
    fn schema_name() -> Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0.0, "maximum": 1e6})
    }
}

/// A GitHub App's id, a number, or its client id, letters and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId(String);

impl AppId {
    pub fn get(&self) -> &str {
        &self.0
    }

    /// `12345` or `Iv23liAbCdEf`, `Iv1.8a61f9b3a7aba766`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<AppId> {
        let text = text.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let number = text.chars().all(|c| c.is_ascii_digit());
        let client = text.starts_with("Iv") && text.len() > 4 && text.chars().all(plain);
        let fits = !text.is_empty() && text.len() <= 40;
        (fits && (number || client)).then(|| AppId(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = AppId;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an app's id, a number, or its client id, such as `Iv23liAbCdEf`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<AppId, E> {
                Ok(AppId(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AppId, E> {
                AppId::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for AppId {
    fn schema_name() -> Cow<'static, str> {
        "AppId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"oneOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^([0-9]+|Iv[0-9A-Za-z.]{3,38})$"},
        ]})
    }
}

/// A server, written `host:port`, `[::1]:port`, or `host` where there is a usual port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: Option<u16>,
}

impl Address {
    /// Without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl std::str::FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(name) = dollar_name(text) {
            return Err(Error::Dollar(name.to_owned()));
        }
        let no_address = || match text.split_once("://") {
            Some((_, rest)) if !rest.contains(['/', '@']) && rest.contains(':') => {
                Form::Address.meant(text, format!("`{rest}`"))
            }
            _ => Form::Address.malformed(text),
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let no_port = |_| {
                    if host.is_empty() || port.contains('/') {
                        no_address()
                    } else {
                        Error::Port(port.to_owned())
                    }
                };
                (host, Some(port.parse::<u16>().map_err(no_port)?))
            }
            _ => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c);
        if host.is_empty() || host.contains(odd) {
            return Err(no_address());
        }
        if port == Some(0) {
            return Err(Error::Port("0".to_owned()));
        }
        Ok(Address {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.port, self.host.contains(':')) {
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
            (None, _) => f.write_str(&self.host),
        }
    }
}

/// A time of the day, written `"16:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(jiff::civil::Time);

impl TimeOfDay {
    pub const fn get(self) -> jiff::civil::Time {
        self.0
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let padded = if text.find(':') == Some(1) {
            format!("0{text}")
        } else {
            text.to_owned()
        };
        padded
            .parse()
            .map(TimeOfDay)
            .map_err(|_| Form::TimeOfDay.malformed(text))
    }
}

/// A date, written `2026-12-20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(jiff::civil::Date);

impl Date {
    pub const fn get(self) -> jiff::civil::Date {
        self.0
    }
}

impl std::str::FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse()
            .map(Date)
            .map_err(|_| Form::Date.malformed(text))
    }
}

/// A time zone by its IANA name, such as `Europe/Paris`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    pub fn get(&self) -> &jiff::tz::TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone(jiff::tz::TimeZone::UTC)
    }
}

impl std::str::FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        jiff::tz::TimeZone::get(text)
            .map(Zone)
            .map_err(|_| Form::Zone.malformed(text))
    }
}

/// A size in bytes, written `64KiB`, `1MB` or as a plain number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    pub const fn from_bytes(bytes: u64) -> Self {
        Size(bytes)
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::str::FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "kib" => 1 << 10,
            "m" | "mb" => 1_000_000,
            "mib" => 1 << 20,
            "g" | "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            _ => return Err(Form::Size.malformed(text)),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Size)
            .ok_or_else(|| Form::Size.malformed(text))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{} {unit}", self.0 / factor);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// How much must be free: a share of the whole, written `10%`, or an amount, `5GiB`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Room {
    /// Of a hundred.
    Percent(f64),
    /// Bytes, or whatever else is counted.
    Amount(u64),
}

impl Room {
    /// The error of an amount of bytes that is so small that a unit was meant.
    pub fn without_unit(self) -> Option<Error> {
        match self {
            Room::Amount(bytes) if bytes < 1000 => {
                Some(Error::no_unit(&bytes.to_string(), &["%", "GiB"]))
            }
            _ => None,
        }
    }

    /// Whether `free` of `total` is enough.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no more than the 53 bits that a float has"
    )]
    pub fn fits(self, free: u64, total: u64) -> bool {
        match self {
            Room::Percent(percent) => free as f64 * 100.0 >= percent * total as f64,
            Room::Amount(amount) => free >= amount,
        }
    }
}

impl std::str::FromStr for Room {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unclear = || Form::Room.malformed(text);
        let Some(percent) = text.trim().strip_suffix('%') else {
            let size: Size = text.parse().map_err(|_| unclear())?;
            return Ok(Room::Amount(size.get()));
        };
        match percent.trim().parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Room::Percent(percent)),
            _ => Err(unclear()),
        }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Room::Percent(percent) => write!(f, "{percent}%"),
            Room::Amount(amount) => write!(f, "{}", Size(*amount)),
        }
    }
}

/// A regular expression over bytes, so that an answer need not be UTF-8. Clones share what it
/// compiles to: thousands of probes may hold the same.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<regex::bytes::Regex>);

impl Pattern {
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// Whether one of its matches is the whole text.
    pub fn matches_whole(&self, bytes: &[u8]) -> bool {
        let whole = format!("^(?:{})$", self.as_str());
        regex::bytes::Regex::new(&whole).is_ok_and(|whole| whole.is_match(bytes))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl std::str::FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The last line is the reason; those before it show the pattern again.
        let reason = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            Error::Pattern(last.trim_start_matches("error: ").to_owned())
        };
        let pattern = regex::bytes::Regex::new(text).map_err(reason)?;
        Ok(Pattern(Arc::new(pattern)))
    }
}

/// A jq filter that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(jq::Filter);

impl Filter {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn jq(&self) -> &jq::Filter {
        &self.0
    }
}

impl std::str::FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Filter(jq::Filter::compile(text)?))
    }
}

/// A number with its unit, once or several times; or as ISO 8601 and a clock write it.
const SPAN: &str = r"^\s*(?:[0-9]+(?:[.,][0-9]+)?\s*(?:h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|msecs?|millis?|milliseconds?|us|µs|usecs?|micros?|microseconds?|ns|nsecs?|nanos?|nanoseconds?)[\s,]*)+$|^PT[0-9.A-Z]+$|^[0-9]+:[0-9]{2}(?::[0-9.]+)?$";
const AGE: &str = r"^\s*(?:[0-9]+(?:[.,][0-9]+)?\s*(?:y|yrs?|years?|mos?|months?|w|wks?|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|msecs?|millis?|milliseconds?|us|µs|usecs?|micros?|microseconds?|ns|nsecs?|nanos?|nanoseconds?)[\s,]*)+$|^P[0-9.A-Z]+$|^[0-9]+:[0-9]{2}(?::[0-9.]+)?$";
const SIZE: &str = r"^\s*[0-9]+\s*(?:[bB]|[kKmMgG](?:[iI]?[bB])?)?\s*$";
const SHARE: &str = r"^\s*(?:100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]*)?)\s*%\s*$";

textual!(Age, "Age", {
    "type": "string",
    "description": "How old something may be, such as `90d`, `12h` or `1w 2d`; a day has 24 hours.",
    "pattern": AGE,
    "examples": ["90d", "24h"]
});
textual!(Address, "Address", {
    "type": "string",
    "description": "A server, such as `db.internal:5432`, `[::1]:80`, or a host alone where there is a usual port.",
    "pattern": r"^(?:\[[^\]\s]+\]|[^\s/@?#:$]+)(?::[1-9][0-9]{0,4})?$|^[0-9a-fA-F:]+$",
    "examples": ["db.internal:5432"]
});
textual!(TimeOfDay, "TimeOfDay", {
    "type": "string",
    "description": "A time of the day, such as `16:00`.",
    "pattern": "^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?$"
});
textual!(Date, "Date", {
    "type": "string",
    "description": "A date, such as `2026-12-20`.",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
});
textual!(Zone, "TimeZone", {
    "type": "string",
    "description": "A time zone by its IANA name, such as `Europe/Paris`."
});
textual!(Span, "Duration", {
    "type": "string",
    "description": "A duration: `30s`, `1m 30s`, `500ms`.",
    "pattern": SPAN,
    "examples": ["30s", "1m 30s", "500ms"]
});
textual!(Size, "Size", {
    "type": ["string", "integer"],
    "description": "A size in bytes: `64KiB`, `1MB`, or a number.",
    "pattern": SIZE,
    "minimum": 0,
    "examples": ["64KiB"]
});
textual!(Room, "Room", {
    "type": ["string", "integer"],
    "description": "How much must be free: a share, `10%`, or an amount, `5GiB`.",
    "pattern": format!("{SHARE}|{SIZE}"),
    "minimum": 0,
    "examples": ["10%", "5GiB"]
});
textual!(Pattern, "Pattern", {"type": "string", "description": "A regular expression."});
textual!(Filter, "Filter", {"type": "string", "description": "A jq filter."});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let shown = |text: &str| match text.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        };
        for good in ["db:5432", "[::1]:80", "::1", "shop.example", "10.0.0.1:1"] {
            assert_eq!(shown(good), good);
        }
        for wrong in ["", ":80", "a b:1", "http://a/", "tcp://db:5432"] {
            assert!(shown(wrong).contains("is not `host:port`"), "{wrong}");
        }
        for wrong in ["a:b", "a:0", "a:70000"] {
            assert!(shown(wrong).contains("is not a port"), "{wrong}");
        }
        assert_eq!(
            shown("$HOST:80"),
            "`$HOST` is not replaced here: write `${HOST}`"
        );
        assert!(shown("tcp://db:5432").ends_with("write `db:5432`"));
    }

    #[test]
    fn an_apps_id_is_a_number_or_a_client_id() {
        let id = |text: &str| AppId::parse(text).map(|id| id.get().to_owned());
        for good in ["12345", "Iv23liAbCdEf", "Iv1.8a61f9b3a7aba766"] {
            assert_eq!(id(&format!("{good}\n")).as_deref(), Some(good));
        }
        for wrong in ["", "my-app", "Iv", "12a", "Iv23\nx", "-1", &"1".repeat(41)] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ages_are_read_and_shown() {
        let shown = |text: &str| match text.parse::<Age>() {
            Ok(age) => age.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown("90d"), "90d");
        assert_eq!(shown("1w 2d"), "9d");
        assert_eq!(shown("36h"), "1d 12h");
        assert_eq!(shown("3661s"), "1h 1m");
        assert_eq!(shown("0s"), "0s");
        assert!(shown("-1d").contains("negative"));
        assert!(shown("900y").contains("not an age"));
        assert!(shown("9999d").contains("20 years"));
        assert!(shown("soon").contains("not an age"));
    }
}

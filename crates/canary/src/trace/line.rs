//! A line as it is written: what each side has, before it is a reading of a metric.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// More names tell no reader more.
const MAX_OTHERS: usize = 5;

/// What a line has.
#[derive(Debug, Default)]
pub struct TraceLine {
    pub(super) run: Option<String>,
    pub(super) at: Option<String>,
    /// Since when it counts.
    pub(super) from: Option<String>,
    /// In the order of the names that were looked for.
    pub(super) metrics: Vec<Option<Metric>>,
    /// Names that were not looked for.
    pub(super) others: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Metric {
    pub(super) canary: WrittenSide,
    pub(super) stable: WrittenSide,
    pub(super) doubts: Vec<String>,
    /// The value where the sides were expected, if it is not an object.
    pub(super) odd: Option<String>,
}

/// The instances of a side.
#[derive(Debug, Default)]
pub(super) enum WrittenSide {
    #[default]
    Absent,
    Whole(Part),
    Instances(Vec<Part>),
}

#[derive(Debug, Default)]
pub(super) struct Part {
    /// Where it is written as a number alone.
    pub(super) number: Option<f64>,
    pub(super) failed: Option<f64>,
    pub(super) total: Option<f64>,
    /// By bound, as it is written.
    pub(super) buckets: Option<Vec<(f64, f64)>>,
    /// What is no number, where one is to be.
    pub(super) odd: Option<String>,
}

/// Reads a line with the metrics of these names.
pub(super) struct Names<'n>(pub(super) &'n [String]);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = TraceLine;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<TraceLine, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = TraceLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `metrics`, or `run`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TraceLine, A::Error> {
        let mut line = TraceLine::default();
        let mut has_metrics = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match &*key.0 {
                "run" => line.run = Some(map.next_value::<Name>()?.0),
                "at" => line.at = map.next_value()?,
                "from" => line.from = map.next_value()?,
                "metrics" if has_metrics => return Err(de::Error::duplicate_field("metrics")),
                "metrics" => {
                    has_metrics = true;
                    (line.metrics, line.others) = map.next_value_seed(Metrics(self.0))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_metrics == line.run.is_some() {
            return Err(de::Error::custom(
                "it has neither `metrics` nor `run`, or both",
            ));
        }
        Ok(line)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

/// A run's name: a text, or a number.
struct Name(String);

impl<'de> de::Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a run's name")
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }
        }
        from.deserialize_any(Any)
    }
}

struct Metrics<'n>(&'n [String]);

impl<'de> DeserializeSeed<'de> for Metrics<'_> {
    type Value = (Vec<Option<Metric>>, Vec<String>);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metrics<'_> {
    type Value = (Vec<Option<Metric>>, Vec<String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metrics by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all: Vec<Option<Metric>> = self.0.iter().map(|_| None).collect();
        let mut others = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let place = self.0.iter().position(|name| *name == *key.0);
            match place {
                Some(at) if all[at].is_some() => {
                    return Err(de::Error::custom(format!("duplicate metric `{}`", key.0)));
                }
                Some(at) => all[at] = map.next_value::<Option<Metric>>()?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                    if others.len() < MAX_OTHERS {
                        others.push(model::text::excerpt(key.0.as_bytes()));
                    }
                }
            }
        }
        Ok((all, others))
    }
}

impl<'de> de::Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        fn odd(text: &str) -> Metric {
            Metric {
                odd: Some(model::text::excerpt(text.as_bytes())),
                ..Metric::default()
            }
        }

        struct Sides;
        impl<'de> Visitor<'de> for Sides {
            type Value = Metric;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `canary` and `stable`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metric, A::Error> {
                let mut metric = Metric::default();
                let mut seen = [false; 2];
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let (side, nth) = match &*key.0 {
                        "canary" => (&mut metric.canary, 0),
                        "stable" => (&mut metric.stable, 1),
                        "doubts" => {
                            metric.doubts = map.next_value()?;
                            continue;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if std::mem::replace(&mut seen[nth], true) {
                        return Err(de::Error::custom(format!("duplicate key `{}`", key.0)));
                    }
                    *side = map.next_value()?;
                }
                Ok(metric)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Metric, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(odd("a list"))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Metric, E> {
                Ok(odd(&number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Metric, E> {
                Ok(odd(&number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Metric, E> {
                Ok(odd(&number.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Metric, E> {
                Ok(odd(text))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Metric, E> {
                Ok(odd(if value { "true" } else { "false" }))
            }
        }
        from.deserialize_any(Sides)
    }
}

impl<'de> de::Deserialize<'de> for WrittenSide {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = WrittenSide;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a side: numbers, or a list of instances")
            }

            fn visit_unit<E>(self) -> Result<WrittenSide, E> {
                Ok(WrittenSide::Absent)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WrittenSide, A::Error> {
                let mut all = Vec::with_capacity(list.size_hint().unwrap_or_default().min(64));
                while let Some(part) = list.next_element::<Option<Part>>()? {
                    // An instance that was not seen.
                    all.extend(part);
                }
                Ok(if all.is_empty() {
                    WrittenSide::Absent
                } else {
                    WrittenSide::Instances(all)
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenSide, A::Error> {
                PartOf.visit_map(map).map(WrittenSide::Whole)
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<WrittenSide, E> {
                PartOf.visit_f64(number).map(WrittenSide::Whole)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<WrittenSide, E> {
                PartOf.visit_u64(number).map(WrittenSide::Whole)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<WrittenSide, E> {
                PartOf.visit_i64(number).map(WrittenSide::Whole)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WrittenSide, E> {
                PartOf.visit_str(text).map(WrittenSide::Whole)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<WrittenSide, E> {
                PartOf.visit_bool(value).map(WrittenSide::Whole)
            }
        }
        from.deserialize_any(Any)
    }
}

impl<'de> de::Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PartOf)
    }
}

struct PartOf;

impl<'de> Visitor<'de> for PartOf {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or an object with `failed`, `total` or `buckets`")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Part, E> {
        Ok(Part {
            number: Some(number),
            ..Part::default()
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a count is refused")]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Part, E> {
        self.visit_f64(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a count is refused")]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Part, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(odd(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
        Ok(odd(if value { "true" } else { "false" }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut part = Part::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let is_second = match &*key.0 {
                "failed" => part.failed.is_some(),
                "total" => part.total.is_some(),
                "buckets" => part.buckets.is_some(),
                _ => false,
            };
            if is_second {
                return Err(de::Error::custom(format!("duplicate key `{}`", key.0)));
            }
            let number = match &*key.0 {
                "failed" => &mut part.failed,
                "total" => &mut part.total,
                "buckets" => {
                    match map.next_value::<Option<Buckets>>()? {
                        None => {}
                        Some(Buckets::Read(all)) => part.buckets = Some(all),
                        Some(Buckets::Odd(odd)) => part.odd = Some(odd),
                    }
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            match map.next_value::<Option<Part>>()? {
                None => {}
                Some(value) if value.number.is_some() => *number = value.number,
                Some(value) => {
                    let odd = value.odd.unwrap_or_else(|| "an object".to_owned());
                    part.odd = Some(odd);
                }
            }
        }
        Ok(part)
    }
}

fn odd(text: &str) -> Part {
    Part {
        odd: Some(model::text::excerpt(text.as_bytes())),
        ..Part::default()
    }
}

/// Counts by bound, or the bound or count that is no number.
enum Buckets {
    Read(Vec<(f64, f64)>),
    Odd(String),
}

impl<'de> de::Deserialize<'de> for Buckets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ByBound;
        impl<'de> Visitor<'de> for ByBound {
            type Value = Buckets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of counts by their bound")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Buckets, A::Error> {
                let mut all = Vec::with_capacity(16);
                let mut wrong = None;
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let count = map.next_value::<Part>()?;
                    match (key.0.trim().parse::<f64>(), count.number) {
                        (Ok(bound), Some(count)) => all.push((bound, count)),
                        (Ok(_), None) => {
                            let text = count.odd.unwrap_or_else(|| "an object".to_owned());
                            wrong = Some(text);
                        }
                        (Err(_), _) => wrong = Some(model::text::excerpt(key.0.as_bytes())),
                    }
                }
                Ok(wrong.map_or(Buckets::Read(all), Buckets::Odd))
            }
        }
        from.deserialize_map(ByBound)
    }
}

/// The line with what other writers of JSON write for numbers that are none, `NaN`, `Infinity` and
/// numbers too large for a float, as texts; `None` where it has nothing of the kind.
pub(super) fn with_texts_for_odd_numbers(line: &[u8]) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(line.len() + 16);
    let mut has_odd = false;
    let mut at = 0;
    while at < line.len() {
        let length = match line[at] {
            b'"' => text_length(&line[at..]),
            byte if is_of_number(byte) => line[at..]
                .iter()
                .take_while(|byte| is_of_number(**byte))
                .count(),
            _ => 1,
        };
        let token = &line[at..at + length];
        if is_odd_number(token) {
            has_odd = true;
            written.push(b'"');
            written.extend(token);
            written.push(b'"');
        } else {
            written.extend(token);
        }
        at += length;
    }
    has_odd.then_some(written)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Of a JSON text with its quotes.
fn text_length(from: &[u8]) -> usize {
    let mut is_escaped = false;
    for (nth, byte) in from.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return nth + 1,
            _ => {}
        }
    }
    from.len()
}

fn is_odd_number(token: &[u8]) -> bool {
    let number = std::str::from_utf8(token).ok();
    let number = number.and_then(|token| token.parse::<f64>().ok());
    number.is_some_and(|number| !number.is_finite())
}

//! From the tree to types, by serde; every error gets the place of the node it is about.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use crate::fault::{Fault, display_value, listed};
use crate::node::{Key, Kind, Node, Scalar};
use crate::verbatim;

impl Node {
    pub fn decode<'de, T: de::Deserialize<'de>>(&'de self) -> Result<T, Fault> {
        T::deserialize(self).map_err(|fault| fault.at(self.place.clone()))
    }

    fn scalar(&self, wanted: &str) -> Result<&Scalar, Fault> {
        match &self.kind {
            Kind::Scalar(scalar) if !self.is_null() => Ok(scalar),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let fault = Fault::new(format!("expected {wanted}, found {}", self.describe()));
        let fault = fault.at(self.place.clone());
        if matches!(&self.kind, Kind::Scalar(scalar) if scalar.written.is_some() && self.is_null())
        {
            return fault.hint("set it, or give it a default: `${NAME:-default}`");
        }
        Fault {
            misshapen: true,
            ..fault
        }
    }

    /// A number or boolean: only unquoted text can be one. In a variable's value, quotes keep only the
    /// braces of `${NAME}` apart from YAML's own.
    fn parsed<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, Fault> {
        let scalar = self.scalar(wanted)?;
        let is_quoted = !scalar.plain && scalar.written.is_none();
        match scalar.text.trim().parse() {
            Ok(_) if is_quoted => {
                let text = &scalar.text;
                let fault = Fault::new(format!("expected {wanted}, found the text \"{text}\""));
                Err(fault.hint(format!("leave the quotes out: `{text}`")))
            }
            Ok(value) => Ok(value),
            Err(_) => {
                let found = match &scalar.written {
                    Some(written) => format!("and the value of `{written}` is something else"),
                    None => format!("found {}", display_value(&scalar.text)),
                };
                Err(Fault::new(format!("expected {wanted}, {found}")))
            }
        }
        .map_err(|fault| fault.at(self.place.clone()))
    }

    fn boolean(&self) -> Result<bool, Fault> {
        let meant = |fault: Fault| {
            let text = self.text().unwrap_or_default().to_ascii_lowercase();
            match text.as_str() {
                "yes" | "y" | "on" | "1" | "true" => fault.hint("write `true`, without quotes"),
                "no" | "n" | "off" | "0" | "false" => fault.hint("write `false`, without quotes"),
                _ => fault,
            }
        };
        self.parsed("`true` or `false`").map_err(meant)
    }

    /// A whole number, within bounds.
    fn whole_number(&self, least: i128, most: i128) -> Result<i128, Fault> {
        let number: i128 = self.parsed("a whole number")?;
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        let bounds = match least {
            0 if number < 0 => "from 0".to_owned(),
            _ if most <= i128::from(u16::MAX) => format!("from {least} to {most}"),
            _ => format!("up to {most}"),
        };
        let message = format!("expected a whole number {bounds}, found `{number}`");
        Err(self.veiled(Fault::new(message)).at(self.place.clone()))
    }

    /// An error about a number, which does not show a variable's value.
    fn veiled(&self, fault: Fault) -> Fault {
        match &self.kind {
            Kind::Scalar(Scalar {
                written: Some(written),
                ..
            }) => Fault::new(format!("the value of `{written}` is not possible here")),
            _ => fault,
        }
    }
}

impl Scalar {
    /// Where any value is allowed: a number or boolean if it is written as in JSON.
    fn guessed<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text.as_str();
        let json = self.plain && self.written.is_none();
        match serde_json::from_str(text) {
            Ok(serde_json::Value::Bool(value)) if json => visitor.visit_bool(value),
            Ok(serde_json::Value::Number(number)) if json => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            _ => visitor.visit_str(text),
        }
    }
}

macro_rules! number {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.whole_number(<$type>::MIN.into(), <$type>::MAX.into())?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number).map_err(|fault| self.veiled(fault)),
                Err(error) => Err(Fault::new(error.to_string())),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Scalar(_) if self.is_null() => visitor.visit_unit(),
            Kind::Scalar(scalar) => scalar.guessed(visitor),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.boolean()?)
    }

    number! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.parsed("a number")?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(&self.scalar("text")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == verbatim::NAME {
            return verbatim::visit(self.scalar("text")?, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::List(items) => visitor.visit_seq(Items(items.iter())),
            // `http:` with nothing under it yet.
            _ if self.is_null() => visitor.visit_seq(Items([].iter())),
            _ => Err(self.unexpected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let entries = match &self.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ if self.is_null() => &[],
            _ => return Err(self.unexpected("a mapping")),
        };
        visitor.visit_map(Entries {
            entries: entries.iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
            .map_err(|fault| fault.at(self.place.clone()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let word = match self.scalar("") {
            Ok(scalar) => Word(&scalar.text),
            Err(_) => return Err(self.unexpected(&format!("one of {}", listed(known)))),
        };
        visitor
            .visit_enum(word)
            .map_err(|fault| fault.at(self.place.clone()))
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(node)
            .map(Some)
            .map_err(|fault| fault.at(node.place.clone()))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|fault| fault.at(key.place.clone()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some(node) = self.value.take() else {
            return Err(Fault::new("a value came before its key"));
        };
        seed.deserialize(node)
            .map_err(|fault| fault.at(node.place.clone()))
    }
}

/// A word that names an enum's variant.
struct Word<'de>(&'de str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(Fault::new(format!("`{}` takes no value", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` takes no value", self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` takes no value", self.0)))
    }
}

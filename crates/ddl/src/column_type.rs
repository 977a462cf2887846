//! The types of columns, and what a change from one to another costs.

/// The type of a column, as it is written or as `format_type` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnType {
    /// One name for each type, whatever its alias: `varchar`, `int4`, `timestamptz`.
    pub(crate) base: String,
    /// Length, precision, scale.
    pub(crate) modifiers: Vec<u32>,
    pub(crate) array: bool,
}

/// What becomes of the rows when a column gets another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// The stored values are values of the new type, too: nothing is read or written.
    None,
    /// Every row is written again, and each value has its equal in the new type.
    Rewrite,
    /// Every row is written again, and a value may lose a part of it.
    Lossy,
    /// The types do not tell, without the server: a type of the user's own, or a setting that counts.
    Unsure,
}

impl ColumnType {
    /// Reads a type. What is not PostgreSQL's own keeps its name as it is written.
    pub(crate) fn read(text: &str) -> ColumnType {
        let mut text = text.trim().to_lowercase().replace("pg_catalog.", "");
        let mut array = false;
        while let Some(open) = text.rfind('[').filter(|_| text.ends_with(']')) {
            text = text[..open].trim_end().to_owned();
            array = true;
        }
        let mut modifiers = Vec::new();
        if let (Some(open), Some(close)) = (text.find('('), text.find(')'))
            && open < close
        {
            let within = text[open + 1..close].split(',');
            modifiers = within.filter_map(|one| one.trim().parse().ok()).collect();
            text.replace_range(open..=close, " ");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let base = match words.join(" ").as_str() {
            "character varying" | "char varying" | "national character varying" => "varchar",
            "character" | "char" | "nchar" | "national character" | "bpchar" => "bpchar",
            "smallint" | "smallserial" | "serial2" => "int2",
            "integer" | "int" | "serial" | "serial4" => "int4",
            "bigint" | "bigserial" | "serial8" => "int8",
            "decimal" | "dec" => "numeric",
            "real" => "float4",
            "float" if modifiers.first().is_some_and(|bits| *bits <= 24) => "float4",
            "double precision" | "float" => "float8",
            "boolean" => "bool",
            "timestamp without time zone" => "timestamp",
            "timestamp with time zone" => "timestamptz",
            "time without time zone" => "time",
            "time with time zone" => "timetz",
            "bit varying" => "varbit",
            other => other,
        }
        .to_owned();
        if base.starts_with("float") {
            modifiers.clear();
        }
        if base == "bpchar" && modifiers.is_empty() && text.trim() != "bpchar" {
            modifiers.push(1);
        }
        ColumnType {
            base,
            modifiers,
            array,
        }
    }

    /// Whether the type is one of PostgreSQL's own that every database has.
    pub(crate) fn is_builtin(&self) -> bool {
        KNOWN.contains(&self.base.as_str())
    }

    /// Whether a column of this type gets a sequence of its own.
    pub(crate) fn serial(text: &str) -> bool {
        let text = text.trim().to_lowercase();
        [
            "smallserial",
            "serial",
            "bigserial",
            "serial2",
            "serial4",
            "serial8",
        ]
        .contains(&text.as_str())
    }

    /// What a change of this type to another costs, by a plain `ALTER COLUMN … TYPE`.
    ///
    /// By the notes of ALTER TABLE in the manual: "if the USING clause does not change the column
    /// contents and the old type is either binary coercible to the new type or an unconstrained
    /// domain over the new type, a table rewrite is not needed". Which lengths and precisions are no
    /// change is said by the support functions of the types: `varchar_support`, `numeric_support`,
    /// `varbit_support`, `timestamp_support`, `time_support`, `interval_support`.
    pub(crate) fn to(&self, new: &ColumnType) -> Conversion {
        if self == new {
            return Conversion::None;
        }
        if !self.is_builtin() || !new.is_builtin() {
            return Conversion::Unsure;
        }
        if self.array != new.array {
            return Conversion::Rewrite;
        }
        if self.array && self.base != new.base {
            return match self.element(new) {
                // Elements are coerced one by one.
                Conversion::None if self.binary_equal(new) => Conversion::None,
                Conversion::None => Conversion::Rewrite,
                other => other,
            };
        }
        self.element(new)
    }

    /// Whether a release that was written for this type reads and writes the new one as before: the
    /// same type with room for as much, or texts.
    pub(crate) fn is_held_by(&self, new: &ColumnType) -> bool {
        let text = |one: &ColumnType| one.base == "text" || one.base == "varchar";
        let room = |one: &ColumnType| one.modifiers.first().copied().unwrap_or(u32::MAX);
        if self.array != new.array {
            return false;
        }
        if self.base == "numeric" && new.base == "numeric" {
            let scale = |one: &ColumnType| one.modifiers.get(1).copied().unwrap_or(0);
            let whole = |one: &ColumnType| room(one).saturating_sub(scale(one));
            return new.modifiers.is_empty()
                || !self.modifiers.is_empty()
                    && scale(new) >= scale(self)
                    && whole(new) >= whole(self);
        }
        (self.base == new.base || text(self) && text(new)) && room(new) >= room(self)
    }

    fn element(&self, new: &ColumnType) -> Conversion {
        if self.base == new.base {
            return self.same_base(new);
        }
        if self.binary_equal(new) {
            // To a length: the values must be looked at.
            return match new.base.as_str() {
                "varchar" if !new.modifiers.is_empty() => cut(new),
                _ => Conversion::None,
            };
        }
        match (self.base.as_str(), new.base.as_str()) {
            // No rewrite where the zone of the session is UTC, since 12.
            ("timestamp", "timestamptz") | ("timestamptz", "timestamp") => Conversion::Unsure,
            (from, to) if lossy(from, to) => Conversion::Lossy,
            (_, "varchar" | "bpchar") if !new.modifiers.is_empty() => Conversion::Lossy,
            _ => Conversion::Rewrite,
        }
    }

    /// The casts that the manual calls binary coercible, among the types of columns.
    fn binary_equal(&self, new: &ColumnType) -> bool {
        matches!(
            (self.base.as_str(), new.base.as_str()),
            ("varchar", "text")
                | ("text", "varchar")
                | ("cidr", "inet")
                | ("xml", "text" | "varchar")
                | ("bit", "varbit")
                | ("varbit", "bit")
                | ("int4", "oid")
                | ("oid", "int4")
        ) && new.base != "bit"
    }

    fn same_base(&self, new: &ColumnType) -> Conversion {
        let (old, to) = (&self.modifiers, &new.modifiers);
        match self.base.as_str() {
            "varchar" | "varbit" | "timestamp" | "timestamptz" | "time" | "timetz" | "interval" => {
                match (old.first(), to.first()) {
                    (_, None) => Conversion::None,
                    (Some(old), Some(to)) if to >= old => Conversion::None,
                    // The most that these keep.
                    (None, Some(6..)) if self.base != "varchar" && self.base != "varbit" => {
                        Conversion::None
                    }
                    _ => cut(new),
                }
            }
            "numeric" => match (old.as_slice(), to.as_slice()) {
                (_, []) => Conversion::None,
                ([], _) => Conversion::Lossy,
                (old, to) => {
                    let scale = |of: &[u32]| of.get(1).copied().unwrap_or(0);
                    if scale(old) == scale(to) && to[0] >= old[0] {
                        Conversion::None
                    } else if scale(to) < scale(old) {
                        Conversion::Lossy
                    } else {
                        Conversion::Rewrite
                    }
                }
            },
            "bpchar" | "bit" if to.first() < old.first() => cut(new),
            _ => Conversion::Rewrite,
        }
    }
}

/// To a shorter one: texts that are too long are refused, the rest of a fraction is rounded away.
fn cut(new: &ColumnType) -> Conversion {
    match new.base.as_str() {
        "varchar" | "bpchar" | "varbit" | "bit" => Conversion::Rewrite,
        _ => Conversion::Lossy,
    }
}

/// Pairs whose values do not all come back.
fn lossy(from: &str, to: &str) -> bool {
    let rank = |name: &str| {
        ["int2", "int4", "int8", "numeric"]
            .iter()
            .position(|one| *one == name)
    };
    match (from, to) {
        ("float8" | "float4" | "numeric", "int2" | "int4" | "int8")
        | ("numeric" | "float8" | "int8" | "int4", "float4")
        | ("numeric" | "int8", "float8")
        | ("timestamp" | "timestamptz", "date" | "time" | "timetz")
        | ("timetz", "time")
        | ("inet", "cidr")
        | ("json", "jsonb") => true,
        (from, to) => matches!((rank(from), rank(to)), (Some(from), Some(to)) if to < from),
    }
}

const KNOWN: &[&str] = &[
    "bit",
    "bool",
    "box",
    "bpchar",
    "bytea",
    "cidr",
    "circle",
    "date",
    "daterange",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int4range",
    "int8",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "numrange",
    "oid",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "uuid",
    "varbit",
    "varchar",
    "xml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_name_whatever_its_alias() {
        for (text, base, modifiers, array) in [
            ("VARCHAR(50)", "varchar", vec![50], false),
            ("character varying(50)", "varchar", vec![50], false),
            ("decimal(10, 2)", "numeric", vec![10, 2], false),
            ("timestamp(3) with time zone", "timestamptz", vec![3], false),
            ("int[]", "int4", vec![], true),
            ("pg_catalog.int8", "int8", vec![], false),
            ("char", "bpchar", vec![1], false),
            ("float(10)", "float4", vec![], false),
            ("my_enum", "my_enum", vec![], false),
        ] {
            let found = ColumnType::read(text);
            let wanted = ColumnType {
                base: base.into(),
                modifiers,
                array,
            };
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn an_odd_type_is_read_without_a_panic() {
        for text in ["", ")(", "(", "[]", "x(", "int4(99999999999)", "]["] {
            let _ = ColumnType::read(text);
        }
    }
}

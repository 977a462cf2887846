//! Why a text is not the value that it should be.

/// Why a text is not the value that it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// It does not have the form that such a value has.
    #[error("`{text}` {form}")]
    Malformed { text: String, form: Form },
    /// What was meant is known.
    #[error("`{text}` {form}: write {meant}")]
    Meant {
        text: String,
        form: Form,
        meant: String,
    },
    /// A number alone: of what, nothing tells.
    #[error("`{text}` has no unit: write {meant}")]
    NoUnit { text: String, meant: String },
    #[error("`{text}` is negative, {} is not", .form.noun())]
    Negative { text: String, form: Form },
    #[error("`{0}` is longer than 30 days")]
    TooLong(String),
    #[error("`{0}` is more than 20 years")]
    TooOld(String),
    /// The last of a range is before its first.
    #[error("`{first}-{last}` ends before it begins: write `{last}-{first}`")]
    Reversed { first: u16, last: u16 },
    #[error("`{0}` is not a port: a number from 1 to 65535")]
    Port(String),
    /// The name of a variable as a shell has it.
    #[error("`${0}` is not replaced here: write `${{{0}}}`")]
    Dollar(String),
    #[error("`CONNECT` is for proxies: see `proxy`")]
    Connect,
    /// The text is not shown: it may hold a password.
    #[error("the proxy is neither `http://host:port` nor `none`")]
    Proxy,
    #[error("not a regular expression: {0}")]
    Pattern(String),
    #[error("not a jq filter: {0}")]
    Filter(#[from] jq::Error),
}

/// The form that a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Span,
    Age,
    Address,
    TimeOfDay,
    Date,
    Zone,
    Size,
    Room,
    Quantity,
    Portion,
    Share,
    Expiry,
    Method,
    Status,
}

impl Error {
    /// A number alone, with the units that it may have meant.
    pub(crate) fn no_unit(number: &str, units: &[&str]) -> Self {
        let meant: Vec<String> = units
            .iter()
            .map(|unit| format!("`{number}{unit}`"))
            .collect();
        Error::NoUnit {
            text: number.to_owned(),
            meant: meant.join(" or "),
        }
    }
}

/// The name behind a `$`, where a text has it as a shell does.
pub fn dollar_name(text: &str) -> Option<&str> {
    let mut behind = text.split('$').skip(1);
    behind.find_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        is_name.then_some(name)
    })
}

/// Whether a text is digits alone.
pub(crate) fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Form {
    pub(crate) fn malformed(self, text: &str) -> Error {
        Error::Malformed {
            text: text.to_owned(),
            form: self,
        }
    }

    pub(crate) fn meant(self, text: &str, meant: impl Into<String>) -> Error {
        Error::Meant {
            text: text.to_owned(),
            form: self,
            meant: meant.into(),
        }
    }

    pub(crate) fn negative(self, text: &str) -> Error {
        Error::Negative {
            text: text.to_owned(),
            form: self,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Form::Age => "an age",
            _ => "a duration",
        }
    }
}

/// What is wrong with a text that does not have the form.
impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Form::Span => "is not a duration such as `30s`, `1m 30s` or `500ms`",
            Form::Age => "is not an age such as `90d`, `12h` or `1w 2d`",
            Form::Address => "is not `host:port`",
            Form::TimeOfDay => "is not a time such as `16:00`",
            Form::Date => "is not a date such as `2026-12-20`",
            Form::Zone => "is not a time zone such as `Europe/Paris`",
            Form::Size => "is not a size such as `64KiB`, `1MB` or `5GiB`",
            Form::Room => "is neither a share such as `10%` nor a size such as `5GiB`",
            Form::Quantity => "is not a number such as `0.05`, `5%`, `3s` or `64KiB`",
            Form::Portion => "is neither a count such as `12` nor a share such as `95%`",
            Form::Share => "is not a share such as `10%` or `0.5%`, in steps of 0.01 %",
            Form::Expiry => {
                "is neither a day such as `2026-12-01` nor a time such as `2026-12-01T12:00:00Z`"
            }
            Form::Method => "is not a method such as `GET` or `POST`",
            Form::Status => "is not an HTTP status such as `200`, `200-299` or `2xx`",
        })
    }
}

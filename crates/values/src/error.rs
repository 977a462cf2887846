//! Why a text is not the value that it should be.

/// Why a text is not the value that it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// It does not have the form that such a value has.
    #[error("`{text}` {form}")]
    Malformed { text: String, form: Form },
    #[error("`{text}` is negative, {} is not", .form.noun())]
    Negative { text: String, form: Form },
    #[error("`{0}` is longer than 30 days")]
    TooLong(String),
    #[error("`{0}` is more than 20 years")]
    TooOld(String),
    /// The last of a range is before its first.
    #[error("`{0}` ends before it begins")]
    Reversed(String),
    #[error("`CONNECT` is how a proxy is asked: see `proxy`")]
    Connect,
    /// The text is not shown: it may hold a password.
    #[error("the proxy is neither `http://host:port` nor `none`")]
    Proxy,
    #[error("not a regular expression: {0}")]
    Pattern(#[from] regex::Error),
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
    Expiry,
    Method,
    Status,
}

impl Form {
    pub(crate) fn malformed(self, text: &str) -> Error {
        Error::Malformed {
            text: text.to_owned(),
            form: self,
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
            Form::Size => "is not a size such as `64KiB` or `1MB`",
            Form::Room => "is neither a share such as `10%` nor a size such as `5GiB`",
            Form::Quantity => "is not a number such as `0.05`, `5%`, `3s` or `64KiB`",
            Form::Portion => "is neither a count such as `12` nor a share such as `95%`",
            Form::Expiry => {
                "is no day such as `2026-12-01` and no time such as `2026-12-01T12:00:00Z`"
            }
            Form::Method => "is not a method such as `GET` or `POST`",
            Form::Status => "is no HTTP status; write `200`, `200-299` or `2xx`",
        })
    }
}

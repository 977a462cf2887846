//! A filter that is compiled, and what it gives over a document.

use std::time::Duration;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::Val;

/// Longer than any filter that a person keeps in a configuration.
const MAX_PROGRAM: usize = 64 << 10;
/// Deeper than a person nests; a recursive parser's stack holds far more.
pub(crate) const MAX_DEPTH: usize = 128;
/// All results of a filter together, in bytes: what a condition or a message needs is far smaller.
pub(crate) const MAX_RESULT: usize = 1 << 20;
/// More values than a person looks at.
const MAX_VALUES: usize = 10_000;

/// What reads the environment or further inputs, prints, or ends the process.
const IMPURE: &[&str] = &[
    "env",
    "input",
    "inputs",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "halt",
    "halt_error",
    "repl",
    "input_filename",
];

/// A filter, or an input, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Syntax(String),
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    #[error("the answer is JSON nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the filter failed: {0}")]
    Failed(String),
    #[error("the filter did not end within {:?}", .0)]
    TimedOut(Duration),
    #[error("it gives {0} different values where one is expected; `first(…)` chooses")]
    Several(usize),
}

impl Error {
    /// Whether the filter works, and gives more than the one value that was asked for.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Error::Several(_))
    }
}

pub(crate) type Program = jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>;

pub(crate) fn build(text: &str) -> Result<Program, Error> {
    if text.len() > MAX_PROGRAM {
        return Err(Error::Syntax(format!("longer than {MAX_PROGRAM} bytes")));
    }
    if depth(text.as_bytes()) > MAX_DEPTH {
        return Err(Error::Syntax(format!(
            "nested deeper than {MAX_DEPTH} levels"
        )));
    }
    // Without `env`, `input`, `debug` and their like: a filter sees the answer and nothing else.
    let pure = |name: &str| !IMPURE.contains(&name);
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let funs = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|(name, ..)| pure(name));
    let arena = Arena::default();
    let modules = Loader::new(defs.filter(|def| pure(def.name)))
        .load(
            &arena,
            File {
                code: text,
                path: (),
            },
        )
        .map_err(|errors| Error::Syntax(describe_load(&errors)))?;
    Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .map_err(|errors| {
            let names: Vec<_> = errors
                .iter()
                .flat_map(|(_, errors)| errors.iter().map(|(name, _)| format!("`{name}`")))
                .take(3)
                .collect();
            Error::Syntax(format!("unknown filter or variable {}", names.join(", ")))
        })
}

fn describe_load(errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let near = |text: &str| {
        if text.is_empty() {
            "at its end".to_owned()
        } else {
            format!("near `{}`", text.chars().take(30).collect::<String>())
        }
    };
    match errors.first().map(|(_, error)| error) {
        Some(Error::Lex(errors)) => errors
            .first()
            .map(|(_, text)| format!("not understood {}", near(text))),
        Some(Error::Parse(errors)) => errors
            .first()
            .map(|(_, text)| format!("not understood {}", near(text))),
        Some(Error::Io(_)) => Some("modules cannot be imported here".to_owned()),
        None => None,
    }
    .unwrap_or_else(|| "not understood".to_owned())
}

pub(crate) fn evaluate(program: &Program, json: &[u8]) -> Result<Vec<serde_json::Value>, Error> {
    // serde_json is strict where jaq's reader is lenient (NaN, comments).
    let value = parse(json)?;
    let input = jaq_json::read::parse_single(value.to_string().as_bytes())
        .map_err(|error| Error::NotJson(error.to_string()))?;
    let ctx = Ctx::<data::JustLut<Val>>::new(&program.lut, Vars::new([]));
    let (mut values, mut size) = (Vec::new(), 0);
    for result in program.id.run((ctx, input)).map(unwrap_valr) {
        let text = result
            .map_err(|error| Error::Failed(error.to_string()))?
            .to_string();
        size += text.len() + 1;
        if size > MAX_RESULT {
            let reason = format!("its result is larger than {MAX_RESULT} bytes");
            return Err(Error::Failed(reason));
        }
        if values.len() == MAX_VALUES {
            let reason = format!("it gives more than {MAX_VALUES} values");
            return Err(Error::Failed(reason));
        }
        let value = serde_json::from_str(&text)
            .map_err(|error| Error::Failed(format!("its result is not JSON: {error}")))?;
        values.push(value);
    }
    Ok(values)
}

pub(crate) fn parse(json: &[u8]) -> Result<serde_json::Value, Error> {
    serde_json::from_slice(json).map_err(|error| Error::NotJson(error.to_string()))
}

/// The keys of a filter that is only a path, such as `.data.version`: most are. It can neither
/// loop nor grow, so it does not need a process of its own.
pub(crate) fn keys(text: &str) -> Option<impl Iterator<Item = &str>> {
    let name = |key: &str| {
        !key.starts_with(|first: char| first.is_ascii_digit())
            && !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let path = text.trim().strip_prefix('.')?;
    path.split('.').all(name).then(|| path.split('.'))
}

/// The value at these keys; `None` if jaq has to report what is wrong.
pub(crate) fn at<'k>(
    value: serde_json::Value,
    mut keys: impl Iterator<Item = &'k str>,
) -> Option<serde_json::Value> {
    use serde_json::Value;
    keys.try_fold(value, |value, key| match value {
        Value::Object(mut object) => Some(object.remove(key).unwrap_or(Value::Null)),
        Value::Null => Some(Value::Null),
        _ => None,
    })
}

/// The deepest nesting of brackets outside strings.
pub(crate) fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' | b'(' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' | b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

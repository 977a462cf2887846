//! jq filters over JSON from outside, bounded in size, depth, time and memory. The only user of
//! jaq.

mod worker;

use std::sync::mpsc;
use std::time::Duration;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::Val;

pub use worker::main as worker;

/// Longer than any filter that a person keeps in a configuration.
const MAX_PROGRAM: usize = 64 << 10;
/// Deeper than a person nests; a recursive parser's stack holds far more.
const MAX_DEPTH: usize = 128;

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
    #[error("the filter did not end within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// A filter that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

type Program = jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>;

impl Filter {
    pub fn compile(text: &str) -> Result<Filter, Error> {
        build(text).map(|_| Filter(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The filter's first result over a JSON document; `None` where it gives none.
    ///
    /// It runs in a process of its own where [`worker()`] was called, else on a thread, which is
    /// left behind if the filter does not end in time.
    pub fn first(
        &self,
        json: &[u8],
        timeout: Duration,
    ) -> Result<Option<serde_json::Value>, Error> {
        if depth(json) > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        if let Some(keys) = keys(&self.0)
            && let Some(found) = at(parse(json)?, keys)
        {
            return Ok(Some(found));
        }
        if worker::isolated() {
            return worker::first(&self.0, json, timeout);
        }
        let (sender, receiver) = mpsc::channel();
        let (text, json) = (self.0.clone(), json.to_vec());
        let spawned = std::thread::Builder::new()
            .name("jq".into())
            .spawn(move || {
                // Nobody listens any more once the time is over.
                let _ = sender.send(build(&text).and_then(|program| evaluate(&program, &json)));
            });
        if let Err(error) = spawned {
            return Err(Error::Failed(error.to_string()));
        }
        match receiver.recv_timeout(timeout) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::TimedOut(timeout)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(Error::Failed("it ended without a result".into()))
            }
        }
    }
}

fn build(text: &str) -> Result<Program, Error> {
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

fn evaluate(program: &Program, json: &[u8]) -> Result<Option<serde_json::Value>, Error> {
    // serde_json is strict where jaq's reader is lenient (NaN, comments).
    let value = parse(json)?;
    let input = jaq_json::read::parse_single(value.to_string().as_bytes())
        .map_err(|error| Error::NotJson(error.to_string()))?;
    let ctx = Ctx::<data::JustLut<Val>>::new(&program.lut, Vars::new([]));
    match program.id.run((ctx, input)).map(unwrap_valr).next() {
        None => Ok(None),
        Some(Ok(value)) => serde_json::from_str(&value.to_string())
            .map(Some)
            .map_err(|error| Error::Failed(format!("its result is not JSON: {error}"))),
        Some(Err(error)) => Err(Error::Failed(error.to_string())),
    }
}

fn parse(json: &[u8]) -> Result<serde_json::Value, Error> {
    serde_json::from_slice(json).map_err(|error| Error::NotJson(error.to_string()))
}

/// The keys of a filter that is a path and nothing else, `.data.version`: most are. It can neither
/// loop nor grow, so nobody has to start a process for it.
fn keys(text: &str) -> Option<impl Iterator<Item = &str>> {
    let name = |key: &str| {
        !key.starts_with(|first: char| first.is_ascii_digit())
            && !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let path = text.trim().strip_prefix('.')?;
    path.split('.').all(name).then(|| path.split('.'))
}

/// What stands there; `None` where jaq has to say what is wrong.
fn at<'k>(
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
fn depth(text: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn first(filter: &str, json: &str) -> Result<Option<serde_json::Value>, Error> {
        Filter::compile(filter)?.first(json.as_bytes(), Duration::from_millis(300))
    }

    #[test]
    fn filters_give_their_first_result() {
        assert_eq!(first(".a.b", r#"{"a":{"b":"v1"}}"#), Ok(Some(json!("v1"))));
        assert_eq!(
            first(r#".status == "ok""#, r#"{"status":"degraded"}"#),
            Ok(Some(json!(false)))
        );
        assert_eq!(first(".a.b", r#"{"a":null}"#), Ok(Some(json!(null))));
        assert_eq!(first(" .a ", r#"{"a":[1]}"#), Ok(Some(json!([1]))));
        assert_eq!(first("empty", "{}"), Ok(None));
        assert_eq!(
            first("[.[] | select(. > 1)] | length", "[1,2,3]"),
            Ok(Some(json!(2)))
        );
    }

    #[test]
    fn bad_filters_say_where() {
        for bad in [
            ".a[",
            ". ==",
            "nosuchfilter",
            "$nope",
            "env",
            "input",
            "import \"x\" as x; .",
        ] {
            assert!(
                matches!(Filter::compile(bad), Err(Error::Syntax(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn hostile_inputs_are_errors_within_their_time() {
        assert!(matches!(first(".", "{"), Err(Error::NotJson(_))));
        assert!(matches!(first(".", ""), Err(Error::NotJson(_))));
        assert_eq!(first(".", &"[".repeat(100_000)), Err(Error::TooDeep));
        assert!(matches!(first("def f: f; f", "1"), Err(Error::TimedOut(_))));
        assert!(matches!(first(".a", "[]"), Err(Error::Failed(_))));
        assert!(matches!(first(".a", "{"), Err(Error::NotJson(_))));
    }
}

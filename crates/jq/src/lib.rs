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
/// All results of a filter together, in bytes: what a condition or a message needs is far smaller.
const MAX_RESULT: usize = 1 << 20;
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
    #[error("the filter did not end within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("it gives {0} different values where one is asked for; `first(…)` chooses")]
    Several(usize),
}

impl Error {
    /// Whether the filter works, and gives more than the one value that was asked for.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Error::Several(_))
    }
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

    /// The one value that the filter gives over a JSON document, where it gives it once or several
    /// times; `None` where it gives none.
    pub fn single(
        &self,
        json: &[u8],
        timeout: Duration,
    ) -> Result<Option<serde_json::Value>, Error> {
        let mut different: Vec<serde_json::Value> = Vec::new();
        for value in self.all(json, timeout)? {
            // Of thousands of values the number is of no use.
            if different.len() < 100 && !different.contains(&value) {
                different.push(value);
            }
        }
        match different.len() {
            0 | 1 => Ok(different.pop()),
            many => Err(Error::Several(many)),
        }
    }

    /// Every value that the filter gives over a JSON document, in its order.
    ///
    /// It runs in a process of its own where [`worker()`] was called, else on a thread, which is
    /// left behind if the filter does not end in time.
    pub fn all(&self, json: &[u8], timeout: Duration) -> Result<Vec<serde_json::Value>, Error> {
        if depth(json) > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        if let Some(keys) = keys(&self.0)
            && let Some(found) = at(parse(json)?, keys)
        {
            return Ok(vec![found]);
        }
        if worker::isolated() {
            return worker::all(&self.0, json, timeout);
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

fn evaluate(program: &Program, json: &[u8]) -> Result<Vec<serde_json::Value>, Error> {
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

    fn single(filter: &str, json: &str) -> Result<Option<serde_json::Value>, Error> {
        Filter::compile(filter)?.single(json.as_bytes(), Duration::from_millis(300))
    }

    #[test]
    fn filters_give_all_their_results_in_order_and_no_more_than_can_be_kept() {
        let all = |filter: &str, json: &str| {
            Filter::compile(filter)?.all(json.as_bytes(), Duration::from_secs(20))
        };
        assert_eq!(all(".[]", "[1,2]"), Ok(vec![json!(1), json!(2)]));
        assert_eq!(all("empty", "1"), Ok(vec![]));
        assert_eq!(all(".a", r#"{"a":1}"#), Ok(vec![json!(1)]));
        // A failure after a result is a failure.
        assert!(matches!(all(".a, error(1)", "{}"), Err(Error::Failed(_))));
        let endless = all("repeat(1)", "1").unwrap_err().to_string();
        assert!(endless.contains("more than 10000 values"), "{endless}");
        let large = all("repeat(\"x\" * 100000)", "1").unwrap_err().to_string();
        assert!(large.contains("larger than 1048576 bytes"), "{large}");
        assert_eq!(single(".[]", "[1,2,1]"), Err(Error::Several(2)));
        assert_eq!(single(".[]", "[1,1]"), Ok(Some(json!(1))));
        assert_eq!(single("first(.[])", "[1,2]"), Ok(Some(json!(1))));
    }

    #[test]
    fn filters_give_their_result() {
        assert_eq!(single(".a.b", r#"{"a":{"b":"v1"}}"#), Ok(Some(json!("v1"))));
        assert_eq!(
            single(r#".status == "ok""#, r#"{"status":"degraded"}"#),
            Ok(Some(json!(false)))
        );
        assert_eq!(single(".a.b", r#"{"a":null}"#), Ok(Some(json!(null))));
        assert_eq!(single(" .a ", r#"{"a":[1]}"#), Ok(Some(json!([1]))));
        assert_eq!(single("empty", "{}"), Ok(None));
        assert_eq!(
            single("[.[] | select(. > 1)] | length", "[1,2,3]"),
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
        assert!(matches!(single(".", "{"), Err(Error::NotJson(_))));
        assert!(matches!(single(".", ""), Err(Error::NotJson(_))));
        assert_eq!(single(".", &"[".repeat(100_000)), Err(Error::TooDeep));
        assert!(matches!(
            single("def f: f; f", "1"),
            Err(Error::TimedOut(_))
        ));
        assert!(matches!(single(".a", "[]"), Err(Error::Failed(_))));
        assert!(matches!(single(".a", "{"), Err(Error::NotJson(_))));
    }
}

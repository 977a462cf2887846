//! jq filters over JSON from outside, bounded in size, depth, time and memory. The only user of
//! jaq.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod program;
mod worker;

use std::sync::mpsc;
use std::time::Duration;

use program::{MAX_DEPTH, at, build, depth, evaluate, keys, parse};

pub use program::Error;
pub use worker::main as worker;

/// A filter that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

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
            return worker::evaluate_isolated(&self.0, json, timeout);
        }
        let (sender, receiver) = mpsc::channel();
        let (text, json) = (self.0.clone(), json.to_vec());
        let spawned = std::thread::Builder::new()
            .name("jq".into())
            .spawn(move || {
                // The receiver is gone once the time is over.
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

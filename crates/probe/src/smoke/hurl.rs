//! A file of requests for the program `hurl`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use model::Verdict;
use model::text::excerpt;
use net::cause::plain_cause;
use remote::local::{Captured, Exit, Script, run};

use crate::reading::Reading;

/// A file, and the variables it wants.
pub(crate) struct Hurl {
    pub(super) file: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
}

/// Why there is no file of variables.
#[derive(Debug, thiserror::Error)]
enum VariablesFileError {
    #[error("no temporary file: {}", plain_cause(.0))]
    Io(std::io::Error),
    #[error("the variable `{0}` has more than one line")]
    ManyLines(String),
}

/// hurl's exit codes: <https://hurl.dev/docs/manual.html#exit-codes>. A request that could not be
/// made is a failure of the thing under test.
const RUNTIME: i32 = 3;
const ASSERT: i32 = 4;

/// Values go through files and the environment: every user can see a process's arguments.
const TEXT: &str = r#"exec "$DEPLOY_GUARD_HURL" --no-color --error-format long --max-time "$DEPLOY_GUARD_SECONDS" --variables-file "$DEPLOY_GUARD_VARIABLES" --output /dev/null -- "$DEPLOY_GUARD_FILE""#;

impl Hurl {
    pub(super) async fn measure(&self, release: Option<&str>, timeout: Duration) -> Reading {
        let expected = "hurl reports that all is well";
        let error = |reason: String| Reading::unmet(Verdict::Error, expected, &reason, &reason);
        let Ok(program) = which::which("hurl") else {
            return error("the program `hurl` is not installed".into());
        };
        if !self.file.is_file() {
            let file = self.file.display();
            return error(format!("there is no file {file}"));
        }
        let variables = match self.variables(release) {
            Ok(file) => file,
            Err(cause) => return error(cause.to_string()),
        };
        let text = |path: &std::path::Path| path.display().to_string();
        let script = Script {
            text: TEXT,
            env: vec![
                ("DEPLOY_GUARD_HURL".into(), text(&program)),
                ("DEPLOY_GUARD_FILE".into(), text(&self.file)),
                ("DEPLOY_GUARD_VARIABLES".into(), text(variables.path())),
                (
                    "DEPLOY_GUARD_SECONDS".into(),
                    timeout.as_secs().max(1).to_string(),
                ),
            ],
            timeout: timeout.mul_f64(0.9),
        };
        match run(&script, &mut |_, _| {}).await {
            Ok(done) => judge(&done, expected),
            Err(cause) => error(format!("hurl cannot be run: {}", plain_cause(&cause))),
        }
    }

    /// A file that only we may read, gone with the measurement.
    fn variables(
        &self,
        release: Option<&str>,
    ) -> Result<tempfile::NamedTempFile, VariablesFileError> {
        let mut file = tempfile::NamedTempFile::new().map_err(VariablesFileError::Io)?;
        let given = self.variables.iter();
        let mut all: BTreeMap<&str, &str> = given.map(|(name, text)| (&**name, &**text)).collect();
        if let Some(release) = release {
            all.entry("release").or_insert(release);
        }
        for (name, text) in all {
            if text.contains(['\n', '\r']) {
                return Err(VariablesFileError::ManyLines(name.to_owned()));
            }
            writeln!(file, "{name}={text}").map_err(VariablesFileError::Io)?;
        }
        Ok(file)
    }

    pub(super) fn hint(&self) -> String {
        let file = self.file.display();
        if which::which("hurl").is_err() {
            return "install it: https://hurl.dev/docs/installation.html".to_owned();
        }
        format!("run it yourself: hurl --test --very-verbose '{file}'")
    }
}

fn judge(done: &Captured, expected: &str) -> Reading {
    let said = done
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("error: "))
        .map(|line| excerpt(line.as_bytes()));
    let mut reading = match done.exit {
        Exit::Code(0) => Reading::pass(expected, "all is well").value("0"),
        Exit::Code(code) => {
            let verdict = match code {
                RUNTIME | ASSERT => Verdict::Fail,
                _ => Verdict::Error,
            };
            let reason = match said {
                Some(said) => format!("hurl: {said}"),
                None => format!("hurl ends with exit status {code}"),
            };
            Reading::unmet(verdict, expected, &reason, &reason).value(code.to_string())
        }
        Exit::TimedOut => {
            let reason = "hurl is not done in time";
            Reading::unmet(Verdict::Fail, expected, reason, reason).value("timeout")
        }
        Exit::Signal(signal) => {
            let reason = format!("hurl was killed by signal {signal}");
            Reading::unmet(Verdict::Error, expected, &reason, &reason).value("killed")
        }
    };
    reading.evidence = Some(model::evidence::tail(done.stderr.as_bytes()));
    reading
}

//! Questions to a person at a terminal; elsewhere the defaults are the answers.

use std::io::{BufRead as _, Read as _, Write as _};

use super::problem::InitError;

/// A longer answer is a mistake.
const MAX_ANSWER: u64 = 1024;
/// Wrong answers before `init` gives up.
const MAX_ATTEMPTS: u32 = 3;

/// Why an answer, or a flag in its place, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer cannot be used")]
    Unanswered,
    #[error("a number from 1 to {0}")]
    Number(usize),
    #[error("{0:?} is not a user and a machine")]
    Machine(String),
    #[error("a service's name has letters, digits, `.`, `_` and `-`")]
    ServiceName,
    #[error("an environment's name has letters, digits, `.`, `_`, `-` and `/`")]
    EnvironmentName,
    #[error("write it as `http://host:port/path`, without a password")]
    NoPlainUrl,
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    #[error("write it as `OWNER/NAME@REF`")]
    Action,
    #[error("it is not a folder name")]
    Folder,
}

pub(super) struct Prompter {
    person: bool,
}

impl Prompter {
    pub(super) fn new(person: bool) -> Self {
        Prompter { person }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.person
    }

    /// An answer that `fits`, else the default.
    pub(super) fn text<T>(
        &mut self,
        question: &str,
        default: &str,
        fits: impl Fn(&str) -> Result<T, AnswerError>,
    ) -> Result<T, InitError> {
        let unfit =
            |why: AnswerError| InitError::usage(why.to_string(), "see `deploy-guard init --help`");
        if !self.person {
            return fits(default).map_err(unfit);
        }
        for _ in 0..MAX_ATTEMPTS {
            let shown = if default.is_empty() { "none" } else { default };
            let answer = line(&format!("{question} [{shown}] "))?;
            let answer = if answer.is_empty() { default } else { &answer };
            match fits(answer) {
                Ok(value) => return Ok(value),
                Err(why) => say(&format!("  {why}\n")),
            }
        }
        Err(unfit(AnswerError::Unanswered))
    }

    /// One of several, by its number.
    pub(super) fn choose(&mut self, question: &str, among: &[String]) -> Result<usize, InitError> {
        if self.person && among.len() > 1 {
            say(&format!("{question}\n"));
            for (at, one) in among.iter().enumerate() {
                say(&format!("  {}) {one}\n", at + 1));
            }
        }
        if among.len() < 2 {
            return Ok(0);
        }
        self.text("Number", "1", |answer| match answer.parse::<usize>() {
            Ok(number) if (1..=among.len()).contains(&number) => Ok(number - 1),
            _ => Err(AnswerError::Number(among.len())),
        })
    }

    pub(super) fn yes(&mut self, question: &str) -> Result<bool, InitError> {
        if !self.person {
            return Ok(true);
        }
        let answer = line(&format!("{question} [Y/n] "))?.to_ascii_lowercase();
        Ok(matches!(answer.as_str(), "" | "y" | "yes"))
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn line(question: &str) -> Result<String, InitError> {
    say(question);
    let mut answer = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_ANSWER)
        .read_line(&mut answer);
    // The end of the input is not consent.
    if !matches!(read, Ok(length) if length > 0) {
        return Err(InitError::usage(
            "no answer was given",
            "add `--yes` to skip the prompts",
        ));
    }
    Ok(answer.trim().to_owned())
}

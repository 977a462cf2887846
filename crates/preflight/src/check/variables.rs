//! Plain settings: set, of the right form, and every key of an example file present.
//!
//! GitHub hands over a missing variable as an empty string, so empty is missing.

use std::collections::BTreeMap;
use std::path::Path;

use cli::Job;
use config::file::VariableCheck;
use model::Outcome;
use model::text::cut;

use super::{Check, Context, Planned};
use dotenv::Setting;

/// A file of settings is a few kilobytes.
const MAX_FILE: u64 = 1 << 20;
/// A value is shown up to here.
const MAX_SHOWN: usize = 100;

impl Check for VariableCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene)]
    }
}

fn plan<'a>(check: &'a VariableCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let VariableCheck {
        name,
        matches: _,
        one_of: _,
        example_file,
        optional: _,
        env_file,
        severity,
        weight,
    } = check;
    let place = match env_file {
        Some(path) => path.display().to_string(),
        None => "the environment".to_owned(),
    };
    let (subject, asks) = match (name, example_file) {
        (_, Some(path)) => {
            let path = path.display().to_string();
            let asks = format!("look for each key of {path} in {place}");
            (path, asks)
        }
        (name, None) => {
            let name = name.clone().unwrap_or_default();
            let asks = format!("look for {name} in {place}");
            (name, asks)
        }
    };
    let id = format!("variables/{subject}");
    Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: *severity,
        weight: *weight,
        asks,
        needs: None,
        timeout: scene.timeout,
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move { judge(&id, &subject, &place, check, scene.job) }),
    }
}

fn judge(id: &str, subject: &str, place: &str, check: &VariableCheck, job: &Job) -> Outcome {
    let values = match &check.env_file {
        Some(path) => match read(path, job) {
            Ok(values) => Some(values),
            Err(problem) => return unreadable(id, subject, path, &problem),
        },
        None => None,
    };
    let value = |name: &str| -> Option<&str> {
        let found = match &values {
            Some(values) => values.get(name).map(|setting| setting.value.as_str()),
            None => job.env.get(name),
        };
        found.filter(|value| !value.trim().is_empty())
    };
    if let Some(path) = &check.example_file {
        return example(id, path, place, &check.optional, value, job);
    }
    let setting = match &values {
        Some(values) => values.get(subject).cloned(),
        None => job.env.get(subject).map(Setting::plain),
    };
    compare(id, subject, place, check, &setting.unwrap_or_default())
}

fn compare(id: &str, name: &str, place: &str, check: &VariableCheck, setting: &Setting) -> Outcome {
    let mut expected = format!("{name} is set in {place}");
    if let Some(pattern) = &check.matches {
        expected.push_str(&format!(" and matches `{}`", pattern.as_str()));
    }
    if !check.one_of.is_empty() {
        expected.push_str(&format!(" and is one of {}", check.one_of.join(", ")));
    }
    let hint = match &check.env_file {
        Some(path) => format!("set {name} in {}", path.display()),
        None => format!(
            "map it in the step: `env: {{ {name}: ${{{{ vars.{name} }}}} }}`, and see `gh variable list`"
        ),
    };
    let fail = |actual: String, reason: String| {
        Outcome::fail(id, name)
            .expected(expected.clone())
            .actual(actual)
            .reason(reason)
            .hint(hint.clone())
    };
    let value = setting.value.as_str();
    if value.trim().is_empty() {
        let why = setting.unset.as_ref().map_or(String::new(), |unset| {
            format!(": its value is made of {unset}, which is not set")
        });
        return fail(
            "not set, or empty".into(),
            format!("{name} is not set in {place}{why}"),
        );
    }
    let shown = cut(&setting.written, MAX_SHOWN);
    let whole = |pattern: &config::value::Pattern| pattern.matches_whole(value.as_bytes());
    if !check.matches.as_ref().is_none_or(whole) {
        let reason = format!("{name} is `{shown}`, which does not match");
        return fail(shown, reason);
    }
    if !check.one_of.is_empty() && !check.one_of.iter().any(|one| one == value) {
        let reason = format!(
            "{name} is `{shown}`, which is not one of {}",
            check.one_of.join(", ")
        );
        return fail(shown, reason);
    }
    Outcome::pass(id, name).expected(expected).actual("set")
}

fn example<'v>(
    id: &str,
    path: &Path,
    place: &str,
    optional: &[String],
    value: impl Fn(&str) -> Option<&'v str>,
    job: &Job,
) -> Outcome {
    let subject = path.display().to_string();
    let keys = match read(path, job) {
        Ok(keys) => keys,
        Err(problem) => return unreadable(id, &subject, path, &problem),
    };
    let wanted: Vec<&String> = keys.keys().filter(|key| !optional.contains(key)).collect();
    let expected = format!(
        "each of the {} keys of {subject} is set in {place}",
        wanted.len()
    );
    if wanted.is_empty() {
        return Outcome::inconclusive(id, &subject)
            .expected(expected)
            .actual("no key")
            .reason(format!("{subject} names no key"))
            .hint(format!("see that it is the right file: `cat {subject}`"));
    }
    let missing: Vec<&str> = wanted
        .iter()
        .map(|key| key.as_str())
        .filter(|key| value(key).is_none())
        .collect();
    if missing.is_empty() {
        return Outcome::pass(id, &subject)
            .expected(expected)
            .actual("all are set");
    }
    Outcome::fail(id, &subject)
        .expected(expected)
        .actual(format!("missing: {}", missing.join(", ")))
        .reason(format!(
            "{} not set in {place}: {}",
            missing.len(),
            missing.join(", ")
        ))
        .hint(format!(
            "set them, or list what may be missing under `optional:`; compare with `cat {subject}`"
        ))
}

/// The check could not run because a file cannot be read.
fn unreadable(id: &str, subject: &str, path: &Path, problem: &SettingsError) -> Outcome {
    Outcome::error(id, subject)
        .expected(format!("a file of KEY=VALUE lines at {}", path.display()))
        .actual(problem.to_string())
        .reason(format!("{} cannot be read: {problem}", path.display()))
        .hint(format!(
            "check the path and the file: `ls -l {}`",
            path.display()
        ))
}

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
enum SettingsError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Line(dotenv::Error),
}

fn read(path: &Path, job: &Job) -> Result<BTreeMap<String, Setting>, SettingsError> {
    let text = files::read_text(path, MAX_FILE)?;
    let environment = |name: &str| job.env.get(name).map(str::to_owned);
    dotenv::read(&text, environment).map_err(SettingsError::Line)
}

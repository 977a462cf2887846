//! What the stage had, and whether it is here.

use std::path::{Component, Path, PathBuf};

use cli::{Failure, Job};
use model::report::v1;
use model::{Outcome, Severity};

/// What a report shows in place of a secret.
const MASK: &str = "***";

pub(super) fn compare(then: &v1::Report, job: &Job) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    outcomes.push(stage(then));
    outcomes.push(version(then));
    outcomes.extend(commit(then));
    let Some(inputs) = &then.inputs else {
        return Ok(outcomes);
    };
    outcomes.push(arguments(then, inputs));
    if let Some(configuration) = &inputs.configuration {
        let path = configuration_here(&configuration.path, job)?;
        outcomes.push(same_file(configuration, &path));
    }
    for (name, had) in &inputs.variables {
        outcomes.push(variable(name, had, job));
    }
    Ok(outcomes)
}

fn stage(then: &v1::Report) -> Outcome {
    let run = then
        .context
        .run_id
        .as_deref()
        .map_or("outside Actions".to_owned(), |run| {
            format!(
                "run {run}, attempt {}",
                then.context.run_attempt.unwrap_or(1)
            )
        });
    Outcome::pass("had/stage", &then.stage)
        .expected("a stage's report")
        .actual(format!(
            "{} {}, {run}: {}",
            then.stage, then.started_at, then.verdict
        ))
}

fn version(then: &v1::Report) -> Outcome {
    let (had, here) = (then.context.tool_version.as_str(), cli::VERSION);
    let outcome = |verdict: fn(&str, &str) -> Outcome| {
        verdict("had/version", "deploy-guard")
            .expected(had.to_owned())
            .actual(here)
    };
    if had == here {
        return outcome(|id, subject| Outcome::pass(id, subject));
    }
    outcome(|id, subject| Outcome::inconclusive(id, subject))
        .severity(Severity::Advisory)
        .reason(format!("CI had version {had}, this is {here}"))
        .hint(format!("run version {had} to be sure"))
}

/// Whether this checkout is at the commit; other files may give another answer.
fn commit(then: &v1::Report) -> Option<Outcome> {
    let had = then.context.sha.as_deref()?;
    let here = head(Path::new(".")).unwrap_or_else(|| "not known".to_owned());
    let outcome = if here == had {
        Outcome::pass("had/commit", had)
    } else {
        Outcome::inconclusive("had/commit", had)
            .severity(Severity::Advisory)
            .reason(format!("CI was at {had}, this folder is at {here}"))
            .hint(format!("git checkout {}", remote::quote(had)))
    };
    Some(outcome.expected(had.to_owned()).actual(here))
}

/// All branches and tags of a very large repository.
const MAX_REFS: u64 = 64 << 20;

/// The commit that is checked out, without asking Git: a repository's settings may name programs.
fn head(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let git = folder
        .ancestors()
        .map(|above| above.join(".git"))
        .find(|git| git.is_dir())?;
    let text = files::read_text(&git.join("HEAD"), MAX_REFS).ok()?;
    let Some(name) = text.trim().strip_prefix("ref: ") else {
        return Some(text.trim().to_owned());
    };
    if Path::new(name)
        .components()
        .any(|part| !matches!(part, Component::Normal(_)))
    {
        return None;
    }
    if let Ok(sha) = files::read_text(&git.join(name), MAX_REFS) {
        return Some(sha.trim().to_owned());
    }
    let packed = files::read_text(&git.join("packed-refs"), MAX_REFS).ok()?;
    let line = packed
        .lines()
        .find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
    line.map(str::to_owned)
}

fn arguments(then: &v1::Report, inputs: &v1::Inputs) -> Outcome {
    let settings = inputs
        .settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let words = inputs.arguments.iter().map(|word| remote::quote(word));
    let shown: Vec<String> = settings.chain([then.stage.clone()]).chain(words).collect();
    let shown = shown.join(" ");
    let outcome = |outcome: Outcome| {
        outcome
            .expected("inputs that a report may hold")
            .actual(shown.clone())
    };
    let hidden = inputs
        .arguments
        .iter()
        .chain(inputs.settings.values())
        .any(|word| word.contains(MASK));
    if hidden {
        let hidden = Outcome::inconclusive("had/inputs", "inputs")
            .reason("a secret was among the inputs, which a report never holds")
            .hint("run the stage by hand with it: the inputs stand above");
        return outcome(hidden);
    }
    outcome(Outcome::pass("had/inputs", "inputs"))
}

/// The configuration by the name it had, below this folder; or the one that `--config` names.
pub(super) fn configuration_here(path: &str, job: &Job) -> Result<PathBuf, Failure> {
    if let Some(path) = job.config_path.as_ref().filter(|_| named(job)) {
        return Ok(path.clone());
    }
    let path = PathBuf::from(path);
    if is_below(&path) {
        return Ok(path);
    }
    // Where the job's checkout was is another folder here.
    let usual = path.file_name().map(PathBuf::from);
    let places = config::PLACES.iter().map(PathBuf::from);
    match places
        .into_iter()
        .find(|place| path.ends_with(place) && place.is_file())
    {
        Some(place) => Ok(place),
        None => Err(Failure::usage(format!(
            "the report's configuration `{}` is not below this folder",
            path.display()
        ))
        .hint(format!(
            "name the one that is meant: `--config {}`",
            usual.unwrap_or_default().display()
        ))),
    }
}

/// Whether a path leads nowhere but below this folder.
pub(super) fn is_below(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Whether a person named the configuration.
fn named(job: &Job) -> bool {
    let word = |word: &String| word == "--config" || word.starts_with("--config=");
    job.inputs.arguments.iter().any(word)
}

fn same_file(had: &v1::Configuration, path: &Path) -> Outcome {
    let shown = path.display().to_string();
    let of = |sum: &str| format!("SHA-256 {sum}");
    let outcome = match cli::sha256(path) {
        Some(sum) if sum == had.sha256 => {
            Outcome::pass("had/configuration", &shown).actual(of(&sum))
        }
        Some(sum) => Outcome::inconclusive("had/configuration", &shown)
            .actual(of(&sum))
            .reason(format!("{shown} is not the file that CI had"))
            .hint(format!("git log -p -- {}", remote::quote(&shown))),
        None => Outcome::inconclusive("had/configuration", &shown)
            .actual("it cannot be read")
            .reason(format!("CI had a configuration, and {shown} is not here"))
            .hint("call it in the repository's checkout, or name it: `--config FILE`"),
    };
    outcome.expected(of(&had.sha256))
}

fn variable(name: &str, had: &v1::Variable, job: &Job) -> Outcome {
    let set = job.env.non_empty(name).is_some();
    let word = |set: bool| if set { "set" } else { "not set" };
    let kind = if had.secret { "secret" } else { "variable" };
    let id = format!("had/{kind}/{name}");
    let outcome = if set == had.set {
        Outcome::pass(id, name)
    } else if had.set {
        Outcome::inconclusive(id, name)
            .reason(format!("CI had the {kind} {name}, and it is not set here"))
            .hint(format!("export {name}=…"))
    } else {
        Outcome::inconclusive(id, name)
            .severity(Severity::Advisory)
            .reason(format!(
                "CI did not have the {kind} {name}, and it is set here"
            ))
            .hint(format!("unset {name}"))
    };
    outcome.expected(word(had.set)).actual(word(set))
}

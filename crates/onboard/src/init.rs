//! `deploy-guard init`: looks at how the repository deploys, proposes what guards it, and writes what was
//! asked for.
//!
//! What is read may be hostile: names go into the files only where they are plain words, everything
//! else is quoted or left out and said. No file is written over; a workflow gets lines and loses none.

mod answers;
mod ask;
mod check;
mod choose;
mod flags;
mod insist;
mod names;
mod output;
mod problem;
mod propose;
mod wishes;
mod write;

use std::io::IsTerminal as _;

use clap::{ArgMatches, Command};
use model::{Env, ExitCode};

use crate::inventory;
use ask::Prompter;
use output::tell;
use problem::InitError;
use proposal::words;
use survey::{Known, Survey};
use wishes::{InitFlags, KindFlag};
use yaml_edit::text;

/// The command line of `init`.
pub fn command() -> Command {
    flags::command()
}

/// Looks, asks and writes.
pub fn main(matches: &ArgMatches, env: &Env) -> ExitCode {
    match init(matches, env) {
        Ok(()) => ExitCode::Pass,
        Err(problem) => {
            let kind = match problem.code {
                ExitCode::Inconclusive => "nothing was written",
                _ => "error",
            };
            let text = format!("{kind}: {}\n\nhint: {}\n", problem.what, problem.hint);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            problem.code
        }
    }
}

fn init(matches: &ArgMatches, env: &Env) -> Result<(), InitError> {
    let wishes = flags::wishes(matches)?;
    write::is_plain(&wishes.config)?;
    let unreadable = |error: std::io::Error| InitError {
        code: ExitCode::Error,
        what: format!("this folder cannot be read: {error}"),
        hint: "call it in the repository: `cd REPOSITORY && deploy-guard init`".to_owned(),
    };
    let here = std::env::current_dir().map_err(unreadable)?;
    let mut survey = survey::look(&here).map_err(unreadable)?;
    if survey.deployments.is_empty() && gates(&wishes) {
        survey.trust_names();
        if let Some(path) = wishes
            .workflow
            .as_ref()
            .filter(|_| survey.deployments.is_empty())
        {
            survey.trust_unknown(&path.to_string_lossy());
        }
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let asks = terminal && !matches.get_flag("yes") && env.non_empty("CI").is_none();
    let mut ask = Prompter::new(asks);
    let dry_run = matches.get_flag("dry-run");
    let chosen = choose::choose(&survey, &wishes, &mut ask)?;
    if matches.get_flag("check") {
        return match chosen {
            Some(chosen) => check::run(&survey, chosen, &wishes),
            None => Err(nothing(&survey, &wishes)),
        };
    }
    if let Some(chosen) = chosen {
        tell(&words::told(&survey))?;
        return propose::run(&survey, chosen, &wishes, dry_run, &mut ask, env);
    }
    if insists(&wishes) {
        let seen = inventory::look(&survey).map_err(unreadable)?;
        return insist::run(&seen, &wishes, dry_run, &mut ask, env);
    }
    tell(&words::told(&survey))?;
    Err(nothing(&survey, &wishes))
}

/// Whether a person who names an address says by it that what is called a deployment is one.
fn gates(wishes: &InitFlags) -> bool {
    let kind = wishes.kind.unwrap_or(KindFlag::Gate);
    kind == KindFlag::Gate
        && wishes.url.is_some()
        && wishes.hosts.is_empty()
        && wishes.files.is_empty()
}

/// Whether a person says how it is deployed, where no workflow does: a gate alone is no way to deploy, and neither is
/// what the gate asks.
fn insists(wishes: &InitFlags) -> bool {
    match wishes.kind {
        Some(kind) => kind != KindFlag::Gate,
        None => !wishes.hosts.is_empty(),
    }
}

fn nothing(survey: &Survey, wishes: &InitFlags) -> InitError {
    let published: Vec<String> = survey
        .published
        .iter()
        .map(|one| format!("{} publishes {}", one.at, text::line(&one.value)))
        .collect();
    let mut why = published.clone();
    why.extend(
        survey
            .unused
            .iter()
            .filter(|one| one.used == Known::No)
            .take(5)
            .map(|one| format!("no workflow deploys {}", text::line(&one.path))),
    );
    if let Some(note) = words::unread_workflow(survey) {
        why.push(format!(
            "what a workflow does is not known: {}",
            text::line(note)
        ));
    } else if survey.workflows.is_empty() {
        why.push("there is no workflow".to_owned());
    } else if why.is_empty() {
        why.push(
            "no step of its workflows makes a release live, as far as they can be read".to_owned(),
        );
    }
    // "Nothing" would be a guess where a job says otherwise, but for one that hands something out instead.
    let hands_out = |called: &&survey::Called| {
        let mut others = survey
            .published
            .iter()
            .filter(|one| one.value != "an image");
        others.any(|one| one.at.path == called.name.at.path)
    };
    let guesses = survey.called_so.iter().filter(|one| !hands_out(one));
    let called: Vec<String> = guesses
        .clone()
        .map(|one| format!("`{}` ({})", text::line(&one.name.value), one.name.at))
        .collect();
    // A workflow that cannot be read may deploy, too.
    let is_known = survey.deploys() == Known::No && words::unread_workflow(survey).is_none();
    let what = if !called.is_empty() {
        format!(
            "{} looks like a deployment, but init does not know the command that deploys",
            called.join(", ")
        )
    } else if is_known {
        format!("nothing here is deployed: {}", why.join("; "))
    } else {
        let seen = match words::not_known(survey) {
            none if none.is_empty() => "no step is seen that deploys".to_owned(),
            some => format!("no step is seen that deploys; not known: {some}"),
        };
        let unread = why
            .iter()
            .filter(|one| one.starts_with("what a workflow does"));
        let told = [seen].into_iter().chain(unread.cloned()).chain(published);
        told.collect::<Vec<_>>().join("; ")
    };
    // An address that a machine can ask is a gate, whatever deploys.
    let known = guesses
        .filter_map(|one| one.deployment.as_ref()?.environment.as_ref()?.url.as_ref())
        .find(|url| url.value.literal().is_some());
    let hint = if gates(wishes) {
        "below the step that makes it live, add one: `uses: org/deploy-guard@v1` with `stage: healthgate` and that `url`".to_owned()
    } else if let Some(url) = known {
        format!(
            "its environment has an address ({}), which a gate can probe: `deploy-guard init --url {} --patch`",
            url.at,
            text::line(url.value.text())
        )
    } else if called.is_empty() && !is_known {
        "where one of them deploys, `--workflow FILE --url URL` adds a gate below it; `--kind compose` (or nginx, systemd, ecs, \
         command) writes a form with a TODO for what is not known"
            .to_owned()
    } else {
        "where it deploys, `--url` with what answers when all is well adds a gate; `--kind compose` (or nginx, systemd, ecs, \
         command) writes a form with a TODO for what is not known"
            .to_owned()
    };
    InitError {
        code: ExitCode::Inconclusive,
        what,
        hint,
    }
}

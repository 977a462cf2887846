//! From what the workflows do to steps that guard it: shown, and written where that was asked for.

use std::fmt::Write as _;
use std::path::Path;

use config::SCHEMA_URL;
use model::{Env, ExitCode};
use survey::Survey;

use super::answers::{action, environment_name, folder, machines, service_name, url, wished};
use super::ask::Prompter;
use super::choose::{Chosen, choose};
use super::insist::plan::ACTION;
use super::names;
use super::output::{self, tell};
use super::problem::InitError;
use super::wishes::{InitFlags, KindFlag};
use super::write::{NewFile, Places, Replaced, holds, replace};
use proposal::additions::{self, Change, Means};
use proposal::back::{RollbackPlan, RunsAt};
use proposal::hosts::keyscan;
use proposal::new_workflow;
use proposal::proposal::{Proposal, ProposalInput};
use proposal::words;
use repository::Repository;
use yaml_edit::patch::PatchError;
use yaml_edit::tree::{Map, Tree};

pub(super) fn run(
    survey: &Survey,
    chosen: Chosen<'_>,
    wishes: &InitFlags,
    dry_run: bool,
    ask: &mut Prompter,
    env: &Env,
) -> Result<(), InitError> {
    let (proposal, means) = proposal(survey, chosen, wishes)?;
    if let Some(guarded) = proposal.parts.iter().find(|part| part.workflow.names_us()) {
        return Err(InitError {
            code: ExitCode::Refused,
            what: format!("{} uses deploy-guard already: nothing is added to it", guarded.workflow.path),
            hint: "`deploy-guard init --check` compares the configuration with the repository as it is now".to_owned(),
        });
    }
    let config = wishes.config.display().to_string();
    let changes = additions::changes(&proposal, &means);
    let mut files = files(&proposal, wishes);
    // What `init` wrote before, `--patch` uses, or writes again where it proposes more now.
    files.retain(|file| !is_there(&survey.root, file));
    let outdated = files.first().and_then(|_| untouched(survey, wishes));
    let rewritten = outdated.as_ref().and_then(|_| files.pop());
    if wishes.new_workflow {
        files.push(own_workflow(&proposal, &changes, wishes)?);
    }
    let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    let places = Places::new(&survey.root, &paths)?;
    if !dry_run && !files.is_empty() {
        places.are_free()?;
    }
    let configurations = files.iter().filter(|file| file.path == wishes.config);
    for file in configurations.chain(&rewritten) {
        let names: Vec<&str> = if proposal.has_environments() {
            let parts = proposal.parts.iter();
            parts.filter_map(|part| part.group.environment()).collect()
        } else {
            Vec::new()
        };
        holds(&file.text, &survey.root, &names, env)?;
    }
    tell(&words::decided(&proposal, &config))?;
    if !wishes.new_workflow {
        tell(&words::without_hooks(survey, &words::shown(&changes)))?;
    }
    if dry_run {
        files.extend(rewritten);
        return output::files(&files);
    }
    let patch = wishes.patch || (!wishes.new_workflow && wants_patch(&changes, ask)?);
    if patch {
        can_be_patched(&changes)?;
    }
    let is_written = !files.is_empty() || rewritten.is_some();
    if is_written && !wishes.patch {
        output::agree(ask)?;
    }
    places.write(&files)?;
    let mut done: Vec<Replaced<'_>> = Vec::new();
    let again = outdated.iter().zip(&rewritten).map(|(old, file)| Replaced {
        path: &config,
        old,
        new: &file.text,
    });
    let patched = changes.iter().filter(|_| patch).filter_map(|change| {
        Some(Replaced {
            path: &change.workflow.path,
            old: &change.workflow.text,
            new: change.new.as_ref().ok()?,
        })
    });
    for one in again.chain(patched) {
        if let Err(problem) = replace(&survey.root, &one) {
            // All or nothing: half of a proposal guards nothing.
            for before in done.iter().rev() {
                let back = Replaced {
                    path: before.path,
                    old: before.new,
                    new: before.old,
                };
                let _ = replace(&survey.root, &back);
            }
            places.take_back(&files);
            return Err(problem);
        }
        done.push(one);
    }
    files.extend(rewritten);
    tell(&next(&proposal, &changes, &files, patch))
}

/// The configuration that is there, where `init` wrote it with fewer flags and nothing changed it since.
fn untouched(survey: &Survey, wishes: &InitFlags) -> Option<String> {
    const MAX_FILE: u64 = 1 << 20;
    let there = files::read_text(&survey.root.join(&wishes.config), MAX_FILE).ok()?;
    let plain = InitFlags {
        config: wishes.config.clone(),
        ..InitFlags::default()
    };
    let without_url = InitFlags {
        url: None,
        ..wishes.clone()
    };
    [plain, without_url].iter().find_map(|then| {
        let chosen = choose(survey, then, &mut Prompter::new(false)).ok()??;
        let (before, _) = proposal(survey, chosen, then).ok()?;
        Some(configuration(&before)).filter(|before| *before == there)
    })
}

/// What is proposed by flags and what was chosen.
pub(super) fn proposal<'s>(
    survey: &'s Survey,
    chosen: Chosen<'s>,
    wishes: &InitFlags,
) -> Result<(Proposal<'s>, Means), InitError> {
    let service = match wished(wishes.service.as_ref(), "--service", service_name)? {
        Some(service) => service,
        None => names::service(&survey.root, &survey.below, survey.origin.as_deref()),
    };
    wished(
        wishes.environment.as_ref(),
        "--environment",
        environment_name,
    )?;
    let url = wished(wishes.url.as_ref(), "--url", url)?.flatten();
    let machines = if wishes.hosts.is_empty() {
        Vec::new()
    } else {
        machines(wishes, &mut Prompter::new(false))?
    };
    let unreadable = |error: std::io::Error| InitError {
        code: ExitCode::Error,
        what: format!("this folder cannot be read: {error}"),
        hint: "call it in the repository: `cd REPOSITORY && deploy-guard init`".to_owned(),
    };
    let repository = Repository::of(&survey.root.join(&survey.below)).map_err(unreadable)?;
    let sides = sides::look(&repository);
    let asks = ProposalInput {
        sides: sides.as_ref(),
        service,
        url: url.as_deref(),
        gate_only: wishes.kind == Some(KindFlag::Gate),
        machines: &machines,
    };
    let config = wishes.config.display().to_string();
    let means = Means {
        action: wished(wishes.action.as_ref(), "--action", action)?
            .unwrap_or_else(|| ACTION.to_owned()),
        bin_dir: wished(wishes.bin_dir.as_ref(), "--bin-dir", folder)?,
        config: (!config::PLACES.contains(&config.as_str())).then_some(config),
    };
    let Chosen { groups, others } = chosen;
    Ok((Proposal::make(survey, groups, others, &asks), means))
}

/// The configuration, where one is needed.
fn files(proposal: &Proposal<'_>, wishes: &InitFlags) -> Vec<NewFile> {
    if !proposal.is_configured() {
        return Vec::new();
    }
    vec![NewFile {
        path: wishes.config.clone(),
        text: configuration(proposal),
    }]
}

/// Whether the file is there already, word for word.
fn is_there(root: &Path, file: &NewFile) -> bool {
    let most = file.text.len() as u64 + 1;
    files::read_text(&root.join(&file.path), most).is_ok_and(|there| there == file.text)
}

/// The job that deploys, for a release that a person names.
fn own_workflow(
    proposal: &Proposal<'_>,
    changes: &[Change<'_>],
    wishes: &InitFlags,
) -> Result<NewFile, InitError> {
    let refused = |why: String| InitError {
        code: ExitCode::Refused,
        what: format!("no workflow of its own is written: {why}"),
        hint: "`deploy-guard init --patch` adds the steps to the workflow that deploys".to_owned(),
    };
    let (Some(part), Some(change)) = (proposal.parts.first(), changes.first()) else {
        return Err(refused("nothing is proposed".to_owned()));
    };
    if change.has_gap {
        return Err(refused(
            "the URL for the gate is not known; set it with `--url`".to_owned(),
        ));
    }
    let text = new_workflow::text(part, change, &proposal.service).map_err(|why| {
        refused(format!(
            "the job `{}` cannot be one of its own: {why}",
            part.job.id
        ))
    })?;
    let path = wishes
        .workflow
        .clone()
        .filter(|path| change.workflow.path != path.to_string_lossy())
        .unwrap_or_else(|| ".github/workflows/deploy-guard.yml".into());
    Ok(NewFile { path, text })
}

pub(super) fn configuration(proposal: &Proposal<'_>) -> String {
    let service = &proposal.service;
    let mut text = format!(
        "# yaml-language-server: $schema={SCHEMA_URL}\n\
         # How the deployment of {service} is guarded. Written by `deploy-guard init`, yours to change.\n\
         # Every key: `deploy-guard schema`. What preflight would check: `deploy-guard preflight list`.\n"
    );
    let maps: Vec<Map> = proposal.parts.iter().map(|part| part.map.clone()).collect();
    let (common, own) = if proposal.has_environments() {
        Map::shared(&maps)
    } else {
        (maps.into_iter().next().unwrap_or_default(), Vec::new())
    };
    let mut head = Map::default()
        .with("version", Tree::plain("1"))
        .with("service", Tree::text(service));
    head.append(common);
    let mut environments = Map::default();
    for (part, map) in proposal.parts.iter().zip(own) {
        let name = part.group.environment().unwrap_or_default();
        environments.add(name, Tree::Map(map));
    }
    if !environments.is_empty() {
        head.add_noted(
            "What differs: each is merged over the rest.",
            "environments",
            Tree::Map(environments),
        );
    }
    text.push_str(&spaced(&head.yaml()));
    text
}

/// A blank line between sections.
fn spaced(yaml: &str) -> String {
    let mut text = String::new();
    let mut before = "";
    for line in yaml.lines() {
        let begins = line.starts_with('#') && !before.starts_with('#');
        if begins {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        before = line;
    }
    text
}

/// A person at a terminal is asked; a workflow with a gap is never changed.
fn wants_patch(changes: &[Change<'_>], ask: &mut Prompter) -> Result<bool, InitError> {
    let ready = changes
        .iter()
        .all(|change| change.new.is_ok() && !change.has_gap);
    if !ready || !ask.is_asking() {
        return Ok(false);
    }
    let paths: Vec<&str> = changes
        .iter()
        .map(|change| change.workflow.path.as_str())
        .collect();
    ask.yes(&format!("Add these steps to {}?", paths.join(" and ")))
}

fn can_be_patched(changes: &[Change<'_>]) -> Result<(), InitError> {
    for change in changes {
        let path = &change.workflow.path;
        let on_windows = matches!(change.new, Err(PatchError::Windows(_)));
        if change.has_gap && !on_windows {
            return Err(InitError::usage(
                format!("{path} is not changed: the URL for the gate is not known"),
                "name it: `--url https://…`",
            ));
        }
        if let Err(why) = &change.new {
            return Err(InitError {
                code: ExitCode::Refused,
                what: format!("{path} is not changed: {why}"),
                hint: if on_windows {
                    "`healthgate --http URL` in that job probes it as the gate does".to_owned()
                } else {
                    "add the steps that are shown above by hand".to_owned()
                },
            });
        }
    }
    Ok(())
}

fn next(proposal: &Proposal<'_>, changes: &[Change<'_>], files: &[NewFile], patch: bool) -> String {
    let mut text = String::new();
    let mut written: Vec<String> = files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    if patch {
        written.extend(changes.iter().map(|change| change.workflow.path.clone()));
    }
    text.push_str(&match written.as_slice() {
        [] => "\nNothing was written. Next:\n".to_owned(),
        all => format!("\nWrote {}. Next:\n", all.join(" and ")),
    });
    let mut step = |words: String| {
        let _ = writeln!(text, "  - {words}");
    };
    let own = files
        .iter()
        .find(|file| file.path.starts_with(".github/workflows"));
    if let Some(own) = own {
        let name = own.path.file_name().unwrap_or_default().to_string_lossy();
        step(format!(
            "commit it, then: gh workflow run {name} -f release=RELEASE"
        ));
    } else if !patch {
        let gap = changes.iter().any(|change| change.has_gap);
        let broken = changes.iter().any(|change| change.new.is_err());
        let on_windows =
            (changes.iter()).any(|change| matches!(change.new, Err(PatchError::Windows(_))));
        step(match (gap, broken) {
            _ if on_windows => {
                "a job on Linux, after that one, with a step of the gate that probes the address"
                    .to_owned()
            }
            (true, _) => {
                "name the URL for the gate: `deploy-guard init --url https://… --patch`".to_owned()
            }
            (_, true) => "add the steps above by hand".to_owned(),
            _ => "`deploy-guard init --patch` adds the steps above to the workflow".to_owned(),
        });
    }
    let mut has_keys = false;
    for part in &proposal.parts {
        if !part.is_configured() {
            continue;
        }
        if let RunsAt::Hosts(all) = &part.reach
            && all.iter().any(|one| one.to_fetch)
        {
            let is_first = !std::mem::replace(&mut has_keys, true);
            let known = all
                .iter()
                .find_map(|one| one.known.as_ref())
                .map(|known| format!("; the workflow has it in {}", known.value))
                .unwrap_or_default();
            step(format!(
                "{}, and compare the keys with the machine's own{known}",
                keyscan(all, is_first)
            ));
        }
    }
    let needs_bucket = proposal
        .parts
        .iter()
        .any(|part| part.map.yaml().contains("${STATE_BUCKET}"));
    if needs_bucket {
        step("gh variable set STATE_BUCKET: the bucket that keeps which release was good; the job's role must be allowed to read and write there".to_owned());
    }
    if proposal
        .parts
        .iter()
        .any(|part| matches!(part.back, RollbackPlan::Configured))
    {
        step(
            "the first release that passes is recorded; from the second on there is a way back"
                .to_owned(),
        );
    }
    if !files.is_empty() {
        step("`deploy-guard doctor` shows what is missing".to_owned());
    }
    if own.is_none() && (patch || !files.is_empty()) {
        step("commit it".to_owned());
    }
    text
}

//! Where what is deployed comes from: only what a run carries itself is the commit that it has checked out.

use crate::deployment::{Fetched, Origin, OwnImage};
use crate::event::{Event, EventDetail};
use crate::images::same_image;
use crate::jobs::Run;
use crate::record::Assembly;
use tools::Tool;
use workflow::{Job, Source};

/// What is asked of one deployment.
pub(crate) struct Shipment<'s> {
    pub(crate) tool: &'s Tool,
    pub(crate) images: &'s [OwnImage],
    pub(crate) steps: &'s [usize],
    /// The call that makes it live.
    pub(crate) main: &'s Event,
    /// A word or a variable of it names the release.
    pub(crate) is_named: bool,
}

impl Assembly<'_> {
    pub(crate) fn origin(&self, run: &Run, one: &Shipment<'_>) -> Origin {
        let workflow = &self.workflows[run.id.workflow];
        let job = &workflow.jobs[run.id.job];
        if let Some(fetched) = fetched(run, one.steps) {
            return Origin::FetchedNewest(fetched);
        }
        if let Some(name) = workflow::named_otherwise(workflow, job, one.steps) {
            return Origin::Named(name);
        }
        let source = workflow::source(workflow, job);
        if source == Source::Branch {
            return Origin::FetchedNewest(Fetched::Branch);
        }
        let is_named = one.is_named || workflow::names_its_run(workflow, job, one.steps);
        let image = self.of_images(run, one.images);
        let has_files = source != Source::Nothing || run.events.iter().any(checks_out);
        let files = if has_files && carries(run, job, one) {
            Origin::Carried
        } else {
            Origin::NotKnown
        };
        match one.tool {
            Tool::Kamal(_) | Tool::Copy { .. } | Tool::Site { .. } => files,
            _ if is_named => Origin::Carried,
            Tool::Hook { .. } => image.unwrap_or(Origin::FetchedNewest(Fetched::ByRequest)),
            Tool::Platform(call) if call.fetches => {
                image.unwrap_or(Origin::FetchedNewest(Fetched::ByRequest))
            }
            Tool::Platform(_) if starts_fixed(one.main) => {
                image.unwrap_or(Origin::FetchedNewest(Fetched::Elsewhere))
            }
            Tool::Compose(call) if call.builds.is_some() => image.unwrap_or(files),
            Tool::Kubectl(call) if !call.restarts => image.unwrap_or(files),
            Tool::Helm(_)
            | Tool::Kubectl(_)
            | Tool::Ecs(_)
            | Tool::Compose(_)
            | Tool::Swarm { .. }
            | Tool::Container { .. } => image.unwrap_or(Origin::NotKnown),
            Tool::Deployer { .. } => self.by_recipe(&["deploy.php", "deploy.yaml"], "repository"),
            Tool::Capistrano { .. } => self.by_recipe(&["config/deploy.rb"], "repo_url"),
            Tool::Ansible { playbook, .. } => {
                let text = self
                    .repository
                    .text(playbook.text().trim_start_matches("./"));
                let text = text.unwrap_or_default();
                let copies =
                    ["synchronize:", "copy:", "unarchive:"].map(|task| text.contains(task));
                let fetches = ["git:", ":latest", "docker pull"].map(|task| text.contains(task));
                match image {
                    Some(image) if image != Origin::Carried => image,
                    _ if copies.contains(&true) && !fetches.contains(&true) => files,
                    _ => Origin::NotKnown,
                }
            }
            Tool::Called { .. } => Origin::NotKnown,
            Tool::Other { .. } if matches!(one.main.what, EventDetail::Action { .. }) => {
                image.unwrap_or(Origin::NotKnown)
            }
            _ => image.unwrap_or(files),
        }
    }

    /// By the images that are started: those that the run builds itself, or that are named by a release.
    fn of_images(&self, run: &Run, images: &[OwnImage]) -> Option<Origin> {
        let built = self.built(Some(run.started));
        let is_here = |own: &OwnImage| {
            let name = own.image.text().to_ascii_lowercase();
            built.iter().any(|one| same_image(&one.plain, &name))
        };
        let first = images.first()?;
        Some(match first.overwritten() {
            _ if images
                .iter()
                .any(|own| own.fixed_tag.is_none() || is_here(own)) =>
            {
                Origin::Carried
            }
            Some(_) => Origin::FetchedNewest(Fetched::Elsewhere),
            None => Origin::NotKnown,
        })
    }

    /// A tool that fetches on the machine, by what its own files say.
    fn by_recipe(&self, files: &[&str], key: &str) -> Origin {
        let texts = files.iter().filter_map(|file| self.repository.text(file));
        let text: String = texts.collect();
        let names_commit = ["GITHUB_SHA", "rev-parse HEAD"].map(|word| text.contains(word));
        let line = text.lines().map(str::trim_start).find(|line| {
            let is_comment = line.starts_with('#') || line.starts_with("//");
            !is_comment && line.contains(key) && line.contains(['/', ':'])
        });
        match line {
            _ if names_commit.contains(&true) => Origin::Carried,
            Some(line) => Origin::FetchedNewest(match self.repository.origin() {
                Some(own)
                    if line
                        .to_ascii_lowercase()
                        .contains(&own.to_ascii_lowercase()) =>
                {
                    Fetched::Branch
                }
                _ => Fetched::Elsewhere,
            }),
            None => Origin::NotKnown,
        }
    }
}

/// Whether files of the run get to where the tool is called.
fn carries(run: &Run, job: &Job, one: &Shipment<'_>) -> bool {
    let is_sent = || run.events.iter().any(sends);
    if one.main.place.login.is_some() {
        return is_sent();
    }
    let folder = one.main.place.folder.as_ref();
    let is_elsewhere = folder.is_some_and(|folder| folder.value.starts_with(['/', '~', '$']));
    let by_name = matches!(&one.main.what, EventDetail::Script { known: false, .. });
    match one.tool {
        Tool::Script { .. } if by_name => false,
        // What the runner of another's starts on a machine, without a login of `ssh`.
        Tool::Commands | Tool::CodeDeploy { .. } if !job.is_on_own_machine() => is_sent(),
        _ => !(job.is_on_own_machine() && is_elsewhere) || is_sent(),
    }
}

fn sends(event: &Event) -> bool {
    match &event.what {
        EventDetail::Command { words, .. } => {
            event.place.login.is_none() && tools::origin::sends(words)
        }
        EventDetail::Action { name, .. } => tools::origin::uploads(name),
        _ => false,
    }
}

fn checks_out(event: &Event) -> bool {
    matches!(&event.what, EventDetail::Action { name, .. } if name == "actions/checkout")
}

/// Where a deploying step, or a script that it calls, takes a branch as it is then, whichever commit the run is for.
fn fetched(run: &Run, steps: &[usize]) -> Option<Fetched> {
    run.events.iter().find_map(|event| match &event.what {
        EventDetail::Command { words, .. } => {
            let is_git = words.first().is_some_and(|program| program == "git");
            let takes =
                steps.contains(&event.step) && is_git && tools::origin::takes_newest(&words[1..]);
            let mut urls = words
                .iter()
                .filter(|word| word.contains("://") || word.contains('@'));
            takes.then(|| match (&run.scope.repository, urls.next()) {
                (Some(own), Some(url)) if !url.contains("${{") && !url.contains(own) => {
                    Fetched::Elsewhere
                }
                _ => Fetched::Branch,
            })
        }
        _ => None,
    })
}

fn starts_fixed(event: &Event) -> bool {
    match &event.what {
        EventDetail::Command { words, .. } => tools::origin::starts_fixed(words),
        EventDetail::Action { with, .. } => tools::origin::is_fixed(with),
        _ => false,
    }
}

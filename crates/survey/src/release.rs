//! How a job names the release.

use std::collections::BTreeMap;

use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::Assembly;
use shell::Arguments;
use workflow::Fact;
use workflow::Job;
use workflow::Value;
use workflow::release::is_release;

impl Assembly<'_> {
    /// What the job has checked out and hands over as it is: the commit, or the tag that started it.
    pub(crate) fn checked_out(&self, run: &Run, before: usize) -> Option<Fact<Value>> {
        if checks_out_another(run, before) {
            return None;
        }
        let (checkout, named) = self.checkout(run, before)?;
        let branch = ["${{ github.ref }}", "${{ github.ref_name }}"];
        if let Some(named) = named.filter(|named| !branch.contains(&named.value.text())) {
            // A branch or a tag that is written down is the same for every release.
            let text = named.value.text();
            return (text.contains("${{") && !self.moves(run, text)).then_some(named);
        }
        let started = &self.workflows[run.started];
        let name = match started.triggers.iter().any(|trigger| trigger == "release") {
            true if !started.is_of_branches() => "github.event.release.tag_name",
            _ if started.is_of_tags() => "github.ref_name",
            _ => "github.sha",
        };
        Some(Fact::new(
            Value::new(format!("${{{{ {name} }}}}")),
            checkout.at.clone(),
        ))
    }

    /// What Kamal calls the version: as its call or `VERSION` names it, else the commit, whichever tags an image has.
    pub(crate) fn kamal_version(
        &self,
        run: &Run,
        call: &Event,
        before: usize,
    ) -> Option<Fact<Value>> {
        let EventDetail::Command { words, env, .. } = &call.what else {
            return None;
        };
        let arguments = Arguments { words, valued: "" };
        let named = arguments.one(&["--version"]);
        let Some(named) = named.or_else(|| env.get("VERSION").map(String::as_str)) else {
            return self.commit(run, before);
        };
        let is_of_release = named.contains("${{") && !self.moves(run, named);
        is_of_release.then(|| Fact::new(Value::new(named), call.at.clone()))
    }

    /// The commit that is checked out.
    fn commit(&self, run: &Run, before: usize) -> Option<Fact<Value>> {
        if checks_out_another(run, before) {
            return None;
        }
        let (checkout, named) = self.checkout(run, before)?;
        let sha = |fact: &Fact<Value>| fact.value.text().contains("sha }}");
        named.filter(sha).or_else(|| {
            Some(Fact::new(
                Value::new("${{ github.sha }}"),
                checkout.at.clone(),
            ))
        })
    }

    /// The checkout before the deployment, and the `ref` that it names: as it is known, else as it is written.
    fn checkout<'r>(
        &self,
        run: &'r Run,
        before: usize,
    ) -> Option<(&'r Event, Option<Fact<Value>>)> {
        let (checkout, with) = run.events.iter().find_map(|event| match &event.what {
            EventDetail::Action { name, with, .. }
                if name == "actions/checkout" && event.step <= before =>
            {
                (!with.contains_key("repository")).then_some((event, with))
            }
            _ => None,
        })?;
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let named = with.get("ref").map(|filled| {
            let step = job.steps.get(checkout.step);
            let written = step.and_then(|step| step.with.iter().find(|(name, _)| name == "ref"));
            match written {
                Some((_, text)) if !filled.value.text().contains("${{") => {
                    Fact::new(text.value.clone(), filled.at.clone())
                }
                _ => filled.clone(),
            }
        });
        Some((checkout, named))
    }

    /// Whether a name is the same for one release and the next: a branch's.
    pub(crate) fn moves(&self, run: &Run, name: &str) -> bool {
        let started = &self.workflows[run.started];
        let branch = [
            "github.ref_name",
            "github.ref",
            "github.head_ref",
            "github.base_ref",
        ];
        let of_branch = workflow::expression::inners(name).any(|inner| {
            // What is taken at last where nothing else is given.
            let last = inner.rsplit("||").next().unwrap_or_default().trim();
            branch.contains(&last) || last.ends_with("head_branch")
        });
        let more = |inner: &str| {
            ["sha", "run_number", "run_id"]
                .iter()
                .any(|word| inner.contains(word))
        };
        let named = workflow::expression::inners(name).any(more);
        of_branch && !named && started.is_of_branches()
    }

    /// The release as a step of this job can write it: what other jobs and callers made of it has another name here.
    pub(crate) fn as_job_writes(
        &self,
        run: &Run,
        job: &Job,
        release: Fact<Value>,
    ) -> Option<Fact<Value>> {
        let text = release.value.text();
        // The inputs of a workflow that events start are those of all its jobs.
        let here = |inner: &str| {
            inner.starts_with("github.") || run.by.is_empty() && inner.starts_with("inputs.")
        };
        let plain = workflow::expression::inners(text).all(|inner| here(inner.trim()));
        let plain = plain && !text.contains("$(") && !text.replace("${{", "").contains('$');
        if plain && run.by.is_empty() {
            return Some(release);
        }
        let workflow = &self.workflows[run.id.workflow];
        let steps = || job.steps.iter();
        let named = steps().flat_map(|step| step.env.iter().chain(&step.with));
        let named = named.chain(&job.env).chain(&workflow.env);
        let texts = named.map(|(_, written)| written);
        let texts = texts.chain(steps().filter_map(|step| step.run.as_ref()));
        let expressions = texts.flat_map(|written| {
            workflow::expression::inners(written.value.text())
                .map(move |inner| (inner.trim(), written.key_line))
        });
        let mut found = expressions.filter(|(inner, _)| {
            !inner.starts_with("env.") && run.scope.fill(&format!("${{{{ {inner} }}}}")) == text
        });
        // What a caller hands over has the name that it has here: another caller hands over something else.
        let found = if plain {
            found.find(|(inner, _)| inner.starts_with("inputs."))
        } else {
            found.next()
        };
        match found {
            Some((inner, line)) => Some(Fact::new(
                Value::new(format!("${{{{ {inner} }}}}")),
                workflow.line(line),
            )),
            None => plain.then_some(release),
        }
    }
}

/// Whether a command of Git's takes something else than the run's commit, before the deployment on the runner.
fn checks_out_another(run: &Run, before: usize) -> bool {
    run.events.iter().any(|event| match &event.what {
        EventDetail::Command { words, .. } => {
            let here = event.place.login.is_none() && event.step <= before;
            let new = words
                .iter()
                .any(|word| matches!(word.as_str(), "-b" | "-B" | "-c" | "--orphan" | "--"));
            here && !new
                && words.len() > 2
                && words[0] == "git"
                && matches!(words[1].as_str(), "checkout" | "switch")
        }
        _ => false,
    })
}

/// The variables of a step: its own, and those of its job and workflow.
pub(crate) fn step_env(run: &Run, job: &Job, step: usize) -> BTreeMap<String, String> {
    let mut env = run.scope.env.clone();
    let own = job.steps.get(step).map_or(&[][..], |step| &step.env[..]);
    env.extend(
        own.iter()
            .map(|(name, text)| (name.clone(), run.scope.fill(text.value.text()))),
    );
    env
}

/// The release as a command's own words name it: `--version ${{ github.sha }}`.
pub(crate) fn named_in(event: &Event) -> Option<Fact<Value>> {
    let words: Vec<&str> = match &event.what {
        EventDetail::Command { words, .. } => words.iter().map(String::as_str).collect(),
        // A word of its own is the release as it is: `v${{ github.run_number }}`.
        EventDetail::Script { arguments, .. } => {
            let words: Vec<&str> = arguments.iter().map(Value::text).collect();
            let names =
                |word: &&str| workflow::expression::inners(word).any(|one| is_release(one.trim()));
            let whole = words.iter().copied().filter(names);
            let plain =
                |word: &&str| !word.contains(['/', ':', '=', ' ']) && !word.starts_with('-');
            let spaced = |word: &str| word.replace("${{ ", "").replace(" }}", "");
            if let Some(word) = whole.into_iter().find(|word| plain(&spaced(word).as_str())) {
                return Some(Fact::new(Value::new(word), event.at.clone()));
            }
            words
        }
        EventDetail::Action { .. } | EventDetail::Writes { .. } => return None,
    };
    let found = words
        .iter()
        .flat_map(|word| workflow::expression::inners(word));
    let name = found.map(str::trim).find(|inner| is_release(inner))?;
    Some(Fact::new(
        Value::new(format!("${{{{ {name} }}}}")),
        event.at.clone(),
    ))
}

//! The steps that a proposal adds to each workflow.

use survey::{HealthSource, Job, JobId, Known, Workflow};

use crate::back::{RollbackPlan, usable};
use crate::checkout::has_checkout;
use crate::group::shares_job;
use crate::handed::StepEnv;
use crate::platform::is_windows;
use crate::platform::{Extra, OwnStep};
use crate::proposal::{Gate, Part, Proposal, release};
use crate::steps::{Act, Frame, Own, Stage, free_id};
use workflow::gets_artifacts;
use yaml_edit::patch::{Addition, InsertionPoint, PatchError, patched};
use yaml_edit::text::{expression, scalar};

/// A workflow and what becomes of it.
#[derive(Debug)]
pub struct Change<'s> {
    pub workflow: &'s Workflow,
    /// Each job and its steps, in case a person adds them.
    pub jobs: Vec<(String, Vec<Addition>)>,
    pub new: Result<String, PatchError>,
    /// Whether a step has a gap that a person fills in.
    pub has_gap: bool,
}

/// What is alike for all steps of this proposal.
#[derive(Clone, Debug)]
pub struct Means {
    pub action: String,
    pub bin_dir: Option<String>,
    pub config: Option<String>,
}

/// The stand-in for an address that is not known; preflight and the gate refuse it.
pub const GAP: &str = "TODO: the address that answers 200 to 299 when it is healthy";

pub fn changes<'s>(proposal: &Proposal<'s>, means: &Means) -> Vec<Change<'s>> {
    let mut jobs: Vec<(JobId, Vec<&Part<'s>>)> = Vec::new();
    for part in &proposal.parts {
        let id = part.group.job();
        match jobs.iter_mut().find(|(there, _)| *there == id) {
            Some((_, parts)) => parts.push(part),
            None => jobs.push((id, vec![part])),
        }
    }
    let mut changes: Vec<Change<'s>> = Vec::new();
    for (_, parts) in jobs {
        let first = parts[0];
        let has_gap = parts
            .iter()
            .all(|part| matches!(part.gate, Gate::Unknown(_)));
        let additions = additions(proposal, &parts, means);
        let entry = (first.job.id.clone(), additions);
        let there = changes
            .iter_mut()
            .find(|change| change.workflow.path == first.workflow.path);
        match there {
            Some(change) => {
                change.jobs.push(entry);
                change.has_gap |= has_gap;
            }
            None => changes.push(Change {
                workflow: first.workflow,
                jobs: vec![entry],
                new: Ok(String::new()),
                has_gap,
            }),
        }
    }
    for change in &mut changes {
        let text = change.workflow.text.clone();
        let on_windows = (change.workflow.jobs.iter())
            .find(|job| change.jobs.iter().any(|(id, _)| *id == job.id) && is_windows(job));
        if let Some(job) = on_windows {
            change.new = Err(PatchError::Windows(job.id.clone()));
            continue;
        }
        change.new = change.jobs.iter().try_fold(text, |text, (job, additions)| {
            patched(&text, job, additions)
        });
    }
    changes
}

fn additions(proposal: &Proposal<'_>, parts: &[&Part<'_>], means: &Means) -> Vec<Addition> {
    let part = parts[0];
    let lead = part.group.lead;
    let job = part.job;
    let first = lead.steps.iter().min().copied().unwrap_or_default();
    let frame = Frame {
        action: means.action.clone(),
        bin_dir: means.bin_dir.clone(),
        config: means.config.clone(),
        environment: proposal
            .has_environments()
            .then(|| {
                lead.environment
                    .as_ref()
                    .map(|it| it.written.text().to_owned())
            })
            .flatten(),
        condition: condition(proposal, parts, job.steps.get(lead.live_step)),
        names_shell: has_another_shell(job),
    };
    let mut all = Vec::new();
    let mut add = |spot: InsertionPoint, step: String| all.push(Addition { spot, step });
    let gate = free_id(job, "gate");
    let preflight = free_id(job, "preflight");
    let handed = handed(parts);
    let release = release(&part.group).map(|value| expression(value.text()));
    let is_configured = part.is_configured();
    let back = matches!(part.back, RollbackPlan::Configured);
    let needs_checkout = is_configured && !has_checkout(job, first);
    // Among the files that a job gets and sends it would be sent, too.
    let is_below = needs_checkout && !back && gets_artifacts(job);
    if needs_checkout && !is_below {
        add(InsertionPoint::Before(0), frame.checkout());
    }
    if back {
        let mut with = vec![("stage", "preflight".to_owned())];
        with.extend(release.clone().map(|release| ("release", release)));
        let stage = Stage {
            note: "Before anything is touched: secrets, machines, and whether the release is known to be bad.",
            name: "Check before the deployment",
            id: Some(&preflight),
            with,
            configured: true,
            handed: handed.clone(),
            ..Stage::default()
        };
        add(InsertionPoint::Before(first), frame.step(stage));
    }
    // A job that goes to several machines is asked once all of them have the release.
    let same_job = (proposal.others.iter()).filter(|other| {
        other.job() == part.group.job() && other.environment() == part.group.environment()
    });
    let last = same_job.map(|other| other.lead.last_step).max();
    let after = InsertionPoint::After(lead.last_step.max(last.unwrap_or_default()));
    if is_below {
        add(after, frame.checkout());
    }
    let own = own_back(parts);
    for extra in own.iter().filter_map(|own| own.before.as_ref()) {
        add(InsertionPoint::Before(first), extra_step(&frame, extra));
    }
    let beside = own.iter().filter_map(|own| own.after.as_ref());
    for extra in beside.chain(&part.address) {
        add(after, extra_step(&frame, extra));
    }
    let for_gate = of_gate(parts, &handed);
    add(
        after,
        gate_step(&frame, parts, &gate, release.as_ref(), &for_gate),
    );
    match &part.back {
        RollbackPlan::Configured => {
            add(after, frame.step(record_stage(release.clone(), &handed)));
            add(
                after,
                frame.step(rollback_stage(release, handed, &gate, &preflight)),
            );
        }
        RollbackPlan::Step(_) | RollbackPlan::None(_) => {
            for step in own_steps(&frame, parts, &gate) {
                add(after, step);
            }
        }
    }
    all
}

fn record_stage(release: Option<String>, handed: &StepEnv) -> Stage<'static> {
    let mut with = vec![("stage", "rollback".to_owned())];
    with.extend(release.map(|release| ("release", release)));
    with.push(("command", "record".to_owned()));
    Stage {
        note: "What passed its gate is what a later failure goes back to.",
        name: "Record the release as good",
        with,
        configured: true,
        handed: handed.clone(),
        ..Stage::default()
    }
}

/// What did not pass is told: not every tool can tell what runs.
fn rollback_stage(
    release: Option<String>,
    handed: StepEnv,
    gate: &str,
    preflight: &str,
) -> Stage<'static> {
    let mut with = vec![("stage", "rollback".to_owned())];
    with.extend(release.map(|release| ("release", release)));
    // Where the deployment failed before it changed anything, the release is not bad.
    with.push(("gate", format!("${{{{ steps.{gate}.outcome }}}}")));
    Stage {
        note: "Refused where nothing was deployed yet. The release that failed is not deployed again.",
        name: "Put the last good release back",
        condition: Some(format!(
            "(failure() || cancelled()) && steps.{preflight}.outcome == 'success'"
        )),
        with,
        configured: true,
        handed,
        ..Stage::default()
    }
}

/// Whether the job's steps are programs of a shell that ours are none of. An image may have no other than `sh`, which
/// reads what is written there.
fn has_another_shell(job: &Job) -> bool {
    let reads =
        |shell: &String| shell.starts_with("bash") || job.container && shell.starts_with("sh");
    job.defaults_shell
        .as_ref()
        .is_some_and(|shell| !reads(shell))
}

/// The tool's own way back that is the same for all environments of the job.
fn own_back<'p>(parts: &'p [&Part<'_>]) -> Option<&'p OwnStep> {
    let own = |part: &&'p Part<'_>| match &part.back {
        RollbackPlan::Step(own) => Some(&**own),
        _ => None,
    };
    let first = parts.first().and_then(own)?;
    parts
        .iter()
        .all(|part| own(part) == Some(first))
        .then_some(first)
}

/// The tool's own way back, once for each environment that has another.
fn own_steps(frame: &Frame, parts: &[&Part<'_>], gate: &str) -> Vec<String> {
    let failed = format!("failure() && steps.{gate}.outcome == 'failure'");
    if let Some(own) = own_back(parts) {
        return vec![own_step(frame, own, &own.name, failed)];
    }
    // What is noted before the deployment is noted for one environment alone.
    let each = parts.iter().filter_map(|part| match &part.back {
        RollbackPlan::Step(own) if own.before.is_none() => {
            let condition = format!("{failed} && {}", is_for(part)?);
            let name = format!("{} in {}", own.name, part.group.environment()?);
            Some(own_step(frame, own, &name, condition))
        }
        _ => None,
    });
    each.collect()
}

fn own_step(frame: &Frame, own: &OwnStep, name: &str, mut condition: String) -> String {
    if let Some(noted) = &own.condition {
        condition.push_str(&format!(" && {noted}"));
    }
    frame.own(&Own {
        note: "Only what the gate refused: an undo where nothing was deployed would take a good release back.",
        name,
        id: None,
        condition: Some(&condition),
        folder: own.folder.as_deref(),
        act: &own.act,
        handed: &own.handed,
    })
}

/// What the deploying step skips, this skips.
fn extra_step(frame: &Frame, extra: &Extra) -> String {
    let condition = match (&frame.condition, &extra.condition) {
        (Some(own), Some(more)) => Some(format!("({}) && {more}", inner(own))),
        (own, more) => own.clone().or_else(|| more.clone()),
    };
    frame.own(&Own {
        note: extra.note,
        name: extra.name,
        id: extra.id.as_deref(),
        condition: condition.as_deref(),
        folder: None,
        act: &Act::Run(extra.run.clone()),
        handed: &extra.handed,
    })
}

/// A condition without `${{` and `}}`.
fn inner(condition: &str) -> &str {
    let inside = condition.trim().strip_prefix("${{");
    let inside = inside.and_then(|rest| rest.strip_suffix("}}"));
    inside.unwrap_or(condition).trim()
}

/// A condition that holds where the job deploys into the part's environment.
fn is_for(part: &Part<'_>) -> Option<String> {
    let environment = part.group.lead.environment.as_ref()?;
    let written = environment.written.expression()?;
    Some(survey::equals(written, &environment.name.value))
}

/// The condition by which a job that deploys into several environments is guarded for those of `parts` alone; empty where
/// it deploys into no other.
pub fn environments(proposal: &Proposal<'_>, parts: &[&Part<'_>]) -> String {
    let is_chosen = parts.iter().any(|part| part.group.lead.choice.is_some());
    let others = proposal.others.iter();
    let has_others = others
        .into_iter()
        .any(|other| shares_job(&parts[0].group, other));
    let each = parts.iter().filter_map(|part| {
        let choice = part.group.lead.choice.as_ref();
        let is_for = || is_for(part).filter(|_| has_others || is_chosen);
        choice.map(survey::Choice::condition).or_else(is_for)
    });
    each.collect::<Vec<_>>().join(" || ")
}

/// What the step that makes the release live skips, ours skip; and the environments that are not guarded.
fn condition(
    proposal: &Proposal<'_>,
    parts: &[&Part<'_>],
    deploying: Option<&survey::Step>,
) -> Option<String> {
    let own = deploying.and_then(|step| step.condition.clone());
    let only = environments(proposal, parts);
    match (own, only.as_str()) {
        (own, "") => own,
        (None, only) => Some(only.to_owned()),
        (Some(own), only) => Some(format!("({}) && ({only})", inner(&own))),
    }
}

/// What the gate's own sections name.
fn of_gate(parts: &[&Part<'_>], handed: &StepEnv) -> StepEnv {
    // A gate that asks nothing on a machine is handed no login.
    let each = parts.iter().map(|part| {
        let gate = part.map.of(&["healthgate"]).yaml();
        let on_hosts = ["host:", "hosts:", "via:"]
            .iter()
            .any(|key| gate.contains(key));
        if on_hosts {
            part.map.of(&["hosts", "healthgate"]).yaml()
        } else {
            gate
        }
    });
    let texts: String = each.collect();
    let words: Vec<&str> = texts
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    handed.only(|name| words.contains(&name))
}

/// All that the parts of one job are handed: a reusable workflow hands the same to each.
fn handed(parts: &[&Part<'_>]) -> StepEnv {
    let mut all = StepEnv::default();
    for (name, text) in parts.iter().flat_map(|part| part.handed.iter()) {
        all.set(name, text);
    }
    if parts.iter().any(|part| names_bucket(part)) {
        all.set("STATE_BUCKET", "${{ vars.STATE_BUCKET }}");
    }
    all
}

fn names_bucket(part: &Part<'_>) -> bool {
    part.map.yaml().contains("${STATE_BUCKET}")
}

fn gate_step(
    frame: &Frame,
    parts: &[&Part<'_>],
    id: &str,
    release: Option<&String>,
    handed: &StepEnv,
) -> String {
    let part = parts[0];
    let note = gate_note(parts);
    let mut stage = Stage {
        note: &note,
        name: "Gate the release",
        id: Some(id),
        with: vec![("stage", "healthgate".to_owned())],
        ..Stage::default()
    };
    if part.is_configured() {
        stage.configured = true;
        stage.handed = handed.clone();
        // Elsewhere an address may name its own version, which is another name for the same release.
        let by_release = matches!(part.group.lead.tool, survey::Tool::Ecs(_))
            && usable(part.group.lead.release.as_ref());
        if let (true, Some(release)) = (by_release, release) {
            stage.with.push(("release", release.clone()));
        }
        if matches!(part.gate, Gate::Unknown(_)) {
            stage.with.push(("url", scalar(GAP)));
        }
        return frame.step(stage);
    }
    let written = part
        .group
        .lead
        .environment
        .as_ref()
        .and_then(|environment| environment.written.expression());
    let known: Vec<(&str, &str)> = parts
        .iter()
        .filter_map(|part| match &part.gate {
            Gate::Step(urls) => Some((part.group.environment()?, urls.first()?.as_str())),
            _ => None,
        })
        .collect();
    let url = match (written, &part.gate) {
        (Some(written), _) if parts.len() > 1 && !known.is_empty() => {
            if known.len() < parts.len() {
                let each = known.iter().map(|(name, _)| survey::equals(written, name));
                let only = each.collect::<Vec<_>>().join(" || ");
                stage.condition = Some(match &frame.condition {
                    Some(own) => format!("({own}) && ({only})"),
                    None => only,
                });
            }
            by_environment(written, &known)
        }
        (_, Gate::Step(urls)) if urls.len() > 1 => urls.join("\n"),
        (_, Gate::Step(urls)) => expression(urls.first().map_or("", String::as_str)),
        _ => scalar(GAP),
    };
    stage.with.push(("url", url));
    let is_open = |part: &&Part<'_>| {
        let tool = &part.group.lead.tool;
        part.asked
            .iter()
            .any(|asked| asked.shows_an_answer_alone(tool))
    };
    if parts.iter().any(is_open) {
        stage.with.push(("status", "200-499".to_owned()));
    }
    stage.with.push(("deadline", "3m".to_owned()));
    frame.step(stage)
}

/// What the gate does, and how far its address is known.
fn gate_note(parts: &[&Part<'_>]) -> String {
    let mut note = "Fails the job unless three answers in a row are good.".to_owned();
    for asked in parts.iter().flat_map(|part| &part.asked) {
        let doubtful = matches!(
            asked.from,
            HealthSource::Guess | HealthSource::Environment | HealthSource::Platform
        );
        let line = match asked.url.expression() {
            Some(_) => format!("\n{}.", asked.evidence()),
            None => format!("\n{}: {}.", asked.url, asked.evidence()),
        };
        if doubtful && !note.contains(&line) {
            note.push_str(&line);
        }
    }
    if let Some(row) = parts.iter().find_map(|part| part.row_of_one_address()) {
        note.push_str(&format!(
            "\nEach row of the matrix probes this one address; an expression with `{row}` in it gives each its own."
        ));
    }
    let open = parts.iter().filter(|part| !part.is_configured());
    let waits: Vec<&Known> = open.map(|part| &part.group.lead.waits).collect();
    if waits.contains(&&Known::No) {
        note.push_str(
            "\nNothing above waits for the new release: until it runs, the one before answers, and passes.",
        );
    } else if !waits.iter().all(|one| matches!(one, Known::Yes(_))) {
        note.push_str(
            "\nWhether the steps above wait for the new release is not known here: until it runs, the one before may answer.",
        );
    }
    note
}

/// The address of the environment that the job is called for.
fn by_environment(written: &str, known: &[(&str, &str)]) -> String {
    let first = known.first().map_or("", |(_, url)| url);
    if known.iter().all(|(_, url)| *url == first) {
        return expression(first);
    }
    let mut parts: Vec<String> = known
        .iter()
        .map(|(name, url)| format!("{} && {}", survey::equals(written, name), within(url)))
        .collect();
    if let (Some(last), Some((_, url))) = (parts.last_mut(), known.last()) {
        *last = within(url);
    }
    expression(&format!("${{{{ {} }}}}", parts.join(" || ")))
}

/// A text with expressions as a part of one: `format('https://{0}/up', matrix.host)`.
fn within(text: &str) -> String {
    let quoted = |text: &str| text.replace('\'', "''");
    let braces = |text: &str| text.replace('{', "{{").replace('}', "}}");
    let (mut form, mut inners, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${{")
        && let Some((inner, after)) = after.split_once("}}")
    {
        form.push_str(&braces(before));
        form.push_str(&format!("{{{}}}", inners.len()));
        inners.push(inner.trim());
        rest = after;
    }
    form.push_str(&braces(rest));
    match &inners[..] {
        [] => format!("'{}'", quoted(text)),
        [inner] if form == "{0}" => format!("({inner})"),
        _ => format!("format('{}', {})", quoted(&form), inners.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_an_expression_is_a_part_of_another() {
        for (text, expected) in [
            ("https://a/it's", "'https://a/it''s'"),
            (
                "${{ vars.URL || 'https://a' }}",
                "(vars.URL || 'https://a')",
            ),
            (
                "https://${{ matrix.host }}/a{b}/${{ vars.PATH }}",
                "format('https://{0}/a{{b}}/{1}', matrix.host, vars.PATH)",
            ),
        ] {
            assert_eq!(within(text), expected);
        }
    }
}

//! What the workflows hand to our Action: inputs that it has, that the stage takes, and all that it needs. The Action
//! itself refuses them only when it runs.

use cli::Job;
use document::Document;
use model::{FoundAt, Outcome, StageName};
use survey::{Survey, Workflow};
use workflow::{ActionCall, Contract, INPUTS, OwnAction, STAGES};
use yaml::{Fault, Key, Kind, Node, Place, listed, nearest};

use super::finding::{ALL, Finding};
use super::repository::Repository;

pub(super) fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let Some(survey) = repository.survey() else {
        return Vec::new();
    };
    let rules = Contract::read();
    let guarding = survey.workflows.iter().filter(|workflow| workflow.guards);
    let mut found: Vec<Finding> = guarding
        .clone()
        .flat_map(|workflow| of_workflow(workflow, &rules, job))
        .collect();
    let jobs = guarding.flat_map(|workflow| &workflow.jobs);
    let called = jobs
        .flat_map(|job| &job.steps)
        .flat_map(|step| &step.actions);
    for finding in called.flat_map(|call| of_action(survey, call, &rules, job)) {
        // What is wrong by itself is so for each step that calls the action.
        let is_told = |one: &Finding| one.outcome.reason == finding.outcome.reason;
        if !found.iter().any(is_told) {
            found.push(finding);
        }
    }
    found
}

/// An action is shorter.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with an input.
struct Wrong {
    input: String,
    fault: Fault,
    /// The stage that does not begin; `None` where it is not known.
    stage: Option<String>,
}

fn of_workflow(workflow: &Workflow, rules: &Contract, job: &Job) -> Vec<Finding> {
    let Ok(tree) = Node::parse_foreign(&workflow.text) else {
        return Vec::new();
    };
    let jobs = tree.get("jobs").map_or(&[][..], Node::entries).iter();
    let steps = jobs.flat_map(|(_, job)| job.get("steps").map_or(&[][..], Node::items));
    let wrong = steps.flat_map(|step| of_step(step, rules, job)).collect();
    findings(wrong, &workflow.path, &workflow.text, &tree)
}

/// An action of the repository, with the inputs that a step gives it.
fn of_action(survey: &Survey, call: &ActionCall, rules: &Contract, job: &Job) -> Vec<Finding> {
    let runs = call.tree.get("runs").and_then(|runs| runs.get("steps"));
    let steps = runs.map_or(&[][..], Node::items).iter();
    let steps = steps.map(|step| filled(step, call));
    let wrong = steps.flat_map(|step| of_step(&step, rules, job)).collect();
    match files::read_text(&survey.root.join(&call.path), MAX_FILE) {
        Ok(text) => findings(wrong, &call.path, &text, &call.tree),
        Err(_) => Vec::new(),
    }
}

/// What is written there, with the inputs of the action.
fn filled(node: &Node, call: &ActionCall) -> Node {
    let mut node = node.clone();
    match &mut node.kind {
        Kind::Scalar(scalar) => scalar.text = call.fill(&scalar.text),
        Kind::List(items) => *items = items.iter().map(|item| filled(item, call)).collect(),
        Kind::Map(entries) => {
            for (_, value) in entries {
                *value = filled(value, call);
            }
        }
    }
    node
}

fn findings(wrong: Vec<Wrong>, path: &str, text: &str, tree: &Node) -> Vec<Finding> {
    if wrong.is_empty() {
        return Vec::new();
    }
    let mut hidden = document::secrets::of(tree, text);
    hide(tree, &mut hidden.places);
    let document = Document {
        path: path.into(),
        text: text.to_owned(),
        hidden,
        tree: Some(tree.clone()),
        schema: || serde_json::Value::Null,
    };
    wrong
        .into_iter()
        .map(|one| finding(one, &document))
        .collect()
}

fn finding(wrong: Wrong, document: &Document) -> Finding {
    let path = document.path.display().to_string();
    let error = document.error(wrong.fault);
    let mut outcome = Outcome::fail(format!("repository/input-{}", wrong.input), &path)
        .expected("inputs that the Action takes")
        .hint(error.hint().unwrap_or("see the Action's README"))
        .reason(error.to_string());
    if let config::Error::Invalid {
        line,
        column,
        message,
        snippet,
        ..
    } = &error
    {
        outcome = outcome
            .actual(snippet.clone())
            .reason(format!("{path}:{line}: {message}"))
            .found_at(FoundAt {
                file: path.clone(),
                line: Some((*line, *column)),
            });
    }
    let stops = ALL.into_iter();
    let stops: Vec<StageName> = match &wrong.stage {
        Some(stage) => stops.filter(|one| one.as_str() == stage).collect(),
        None => stops.collect(),
    };
    Finding::new(outcome, &stops)
}

/// The values of a workflow that may be secret and that no error is about: those of `env:`, headers, arguments,
/// addresses, and those of inputs that the Action does not have.
fn hide(node: &Node, found: &mut Vec<Place>) {
    for item in node.items() {
        hide(item, found);
    }
    for (key, value) in node.entries() {
        for (name, one) in value.entries() {
            let text = one.text().unwrap_or_default();
            let is_hidden = match key.name.as_str() {
                "env" => true,
                "with" => {
                    let has_literal = text.contains("secrets.") && text.contains('\'');
                    has_literal || is_private(&name.name.to_ascii_lowercase(), text)
                }
                _ => false,
            };
            // An expression may have the secret itself: `${{ secrets.A || 'b' }}`.
            let is_expression =
                text.starts_with("${{") && text.ends_with("}}") && !text.contains(['\'', '"']);
            if is_hidden && !is_expression && !text.is_empty() {
                found.push(one.place.clone());
            }
        }
        hide(value, found);
    }
}

fn is_private(input: &str, text: &str) -> bool {
    let known: Vec<&str> = INPUTS.iter().map(String::as_str).collect();
    let meant = nearest(input, &known).unwrap_or(input);
    ["header", "args"].contains(&meant) || !known.contains(&meant) || text.contains("://")
}

/// Whether the step calls a version whose inputs are those that are known here: not that of another tag, and not that of
/// a commit, which only GitHub knows, and not that of an action of the repository, which has inputs of its own.
fn is_this_version(uses: &str) -> bool {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    /// The tag that each release moves.
    const MOVED: &str = "v1";
    let Some((_, name)) = uses.split_once('@') else {
        return false;
    };
    let is_own = |number: &str| OWN == number || OWN.starts_with(&format!("{number}."));
    name == "main" || name == MOVED || name.strip_prefix('v').is_some_and(is_own)
}

fn of_step(step: &Node, rules: &Contract, job: &Job) -> Vec<Wrong> {
    let uses = step.get("uses");
    let with = step.get("with").map_or(&[][..], Node::entries);
    let name = uses.and_then(Node::text).unwrap_or_default();
    let texts: Vec<(&str, &str)> = (with.iter())
        .filter_map(|(key, value)| Some((key.name.as_str(), value.text()?)))
        .collect();
    let Some(action) = OwnAction::of(name, &texts).filter(|_| is_this_version(name)) else {
        return Vec::new();
    };
    let known = match action {
        OwnAction::Setup => &rules.of_setup,
        OwnAction::Stage => &*INPUTS,
    };
    let mut wrong = Vec::new();
    for (key, _) in with {
        if !known.contains(&key.name.to_ascii_lowercase()) {
            wrong.push(unknown(key, known));
        }
    }
    let install = with
        .iter()
        .find(|(key, _)| key.name.eq_ignore_ascii_case("install"));
    wrong.extend(install.and_then(|(key, value)| {
        Some(Wrong {
            input: "install".to_owned(),
            fault: not_one_of(key, value, &["download", "build"])?,
            stage: None,
        })
    }));
    if action == OwnAction::Setup {
        return wrong;
    }
    let value = |name: &str| {
        let found = with
            .iter()
            .find(|(key, _)| key.name.eq_ignore_ascii_case(name));
        found.filter(|(_, value)| value.text().is_some_and(|text| !text.trim().is_empty()))
    };
    let Some((_, stage)) = value("stage") else {
        // Of a slip, one word is enough.
        let slips = |one: &Wrong| one.fault.near.as_deref() == Some("stage");
        if !wrong.iter().any(slips) {
            wrong.push(no_stage(uses.unwrap_or(step)));
        }
        return wrong;
    };
    let name = stage.text().unwrap_or_default().trim();
    if name.contains("${{") {
        return wrong;
    }
    for one in &mut wrong {
        one.stage = Some(name.to_owned());
    }
    if !STAGES.contains(&name) {
        let fault = Fault::new(format!("there is no stage `{name}`"));
        let fault = fault.hint(format!("one of {}", listed(&STAGES)));
        wrong.push(Wrong {
            input: "stage".to_owned(),
            fault: fault.at(stage.place.clone()).guess(name, &STAGES),
            stage: None,
        });
        return wrong;
    }
    // Which environments another configuration has is not known here.
    let reads_another = ["config", "working-directory"].iter().any(|name| {
        with.iter()
            .any(|(key, _)| key.name.eq_ignore_ascii_case(name))
    });
    for (key, value) in with {
        let text = value.text().unwrap_or_default().trim();
        let is_unknown = reads_another && key.name.eq_ignore_ascii_case("environment");
        if let Some(fault) = (!text.is_empty() && !is_unknown)
            .then(|| refused(key, value, name, rules, job))
            .flatten()
        {
            wrong.push(Wrong {
                input: key.name.to_ascii_lowercase(),
                fault,
                stage: Some(name.to_owned()),
            });
        }
    }
    let lifts = |(key, _): &&(Key, Node)| {
        let stages = rules.takes.get(&key.name.to_ascii_lowercase());
        stages.is_none_or(|stages| stages.contains(&name))
    };
    if let (Some((key, _)), None) = (value("force").filter(lifts), value("reason")) {
        let fault = Fault::new("the input `force` needs `reason`").at(key.place.clone());
        wrong.push(Wrong {
            input: "reason".to_owned(),
            fault: fault.hint("add `reason: …`: why the rules are lifted; it is kept"),
            stage: Some(name.to_owned()),
        });
    }
    wrong
}

fn no_stage(step: &Node) -> Wrong {
    let fault = Fault::new("the input `stage` is missing").at(step.place.clone());
    Wrong {
        input: "stage".to_owned(),
        fault: fault.hint(format!("write one under `with:`: {}", listed(&STAGES))),
        stage: None,
    }
}

fn unknown(key: &Key, known: &[String]) -> Wrong {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = "its inputs are in the README; other flags of the stage go into `args`";
    let fault = Fault::new(format!("the Action has no input `{}`", key.name));
    Wrong {
        input: key.name.to_ascii_lowercase(),
        fault: fault
            .at(key.place.clone())
            .hint(hint)
            .guess(&key.name, &known),
        stage: None,
    }
}

/// Why the Action refuses a known input of a known stage.
fn refused(key: &Key, value: &Node, stage: &str, rules: &Contract, job: &Job) -> Option<Fault> {
    let name = key.name.to_ascii_lowercase();
    let text = value.text()?.trim();
    if let Some(stages) = rules.takes.get(&name)
        && !stages.contains(&stage)
    {
        let fault = Fault::new(format!(
            "the stage `{stage}` does not take the input `{name}`"
        ));
        let hint = format!("leave it out; it belongs to {}", listed(stages));
        return Some(fault.at(key.place.clone()).hint(hint));
    }
    // What an expression gives, a run alone knows.
    if text.contains("${{") {
        return None;
    }
    if rules.switches.contains(&name) {
        return not_one_of(key, value, &["true", "false"]);
    }
    let wrong = |word: &str, hint: String| {
        let fault = Fault::new(format!("the input `{name}` cannot be `{word}`"));
        Some(fault.at(value.place.clone()).hint(hint))
    };
    let is_command = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if name == "command" && (text == "help" || !is_command(text)) {
        let hint = format!(
            "name one of `{stage}`, such as `status` of `rollback`; its arguments go into `args`"
        );
        return wrong(text, hint);
    }
    if name == "fail-on" {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let known = |word: &&&str| **word == "none" || rules.verdicts.contains(*word);
        if let Some(word) = words.iter().find(|word| !known(word)) {
            let verdicts = listed(&rules.verdicts);
            return wrong(
                word,
                format!("name verdicts that fail the step: {verdicts}; or `none`"),
            );
        }
        let is_both = words.contains(&"none") && words.iter().any(|word| *word != "none");
        return is_both.then(|| wrong(text, "name `none` alone, or the verdicts".to_owned()))?;
    }
    let mut names = job.config.environments.keys().map(String::as_str);
    if name == "environment"
        && job.broken.is_none()
        && job.config_path.is_some()
        && let Some(hint) = config::unknown_environment(text, &mut names)
    {
        let fault = Fault::new(format!(
            "the configuration has no `{text}` under `environments:`"
        ));
        return Some(fault.at(value.place.clone()).hint(hint));
    }
    None
}

/// Why an input is refused that is one of a few words.
fn not_one_of(key: &Key, value: &Node, words: &[&str]) -> Option<Fault> {
    let text = value.text()?.trim();
    // The runner writes a boolean in small letters.
    let is_boolean = |word: &str| word.parse::<bool>().is_ok() && word.eq_ignore_ascii_case(text);
    let is_one = |word: &&str| *word == text || is_boolean(word);
    if text.is_empty() || text.contains("${{") || words.iter().any(is_one) {
        return None;
    }
    let fault = Fault::new(format!(
        "the input `{}` cannot be `{text}`",
        key.name.to_ascii_lowercase()
    ));
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let hint = format!("write {}", words.join(" or "));
    Some(fault.at(value.place.clone()).hint(hint))
}

//! Which steps of a workflow are ours, by what they call and not by what their text mentions.

use std::sync::LazyLock;

use shell::Program;
use yaml::Node;

/// The stages that the Action runs.
pub const STAGES: [&str; 8] = [
    "preflight",
    "runner-check",
    "healthgate",
    "traffic",
    "migrate",
    "incident",
    "rollback",
    "run",
];

const ACTION: &str = include_str!("../../../action.yml");

/// The inputs of the Action.
pub static INPUTS: LazyLock<Vec<String>> = LazyLock::new(|| inputs_of(ACTION));

/// The inputs of an action, by its `action.yml`.
pub fn inputs_of(action: &str) -> Vec<String> {
    let tree = Node::parse(action).ok();
    let inputs = tree.as_ref().and_then(|tree| tree.get("inputs"));
    let keys = inputs.map_or(&[][..], Node::entries).iter();
    keys.map(|(key, _)| key.name.clone()).collect()
}

/// What a step is of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// It only installs.
    Setup,
    Runs(Vec<OwnCall>),
}

/// A stage that a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCall {
    /// `None` where a run alone knows it.
    pub stage: Option<String>,
    /// With that of the stage where none is written.
    pub command: Option<String>,
}

/// Which of our Actions a step calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnAction {
    Setup,
    Stage,
}

impl OwnAction {
    /// By its name, in which GitHub heeds no case; or, under another name, by inputs that are ours.
    pub fn of(uses: &str, with: &[(&str, &str)]) -> Option<OwnAction> {
        let name = uses.split('@').next().unwrap_or(uses).to_ascii_lowercase();
        if name.contains("deploy-guard") {
            let is_setup = name.ends_with("/setup");
            return Some(if is_setup {
                OwnAction::Setup
            } else {
                OwnAction::Stage
            });
        }
        let is_ours = |name: &str| INPUTS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let mut stage = with
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("stage"));
        let has_stage = stage.any(|(_, text)| STAGES.contains(&text.trim()));
        (has_stage && with.iter().all(|(name, _)| is_ours(name))).then_some(OwnAction::Stage)
    }
}

/// What a stage does that is given no command.
pub fn default_command(stage: &str) -> Option<&'static str> {
    match stage {
        "rollback" | "migrate" => Some("run"),
        "traffic" => Some("ramp"),
        "incident" => Some("watch"),
        _ => None,
    }
}

impl Own {
    /// Of an action, by its name and its inputs.
    pub(crate) fn of_action(uses: &str, inputs: &[(&str, &str)]) -> Option<Own> {
        if OwnAction::of(uses, inputs)? == OwnAction::Setup {
            return Some(Own::Setup);
        }
        let with = |name: &str| {
            let mut found = inputs
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            let text = found.next().map(|(_, text)| text.trim());
            text.filter(|text| !text.is_empty())
        };
        let stage = with("stage").filter(|stage| !stage.contains("${{"));
        let default = stage.and_then(default_command);
        let default = default.filter(|_| with("args").is_none());
        Some(Own::Runs(vec![OwnCall {
            stage: stage.map(str::to_owned),
            command: with("command").or(default).map(str::to_owned),
        }]))
    }

    /// Of a shell program. Where a step before has installed them, the stages are programs of their own.
    pub(crate) fn of_program(text: &str, is_installed: bool) -> Option<Own> {
        let calls = calls(text, is_installed);
        (!calls.is_empty()).then_some(Own::Runs(calls))
    }
}

/// The stages that a shell program runs.
fn calls(text: &str, is_installed: bool) -> Vec<OwnCall> {
    let mut program = Program::new(text);
    let mut found = Vec::new();
    while let Some(command) = program.next(&|_| None) {
        let words: Vec<&str> = command
            .words
            .iter()
            .map(|word| word.text.as_str())
            .collect();
        let name = |word: &&str| word.rsplit('/').next().unwrap_or(word).to_owned();
        let ours = words
            .iter()
            .position(|word| name(word).starts_with("deploy-guard"));
        let begin = match ours {
            Some(at) => at + 1,
            None if is_installed => 0,
            None => continue,
        };
        let stage = words[begin..]
            .iter()
            .position(|word| STAGES.contains(&&*name(word)));
        let Some(stage) = stage.filter(|at| ours.is_some() || *at == 0) else {
            // `deploy-guard init`, `pip install deploy-guard`.
            continue;
        };
        let next = words.get(begin + stage + 1);
        let next = next.filter(|word| !word.starts_with('-'));
        found.push(OwnCall {
            stage: Some(name(&words[begin + stage])),
            command: next.map(|word| (*word).to_owned()),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Workflow;

    fn own_of(steps: &str) -> Vec<Option<Own>> {
        let text = format!("on: push\njobs:\n  a:\n    steps:\n{steps}");
        let tree = Node::parse(&text).unwrap();
        let workflow = Workflow::read("a.yml", &text, &tree);
        workflow.jobs[0]
            .steps
            .iter()
            .map(|step| step.own.clone())
            .collect()
    }

    fn runs(stage: &str, command: Option<&str>) -> Own {
        Own::Runs(vec![OwnCall {
            stage: Some(stage.to_owned()),
            command: command.map(str::to_owned),
        }])
    }

    #[test]
    fn a_step_is_ours_by_what_it_calls() {
        let gate = Some(runs("healthgate", None));
        for (step, expected) in [
            (
                "uses: org/deploy-guard@v1, with: { stage: healthgate }",
                gate.clone(),
            ),
            (
                "uses: Org/Deploy-Guard@abc, with: { Stage: healthgate }",
                gate.clone(),
            ),
            (
                "uses: acme/guard@v1, with: { stage: healthgate, url: a }",
                gate.clone(),
            ),
            ("uses: acme/guard@v1, with: { stage: production }", None),
            ("uses: acme/guard@v1, with: { stage: run, token: a }", None),
            ("uses: org/deploy-guard/setup@v1", Some(Own::Setup)),
            (
                "uses: org/deploy-guard@v1, with: { stage: rollback }",
                Some(runs("rollback", Some("run"))),
            ),
            (
                "run: deploy-guard rollback record --release a",
                Some(runs("rollback", Some("record"))),
            ),
            (
                "run: ./bin/deploy-guard --config a healthgate",
                gate.clone(),
            ),
            ("run: \"# deploy-guard healthgate\"", None),
            ("run: echo deploy-guard, if: false", None),
            ("run: deploy-guard healthgate, if: \"${{ false }}\"", None),
            ("run: pip install deploy-guard", None),
            ("run: healthgate", None),
        ] {
            assert_eq!(
                own_of(&format!("      - {{ {step} }}\n")),
                [expected],
                "{step}"
            );
        }
        let installed =
            "      - uses: org/deploy-guard/setup@v1\n      - run: healthgate --release a\n";
        assert_eq!(own_of(installed), [Some(Own::Setup), gate]);
    }
}

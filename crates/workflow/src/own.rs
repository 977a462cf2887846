//! Which steps of a workflow are ours, by what they call and not by what their text mentions.

use std::collections::BTreeMap;

use shell::{Command, Input, Program};
use yaml::nearest;

use crate::contract::{INPUTS, STAGES, default_command};

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
    /// What it asks instead of the configuration's probes, by the input `url` and by `--http`.
    pub asks: Vec<String>,
}

/// A slip in the name of an input is seen in a word of this length; a shorter one is soon near one of ours.
const MIN_SLIP: usize = 6;

/// Which of our Actions a step calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnAction {
    Setup,
    Stage,
}

impl OwnAction {
    /// By its name, in which GitHub heeds no case; or, under another name, by a stage and by inputs that are mostly ours.
    pub fn of(uses: &str, with: &[(&str, &str)]) -> Option<OwnAction> {
        let name = uses.split('@').next().unwrap_or(uses).to_ascii_lowercase();
        let mut path = name.trim_end_matches('/').rsplit('/');
        match (path.next(), path.next()) {
            (Some("deploy-guard"), _) => return Some(OwnAction::Stage),
            (Some("setup"), Some("deploy-guard")) => return Some(OwnAction::Setup),
            _ => {}
        }
        let known: Vec<&str> = INPUTS.iter().map(String::as_str).collect();
        let is_ours = |name: &str| {
            let meant = nearest(name, &known);
            meant.is_some_and(|own| own.eq_ignore_ascii_case(name) || name.len() >= MIN_SLIP)
        };
        let is_stage = |name: &str| nearest(name, &["stage"]).is_some();
        let mut stages = with.iter().filter(|(name, _)| is_stage(name));
        let has_stage = stages.any(|(_, text)| STAGES.contains(&text.trim()));
        let ours = with
            .iter()
            .filter(|(name, _)| is_ours(name) || is_stage(name));
        let is_most = ours.count() * 2 > with.len();
        (has_stage && is_most).then_some(OwnAction::Stage)
    }
}

impl Own {
    /// Of an action, by its name and its inputs.
    pub(crate) fn of_action(uses: &str, inputs: &[(&str, &str)]) -> Option<Own> {
        let with = |name: &str| {
            let mut found = inputs
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            let text = found.next().map(|(_, text)| text.trim());
            text.filter(|text| !text.is_empty())
        };
        if let Some(image) = uses.strip_prefix("docker://") {
            // An image is called by its name where no other entry point is given.
            let program = with("entrypoint").unwrap_or(image);
            let text = format!("{program} {}", with("args").unwrap_or_default());
            return Own::of_program(&text, BTreeMap::new(), &mut false);
        }
        if OwnAction::of(uses, inputs)? == OwnAction::Setup {
            return Some(Own::Setup);
        }
        let stage = with("stage").filter(|stage| !stage.contains("${{"));
        let default = stage.and_then(default_command);
        let default = default.filter(|_| with("args").is_none());
        let urls = with("url").into_iter().flat_map(str::lines).map(str::trim);
        let urls = urls.filter(|url| !url.is_empty()).map(str::to_owned);
        let of_args = commands(with("args").unwrap_or_default());
        let of_args = of_args.iter().flat_map(|command| asked(&words(command)));
        Some(Own::Runs(vec![OwnCall {
            stage: stage.map(str::to_owned),
            command: with("command").or(default).map(str::to_owned),
            asks: urls.chain(of_args).collect(),
        }]))
    }

    /// Of a shell program, with the variables that it is given. Where they are installed, the stages are programs of their
    /// own, for what follows, too.
    pub(crate) fn of_program(
        text: &str,
        given: BTreeMap<String, String>,
        is_installed: &mut bool,
    ) -> Option<Own> {
        let calls = calls(text, given, is_installed);
        (!calls.is_empty()).then_some(Own::Runs(calls))
    }
}

/// Programs within programs.
const MAX_DEPTH: usize = 4;

/// The commands of a shell program, with those that it hands to another shell: `bash -c '…'`, `ssh host '…'`. Its
/// variables are filled in.
fn commands(text: &str) -> Vec<Command> {
    commands_with(text, BTreeMap::new())
}

fn commands_with(text: &str, given: BTreeMap<String, String>) -> Vec<Command> {
    let mut found = Vec::new();
    collect(text, given, 0, &mut found);
    found
}

fn collect(
    text: &str,
    mut values: BTreeMap<String, String>,
    depth: usize,
    found: &mut Vec<Command>,
) {
    const SHELLS: [&str; 8] = ["ssh", "sshpass", "bash", "sh", "zsh", "dash", "su", "eval"];
    let mut program = Program::new(text);
    while let Some(command) = program.next(&|name| values.get(name).cloned()) {
        if command.words.is_empty() || command.words[0].text == "export" {
            let exported = command.words.iter().skip(1);
            let exported = exported.filter_map(|word| word.text.split_once('='));
            values.extend(exported.map(|(name, value)| (name.to_owned(), value.to_owned())));
            values.extend(command.assignments.iter().cloned());
        }
        // `docker exec shop sh -c '…'`, too.
        let mut names = command.words.iter().map(|word| file_name(&word.text));
        let hands_over = depth < MAX_DEPTH && names.any(|name| SHELLS.contains(&name));
        let mut inner = Vec::new();
        if hands_over {
            let words = command.words.iter().map(|word| &word.text);
            inner.extend(words.filter(|text| text.contains([' ', '\n'])).cloned());
            if let Some(Input::Text(input)) = &command.input {
                inner.push(input.text.clone());
            }
        }
        found.push(command);
        for text in inner {
            collect(&text, BTreeMap::new(), depth + 1, found);
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a container of the image has our programs: `ghcr.io/org/deploy-guard:v1`.
pub(crate) fn is_own_image(image: &str) -> bool {
    let name = file_name(image).split(['@', ':']).next();
    name == Some("deploy-guard")
}

/// Whether a word is a stage below a folder of ours: `/opt/deploy-guard/healthgate`.
fn is_in_own_folder(word: &str) -> bool {
    let (folder, name) = word.rsplit_once('/').unwrap_or_default();
    let mut folders = folder.split('/');
    STAGES.contains(&name) && folders.any(|one| one.starts_with("deploy-guard"))
}

/// The stages that a shell program runs.
fn calls(text: &str, given: BTreeMap<String, String>, is_installed: &mut bool) -> Vec<OwnCall> {
    let mut found = Vec::new();
    for command in commands_with(text, given) {
        let words = words(&command);
        let Some(first) = words.first() else {
            continue;
        };
        let by_path = words.iter().position(|word| is_in_own_folder(word));
        let is_called =
            |at: &usize| *at == 0 || file_name(first) == "ssh" && !words[*at].contains(' ');
        let by_path = by_path.filter(is_called);
        let by_name = words
            .iter()
            .position(|word| file_name(word).starts_with("deploy-guard"));
        let begin = match by_path.or(by_name.map(|at| at + 1)) {
            Some(begin) => begin,
            None if *is_installed => 0,
            None => continue,
        };
        let stage = words[begin..]
            .iter()
            .position(|word| STAGES.contains(&file_name(word)));
        let is_named = by_path.or(by_name).is_some();
        let Some(stage) = stage.filter(|at| is_named || *at == 0) else {
            // `deploy-guard init`, `pip install deploy-guard`.
            *is_installed |= is_named && installs(&words);
            continue;
        };
        let next = words.get(begin + stage + 1);
        let next = next.filter(|word| !word.starts_with('-'));
        found.push(OwnCall {
            stage: Some(file_name(words[begin + stage]).to_owned()),
            command: next.map(|word| (*word).to_owned()),
            asks: asked(&words[begin + stage + 1..]),
        });
    }
    found
}

fn words(command: &Command) -> Vec<&str> {
    command.words.iter().map(|word| &*word.text).collect()
}

/// What `--http` is given: an address, or each of those among which an expression chooses.
fn asked(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(rest) = word.strip_prefix("--http") else {
            continue;
        };
        let value = match rest.strip_prefix('=') {
            Some(value) => value,
            None if rest.is_empty() => words.next().copied().unwrap_or_default(),
            None => continue,
        };
        let several = value.split('\'').filter(|part| part.contains("://"));
        let several: Vec<&str> = several.collect();
        let all = if several.is_empty() {
            vec![value]
        } else {
            several
        };
        found.extend(
            all.into_iter()
                .filter(|one| !one.is_empty())
                .map(str::to_owned),
        );
    }
    found
}

/// Whether a command puts a program in place: `cargo install`, a download.
fn installs(words: &[&str]) -> bool {
    let is_download = words
        .first()
        .is_some_and(|word| ["curl", "wget", "gh"].contains(&file_name(word)));
    is_download || words.iter().any(|word| word.ends_with("install"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Workflow;
    use yaml::Node;

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
            asks: Vec::new(),
        }])
    }

    /// The steps' calls alone, without what they ask.
    fn calls_of(steps: &str) -> Vec<Option<Own>> {
        let mut all = own_of(steps);
        for own in all.iter_mut().flatten() {
            if let Own::Runs(calls) = own {
                for call in calls {
                    call.asks.clear();
                }
            }
        }
        all
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
            (
                "uses: acme/guard@v1, with: { stage: healthgate, url: a, deadlin: 5m }",
                gate.clone(),
            ),
            (
                "uses: acme/guard@v1, with: { stage: healthgate, deadlin: 5m }",
                gate.clone(),
            ),
            (
                "uses: acme/guard@v1, with: { stag: healthgate, url: a, deadline: 5m }",
                Some(Own::Runs(vec![OwnCall {
                    stage: None,
                    command: None,
                    asks: Vec::new(),
                }])),
            ),
            (
                "uses: acme/deploy@v1, with: { stage: run, chart: b, values: c }",
                None,
            ),
            (
                "uses: acme/deploy-guard-notify@v1, with: { channel: ops }",
                None,
            ),
            ("uses: acme/my-deploy-guard@v1", None),
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
                calls_of(&format!("      - {{ {step} }}\n")),
                [expected],
                "{step}"
            );
        }
        let installed =
            "      - uses: org/deploy-guard/setup@v1\n      - run: healthgate --release a\n";
        assert_eq!(own_of(installed), [Some(Own::Setup), gate]);
    }

    #[test]
    fn a_command_is_ours_however_it_is_called() {
        let gate = Some(runs("healthgate", None));
        for (step, expected) in [
            (
                "run: \"ssh a@b 'deploy-guard healthgate --release a'\"",
                gate.clone(),
            ),
            ("run: ssh a@b deploy-guard healthgate", gate.clone()),
            ("run: ssh a@b /opt/deploy-guard/healthgate", gate.clone()),
            (
                "run: 'bash -c \"cd /srv && deploy-guard healthgate\"'",
                gate.clone(),
            ),
            (
                "run: \"ssh a@b \\\"sudo sh -c 'deploy-guard healthgate'\\\"\"",
                gate.clone(),
            ),
            (
                "run: \"ssh a@b <<'EOF'\\ndeploy-guard healthgate\\nEOF\\n\"",
                gate.clone(),
            ),
            ("run: /opt/deploy-guard/bin/healthgate", gate.clone()),
            ("run: ./deploy-guard/healthgate", gate.clone()),
            (
                "run: cargo install deploy-guard && healthgate",
                gate.clone(),
            ),
            ("run: DG=deploy-guard; $DG healthgate", gate.clone()),
            (
                "run: docker exec shop sh -c 'deploy-guard healthgate'",
                gate.clone(),
            ),
            (
                "run: \"${{ github.workspace }}/deploy-guard healthgate\"",
                gate.clone(),
            ),
            (
                "uses: 'docker://ghcr.io/org/deploy-guard:v1', with: { args: healthgate --release a }",
                gate.clone(),
            ),
            (
                "uses: 'docker://alpine:3', with: { entrypoint: /opt/deploy-guard/healthgate }",
                gate.clone(),
            ),
            (
                "uses: 'docker://alpine:3', with: { args: healthgate }",
                None,
            ),
            (
                "uses: appleboy/ssh-action@v1, with: { host: a, script: \"cd /srv\\ndeploy-guard healthgate\\n\" }",
                gate.clone(),
            ),
            (
                "uses: appleboy/scp-action@v0, with: { host: a, source: deploy-guard healthgate }",
                None,
            ),
            ("run: \"ssh a@b 'cd /srv/deploy-guard/healthgate'\"", None),
            ("run: scp deploy-guard/healthgate a@b", None),
            ("run: \"echo 'deploy-guard healthgate'\"", None),
            ("run: ssh a@b 'make run'", None),
        ] {
            let steps = format!("      - {{ {step} }}\n");
            assert_eq!(own_of(&steps), [expected], "{step}");
        }
    }

    #[test]
    fn what_a_step_installs_those_after_it_run() {
        let steps = "      - run: cargo install deploy-guard\n      - run: healthgate\n";
        assert_eq!(own_of(steps), [None, Some(runs("healthgate", None))]);
        let steps = "      - uses: appleboy/ssh-action@v1\n        with: { script: cargo install deploy-guard }\n      - run: healthgate\n";
        assert_eq!(own_of(steps), [None, None]);
        let steps = "      - run: git clone https://a/deploy-guard\n      - run: ./run\n";
        assert_eq!(own_of(steps), [None, None]);
    }

    fn asks_of(step: &str) -> Vec<String> {
        let own = own_of(&format!("      - {step}\n")).remove(0);
        match own {
            Some(Own::Runs(calls)) => calls.into_iter().flat_map(|call| call.asks).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_addresses_of_a_step_are_words_of_the_shell() {
        for (run, expected) in [
            (
                "deploy-guard healthgate --http https://a/health;",
                &["https://a/health"][..],
            ),
            (
                "(deploy-guard healthgate --http https://a/health)",
                &["https://a/health"],
            ),
            (
                "deploy-guard healthgate --http=https://a/health?a=b&",
                &["https://a/health?a=b"],
            ),
            (
                "ssh h 'deploy-guard healthgate --http https://a/health --release ${{ github.sha }}'",
                &["https://a/health"],
            ),
            (
                "U=https://a/health; deploy-guard healthgate --http \"$U\"",
                &["https://a/health"],
            ),
            (
                "deploy-guard healthgate --http ${{ inputs.live && 'https://a' || 'https://b' }}",
                &["https://a", "https://b"],
            ),
            (
                "deploy-guard healthgate --http https://${{ vars.H }}/health",
                &["https://${{ vars.H }}/health"],
            ),
            (
                "deploy-guard healthgate --release-url https://a/version",
                &[],
            ),
            ("curl -f https://a/health", &[]),
        ] {
            assert_eq!(asks_of(&format!("run: |\n          {run}")), expected);
        }
        for step in [
            "{ uses: o/deploy-guard@v1, with: { stage: healthgate, url: https://a } }",
            "{ uses: o/deploy-guard@v1, with: { stage: healthgate, args: '--http=https://a' } }",
            "{ uses: 'docker://o/deploy-guard:v1', with: { args: healthgate --http https://a } }",
            "{ uses: appleboy/ssh-action@v1, with: { script: deploy-guard healthgate --http https://a } }",
            "{ run: deploy-guard healthgate --http $URL, env: { URL: https://a } }",
        ] {
            assert_eq!(asks_of(step), ["https://a"], "{step}");
        }
    }
}

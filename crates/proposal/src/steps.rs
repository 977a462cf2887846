//! The text of our steps, and of those that call a tool's own way back.

use survey::Job;

use crate::handed::StepEnv;
use yaml_edit::text::{expression, indented, scalar};

/// Pinned to a commit: its owner can move a tag.
pub const CHECKOUT: &str = "actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1";

/// What all steps of ours have alike in one job.
#[derive(Clone, Debug)]
pub struct Frame {
    pub action: String,
    pub bin_dir: Option<String>,
    /// The configuration, where it is not found by itself.
    pub config: Option<String>,
    /// The part under `environments:`.
    pub environment: Option<String>,
    /// `if:` of the step that deploys: what it skips, ours skip.
    pub condition: Option<String>,
    /// The job's steps are programs of another shell than ours, which then name theirs.
    pub names_shell: bool,
}

/// One step that calls a stage.
#[derive(Clone, Debug, Default)]
pub struct Stage<'t> {
    pub note: &'t str,
    pub name: &'t str,
    pub id: Option<&'t str>,
    /// Besides that of the frame.
    pub condition: Option<String>,
    /// Inputs and their values, as they stand in the file.
    pub with: Vec<(&'t str, String)>,
    pub configured: bool,
    pub handed: StepEnv,
}

/// What a step of the tool itself does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Run(String),
    /// The action of the deploying step, with these inputs.
    Uses {
        action: String,
        with: Vec<(String, String)>,
    },
}

impl Act {
    /// What goes back, in one line for a person.
    pub fn told(&self) -> String {
        match self {
            // Of a program that asks and waits, the call that does it tells enough.
            Act::Run(run) => match run.lines().find(|line| line.starts_with("gh workflow run")) {
                Some(call) => call.to_owned(),
                None => run.lines().collect::<Vec<_>>().join("; "),
            },
            Act::Uses { action, with } => {
                let inputs = ["command", "dep", "args"];
                let named = with
                    .iter()
                    .find(|(name, _)| inputs.contains(&name.as_str()));
                let name = action.split('@').next().unwrap_or_default();
                named.map_or_else(
                    || name.to_owned(),
                    |(key, value)| format!("{name} with `{key}: {value}`"),
                )
            }
        }
    }
}

/// One step that calls a tool, or its action.
pub struct Own<'t> {
    pub note: &'t str,
    pub name: &'t str,
    pub id: Option<&'t str>,
    pub condition: Option<&'t str>,
    pub folder: Option<&'t str>,
    pub act: &'t Act,
    pub handed: &'t StepEnv,
}

/// An input of another's action, as it is written there.
fn input(name: &str, value: &str) -> String {
    if value.trim_end().contains('\n') {
        return format!("  {name}: |\n{}", indented(value, 4));
    }
    format!("  {name}: {}\n", expression(value.trim_end()))
}

impl Frame {
    pub fn step(&self, stage: Stage<'_>) -> String {
        let Stage {
            note,
            name,
            id,
            condition,
            with,
            configured,
            handed,
        } = stage;
        let mut text = head(
            note,
            name,
            id,
            condition.as_deref().or(self.condition.as_deref()),
        );
        text.push_str(&format!(
            "uses: {}{}\nwith:\n",
            self.action,
            pinned(&self.action)
        ));
        let mut with: Vec<(&str, String)> = with;
        if configured {
            if let Some(environment) = &self.environment {
                with.push(("environment", expression(environment)));
            }
            if let Some(config) = &self.config {
                with.push(("config", scalar(config)));
            }
        }
        if let Some(folder) = &self.bin_dir {
            with.push(("bin-dir", scalar(folder)));
        }
        for (key, value) in with {
            if value.contains('\n') {
                text.push_str(&format!("  {key}: |\n{}", indented(&value, 4)));
            } else {
                text.push_str(&format!("  {key}: {value}\n"));
            }
        }
        text.push_str(&env(&handed));
        text
    }

    /// A step that calls the tool itself.
    pub fn own(&self, own: &Own<'_>) -> String {
        let mut text = head(own.note, own.name, own.id, own.condition);
        if let Some(folder) = own.folder {
            text.push_str(&format!("working-directory: {}\n", expression(folder)));
        }
        match own.act {
            Act::Run(run) => {
                text.push_str(&env(own.handed));
                if self.names_shell {
                    text.push_str("shell: bash\n");
                }
                text.push_str(&format!("run: |\n{}", indented(run, 2)));
            }
            Act::Uses { action, with } => {
                let (_, at) = action.rsplit_once('@').unwrap_or_default();
                let note = if is_commit(at) {
                    ""
                } else {
                    " # zizmor: ignore[unpinned-uses] as it is used above"
                };
                text.push_str(&format!("uses: {}{note}\nwith:\n", plain_action(action)));
                for (name, value) in with {
                    text.push_str(&input(name, value));
                }
                text.push_str(&env(own.handed));
            }
        }
        text
    }

    pub fn checkout(&self) -> String {
        let only = self.config.as_deref().map_or(".github", |config| {
            config.rsplit_once('/').map_or(config, |(folder, _)| folder)
        });
        format!(
            "# The configuration of deploy-guard, and nothing else.\nuses: {CHECKOUT}\nwith:\n  persist-credentials: false\n  sparse-checkout: {}\n",
            scalar(only)
        )
    }
}

fn head(note: &str, name: &str, id: Option<&str>, condition: Option<&str>) -> String {
    let mut text = String::new();
    for line in note.lines() {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str(&format!("name: {}\n", plain(name)));
    if let Some(id) = id {
        text.push_str(&format!("id: {id}\n"));
    }
    if let Some(condition) = condition {
        text.push_str(&format!("if: {}\n", plain(condition)));
    }
    text
}

fn env(handed: &StepEnv) -> String {
    if handed.is_empty() {
        return String::new();
    }
    let each = handed
        .iter()
        .map(|(name, text)| format!("  {name}: {}\n", expression(text)));
    format!("env:\n{}", each.collect::<String>())
}

/// A condition is YAML's plain text where YAML reads it so: `failure() || cancelled()`.
fn plain(condition: &str) -> String {
    let safe = condition.starts_with(|c: char| c.is_ascii_alphabetic() || c == '(')
        && !condition.contains(": ")
        && !condition.contains(" #")
        && !condition.ends_with([':', ' '])
        && !condition.chars().any(char::is_control);
    if safe {
        condition.to_owned()
    } else {
        expression(condition)
    }
}

/// A tag is as good as a commit where releases are immutable; zizmor does not know.
pub fn pinned(action: &str) -> &'static str {
    let (_, at) = action.rsplit_once('@').unwrap_or_default();
    if is_commit(at) {
        ""
    } else {
        " # zizmor: ignore[unpinned-uses] releases are immutable"
    }
}

fn is_commit(at: &str) -> bool {
    at.len() == 40 && at.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The name of an action is plain text; anything else is quoted.
fn plain_action(action: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/@".contains(c);
    if action.chars().all(good) {
        action.to_owned()
    } else {
        scalar(action)
    }
}

/// An id that no step of the job has: `gate`, `gate-2`.
pub fn free_id(job: &Job, wanted: &str) -> String {
    let taken = |id: &str| {
        job.steps.iter().any(|step| {
            step.id
                .as_deref()
                .is_some_and(|there| there.eq_ignore_ascii_case(id))
        })
    };
    let mut id = wanted.to_owned();
    let mut number = 1;
    while taken(&id) {
        number += 1;
        id = format!("{wanted}-{number}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use survey::Value;

    #[test]
    fn a_step_is_yaml_that_says_what_was_meant() {
        let frame = Frame {
            action: "org/deploy-guard@v1".to_owned(),
            bin_dir: None,
            config: None,
            environment: Some("${{ inputs.environment }}".to_owned()),
            condition: Some("github.ref == 'refs/heads/main'".to_owned()),
            names_shell: false,
        };
        let mut handed = StepEnv::default();
        handed.filled(&Value::new("${{ secrets.VPS_PORT || 22 }}"), "PORT");
        let step = frame.step(Stage {
            note: "Asks.",
            name: "Gate",
            id: Some("gate"),
            with: vec![
                ("stage", "healthgate".to_owned()),
                ("url", "a\nb".to_owned()),
            ],
            configured: true,
            handed,
            ..Stage::default()
        });
        let tree = yaml::read(&step).unwrap();
        assert_eq!(tree["if"], "github.ref == 'refs/heads/main'");
        assert_eq!(tree["with"]["url"], "a\nb\n");
        assert_eq!(tree["with"]["environment"], "${{ inputs.environment }}");
        assert_eq!(tree["env"]["VPS_PORT"], "${{ secrets.VPS_PORT || 22 }}");
    }
}

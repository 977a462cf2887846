//! What our Action takes, by its own files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use yaml::Node;

const ACTION: &str = include_str!("../../../action.yml");
const SETUP: &str = include_str!("../../../setup/action.yml");
/// The script of the Action, which has the rules.
const SCRIPT: &str = include_str!("../../../action/run.sh");

/// The stages that the Action runs.
pub static STAGES: LazyLock<Vec<&'static str>> = LazyLock::new(|| list("STAGES"));

/// The inputs of the Action.
pub static INPUTS: LazyLock<Vec<String>> = LazyLock::new(|| inputs_of(ACTION));

/// The inputs of an action, by its `action.yml`.
fn inputs_of(action: &str) -> Vec<String> {
    let tree = Node::parse_foreign(action).ok();
    let inputs = tree.as_ref().and_then(|tree| tree.get("inputs"));
    let keys = inputs.map_or(&[][..], Node::entries).iter();
    keys.map(|(key, _)| key.name.clone()).collect()
}

/// What a stage does that is given no command.
pub fn default_command(stage: &str) -> Option<&'static str> {
    SCRIPT.lines().find_map(|line| {
        let row = line.trim().strip_suffix(" ;;")?;
        let (stages, command) = row.split_once(") action=")?;
        stages
            .split(" | ")
            .any(|one| one == stage)
            .then_some(command)
    })
}

/// What the Action takes.
pub struct Contract {
    pub of_setup: Vec<String>,
    /// The stages that take an input, where not all do.
    pub takes: BTreeMap<String, Vec<&'static str>>,
    pub switches: Vec<String>,
    pub verdicts: Vec<&'static str>,
}

impl Contract {
    pub fn read() -> Contract {
        let mut takes = BTreeMap::new();
        let mut switches = Vec::new();
        let rows = SCRIPT.lines().filter_map(|line| {
            let row = line.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            let mut words = row.split(' ');
            Some((words.next()?, words.next()?, words.next()?, words.collect()))
        });
        for (name, flag, how, stages) in rows {
            if flag.starts_with("--") {
                let name = spelled(name);
                if how == "switch" {
                    switches.push(name.clone());
                }
                takes.insert(name, stages);
            }
        }
        // Those that are not flags.
        for line in SCRIPT.lines() {
            let words = line.split_once("of_stage ").map(|(_, words)| words);
            let words = words.map(|words| words.split([';', ' ']).collect::<Vec<_>>());
            if let Some([name, stages @ ..]) = words.as_deref()
                && name.chars().all(|c| c.is_ascii_uppercase())
            {
                let is_stage = |one: &&&str| !one.is_empty() && **one != "fi";
                takes.insert(
                    spelled(name),
                    stages.iter().filter(is_stage).copied().collect(),
                );
            }
        }
        Contract {
            of_setup: inputs_of(SETUP),
            takes,
            switches,
            verdicts: list("VERDICTS"),
        }
    }
}

/// An array of the script.
fn list(name: &str) -> Vec<&'static str> {
    let line = SCRIPT.lines().find_map(|line| {
        line.strip_prefix("readonly ")?
            .strip_prefix(name)?
            .strip_prefix("=(")
    });
    let words = line.and_then(|line| line.strip_suffix(')'));
    words.map_or_else(Vec::new, |words| words.split(' ').collect())
}

/// An input's name as a workflow has it.
fn spelled(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_the_script() {
        let contract = Contract::read();
        assert_eq!(STAGES.len(), 8, "{:?}", *STAGES);
        let defaults = STAGES.iter().filter_map(|stage| default_command(stage));
        assert_eq!(
            defaults.collect::<Vec<_>>(),
            ["ramp", "run", "watch", "run"]
        );
        assert_eq!(contract.takes["url"], ["healthgate"]);
        assert_eq!(contract.takes["header"], ["healthgate"]);
        assert!(contract.takes["command"].contains(&"rollback"));
        assert!(contract.switches.contains(&"dry-run".to_owned()));
        assert!(contract.verdicts.contains(&"inconclusive"));
        for name in contract.takes.keys().chain([&"stage".to_owned()]) {
            assert!(INPUTS.contains(name), "{name}");
        }
        assert!(contract.of_setup.contains(&"bin-dir".to_owned()));
    }
}

//! Commands and flags that a document names are those of a program.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::docs::page::pages;

/// Ours; all of them are in the one binary.
const OURS: [&str; 8] = [
    "deploy-guard",
    "preflight",
    "runner-check",
    "healthgate",
    "rollback",
    "traffic",
    "migrate",
    "incident",
];

/// Programs of others that documents call with flags.
const OTHERS: [&str; 7] = [
    "ansible-inventory",
    "cargo",
    "curl",
    "docker",
    "gh",
    "pg_restore",
    "sh",
];

/// Flags of other programs that appear alone, and the program of each.
const FOREIGN: [(&str, &str); 17] = [
    ("--data-only", "pg_dump"),
    ("--database", "django"),
    ("--deployment-configuration", "aws"),
    ("--env", "knex"),
    ("--env-file", "docker compose"),
    ("--features", "cargo"),
    ("--keep-old", "a script of the runbooks"),
    ("--knexfile", "knex"),
    ("--migrations-dir", "node-pg-migrate, dbmate"),
    ("--migrations-schema", "node-pg-migrate"),
    ("--migrations-table", "node-pg-migrate, dbmate"),
    ("--no-default-features", "cargo"),
    ("--no-deps", "docker compose"),
    ("--resume", "caddy"),
    ("--rollback-to", "a script of the runbooks"),
    ("--schema-only", "pg_dump"),
    ("--settings", "django"),
];

#[test]
fn every_command_and_flag_in_code_is_one_of_ours_or_a_named_other() {
    let known = flags(&COMMAND);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let (mut others, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    // A changelog names things that no longer exist.
    for page in pages().iter().filter(|page| page.name != "CHANGELOG.md") {
        for code in page.code() {
            for words in commands(&code) {
                let first = words[0].as_str();
                let named = words.iter().filter(|word| is_flag(word));
                let complaint = if OURS.contains(&first) {
                    seen += 1;
                    refused(&words)
                } else if first == "cargo" && words.get(1).is_some_and(|word| word == "xtask") {
                    let task = words.get(2).map(String::as_str).unwrap_or_default();
                    (!tasks().contains(task)).then(|| format!("no `cargo xtask {task}`"))
                } else if let Some(other) = OTHERS.iter().find(|other| **other == first) {
                    others.insert(*other);
                    None
                } else {
                    let ours = |flag: &str| known.contains(flag);
                    let mut unknown = None;
                    for flag in named.map(|flag| bare(flag)) {
                        seen += 1;
                        match FOREIGN.iter().find(|(name, _)| *name == flag) {
                            Some(found) => drop(foreign.insert(*found)),
                            None if ours(flag) => {}
                            None => unknown = Some(format!("no program has `{flag}`")),
                        }
                    }
                    unknown
                };
                if let Some(complaint) = complaint {
                    wrong.push(format!("{}: `{code}`: {complaint}", page.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 150, "only {seen} were found");
    assert_eq!(others, OTHERS.into(), "others that no document calls");
    assert_eq!(foreign, FOREIGN.into(), "flags that no document names");
}

/// `--failure-limit` is `DEPLOY_GUARD_FAILURE_LIMIT`; the Action's scripts have a few of their own.
#[test]
fn every_variable_of_ours_in_code_is_read_by_something() {
    let flags = flags(&COMMAND);
    let scripts = ["action/run.sh", "action/install.sh"]
        .map(|file| std::fs::read_to_string(testkit::workspace().join(file)).unwrap());
    let variable = regex::Regex::new(r"\bDEPLOY_GUARD_[A-Z_]*[A-Z]\b").unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for code in page.code() {
            for name in variable.find_iter(&code).map(|found| found.as_str()) {
                seen += 1;
                let flag = name["DEPLOY_GUARD_".len()..]
                    .to_lowercase()
                    .replace('_', "-");
                let known = flags.contains(&format!("--{flag}")) || name == cli::LEASE;
                if !known && !scripts.iter().any(|script| script.contains(name)) {
                    wrong.push(format!("{}: `{name}`", page.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 2, "only {seen} were found");
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let help = COMMAND.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default().replace('\n', " ");
    let readme = crate::docs::page::page("README.md").prose.concat();
    let (_, table) = readme.split_once("| code | meaning |").unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let mut seen = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let word = cells[2].split([' ', ':']).next().unwrap();
        let codes = cells[1].replace(", ", " and ");
        assert!(help.contains(&format!("{codes} {word}")), "{row}: {help}");
        seen += 1;
    }
    assert_eq!(seen, help.matches(", ").count() + 1, "{help}");
}

#[test]
fn every_example_of_the_help_is_understood() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut all = vec![COMMAND.clone()];
    while let Some(command) = all.pop() {
        all.extend(command.get_subcommands().cloned());
        let help = command.get_after_help().map(ToString::to_string);
        for line in help.unwrap_or_default().lines() {
            for words in commands(line.trim()) {
                if line.starts_with("  ") && OURS.contains(&words[0].as_str()) {
                    seen += 1;
                    wrong.extend(refused(&words).map(|why| format!("{line}: {why}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 25, "only {seen} were found");
}

/// Made once: that takes a moment.
static COMMAND: LazyLock<clap::Command> = LazyLock::new(deploy_guard::command);

/// Why our command line does not take it.
pub(crate) fn refused(words: &[String]) -> Option<String> {
    let alone = (words[0] != "deploy-guard").then(|| "deploy-guard".to_owned());
    let line = alone.into_iter().chain(words.iter().cloned());
    let error = COMMAND.clone().try_get_matches_from(line).err()?;
    match error.kind() {
        // What a document leaves out comes from a variable, or is not the point there.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => None,
        // `--to VERSION`: a placeholder for a value.
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
            if matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value))
                if value.contains('…') || value.chars().all(|c| c.is_ascii_uppercase())) =>
        {
            None
        }
        _ => Some(error.to_string()),
    }
}

/// Every flag of a command and of those below it.
fn flags(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_long);
    let mut all: BTreeSet<String> = own.map(|name| format!("--{name}")).collect();
    all.extend(["--help".to_owned(), "--version".to_owned()]);
    for sub in command.get_subcommands() {
        all.extend(flags(sub));
    }
    all
}

/// The repository's own commands, from their one list.
fn tasks() -> BTreeSet<String> {
    let source = testkit::workspace().join("xtask/src/main.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (_, list) = source.split_once("enum Task {").unwrap();
    let variants = list.split("\n}").next().unwrap_or_default().lines();
    variants
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([',', '{', ' ']).to_lowercase())
        .collect()
}

fn is_flag(word: &str) -> bool {
    word.strip_prefix("--")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// `--only` of `--only=ID`.
fn bare(flag: &str) -> &str {
    flag.split('=').next().unwrap_or(flag)
}

/// The commands of a line of a shell, in words, each up to `…`, a comment, or a file that it
/// writes.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words) = (Vec::new(), Vec::new());
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.push(";".to_owned());
    let mut command: Vec<String> = Vec::new();
    let mut cut = false;
    for word in words {
        if ["|", "||", "&&", ";", "\\|\\|", "\\|"].contains(&word.as_str()) {
            if !command.is_empty() {
                all.push(std::mem::take(&mut command));
            }
            cut = false;
        } else if cut || word.starts_with(['…', '#', '>']) {
            cut = true;
        } else {
            // `[FILE]` may be left out.
            command.push(word.trim_matches(['[', ']']).to_owned());
        }
    }
    all
}

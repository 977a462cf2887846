//! `-h`, which fits a screen and shows an example; `--help` says all.

use std::ffi::OsString;

use clap::Command;

/// A screen, as small as they come.
const ROWS: usize = 24;
const COLUMNS: usize = 80;
/// Flags that say most of what a command can do, for the little room that there is.
const TELLING: [&str; 14] = [
    "http",
    "status",
    "jq",
    "labels",
    "repo",
    "secret",
    "image",
    "release",
    "environment",
    "config",
    "interval",
    "deadline",
    "report",
    "dry-run",
];

/// Whether the arguments ask for the short help.
pub(crate) fn is_short(args: &[OsString]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "-h")
}

/// Gives every subcommand that has none an example: a line of its parent's that calls it, else the
/// bare command.
pub fn exemplified(command: Command) -> Command {
    let path = command.get_name().to_owned();
    below(command, &path)
}

fn below(mut command: Command, path: &str) -> Command {
    let lines = examples(&command);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        let calls = |line: &&String| **line == path || line.starts_with(&format!("{path} "));
        let known = lines.iter().find(calls).cloned();
        command = command.mut_subcommand(&name, |sub| {
            let sub = if sub.get_after_help().is_some() {
                sub
            } else {
                let line = known.unwrap_or_else(|| minimal_command(&sub, &path));
                sub.after_help(format!("Examples:\n  {line}"))
            };
            below(sub, &path)
        });
    }
    command
}

/// The command with no more than it needs.
fn minimal_command(command: &Command, path: &str) -> String {
    let mut line = path.to_owned();
    for arg in command.get_arguments().filter(|arg| arg.is_required_set()) {
        if let Some(long) = arg.get_long() {
            line.push_str(&format!(" --{long}"));
        }
        let names = arg.get_value_names().unwrap_or_default();
        for name in names {
            line.push_str(&format!(" {name}"));
        }
    }
    if command.is_subcommand_required_set()
        && let Some(sub) = command.get_subcommands().next()
    {
        line.push_str(&format!(" {}", sub.get_name()));
    }
    line
}

/// The first example that fits into a line: a broken line cannot be copied. Its description may be
/// dropped.
fn example(command: &Command) -> Option<String> {
    let room = COLUMNS - "Example: ".len();
    let all = examples(command);
    let fits = |line: &String| crate::columns(line) <= room;
    let bare = |line: &String| {
        line.split("  #")
            .next()
            .unwrap_or(line)
            .trim_end()
            .to_owned()
    };
    let found = all
        .iter()
        .map(|line| if fits(line) { line.clone() } else { bare(line) })
        .find(fits);
    found.or_else(|| all.first().cloned())
}

/// The lines under `Examples:`.
fn examples(command: &Command) -> Vec<String> {
    let text = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let lines = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// The command, with as much in its help as a screen holds; so is each below it that the arguments name.
pub(crate) fn short(command: Command, args: &[OsString]) -> Command {
    let is_named = |sub: &Command| args.iter().any(|arg| arg == sub.get_name());
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|sub| is_named(sub))
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let mut command = fitted(command);
    for name in names {
        command = command.mut_subcommand(name, |sub| short(sub, args));
    }
    command
}

fn fitted(command: Command) -> Command {
    let flags = ranked(&command);
    let fits = |shown: usize| {
        let help = with_flags(command.clone(), &flags[..shown])
            .term_width(COLUMNS)
            .render_help();
        help.to_string().trim_end().lines().count() <= ROWS
    };
    // More flags take more lines. A render is slow, so there are few of them.
    let (mut shown, mut too_many) = (0, flags.len() + 1);
    while shown + 1 < too_many {
        let middle = shown.midpoint(too_many);
        if fits(middle) {
            shown = middle;
        } else {
            too_many = middle;
        }
    }
    with_flags(command, &flags[..shown])
}

/// The flags by how much they tell.
fn ranked(command: &Command) -> Vec<String> {
    let args = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    let mut flags: Vec<String> = args
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    let rank = |flag: &String| {
        TELLING
            .iter()
            .position(|told| told == flag)
            .unwrap_or(TELLING.len())
    };
    flags.sort_by_key(rank);
    flags
}

fn with_flags(command: Command, flags: &[String]) -> Command {
    let mut template = String::from("{about}\n\nUsage: {usage}");
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        template.push_str("\n\nCommands:\n{subcommands}");
    }
    if command.get_positionals().next().is_some() {
        template.push_str("\n\nArguments:\n{positionals}");
    }
    if !flags.is_empty() {
        template.push_str("\n\nOptions:\n{options}");
    }
    template.push_str("{after-help}");
    let example = example(&command).map_or(String::new(), |line| format!("Example: {line}\n"));
    let shown = |arg: &clap::Arg| {
        arg.is_positional()
            || arg
                .get_long()
                .is_some_and(|long| flags.iter().any(|flag| flag == long))
    };
    command
        .disable_help_subcommand(true)
        .mut_args(|arg| if shown(&arg) { arg } else { arg.hide(true) })
        .help_template(template)
        .after_help(format!("{example}More options: `--help`"))
}

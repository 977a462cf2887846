//! `deploy-guard completions` and `deploy-guard man`: for a shell, for a person, and all of it for a
//! release.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use model::ExitCode;

use crate::generate::{write, write_stdout};

const COMPLETIONS: &str = "Examples:
  deploy-guard completions bash >~/.local/share/bash-completion/completions/deploy-guard
  deploy-guard completions zsh >~/.zfunc/_deploy-guard
  deploy-guard completions fish >~/.config/fish/completions/deploy-guard.fish
  deploy-guard completions powershell >>$PROFILE
  deploy-guard completions --folder completions     # every shell, every binary";

const PAGES: &str = "Examples:
  deploy-guard man | man -l -
  deploy-guard man rollback run | man -l -
  deploy-guard man --folder man1                    # every page";

fn folder() -> Arg {
    Arg::new("folder")
        .long("folder")
        .value_name("FOLDER")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Write all of them into this folder")
}

pub(crate) fn completions_command() -> Command {
    Command::new("completions")
        .about("Print completions for bash, zsh, fish or PowerShell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .value_parser(clap::value_parser!(Shell))
                .required_unless_present("folder"),
        )
        .arg(folder().conflicts_with("shell"))
        .after_help(COMPLETIONS)
}

pub(crate) fn man_command() -> Command {
    Command::new("man")
        .about("Print the man page of a command")
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .help("Such as `rollback run` [default: deploy-guard itself]"),
        )
        .arg(folder().conflicts_with("command"))
        .after_help(PAGES)
}

/// The programs that a release holds.
fn programs() -> [Command; 5] {
    [
        crate::command(),
        cli::command::<preflight::Stage>(),
        cli::command::<runner_check::Stage>(),
        cli::command::<healthgate::Stage>(),
        cli::command::<rollback::Stage>(),
    ]
}

pub(crate) fn completions(matches: &ArgMatches) -> ExitCode {
    if let Some(folder) = matches.get_one::<PathBuf>("folder") {
        let shells = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell];
        let files = programs().into_iter().flat_map(|program| {
            shells.map(|shell| {
                let name = program.get_name().to_owned();
                let file = clap_complete::Generator::file_name(&shell, &name);
                (file, script(shell, program.clone()))
            })
        });
        return write_all(folder, files);
    }
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        write_stdout(&script(*shell, crate::command()));
    }
    ExitCode::Pass
}

fn script(shell: Shell, mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn man(matches: &ArgMatches) -> ExitCode {
    if let Some(folder) = matches.get_one::<PathBuf>("folder") {
        let mut files = Vec::new();
        for mut program in programs() {
            program.build();
            pages(&program, program.get_name(), &mut files);
        }
        return write_all(folder, files);
    }
    let mut command = crate::command();
    command.build();
    let mut name = command.get_name().to_owned();
    for word in matches.get_many::<String>("command").into_iter().flatten() {
        let Some(found) = command
            .find_subcommand(word)
            .filter(|found| !found.is_hide_set())
        else {
            return unknown(word, &command);
        };
        name = format!("{name}-{word}");
        command = found.clone();
    }
    write_stdout(&page(&command, &name));
    ExitCode::Pass
}

fn unknown(word: &str, command: &Command) -> ExitCode {
    let word: String = word.chars().flat_map(char::escape_default).collect();
    let known: Vec<&str> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(Command::get_name)
        .collect();
    let text = format!(
        "error: there is no command `{word}`\n\nhint: there are: {}\n",
        known.join(", ")
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    ExitCode::Usage
}

/// A page for the command and for each below it.
fn pages(command: &Command, name: &str, files: &mut Vec<(String, String)>) {
    files.push((format!("{name}.1"), page(command, name)));
    let below = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    for sub in below {
        pages(sub, &format!("{name}-{}", sub.get_name()), files);
    }
}

fn page(command: &Command, name: &str) -> String {
    let command = command.clone().name(name.to_owned()).version(cli::VERSION);
    let mut bytes = Vec::new();
    let written = clap_mangen::Man::new(command)
        .title(name.to_ascii_uppercase())
        .section("1")
        .render(&mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write_all(
    folder: &std::path::Path,
    files: impl IntoIterator<Item = (String, String)>,
) -> ExitCode {
    for (name, text) in files {
        if let Err(error) = write(&folder.join(&name), &text) {
            let text = format!(
                "error: failed to write {}: {error}\n\nhint: name a folder that can be written\n",
                folder.join(name).display()
            );
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            return ExitCode::Error;
        }
    }
    ExitCode::Pass
}

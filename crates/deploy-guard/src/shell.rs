//! `deploy-guard completions` and `deploy-guard man`: for a shell, for a person, and all of it for a
//! release.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use model::ExitCode;

use crate::generate::write;
use cli::write_stdout;

const COMPLETIONS: &str = "Examples:
  source <(deploy-guard completions bash)           # for this shell alone
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
fn programs(own: Command) -> [Command; 8] {
    [
        cli::exemplified(own),
        cli::command::<preflight::Stage>(),
        cli::command::<runner_check::Stage>(),
        cli::command::<healthgate::Stage>(),
        cli::command::<rollback::Stage>(),
        cli::command::<traffic::Stage>(),
        cli::command::<migrate::Stage>(),
        cli::command::<incident::Stage>(),
    ]
}

pub(crate) fn completions(matches: &ArgMatches, own: Command) -> ExitCode {
    if let Some(folder) = matches.get_one::<PathBuf>("folder") {
        let shells = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell];
        let files = programs(own).into_iter().flat_map(|program| {
            shells.map(|shell| {
                let name = program.get_name().to_owned();
                let file = clap_complete::Generator::file_name(&shell, &name);
                (file, script(shell, program.clone()))
            })
        });
        return write_all(folder, files);
    }
    match matches.get_one::<Shell>("shell") {
        Some(shell) => write_stdout(&script(*shell, own)),
        None => ExitCode::Pass,
    }
}

fn script(shell: Shell, mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if shell == Shell::Bash {
        mended(text, &command)
    } else {
        text
    }
}

/// In bash's script clap_complete takes the dash within a name for the end of a command: what it
/// sets is not what it then looks for, and nothing below is completed.
fn mended(text: String, command: &Command) -> String {
    let name = command.get_name();
    let text = if name.contains('-') {
        text.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
    } else {
        text
    };
    command.get_subcommands().fold(text, mended)
}

/// `whole` has what only we ourselves call, too.
pub(crate) fn man(matches: &ArgMatches, own: Command, mut whole: Command) -> ExitCode {
    if let Some(folder) = matches.get_one::<PathBuf>("folder") {
        let mut files = Vec::new();
        for mut program in programs(own) {
            program.build();
            pages(&program, program.get_name(), &mut files);
        }
        return write_all(folder, files);
    }
    whole.build();
    let mut command = whole;
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
    write_stdout(&page(&command, &name))
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
    tidied(&String::from_utf8_lossy(&bytes))
}

/// What clap_mangen leaves: a version in the place of the date that it leaves out, lines that are
/// broken twice, and examples that flow like prose.
fn tidied(page: &str) -> String {
    let version = cli::VERSION;
    let mut text = String::new();
    let mut kept = false;
    for line in page.replace(".br\n\n.br\n", ".sp\n").lines() {
        let line = line.trim_end();
        if kept && (line.is_empty() || line.starts_with(".SH")) {
            text.push_str(".fi\n");
            kept = false;
        }
        match line {
            ".SH EXTRA" => text.push_str(".SH EXAMPLES"),
            "Examples:" => {
                text.push_str(".nf");
                kept = true;
            }
            _ if line.starts_with("Exit codes:") => {
                text.push_str(&format!(".SH EXIT STATUS\n{line}"));
            }
            // A blank line is a paragraph's end, in roff's own word.
            "" => text.push_str(".sp"),
            _ => match line
                .strip_prefix(".TH ")
                .and_then(|rest| rest.split_once(' '))
            {
                Some((title, _)) => text.push_str(&format!(
                    ".TH {title} 1 \"\" \"deploy\\-guard {version}\" \"deploy\\-guard\""
                )),
                None => text.push_str(line),
            },
        }
        text.push('\n');
    }
    text.replace(".sp\n.SH", ".SH")
        .replace(".sp\n.br\n", ".sp\n")
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

//! Flags that every binary has, and the environment variable of each flag.

use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};

/// Flags that every stage shares. Each has an environment variable: `--no-progress` is
/// `DEPLOY_GUARD_NO_PROGRESS`. Precedence: flag, environment, file, default.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration [default: deploy-guard.yml, .github/deploy-guard.yml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The part under `environments:` to merge over the rest
    #[arg(long, global = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// The release under test, `${RELEASE}` in the configuration
    #[arg(
        long,
        global = true,
        value_name = "RELEASE",
        allow_hyphen_values = true
    )]
    pub release: Option<String>,
    /// What to write to stdout
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub format: Format,
    /// Also write the JSON report here
    #[arg(long, global = true, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also write the report here as a page for a browser
    #[arg(long, global = true, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Append the summary here instead of to `$GITHUB_STEP_SUMMARY`
    #[arg(long, global = true, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Run only these checks: an id such as `http/ready`, a kind such as `http`, or a pattern with `*`
    #[arg(long, global = true, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    pub only: Vec<String>,
    /// Skip these checks (same patterns as `--only`)
    #[arg(long, global = true, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Show what would be done, and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Colour in text output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: Color,
    /// Do not show the live view, even on a terminal
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Log errors only, and leave passed checks out of the text report
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The form of stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document and nothing else.
    Json,
    /// Series for Prometheus, of the actions that write them.
    #[value(hide = true)]
    Prometheus,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Gives every flag of a command and its subcommands the variable `DEPLOY_GUARD_<FLAG>`.
///
/// A variable that is set but empty counts as not set: a workflow passes an omitted input this way.
pub(crate) fn with_variables(command: Command, env: &model::Env) -> Command {
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let mut command = command.mut_args(|arg| {
        let Some(long) = arg.get_long() else {
            return arg;
        };
        if matches!(long, "help" | "version") {
            return arg;
        }
        let name = format!(
            "DEPLOY_GUARD_{}",
            long.to_ascii_uppercase().replace('-', "_")
        );
        if env.get(&name) == Some("") {
            return arg;
        }
        arg.env(name).hide_env(true)
    });
    for name in subcommands {
        command = command.mut_subcommand(name, |sub| with_variables(sub, env));
    }
    command
}

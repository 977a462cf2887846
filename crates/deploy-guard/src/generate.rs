//! JSON Schemas and the reference pages, generated from the types.
//!
//! A release has the generated schemas within and not the code that makes them, which would take half a megabyte.

pub mod checks;
mod markdown;

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgMatches, Command};
use model::ExitCode;
use schemars::Schema;
use serde_json::Value;

use markdown::{table, write_enum};

/// The schemas that `deploy-guard schema` prints.
const SCHEMAS: [&str; 4] = ["config", "report", "state", "measures"];

const REPORT_SCHEMA: &str = include_str!("../../../schema/report.schema.json");

/// `deploy-guard schema`.
pub(crate) fn schema_command() -> Command {
    Command::new("schema")
        .about("Print a JSON Schema: config, report, state or measures")
        .arg(Arg::new("of").value_parser(SCHEMAS).default_value("config"))
}

/// `deploy-guard generate`, for `cargo xtask generate`.
#[cfg(debug_assertions)]
pub(crate) fn command() -> Command {
    Command::new("generate").hide(true).arg(
        Arg::new("folder")
            .required(true)
            .value_parser(clap::value_parser!(std::path::PathBuf)),
    )
}

pub(crate) fn print_schema(matches: &ArgMatches) -> ExitCode {
    let of = matches
        .get_one::<String>("of")
        .map_or("config", String::as_str);
    let text = match of {
        "report" => REPORT_SCHEMA.to_owned(),
        "state" => state::document::JSON_SCHEMA.to_owned(),
        "measures" => measures::v1::JSON_SCHEMA.to_owned(),
        _ => match config::committed_schema() {
            Ok(text) => text,
            Err(error) => {
                tracing::error!("the schema within this program is damaged: {error}");
                return ExitCode::Error;
            }
        },
    };
    cli::write_stdout(&text)
}

/// Writes all generated files below a folder.
#[cfg(debug_assertions)]
pub(crate) fn main(matches: &ArgMatches, command: Command) -> ExitCode {
    let Some(folder) = matches.get_one::<std::path::PathBuf>("folder") else {
        return ExitCode::Usage;
    };
    for (path, text) in files(command) {
        if let Err(error) = write(&folder.join(&path), &text) {
            tracing::error!("failed to write {path}: {error}");
            cli::write_stdout(&format!("failed to write {path}: {error}\n"));
            return ExitCode::Error;
        }
    }
    ExitCode::Pass
}

/// Every generated file: path below the repository's root, and text. `command` is the whole command
/// line.
pub fn files(command: Command) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = schemas()
        .into_iter()
        .map(|(name, schema)| {
            let name = if name == "config" {
                "deploy-guard"
            } else {
                name
            };
            (format!("schema/{name}.schema.json"), json(&schema))
        })
        .collect();
    for (name, schema) in schemas() {
        // The page is of the types: what is the same for each key would be said with each.
        let schema = if name == "config" {
            config::schema()
        } else {
            schema
        };
        let page = PAGES.iter().find(|page| page.of == name);
        files.extend(page.map(|page| page.file(schema.as_value())));
    }
    files.push((
        "docs/reference/command-line.md".to_owned(),
        command_line(command),
    ));
    files.extend(checks::pages(config::schema().as_value()));
    files
}

fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("config", config::file_schema()),
        ("report", schemars::schema_for!(model::report::v1::Report)),
        ("state", schemars::schema_for!(state::Document)),
        ("measures", schemars::schema_for!(measures::v1::Measures)),
    ]
}

fn json(schema: &Schema) -> String {
    serde_json::to_string_pretty(schema)
        .map(|text| text + "\n")
        .unwrap_or_default()
}

/// A page with all keys of one document, a table for each type.
struct Page {
    /// The schema's name.
    of: &'static str,
    file: &'static str,
    title: &'static str,
    source: &'static str,
    root: &'static str,
    about: fn() -> String,
}

const PAGES: [Page; 4] = [
    Page {
        of: "config",
        file: "configuration",
        title: "Configuration",
        source: "crates/config/src/file",
        root: "The file",
        about: || {
            let places = config::PLACES.iter().map(|place| format!("`{place}`"));
            format!(
                "One YAML file: `--config FILE`, else `$DEPLOY_GUARD_CONFIG`, else the first of {}.",
                places.collect::<Vec<_>>().join(", ")
            )
        },
    },
    Page {
        of: "report",
        file: "report",
        title: "Report",
        source: "crates/model/src/report",
        root: "The report",
        about: || {
            "One JSON document: `--report FILE`, or `--format json` on stdout. A key may be added; none is renamed or \
             removed without a version 2. Its schema: `deploy-guard schema report`."
                .to_owned()
        },
    },
    Page {
        of: "state",
        file: "state",
        title: "State",
        source: "crates/state/src/document.rs",
        root: "The state",
        about: || {
            "One JSON document where `rollback.state` points: [the state](../guide/state.md). Its schema: \
             `deploy-guard schema state`."
                .to_owned()
        },
    },
    Page {
        of: "measures",
        file: "measures",
        title: "Measures",
        source: "crates/measures/src/v1.rs",
        root: "The measures",
        about: || {
            "DORA's five figures and those of the runbooks, as one JSON document. A key may be added; none is renamed \
             or removed without a version 2. Its schema: `deploy-guard schema measures`."
                .to_owned()
        },
    },
];

impl Page {
    /// Its path below the repository's root, and its text.
    fn file(&self, schema: &Value) -> (String, String) {
        let mut page = format!(
            "# {}\n\n<!-- Generated by `cargo xtask generate` from the types in {}. -->\n\n{}\n\n",
            self.title,
            self.source,
            (self.about)()
        );
        table(&mut page, self.root, schema);
        for (name, of) in schema["$defs"].as_object().into_iter().flatten() {
            if of["properties"].is_object() {
                table(&mut page, name, of);
            } else {
                write_enum(&mut page, name, of);
            }
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        (format!("docs/reference/{}.md", self.file), page)
    }
}

fn command_line(command: Command) -> String {
    let mut page = String::from(
        "# Command line\n\n<!-- Generated by `cargo xtask generate` from the commands' own help. -->\n\n\
         Every flag has an environment variable: `--failure-limit` is `DEPLOY_GUARD_FAILURE_LIMIT`. \
         A variable that is set and empty counts as not set. Precedence: flag, environment, file, default.\n\n",
    );
    help(&mut page, command, "");
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn help(page: &mut String, command: Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name())
        .trim_start()
        .to_owned();
    let mut shown = command.clone().bin_name(&name).term_width(100);
    let _ = writeln!(
        page,
        "## {name}\n\n```text\n{}\n```\n",
        shown.render_long_help().to_string().trim_end()
    );
    for subcommand in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if subcommand.get_name() != "help" {
            help(page, subcommand.clone(), &name);
        }
    }
}

pub(crate) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    state::atomic::replace(path, text.as_bytes())
}

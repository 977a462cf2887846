//! A call of the migration tool, where it runs: here, on a host, or in a container.

use std::collections::VecDeque;
use std::time::Duration;

use cli::Failure;
use config::value::ShellText;
use database::System;
use migrations::{Command, Settings};
use model::Secret;
use place::{Effect, Place};
use remote::local::{Exit, Script, Stream};
use remote::{exports, quote, with_variables};

use crate::own_url::own_url;
use crate::session::Session;
use crate::tool_end::{NOT_FOUND, ToolEnd, ToolFailure};
use crate::workers::{self, MARK};

/// How much of what a tool says last is told.
const MAX_TAIL_LINES: usize = 12;

/// One call.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    pub command: &'c Command,
    pub limits: &'c Settings,
    /// What the server shows of the tool's sessions, where the tool tells it.
    pub name: &'c str,
    /// Another database than that of the configuration, such as a copy.
    pub url: Option<&'c Secret>,
    pub timeout: Duration,
}

/// What a tool said last.
#[derive(Default)]
struct LastLines(VecDeque<String>);

impl LastLines {
    fn line(&mut self, line: &str) {
        // A stack of Node.js is longer than what is told, and would leave no room for the error above it.
        let is_frame = line.starts_with(' ') && line.trim_start().starts_with("at ");
        if line.trim().is_empty() || is_frame || is_empty_field(line) {
            return;
        }
        self.0.push_back(line.to_owned());
        if self.0.len() > MAX_TAIL_LINES {
            self.0.pop_front();
        }
    }

    fn last(self) -> String {
        Vec::from(self.0).join("\n")
    }
}

/// Node.js prints an error of PostgreSQL with all the fields that it may have. Those that it has not, and the place in the
/// server's own source, would leave no room for the message above them.
fn is_empty_field(line: &str) -> bool {
    const OF_SERVER: &[&str] = &["length", "file", "line", "routine"];
    let field = line
        .strip_prefix("  ")
        .and_then(|line| line.split_once(": "));
    let is_field = |(name, value): (&str, &str)| {
        value.trim_end_matches(',') == "undefined" || OF_SERVER.contains(&name)
    };
    line == "}" || field.is_some_and(is_field)
}

impl Session<'_> {
    /// Calls the tool to its end. Dropping the future ends a tool of this machine with all its children.
    ///
    /// # Errors
    /// Returns an error if it could not be started.
    pub async fn call(&self, call: Call<'_>) -> Result<ToolEnd, Failure> {
        let (text, env) = self.prepared(&call)?;
        match &self.place {
            Place::Here => {
                let script = Script {
                    text: &text,
                    env,
                    timeout: call.timeout,
                };
                self.run_locally(&script).await
            }
            Place::Host(_) => self.run_on_host(&text, &env, call.timeout).await,
        }
    }

    /// What a command of the tool prints, such as SQL.
    ///
    /// # Errors
    /// Returns what it said where it did not end well.
    pub async fn printed(&self, call: Call<'_>) -> Result<String, Failure> {
        let (text, env) = self.prepared(&call)?;
        let what = format!("`{}`", call.command.text());
        let printed =
            self.places
                .full_output(&self.place, &what, &text, &env, Effect::Reads, call.timeout);
        printed
            .await
            .map_err(|error| Failure::error(error.to_string()))
    }

    async fn run_locally(&self, script: &Script<'_>) -> Result<ToolEnd, Failure> {
        let redactor = &self.job.redactor;
        let mut said = LastLines::default();
        let mut log = |_: Stream, line: &str| {
            let line = redactor.redact(line);
            tracing::info!("{line}");
            said.line(&line);
        };
        let ran = remote::local::run(script, &mut log).await;
        let ran = ran.map_err(|error| {
            Failure::error(format!("the migration tool could not be started: {error}"))
        })?;
        Ok(ToolEnd {
            is_success: ran.success(),
            is_late: ran.exit == Exit::TimedOut,
            failure: ToolFailure {
                is_missing: ran.exit == Exit::Code(NOT_FOUND),
                told: format!("{}: {}", ran.exit, said.last()),
            },
        })
    }

    async fn run_on_host(
        &self,
        text: &str,
        env: &[(String, String)],
        timeout: Duration,
    ) -> Result<ToolEnd, Failure> {
        // The place keeps fewer lines of stderr than a tool needs for its error.
        let text = format!("{}{{ {text}\n}} 2>&1", exports(env));
        let ran = self
            .places
            .run(&self.place, &text, Effect::Changes, timeout)
            .await;
        let ran = ran.map_err(|error| Failure::error(error.to_string()))?;
        let printed = String::from_utf8_lossy(&ran.stdout);
        let mut said = LastLines::default();
        for line in self.job.redactor.redact(&printed).lines() {
            said.line(line);
        }
        Ok(ToolEnd {
            is_success: ran.status == Some(0),
            is_late: ran.status.is_none(),
            failure: ToolFailure {
                is_missing: ran.status == Some(NOT_FOUND),
                told: format!("{}: {}", ran.exit, said.last()),
            },
        })
    }

    /// In the folder of the section.
    fn in_directory(&self, text: &str) -> String {
        match &self.section.directory {
            Some(folder) => format!("cd {} && {text}", quote(&folder.to_string_lossy())),
            None => text.to_owned(),
        }
    }

    /// As `exec` gets it: the variables are words of it, so none of them is a secret.
    fn handed(&self, exec: &ShellText, text: &str, env: &[(String, String)]) -> String {
        let words = env
            .iter()
            .map(|(name, value)| quote(&format!("{name}={value}")));
        let words: Vec<String> = words.collect();
        let text = self.in_directory(text);
        let exec = with_variables(exec);
        format!("{exec} env {} sh -c {}", words.join(" "), quote(&text))
    }

    /// The call as a shell has it, and what the tool gets beside the variables of its place.
    fn prepared(&self, call: &Call<'_>) -> Result<(String, Vec<(String, String)>), Failure> {
        let (way, system) = (self.tool.limit_transport(self.system()), self.system());
        let before = self.section.env.get("PGOPTIONS").map(String::as_str);
        let before = before.or(self.job.env.get("PGOPTIONS"));
        let reach = way.reach(call.limits, system, before);
        let mut env: Vec<(String, String)> = Vec::new();
        env.extend(
            self.section
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        env.extend(call.command.env.iter().cloned());
        env.extend(reach.env);
        env.push(("PGAPPNAME".to_owned(), call.name.to_owned()));
        env.push((MARK.to_owned(), workers::value(self, call.name)));
        if let Some(exec) = &self.section.exec {
            if call.url.is_some() || !reach.url.is_empty() {
                return Err(Failure::usage(format!(
                    "the tool runs by `exec`, where it has a URL of its own: {} gets no other one there",
                    self.tool.name()
                ))
                .hint("run the tool without `exec`, in this job or on a `host`"));
            }
            let text = self.handed(exec, &call.command.text(), &env);
            return Ok((text, Vec::new()));
        }
        let url = call.url.unwrap_or(&self.url).expose();
        let url = match system {
            System::Postgres => {
                let limits = way.reach(call.limits, system, None).env;
                let mut limits = limits.iter().filter(|(name, _)| name == "PGOPTIONS");
                own_url(url, call.name, limits.next().map(|(_, text)| text.as_str()))
            }
            System::MySql => url.to_owned(),
        };
        let given = self.tool.handover().hand_over(&url, &reach.url);
        let given = given.map_err(|none| {
            Failure::usage(format!(
                "{} cannot get {}: {none}",
                self.tool.name(),
                self.section.url_env
            ))
        })?;
        env.extend(given.env);
        let mut command = call.command.clone();
        command.words.splice(0..0, given.words);
        Ok((self.in_directory(&command.text()), env))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_above_a_long_stack_is_told() {
        let mut said = LastLines::default();
        said.line("error: relation \"orders\" does not exist");
        for nth in 0..40 {
            said.line(&format!("    at Socket.emit (node:events:{nth}:28)"));
        }
        said.line("");
        said.line("Node.js v20.20.2");
        let told = "error: relation \"orders\" does not exist\nNode.js v20.20.2";
        assert_eq!(said.last(), told);
    }

    #[test]
    fn the_message_above_the_fields_of_an_error_is_told() {
        let mut said = LastLines::default();
        said.line("error: relation \"orders\" does not exist");
        said.line("    at async runner (/shop/node_modules/pg/lib/client.js:694:17) {");
        for line in ["length: 90,", "severity: 'ERROR',", "code: '42P01',"] {
            said.line(&format!("  {line}"));
        }
        for name in [
            "detail", "hint", "where", "schema", "table", "column", "dataType",
        ] {
            said.line(&format!("  {name}: undefined,"));
        }
        for line in [
            "  file: 'parse_relation.c',",
            "  line: '1392',",
            "  routine: 'x'",
            "}",
        ] {
            said.line(line);
        }
        let told =
            "error: relation \"orders\" does not exist\n  severity: 'ERROR',\n  code: '42P01',";
        assert_eq!(said.last(), told);
    }

    #[test]
    fn of_much_the_last_lines_are_told() {
        let mut said = LastLines::default();
        for nth in 0..40 {
            said.line(&format!("line {nth}"));
        }
        let told = said.last();
        assert!(
            told.starts_with("line 28\n") && told.ends_with("line 39"),
            "{told}"
        );
    }
}

//! A call of the migration tool, where it runs: here, on a host, or in a container.

use std::time::Duration;

use cli::Failure;
use migrations::{Command, Settings};
use model::Secret;
use place::{Effect, Place};
use remote::local::{Exit, Script, Stream};
use remote::quote;

use crate::session::Session;

/// How much of what a tool says last is told.
const TOLD: usize = 12;

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

/// How it ended. An exit code of 0 proves nothing.
#[derive(Clone, Debug)]
pub struct ToolEnd {
    pub is_success: bool,
    pub is_late: bool,
    /// How it ended and the last lines that it printed.
    pub told: String,
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
                self.here(&script).await
            }
            Place::Host(_) => self.there(&text, &env, call.timeout).await,
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
                .whole(&self.place, &what, &text, &env, Effect::Reads, call.timeout);
        printed
            .await
            .map_err(|error| Failure::error(error.to_string()))
    }

    async fn here(&self, script: &Script<'_>) -> Result<ToolEnd, Failure> {
        let redactor = &self.job.redactor;
        let mut lines: Vec<String> = Vec::new();
        let mut log = |_: Stream, line: &str| {
            let line = redactor.redact(line);
            tracing::info!("{line}");
            if !line.trim().is_empty() {
                lines.push(line);
                let most = lines.len().saturating_sub(TOLD);
                lines.drain(..most);
            }
        };
        let ran = remote::local::run(script, &mut log).await;
        let ran = ran.map_err(|error| {
            Failure::error(format!("the migration tool could not be started: {error}"))
        })?;
        Ok(ToolEnd {
            is_success: ran.success(),
            is_late: ran.exit == Exit::TimedOut,
            told: format!("{}: {}", ran.exit, lines.join("\n")),
        })
    }

    async fn there(
        &self,
        text: &str,
        env: &[(String, String)],
        timeout: Duration,
    ) -> Result<ToolEnd, Failure> {
        let export = |(name, value): &(String, String)| format!("export {name}={}\n", quote(value));
        let text: String = env.iter().map(export).chain([text.to_owned()]).collect();
        let ran = self
            .places
            .run(&self.place, &text, Effect::Changes, timeout)
            .await;
        let ran = ran.map_err(|error| Failure::error(error.to_string()))?;
        Ok(ToolEnd {
            is_success: ran.status == Some(0),
            is_late: ran.status.is_none(),
            told: self
                .job
                .redactor
                .redact(&format!("{}: {}", ran.exit, ran.tail)),
        })
    }

    /// In the folder of the section.
    fn within(&self, text: &str) -> String {
        match &self.section.directory {
            Some(folder) => format!("cd {} && {text}", quote(&folder.to_string_lossy())),
            None => text.to_owned(),
        }
    }

    /// As `exec` gets it: the variables are words of it, so none of them is a secret.
    fn handed(&self, exec: &str, text: &str, env: &[(String, String)]) -> String {
        let words = env
            .iter()
            .map(|(name, value)| quote(&format!("{name}={value}")));
        let words: Vec<String> = words.collect();
        let text = self.within(text);
        format!("{exec} env {} sh -c {}", words.join(" "), quote(&text))
    }

    /// The call as a shell has it, and what the tool gets beside the variables of its place.
    fn prepared(&self, call: &Call<'_>) -> Result<(String, Vec<(String, String)>), Failure> {
        let (way, system) = (self.tool.way(self.system()), self.system());
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
        let given = self.tool.handover().give(url, &reach.url);
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
        Ok((self.within(&command.text()), env))
    }
}

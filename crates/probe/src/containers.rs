//! What Docker reports about containers, and whether one is healthy.

use std::time::Duration;

use jiff::Timestamp;
use model::Redactor;
use model::text::excerpt;
use serde_json::Value;

use crate::restarts::{Life, Watch};

/// What `docker inspect` is to print, one line a container. Of the health check's log only the
/// end: it holds what the check printed, up to 4 KiB each time.
pub(crate) const FORMAT: &str = r#"{{$said := ""}}{{with .State.Health}}{{range .Log}}{{$said = .Output}}{{end}}{{end}}{"id":{{json .ID}},"name":{{json .Name}},"image":{{json .Config.Image}},"status":{{json .State.Status}},"exit":{{json .State.ExitCode}},"oom":{{json .State.OOMKilled}},"error":{{json (printf "%.200s" .State.Error)}},"started":{{json .State.StartedAt}},"restarts":{{json .RestartCount}},"health":{{with .State.Health}}{{json .Status}}{{else}}null{{end}},"said":{{json (printf "%.300s" $said)}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"number":{{json (index .Config.Labels "com.docker.compose.container-number")}},"oneoff":{{json (index .Config.Labels "com.docker.compose.oneoff")}},"project":{{json (index .Config.Labels "com.docker.compose.project")}},"env_files":{{json (index .Config.Labels "com.docker.compose.project.environment_file")}},"modes":[{{json .HostConfig.NetworkMode}},{{json .HostConfig.IpcMode}},{{json .HostConfig.PidMode}}],"restart":{{json .HostConfig.RestartPolicy.Name}}}"#;

/// Prints the machine's own time, before what [`FORMAT`] prints.
pub(crate) const NOW: &str = "date +%s";

/// Parses the line that [`NOW`] prints.
pub(crate) fn time(line: &str) -> Option<Timestamp> {
    Timestamp::from_second(line.trim().parse().ok()?).ok()
}

/// A container as Docker describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) status: String,
    /// Of the service of Compose that it belongs to.
    pub(crate) service: String,
    pub(crate) number: String,
    /// Created by `compose run`, so it is not one of the service's own containers.
    pub(crate) one_off: bool,
    /// The project of Compose, and the files that its variables came from.
    pub(crate) project: String,
    pub(crate) env_files: Vec<String>,
    pub(crate) id: String,
    /// Whose network, IPC and processes it has, as Docker names them.
    modes: Vec<String>,
    /// Whether Docker starts it again when it ends with success, and when it ends otherwise.
    again: (bool, bool),
    exit: i64,
    out_of_memory: bool,
    error: String,
    started: String,
    restarts: u64,
    /// Empty where it has no health check.
    health: String,
    said: String,
}

impl Container {
    /// One line of what [`FORMAT`] prints.
    pub(crate) fn read(line: &str, redactor: &Redactor) -> Option<Container> {
        let seen: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| seen[key].as_str().unwrap_or_default().to_owned();
        let container = Container {
            name: text("name").trim_start_matches('/').to_owned(),
            image: text("image"),
            status: text("status"),
            service: text("service"),
            number: text("number"),
            project: text("project"),
            env_files: (text("env_files").split(','))
                .filter(|file| !file.is_empty())
                .map(str::to_owned)
                .collect(),
            modes: (seen["modes"].as_array().into_iter().flatten())
                .filter_map(|mode| Some(mode.as_str()?.to_owned()))
                .collect(),
            again: match text("restart").as_str() {
                "always" | "unless-stopped" => (true, true),
                "on-failure" => (false, true),
                _ => (false, false),
            },
            one_off: text("oneoff").eq_ignore_ascii_case("true"),
            id: text("id"),
            exit: seen["exit"].as_i64()?,
            out_of_memory: seen["oom"].as_bool().unwrap_or_default(),
            error: redactor.redact(&text("error")),
            started: text("started"),
            restarts: seen["restarts"].as_u64()?,
            health: text("health"),
            said: redactor.redact(&text("said")),
        };
        (!container.status.is_empty()).then_some(container)
    }

    /// Its state in a word or two: `running, healthy`.
    pub(crate) fn state(&self) -> String {
        match self.health.as_str() {
            "" | "none" => self.status.clone(),
            health => format!("{}, {health}", self.status),
        }
    }

    /// Takes note of this look at it.
    pub(crate) fn note(&self, watch: &mut Watch, now: Option<Timestamp>) {
        // It was never started.
        let started = !self.started.starts_with("0001");
        watch.see(Life {
            id: if started {
                format!("{} {}", self.id, self.started)
            } else {
                String::new()
            },
            count: self.restarts,
            up: self.uptime(now),
        });
        if let Some(end) = self.end() {
            watch.end = Some(end);
        }
    }

    /// By the clock of the machine that it runs on.
    fn uptime(&self, now: Option<Timestamp>) -> Option<Duration> {
        let started: Timestamp = self.started.parse().ok()?;
        let up = now?.duration_since(started);
        (self.status == "running").then(|| Duration::try_from(up).unwrap_or_default())
    }

    /// How it ended, if it did: `exit code 137, OOMKilled`.
    pub(crate) fn end(&self) -> Option<String> {
        if !matches!(self.status.as_str(), "exited" | "restarting" | "dead") {
            return self.out_of_memory.then(|| "OOMKilled".to_owned());
        }
        let mut text = format!("exit code {}", self.exit);
        if self.out_of_memory {
            text.push_str(", OOMKilled");
        }
        if !self.error.is_empty() {
            text.push_str(&format!(", {}", excerpt(self.error.as_bytes())));
        }
        Some(text)
    }

    /// Why it is not well at this moment.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.status != "running" {
            let end = self.end().map(|end| format!(" ({end})"));
            return Some(format!("it is {}{}", self.status, end.unwrap_or_default()));
        }
        match self.health.as_str() {
            "" | "none" | "healthy" => None,
            "starting" => Some("its health check has not passed yet".to_owned()),
            health => Some(format!("it is {health}: {}", excerpt(self.said.as_bytes()))),
        }
    }

    /// Whether it has ended and will not be started again by Docker.
    pub(crate) fn is_over(&self) -> bool {
        let (after_success, after_failure) = self.again;
        let again = if self.exit == 0 {
            after_success
        } else {
            after_failure
        };
        self.status == "exited" && !again
    }

    /// Whether it did one thing and ended.
    pub(crate) fn has_ended_well(&self) -> bool {
        self.is_over() && self.exit == 0
    }

    /// The containers that it lives in, by their ids.
    pub(crate) fn lives_in(&self) -> impl Iterator<Item = &str> {
        let modes = self.modes.iter();
        modes.filter_map(|mode| mode.strip_prefix("container:"))
    }

    /// Why it has not done its work.
    pub(crate) fn unfinished(&self) -> Option<String> {
        match (self.status.as_str(), self.exit) {
            ("exited", 0) => None,
            ("exited" | "dead", _) => Some(format!(
                "it has ended with {}",
                self.end().unwrap_or_default()
            )),
            (status, _) => Some(format!("it has not ended, it is {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn container(rest: &str) -> Container {
        let line = format!(
            r#"{{"id":"a","name":"/shop_api_1","image":"app:v1","error":"","started":"2026-11-21T10:00:00Z",{rest},"said":"","service":"api","number":"1","oneoff":"False"}}"#
        );
        Container::read(&line, &Redactor::default()).unwrap()
    }

    #[test]
    fn a_container_that_ran_out_of_memory_says_so() {
        let eaten =
            container(r#""status":"restarting","exit":137,"oom":true,"restarts":4,"health":null"#);
        let trouble = eaten.trouble().unwrap();
        assert_eq!(trouble, "it is restarting (exit code 137, OOMKilled)");
        let mut watch = Watch::default();
        eaten.note(&mut watch, None);
        let back =
            container(r#""status":"running","exit":0,"oom":false,"restarts":5,"health":null"#);
        assert_eq!(back.trouble(), None);
        back.note(&mut watch, None);
        assert_eq!(
            watch.too_many(0).unwrap(),
            "restarted (1) > max-restarts (0) while we watched: exit code 137, OOMKilled"
        );
        assert_eq!(Container::read("{}", &Redactor::default()), None);
        assert_eq!(Container::read("<html>", &Redactor::default()), None);
    }
}

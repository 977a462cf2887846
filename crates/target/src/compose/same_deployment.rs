//! The same deployment again: what is recreated differs from what runs in its image alone.
//!
//! The files of a project define its services only together with variables: of a shell, of
//! `.env`, of `--env-file`. Compose labels each container with the hash of the result. The
//! same hash proves that we have the same files and variables.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;
use remote::quote;
use tools::compose_config::{Project, Service};

use super::container::{Container, ProjectContainers};
use super::deployment::{AffectedServices, Compose};
use super::program::Program;
use crate::target::Transition;
use place::{Error, Place};

/// What to do where a variable has no value or another one.
pub(super) const NAME_THEM: &str = "name the files that have the values of a deployment under `rollback.compose.env-files`, variables under `rollback.compose.env`, or give the step the variables that the deployment had";

/// What Compose prints of `${NAME:?…}` without a value: by version 2, and by version 1.
const MISSING_VALUE: [&str; 2] = ["is missing a value", "Missing mandatory value for"];
/// What it prints of `${NAME}` without a value.
const NOT_SET: &str = "variable is not set";

/// Whether a variable without a value may be why Compose ended: `"${PORT}:80"` is no port then.
pub(super) fn is_missing_value(said: &str) -> bool {
    let mut texts = MISSING_VALUE.iter().chain([&NOT_SET]);
    texts.any(|words| said.contains(words))
}

/// The names of what differs; more than these are of no help.
const MAX_SHOWN: usize = 5;

impl Compose<'_> {
    /// Refuses where something would be recreated otherwise than it was made, but for its image.
    pub(super) async fn refuse_other_changes(
        &self,
        place: &Place,
        transition: Transition<'_>,
        look: &ProjectContainers,
        changes: &AffectedServices,
    ) -> Result<(), Error> {
        let touched: BTreeSet<&String> = changes.services.iter().chain(&changes.after).collect();
        // By the release that runs in them: one variable may name it.
        let mut by_release: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
        for one in touched.iter().flat_map(|service| look.of(service)) {
            let own = self.release_in(one.service(), one, None, "");
            let release = own.or(transition.from.map(str::to_owned));
            let release = release.unwrap_or_else(|| transition.to.to_owned());
            by_release.entry(release).or_default().push(one);
        }
        if by_release.is_empty() {
            return Ok(());
        }
        let hashes = async {
            for (release, containers) in &by_release {
                self.hashes(place, release, look, containers).await?;
            }
            Ok(())
        };
        let variables = self.variables(place, transition.to, &touched);
        let (variables, hashes) = join(variables, hashes).await;
        variables.and(hashes)
    }

    /// A release that is handed over by a variable is more than an image where a service uses it
    /// elsewhere too.
    async fn variables(
        &self,
        place: &Place,
        destination: &str,
        touched: &BTreeSet<&String>,
    ) -> Result<(), Error> {
        // Not every project can be read this way: a variable in place of a number is not a number.
        let text = format!(
            "{}theirs config --no-interpolate 2>/dev/null || :",
            self.head_at(place)
        );
        let env = self.env(destination);
        let printed = self.full_output(place, "compose config", &text, &env);
        let Ok(raw) = Project::read(&printed.await?) else {
            return Ok(());
        };
        let project = self.resolved(place, destination).await?.project;
        for name in touched {
            let Some(service) = raw.services.get(*name) else {
                continue;
            };
            let resolved = project.services.get(*name);
            for variable in of_the_tag(service.image.as_deref().unwrap_or_default()) {
                let given = env.iter().find(|(name, _)| *name == variable);
                let used = match given {
                    None => uses(service, &variable),
                    Some(_) => None,
                };
                let environment = resolved.and_then(|service| service.environment.get(&variable));
                let other = match given {
                    Some((_, value)) => environment.filter(|told| *told != value),
                    None => environment,
                };
                let Some(place) = used.or(other.map(|_| format!("environment.{variable}"))) else {
                    continue;
                };
                return Err(Error::Unfit(format!(
                    "`{name}` has `{variable}` in `{place}` and not only in its image, so that another image alone is not {destination}: hand it to Compose with `rollback.compose.env: {{ {variable}: \"{{release}}\" }}`"
                )));
            }
        }
        Ok(())
    }

    /// Compares the hashes that Compose makes now with those of the containers.
    async fn hashes(
        &self,
        place: &Place,
        release: &str,
        look: &ProjectContainers,
        containers: &[&Container],
    ) -> Result<(), Error> {
        let resolved = self.resolved(place, release).await?;
        let program = self.program(place).unwrap_or_default();
        let mut services = serde_json::Map::new();
        for one in containers {
            let mut keys = serde_json::Map::new();
            keys.insert("image".to_owned(), one.image.clone().into());
            // Compose 2 puts the container in the place of the service before it makes the hash.
            let service = resolved.project.services.get(one.service());
            let shared = service.into_iter().flat_map(|service| &service.namespaces);
            for (key, of) in shared.filter(|_| program.v2) {
                let mode = one.mode(key).filter(|mode| mode.starts_with("container:"));
                let newest = look.of(of).max_by_key(|other| &other.created);
                let mode = mode.map(str::to_owned);
                let mode = mode.or(newest.map(|other| format!("container:{}", other.id)));
                keys.extend(mode.map(|mode| ((*key).to_owned(), mode.into())));
            }
            services.insert(one.service().to_owned(), keys.into());
        }
        let names: Vec<String> = services.keys().cloned().collect();
        let over = serde_json::json!({ "services": services }).to_string();
        let name = program.name.as_ref();
        let name = name.map_or(String::new(), |name| format!(" -p {}", quote(name)));
        let sudo = if self.config.sudo { "sudo -n " } else { "" };
        let hash = if program.v2 {
            // Twice, because the values of `env_file` are in the hash of what Compose makes, and not
            // in that of what it reads.
            format!(
                "any config --format json 2>/dev/null |
  command {sudo}docker compose{name} --project-directory \"$PWD\" -f /dev/stdin -f \"$over\" --profile '*' config --hash '*' 2>/dev/null"
            )
        } else {
            format!(
                "any -f \"$over\" config --hash={} 2>/dev/null",
                quote(&names.join(","))
            )
        };
        let text = format!(
            "{}(
over=$(mktemp)
trap 'rm -f -- \"$over\"' EXIT
printf %s {} >\"$over\"
{hash}
)",
            self.head_at(place),
            quote(&over)
        );
        let env = self.env(release);
        let printed = self.full_output(place, "compose config --hash", &text, &env);
        let printed = printed.await?;
        let hashes: BTreeMap<&str, &str> = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        for one in containers {
            let service = one.service();
            if hashes.get(service) == Some(&one.hash()) {
                continue;
            }
            let wanted = resolved.project.services.get(service);
            let others = wanted.map_or_else(Vec::new, |wanted| differing(wanted, one));
            // What never started may be of a file that was put right since; its variables are those of
            // the deployment all the same.
            let ran = one.status != "created";
            // Each version of Compose makes its own hash, docker-compose 1 with the image's id in it.
            let decides = ran
                && one.version() == self.version(place, &program).await?
                && (program.v2 || self.names_its_image(place, one).await?);
            if others.is_empty() && !decides {
                continue;
            }
            let what = match others.as_slice() {
                [] => "the hash of its configuration is another".to_owned(),
                names => {
                    let more = names.len().saturating_sub(MAX_SHOWN);
                    let more = if more > 0 {
                        format!(" and {more} more")
                    } else {
                        String::new()
                    };
                    let names: Vec<&str> =
                        names.iter().take(MAX_SHOWN).map(String::as_str).collect();
                    format!("other values of {}{more}", names.join(", "))
                }
            };
            let warned = match resolved.warnings.as_slice() {
                [] => String::new(),
                all => format!("; Compose warns: {}", all.join(" ")),
            };
            return Err(Error::Unfit(format!(
                "`{service}` would be recreated otherwise than it was made, and not only with another image: {what}{warned}; {NAME_THEM}"
            )));
        }
        Ok(())
    }

    async fn version(&self, place: &Place, program: &Program) -> Result<String, Error> {
        if program.v2 {
            return Ok(program.version.clone());
        }
        let text = format!("{}program version --short", self.head_at(place));
        let printed = self.read(place, "docker-compose version", &text);
        Ok(Program::read(&format!("v1 {}", printed.await?)).version)
    }

    /// Whether the name of a container's image still is that of the image that it runs.
    async fn names_its_image(&self, place: &Place, one: &Container) -> Result<bool, Error> {
        let text = format!(
            "{}docker image inspect --format '{{{{.Id}}}}' -- {} 2>/dev/null || :",
            self.head_at(place),
            quote(&one.image)
        );
        let printed = self.read(place, "docker inspect", &text);
        Ok(printed.await?.trim() == one.image_id)
    }
}

/// The variables of the environment that a container has otherwise than its service has by now.
fn differing(wanted: &Service, one: &Container) -> Vec<String> {
    let all = wanted.environment.iter();
    all.filter(|(name, value)| one.variable(name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect()
}

/// What Compose warned of, without its log's own words.
pub(super) fn warnings(said: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in said.lines().filter(|line| line.contains(NOT_SET)) {
        let line = match line.split_once("msg=\"") {
            Some((_, rest)) => rest.trim_end().trim_end_matches('"').replace("\\\"", "\""),
            None => line.trim().trim_start_matches("WARNING: ").to_owned(),
        };
        if !all.contains(&line) {
            all.push(line);
        }
    }
    all
}

/// The variables in an image's tag; in a name that is a variable whole, that one.
fn of_the_tag(image: &str) -> Vec<String> {
    let (mut depth, mut tag) = (0_usize, None);
    for (at, c) in image.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => tag = None,
            ':' | '@' if depth == 0 => tag = Some(at),
            _ => {}
        }
    }
    let whole = image.starts_with('$') && !image.contains('/');
    match tag {
        Some(at) => variables(&image[at..]),
        None if whole => variables(image),
        None => Vec::new(),
    }
}

/// The names of the variables in a text: `$TAG`, `${TAG:-latest}`. A dollar is written twice.
fn variables(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name: String = rest
            .trim_start_matches('{')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if !name.is_empty() {
            found.push(name);
        }
    }
    found
}

/// Where a service uses a variable beside its image.
fn uses(service: &Service, variable: &str) -> Option<String> {
    let beside = |(path, _): &&(String, String)| path != "image";
    let mut texts = service.texts.iter().filter(beside);
    let found = texts.find(|(_, text)| variables(text).iter().any(|name| name == variable));
    found.map(|(path, _)| path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_tag_are_those_after_its_colon() {
        let of = |image: &str| of_the_tag(image).join(" ");
        assert_eq!(of("shop:${TAG}"), "TAG");
        assert_eq!(of("${REGISTRY:-localhost:5000}/shop:v${TAG:-1}"), "TAG");
        assert_eq!(of("$REGISTRY/shop"), "");
        assert_eq!(of("localhost:$PORT/shop:${A}-$B"), "A B");
        assert_eq!(of("shop@${DIGEST:?}"), "DIGEST");
        assert_eq!(of("${IMAGE}"), "IMAGE");
        assert_eq!(of("shop:v1"), "");
        assert_eq!(variables("$$TAG ${A}$B $"), ["A", "B"]);
    }

    #[test]
    fn a_value_is_missing_where_compose_reports_it() {
        for said in [
            "error while interpolating services.a.image: required variable TAG is missing a value: no tag",
            "ERROR: Missing mandatory value for \"image\" option interpolating ${TAG:?}",
        ] {
            assert!(is_missing_value(said), "{said}");
        }
        let path = "open /srv/variables/web.env: no such file or directory";
        assert!(!is_missing_value(path));
    }

    #[test]
    fn what_compose_warned_of_is_told_without_its_log() {
        let v2 = r#"time="2026-11-28T06:12:14Z" level=warning msg="The \"TAG\" variable is not set. Defaulting to a blank string.""#;
        let told = r#"The "TAG" variable is not set. Defaulting to a blank string."#;
        assert_eq!(warnings(&format!("{v2}\n{v2}\nother\n")), [told]);
        let v1 = "WARNING: The TAG variable is not set. Defaulting to a blank string.";
        assert_eq!(
            warnings(v1),
            ["The TAG variable is not set. Defaulting to a blank string."]
        );
    }
}

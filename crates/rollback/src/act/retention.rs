//! Whether what the destination needs is still there, once the time is over for which it is kept.

use std::path::Path;
use std::time::Duration;

use cli::login::{self, Login};
use config::value::Age;
use engine::Plan;
use futures_util::future::join_all;
use jiff::Timestamp;
use model::{Id, Outcome, Severity};
use net::trust;
use registry::{Access, Client, ImageStatus, Reference, Want};
use remote::quote;
use state::{Document, Entry};

use super::Rollback;
use target::{Effect, Place, Target};

/// How long a registry or a host is asked for what was kept.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

impl Rollback<'_> {
    /// The release that replaced the destination and how long ago in words, if that is longer than
    /// the window; a time that is as far ahead proves nothing.
    fn passed<'d>(&self, document: &'d Document) -> Option<(&'d str, String)> {
        let window = self.session.section.window?.get();
        let current = document.current.as_deref()?;
        let since = document.entry(current)?.deployed_at;
        let age = Timestamp::now().duration_since(since);
        let far = age.unsigned_abs();
        let words = match Duration::try_from(age) {
            Ok(age) => format!("{} ago", Age::from(age)),
            Err(_) => format!("{} ahead of this clock", Age::from(far)),
        };
        (far > window && current != self.destination).then_some((current, words))
    }

    /// The refusal, where the window has passed and something is gone or not known to be there; all
    /// of it is named.
    pub(super) async fn refuse_missing_artifacts(
        &self,
        target: &dyn Target,
        document: &Document,
        plan: &Plan,
    ) -> Option<Outcome> {
        let (current, age) = self.passed(document)?;
        let window = self.session.section.window?;
        let mut lacks: Vec<MissingArtifact> = (plan.steps().iter())
            .filter_map(|planned| {
                let error = planned.ready.as_ref().err()?;
                Some(MissingArtifact::Unready(format!(
                    "{}: {error}",
                    planned.step.place
                )))
            })
            .collect();
        let kept = document.entry(self.destination).map(RetainedArtifacts::of);
        let kept = kept.unwrap_or_default();
        let images = join_all(kept.images.iter().map(|image| self.in_registry(image)));
        let files = self.on_hosts(target, &kept.paths, plan);
        let (images, files) = tokio::join!(images, files);
        lacks.extend(images.into_iter().filter_map(Result::err));
        lacks.extend(files);
        if lacks.is_empty() && !target.capabilities().proves_retention && kept.is_empty() {
            lacks.push(MissingArtifact::NotKnown(
                "there is no `rollback.command.check`, and neither an image nor a `--retained` path was recorded"
                    .to_owned(),
            ));
        }
        if lacks.is_empty() {
            return None;
        }
        let told: Vec<&str> = lacks.iter().map(MissingArtifact::description).collect();
        Some(
            Outcome::refused(Id::refused("window"), self.destination)
                .expected(format!(
                    "{current} was deployed within {window}, or all that {} needs is still there",
                    self.destination
                ))
                .actual(format!("deployed {age}; {}", told.join("; ")))
                .reason(format!(
                    "the window of {window} has passed, and {}",
                    MissingArtifact::describe_all(&lacks, self.destination)
                ))
                .hint(format!(
                    "nothing was changed; fix forward, or deploy {} again from its source; `rollback history` shows what else is kept",
                    self.destination
                )),
        )
    }

    /// A note where the window has passed and everything is still there.
    pub(super) fn window_passed(&self, document: &Document) -> Option<Outcome> {
        let (current, age) = self.passed(document)?;
        let window = self.session.section.window?;
        Some(
            Outcome::inconclusive("rollback/window", self.destination)
                .severity(Severity::Advisory)
                .expected(format!("{current} was deployed within {window}"))
                .actual(format!("deployed {age}"))
                .reason(format!(
                    "the window of {window} has passed; what {} needs was found all the same",
                    self.destination
                ))
                .hint("see `rollback plan`"),
        )
    }

    async fn in_registry(&self, image: &str) -> Result<(), MissingArtifact> {
        let job = self.session.job;
        let unsure = |why: String| {
            MissingArtifact::NotKnown(format!("{image}: the registry could not be queried: {why}"))
        };
        let reference = Reference::parse(image).map_err(|error| unsure(error.to_string()))?;
        // The login and the trusted authorities that preflight uses for the same image.
        let ready = job.config.preflight().ok().flatten();
        let ready = ready.and_then(|section| section.rollback_ready.as_ref());
        let login = Login {
            kind: ready.map(|ready| ready.login).unwrap_or_default(),
            username_env: ready.and_then(|ready| ready.username_env.as_deref()),
            password_env: ready.and_then(|ready| ready.password_env.as_deref()),
        };
        let known = login::find(login, &reference, job, QUERY_TIMEOUT / 2).await;
        let known = known.map_err(|trouble| unsure(trouble.reason))?;
        let ca_file = ready.and_then(|ready| ready.ca_file.as_deref());
        let tls = ca_file.map(trust::only).transpose();
        let tls = tls.map_err(|error| unsure(error.to_string()))?;
        let client =
            Client::trusting(QUERY_TIMEOUT, tls).map_err(|error| unsure(error.to_string()))?;
        let access = Access {
            credentials: known.credentials.as_ref(),
            plain_http: ready.and_then(|ready| ready.plain_http),
        };
        match client.manifest(&reference, access, Want::default()).await {
            Ok(ImageStatus::Found { .. }) => Ok(()),
            Ok(ImageStatus::Absent) => Err(MissingArtifact::Gone(format!(
                "{image} is not in {} any more",
                reference.host()
            ))),
            Ok(ImageStatus::Unusable(why)) => Err(MissingArtifact::Gone(format!(
                "{image} is there, but {why}"
            ))),
            Ok(ImageStatus::Denied { status, detail }) => {
                Err(unsure(format!("status {status}: {detail}")))
            }
            Err(error) => Err(unsure(error.to_string())),
        }
    }

    /// Which of the paths is missing where, in words.
    async fn on_hosts(
        &self,
        target: &dyn Target,
        paths: &[&str],
        plan: &Plan,
    ) -> Vec<MissingArtifact> {
        if paths.is_empty() {
            return Vec::new();
        }
        let steps = plan.steps().iter();
        let mut places: Vec<&Place> = steps.map(|planned| &planned.step.place).collect();
        // What acts on hosts from here need not log in to them.
        if target.capabilities().acts_from_here {
            places = vec![&Place::Here];
        }
        let asking = places.into_iter().map(|place| async move {
            let mut script = String::new();
            for path in paths {
                let word = quote(path);
                script.push_str(&format!("[ -e {word} ] || printf '%s\\n' {word}\n"));
            }
            match self
                .places
                .must(
                    place,
                    "a look at what was kept",
                    &script,
                    Effect::Reads,
                    QUERY_TIMEOUT,
                )
                .await
            {
                Ok(missing) if missing.trim().is_empty() => None,
                Ok(missing) => {
                    let missing: Vec<&str> = missing.lines().collect();
                    let missing = missing.join(", ");
                    Some(MissingArtifact::Gone(format!("{place}: {missing} is gone")))
                }
                Err(reason) => Some(MissingArtifact::NotKnown(format!("{place}: {reason}"))),
            }
        });
        join_all(asking).await.into_iter().flatten().collect()
    }
}

/// Why the destination may be without something that it needs.
#[derive(Debug)]
enum MissingArtifact {
    /// It was asked for, and is not there.
    Gone(String),
    /// Whether it is there could not be asked.
    NotKnown(String),
    /// A place cannot be made ready.
    Unready(String),
}

impl MissingArtifact {
    fn description(&self) -> &str {
        match self {
            MissingArtifact::Gone(told)
            | MissingArtifact::NotKnown(told)
            | MissingArtifact::Unready(told) => told,
        }
    }

    /// All of them in words, each kind by its name.
    fn describe_all(lacks: &[MissingArtifact], destination: &str) -> String {
        let (mut gone, mut unknown, mut unready) = (Vec::new(), Vec::new(), Vec::new());
        for lack in lacks {
            match lack {
                MissingArtifact::Gone(told) => gone.push(told.as_str()),
                MissingArtifact::NotKnown(told) => unknown.push(told.as_str()),
                MissingArtifact::Unready(told) => unready.push(told.as_str()),
            }
        }
        let kinds = [
            (gone, format!("what {destination} needs is gone")),
            (
                unknown,
                format!("whether what {destination} needs is still there is not known"),
            ),
            (unready, format!("{destination} cannot be made ready")),
        ];
        let told = kinds.into_iter().filter(|(all, _)| !all.is_empty());
        let told: Vec<String> = told
            .map(|(all, kind)| format!("{kind}: {}", all.join("; ")))
            .collect();
        told.join("; ")
    }
}

/// What was recorded as kept of a release, as far as it can be looked for.
#[derive(Debug, Default)]
struct RetainedArtifacts<'a> {
    images: Vec<String>,
    paths: Vec<&'a str>,
}

impl<'a> RetainedArtifacts<'a> {
    fn of(entry: &'a Entry) -> Self {
        let mut kept = RetainedArtifacts::default();
        if let Some(image) = &entry.image {
            let digest = entry.digest.as_deref();
            let digest = digest.filter(|digest| digest.starts_with("sha256:"));
            kept.images.push(match digest {
                // The tag may have been pushed again.
                Some(digest) if !image.contains('@') => format!("{image}@{digest}"),
                _ => image.clone(),
            });
        }
        for text in &entry.retained {
            if Path::new(text).is_absolute() {
                kept.paths.push(text);
            } else if entry.image.as_ref() != Some(text) && is_image(text) {
                kept.images.push(text.clone());
            }
        }
        kept
    }

    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.paths.is_empty()
    }
}

/// A registry's name and a tag or digest: anything else may be some other thing that is kept.
fn is_image(text: &str) -> bool {
    let Some((host, rest)) = text.split_once('/') else {
        return false;
    };
    let registry = host == "localhost" || host.contains(['.', ':']);
    registry && rest.contains([':', '@']) && Reference::parse(text).is_ok()
}

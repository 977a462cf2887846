//! Container images that must be in their registry before they are deployed.

use std::time::{Duration, Instant};

use cli::Failure;
use config::file::ImageCheck;
use config::value::Age;
use jiff::Timestamp;
use model::{Outcome, Verdict};
use net::trust;
use registry::nearest::nearest;
use registry::{Access, Client, Error, ImageStatus, Reference, Tags, Want};

use super::{Check, Context, Planned};
use cli::login::{self, ImageLogin, Login};

/// How far the clock of the machine that built an image may be ahead of ours.
const SKEW: Duration = Duration::from_mins(5);
/// Reproducible builds write a fixed date: 1970, or 1980 as the first that a ZIP file can hold.
const FIRST_TRUE_YEAR: i16 = 1981;

impl Check for ImageCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene)]
    }
}

fn plan<'a>(check: &'a ImageCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let id = id(check);
    Planned {
        id: id.clone(),
        subject: check.image.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!("get the manifest of {}", check.image),
        needs: needs(check),
        timeout: scene.timeout,
        wait: Duration::ZERO,
        ask: Box::pin(async move { check_image(id, check, scene).await }),
    }
}

pub(crate) fn id(check: &ImageCheck) -> String {
    format!("images/{}", check.name)
}

/// The right that asking takes.
pub(crate) fn needs(check: &ImageCheck) -> Option<String> {
    let name = check.password_env.as_ref()?;
    Some(format!("`{name}`, a password or token that may pull"))
}

/// One question to one registry, and what it needs.
struct Question {
    client: Client,
    reference: Reference,
    known: ImageLogin,
    plain_http: Option<bool>,
}

pub(crate) async fn check_image(id: String, check: &ImageCheck, scene: &Context<'_>) -> Outcome {
    let (begun, timeout) = (Instant::now(), scene.timeout);
    let ImageCheck {
        name: _,
        image,
        platforms,
        digest: _,
        max_age,
        login,
        username_env,
        password_env,
        plain_http,
        ca_file,
        severity: _,
        weight: _,
    } = check;
    let outcome = |verdict| Outcome::new(&id, image, verdict).expected(expected(check));
    let told = |verdict, reason: String, hint: &str| {
        outcome(verdict)
            .actual(reason.clone())
            .reason(reason)
            .hint(hint)
    };
    let reference = match Reference::parse(image) {
        Ok(reference) => reference,
        Err(error) => {
            return told(Verdict::Fail, error.to_string(), NAME);
        }
    };
    let login = Login {
        kind: *login,
        username_env: username_env.as_deref(),
        password_env: password_env.as_deref(),
    };
    // A helper that hangs must leave time to ask without it.
    let known = match login::find(login, &reference, scene.job, timeout / 2).await {
        Ok(known) => known,
        Err(trouble) => return told(Verdict::Error, trouble.reason, &trouble.hint),
    };
    let tls = match ca_file.as_deref().map(trust::only).transpose() {
        Ok(tls) => tls,
        Err(error) => {
            return told(
                Verdict::Error,
                error.to_string(),
                "see `ca-file`: a PEM file of certificates that we may read",
            );
        }
    };
    let left = timeout.saturating_sub(begun.elapsed());
    let client = match Client::trusting(left, tls) {
        Ok(client) => client,
        Err(error) => return told(Verdict::Error, error.to_string(), error.hint()),
    };
    let question = Question {
        client,
        reference,
        known,
        plain_http: *plain_http,
    };
    let want = Want {
        platforms,
        created: max_age.is_some(),
    };
    match question.manifest(want).await {
        Ok(ImageStatus::Absent) => {
            let (reference, left) = (&question.reference, timeout.saturating_sub(begun.elapsed()));
            outcome(Verdict::Fail)
                .actual("status 404: no such image")
                .reason(format!(
                    "`{}` is not in {}",
                    reference.target(),
                    reference.host()
                ))
                .hint(question.what_else(left).await)
        }
        Ok(ImageStatus::Unusable(why)) => outcome(Verdict::Fail)
            .actual(why.to_string())
            .reason(format!("no engine can run it: {why}"))
            .hint(format!(
                "build and push it again: `docker buildx build --push --tag {image} .`; see what is there: `docker buildx imagetools inspect {image}`"
            )),
        Ok(ImageStatus::Denied { status, detail }) => {
            question.denied(outcome(Verdict::Error), status, &detail)
        }
        Ok(found) => {
            // The verdict does not need it, whatever time is left.
            let left = timeout.saturating_sub(begun.elapsed());
            let moved = tokio::time::timeout(left, question.moved(&found)).await;
            let moved = moved.unwrap_or_default();
            judge(&id, check, &question.reference, &found, moved)
        }
        // The registry answered, with something that is not the image.
        Err(error @ Error::Digest { .. }) => told(Verdict::Fail, error.to_string(), error.hint()),
        Err(error) => outcome(Verdict::Error)
            .actual(error.to_string())
            .reason(format!("the registry could not be queried: {error}"))
            .hint(error.hint()),
    }
}

/// How a reference is written.
const NAME: &str = "write it as `registry/repository:tag`";

/// Input that no registry accepts: reported before any request.
pub(crate) fn unreadable<'a>(mut checks: impl Iterator<Item = &'a ImageCheck>) -> Option<Failure> {
    checks.find_map(|check| {
        let error = Reference::parse(&check.image).err()?;
        let failure = Failure::usage(format!(
            "the image of `{}` cannot be checked: {error}",
            check.name
        ));
        Some(failure.hint(NAME))
    })
}

/// `10,000`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn expected(check: &ImageCheck) -> String {
    let mut text = "the image exists".to_owned();
    if !check.platforms.is_empty() {
        text.push_str(&format!(" for {}", check.platforms.join(", ")));
    }
    if let Some(digest) = &check.digest {
        text.push_str(&format!(", is {digest}"));
    }
    if let Some(age) = check.max_age {
        text.push_str(&format!(", is at most {age} old"));
    }
    text
}

impl Question {
    fn access(&self) -> Access<'_> {
        Access {
            credentials: self.known.credentials.as_ref(),
            plain_http: self.plain_http,
        }
    }

    async fn manifest(&self, want: Want<'_>) -> Result<ImageStatus, Error> {
        let access = self.access();
        let answer = self.client.manifest(&self.reference, access, want).await;
        if !(self.known.implied && matches!(answer, Ok(ImageStatus::Denied { .. }))) {
            return answer;
        }
        // A token without access to this image must not hide a public one.
        let anonymous = Access {
            credentials: None,
            ..access
        };
        match self.client.manifest(&self.reference, anonymous, want).await {
            Ok(ImageStatus::Denied { .. }) | Err(_) => answer,
            seen => seen,
        }
    }

    /// What a tag beside a pinned digest names by now, where that is something else.
    async fn moved(&self, found: &ImageStatus) -> Option<String> {
        let pinned = self.reference.digest()?;
        let ImageStatus::Found { .. } = found else {
            return None;
        };
        let tagged = self.reference.tagged()?;
        let want = Want::default();
        match self
            .client
            .manifest(&tagged, self.access(), want)
            .await
            .ok()?
        {
            ImageStatus::Found { digest, .. } => digest.filter(|digest| digest != pinned),
            ImageStatus::Absent => Some("nothing".to_owned()),
            ImageStatus::Unusable(_) => Some("what no engine can run".to_owned()),
            ImageStatus::Denied { .. } => None,
        }
    }

    /// A hint for a tag that is missing: which ones are there.
    async fn what_else(&self, left: Duration) -> String {
        let built = "was it built and pushed? see the build job's output, and its tag";
        let tag = self.reference.tag();
        let wanted = tag.unwrap_or_default();
        let asking = self.client.tags(&self.reference, self.access());
        // The verdict is known; a hint is worth no more than what is left of the time.
        let Ok(Ok(tags)) = tokio::time::timeout(left, asking).await else {
            return built.to_owned();
        };
        let Some(tags) = tags else {
            let repository = self.reference.repository();
            return format!("there is no repository `{repository}`, or it has no tag yet; {built}");
        };
        let Tags { names, cut } = tags;
        let near = nearest(wanted, &names, 3);
        let count = thousands(names.len());
        match (near.as_slice(), tag) {
            (_, None) => {
                format!("a digest is deleted with its last tag in many registries; {built}")
            }
            ([], Some(_)) if cut => {
                format!("none of the first {count} tags is like it, and there are more; {built}")
            }
            ([], Some(_)) => format!("none of its {count} tag(s) is like it; {built}"),
            (near, Some(_)) => {
                let there = if cut {
                    format!("tags of the first {count}")
                } else {
                    "tags there".to_owned()
                };
                format!("the nearest {there} are `{}`; {built}", near.join("`, `"))
            }
        }
    }

    fn denied(&self, outcome: Outcome, status: u16, detail: &str) -> Outcome {
        let host = self.reference.registry();
        let whose = &self.known.whose;
        let outcome = outcome.actual(format!("status {status}: not allowed to know, as {whose}"));
        if let Some(trouble) = &self.known.trouble {
            return outcome
                .reason(format!(
                    "the registry wants credentials, and {}",
                    trouble.reason
                ))
                .hint(trouble.hint.clone());
        }
        let reason = format!("the registry refuses access (status {status}, as {whose}): {detail}");
        let hint = match (host == login::GHCR, self.known.implied) {
            (true, true) => "give the job `permissions: packages: read`, and this repository access in the package's settings (\"Manage Actions access\")".to_owned(),
            (true, false) => format!("give credentials that may pull: in a workflow `GITHUB_TOKEN: ${{{{ github.token }}}}` with `permissions: packages: read`; else `docker login {host}`, or `username-env` and `password-env`"),
            _ => format!(
                "give credentials that may pull: `docker login {host}`, or `username-env` and \
                 `password-env`"
            ),
        };
        outcome.reason(reason).hint(hint)
    }
}

fn judge(
    id: &str,
    check: &ImageCheck,
    reference: &Reference,
    found: &ImageStatus,
    moved: Option<String>,
) -> Outcome {
    let image = &check.image;
    let outcome = |verdict| Outcome::new(id, image, verdict).expected(expected(check));
    let ImageStatus::Found {
        digest,
        platforms: present,
        created,
    } = found
    else {
        return outcome(Verdict::Error).reason("the registry's answer is not understood");
    };
    let missing: Vec<&str> = check
        .platforms
        .iter()
        .map(String::as_str)
        .filter(|wanted| !found.has_platform(wanted))
        .collect();
    if !missing.is_empty() {
        let present = match present.as_slice() {
            [] => "found, for no platform that it reports".to_owned(),
            present => format!("found for {}", present.join(", ")),
        };
        let hint = format!(
            "build it for all: `docker buildx build --platform {} --push --tag {image} .`",
            check.platforms.join(",")
        );
        return outcome(Verdict::Fail)
            .actual(present)
            .reason(format!("the image has no {}", missing.join(", no ")))
            .hint(hint);
    }
    let shown = digest.as_deref().unwrap_or("without a digest");
    if let Some(wanted) = &check.digest
        && digest.as_ref() != Some(wanted)
    {
        return outcome(Verdict::Fail)
            .actual(format!("found, {shown}"))
            .reason(format!("`{}` names {shown}, not {wanted}", reference.target()))
            .hint(format!(
                "it was pushed again since: see `docker manifest inspect -v {image}`, and deploy by digest"
            ));
    }
    if let Some(age) = check.max_age
        && let Some(aged) = too_old(age, *created)
    {
        return outcome(aged.verdict)
            .actual(format!("found, {shown}, {}", aged.actual))
            .reason(aged.reason)
            .hint(aged.hint);
    }
    let mut actual = format!("found, {shown}");
    if let (Some(_), Some(created)) = (check.max_age, created) {
        actual.push_str(&format!(", {} old", age_of(*created)));
    }
    if let (Some(moved), Some(tag)) = (moved, reference.tag()) {
        actual.push_str(&format!("; the tag `{tag}` names {moved} by now"));
    }
    outcome(Verdict::Pass).actual(actual)
}

struct Aged {
    verdict: Verdict,
    actual: String,
    reason: String,
    hint: &'static str,
}

/// What speaks against an image's age, if anything.
fn too_old(most: Age, created: Option<Timestamp>) -> Option<Aged> {
    let unknown = |actual: String, reason: String| {
        Some(Aged {
            verdict: Verdict::Inconclusive,
            actual,
            reason,
            hint: "build it with a true date (`SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`), or \
                   take `max-age` away",
        })
    };
    let Some(created) = created else {
        return unknown(
            "without a date".to_owned(),
            "its age cannot be known: its configuration has no date".to_owned(),
        );
    };
    let actual = format!("made at {created:.0}");
    if created.to_zoned(jiff::tz::TimeZone::UTC).year() < FIRST_TRUE_YEAR {
        let reason = "its age cannot be known: a reproducible build wrote a fixed date";
        return unknown(actual, reason.to_owned());
    }
    let ahead = created.duration_since(Timestamp::now());
    if ahead > jiff::SignedDuration::try_from(SKEW).unwrap_or_default() {
        let reason = "its age cannot be known: it was made in the future, by its own date";
        return unknown(actual, reason.to_owned());
    }
    let age = age_of(created);
    (age > most).then(|| Aged {
        verdict: Verdict::Fail,
        actual: format!("{age} old"),
        reason: format!("the image is {age} old, {most} is allowed"),
        hint: "build it again, so that it gets its base image's fixes: see the build workflow with \
               `gh run list`",
    })
}

fn age_of(created: Timestamp) -> Age {
    let age = Timestamp::now().duration_since(created);
    Age::from(Duration::try_from(age).unwrap_or_default())
}

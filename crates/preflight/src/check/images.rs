//! Container images that must be in their registry before they are deployed.

use std::time::Duration;

use cli::Job;
use config::file::ImageCheck;
use model::Outcome;
use registry::{Answer, Client, Credentials, Reference};

use super::{Planned, Scene};

pub(crate) fn plan<'a>(check: &'a ImageCheck, scene: &'a Scene<'a>) -> Planned<'a> {
    let ImageCheck {
        name,
        image,
        severity,
        weight,
        ..
    } = check;
    let id = format!("images/{name}");
    Planned {
        id: id.clone(),
        subject: image.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("ask the registry for the manifest of {image}"),
        needs: check
            .password_env
            .as_ref()
            .map(|name| format!("`{name}`, a password or token that may pull")),
        timeout: scene.timeout,
        ask: Box::pin(async move { ask(id, check, scene.job, scene.timeout).await }),
    }
}

async fn ask(id: String, check: &ImageCheck, job: &Job, timeout: Duration) -> Outcome {
    let ImageCheck {
        name: _,
        image,
        platforms,
        username_env,
        password_env,
        plain_http,
        severity: _,
        weight: _,
    } = check;
    let expected = match platforms.as_slice() {
        [] => "the image exists".to_owned(),
        platforms => format!("the image exists for {}", platforms.join(", ")),
    };
    let reference = match Reference::parse(image) {
        Ok(reference) => reference,
        Err(error) => {
            return Outcome::fail(id, image)
                .expected(expected)
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("write it as `registry/repository:tag`");
        }
    };
    let value = |name: &Option<String>| name.as_deref().and_then(|name| job.env.non_empty(name));
    for name in [username_env, password_env].into_iter().flatten() {
        if job.env.non_empty(name).is_none() {
            let reason = format!("the credentials' variable `{name}` is not set");
            return Outcome::error(id, image)
                .expected(expected)
                .actual(reason.clone())
                .reason(reason)
                .hint(format!(
                    "map it in the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`"
                ));
        }
    }
    // GHCR and others take any user name with a token.
    let credentials = value(password_env)
        .map(|password| Credentials::new(value(username_env).unwrap_or("token"), password));
    let answer = match Client::new(timeout) {
        Ok(client) => {
            client
                .manifest(
                    &reference,
                    credentials.as_ref(),
                    *plain_http,
                    !platforms.is_empty(),
                )
                .await
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(Answer::Absent) => Outcome::fail(id, image)
            .expected(expected)
            .actual("status 404: no such image")
            .reason(format!("`{}` is not in {}", reference.target(), reference.host()))
            .hint("was it built and pushed? see the build job's output, and its tag"),
        Ok(Answer::Denied { status, detail }) => Outcome::error(id, image)
            .expected(expected)
            .actual(format!("status {status}: not allowed to know"))
            .reason(format!("the registry does not let us look (status {status}): {detail}"))
            .hint("give credentials that may pull: `username-env`, `password-env`; for GHCR `packages: read`"),
        Ok(found) => judge(id, image, expected, platforms, &found),
        Err(error) => Outcome::error(id, image)
            .expected(expected)
            .actual(error.to_string())
            .reason(format!("the registry could not be asked: {error}"))
            .hint(error.hint()),
    }
}

fn judge(
    id: String,
    image: &str,
    expected: String,
    platforms: &[String],
    found: &Answer,
) -> Outcome {
    let missing: Vec<&str> = platforms
        .iter()
        .map(String::as_str)
        .filter(|wanted| !found.has_platform(wanted))
        .collect();
    let Answer::Found {
        digest,
        platforms: present,
    } = found
    else {
        return Outcome::error(id, image)
            .expected(expected)
            .reason("the registry's answer is not understood");
    };
    if missing.is_empty() {
        let digest = digest.as_deref().unwrap_or("without a digest");
        return Outcome::pass(id, image)
            .expected(expected)
            .actual(format!("found, {digest}"));
    }
    Outcome::fail(id, image)
        .expected(expected)
        .actual(format!("found for {}", present.join(", ")))
        .reason(format!("the image has no {}", missing.join(", no ")))
        .hint("build it for that platform: `docker buildx build --platform …`")
}

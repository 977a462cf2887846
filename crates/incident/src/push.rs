//! Series for a Pushgateway: the whole history each time, so that it does not matter who pushes, and how often.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cli::{Failure, Job};
use model::Outcome;
use model::text::excerpt;
use net::http::request::authority;
use url::Url;

/// How long a push may take.
const PUSH_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// A Pushgateway says in a line what is wrong.
const MAX_ANSWER: usize = 4 << 10;

/// What `push` would do.
pub(crate) fn would_push(job: &Job, gateway: &str) -> Result<Outcome, Failure> {
    let host = authority(&address(job, gateway)?);
    let told = "would push the series";
    Ok(Outcome::skipped("incident/pushgateway", host, told))
}

/// Replaces what the gateway has of this service and environment.
pub(crate) async fn push(job: &Job, gateway: &str, series: &str) -> Result<Outcome, Failure> {
    let url = address(job, gateway)?;
    let host = authority(&url);
    let client = client()?;
    let request = client.put(url.clone()).body(series.to_owned());
    let outcome = |verdict| {
        Outcome::new("incident/pushgateway", host.clone(), verdict)
            .expected("the gateway takes the series")
    };
    let mut answer = match request.timeout(PUSH_TIMEOUT).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let reason = net::cause::plain_cause(&error);
            return Ok(outcome(model::Verdict::Error)
                .reason(reason)
                .hint(format!("see whether it is up: `curl {host}/-/ready`")));
        }
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(outcome(model::Verdict::Pass).actual(format!("status {}", status.as_u16())));
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    body.truncate(MAX_ANSWER);
    let said = job.redactor.redact(&excerpt(&body));
    Ok(outcome(model::Verdict::Error)
        .actual(format!("status {}", status.as_u16()))
        .reason(format!("the gateway refused the series: {said}"))
        .hint("it takes one value for each label: is the job pushed by another program, too?"))
}

/// Where the series of this service and environment are: names may hold anything, so they are encoded.
fn address(job: &Job, gateway: &str) -> Result<Url, Failure> {
    let url = Url::parse(gateway).map_err(|error| {
        Failure::usage(format!("`--pushgateway` is not a URL: {error}"))
            .hint("write its address, such as `http://127.0.0.1:9091`")
    })?;
    let encoded = |name: Option<&str>| URL_SAFE.encode(name.unwrap_or_default());
    let environment = match encoded(job.environment.as_deref()) {
        // An empty value is written so.
        empty if empty.is_empty() => "=".to_owned(),
        environment => environment,
    };
    let path = format!(
        "{}/metrics/job/deploy-guard/service@base64/{}/environment@base64/{environment}",
        url.path().trim_end_matches('/'),
        encoded(job.service().as_deref()),
    );
    let mut url = url;
    url.set_path(&path);
    Ok(url)
}

fn client() -> Result<reqwest::Client, Failure> {
    let builder = net::client::trusting_builder().connect_timeout(CONNECT);
    builder.build().map_err(Failure::error)
}

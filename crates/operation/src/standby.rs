//! Probes of a release that has no traffic, or little of it: what goes through the front door would
//! reach another one.

use config::file::{Healthgate, HttpProbe, Identity, Policy, ReleaseSource};
use config::value::{Proxy, Span};
use gate::Gate;
use model::{Outcome, Severity, Verdict};
use place::{Place, Standby};

/// What is wrong with a release where it answers itself, by the gate's own probes; `None` where nothing
/// is, or no probe can be asked there.
pub async fn unhealthy(
    gate: &Healthgate,
    place: &Place,
    standby: &Standby,
    interrupt: &cli::Interrupt,
    around: probe::ProbeContext,
) -> Option<String> {
    let http: Vec<HttpProbe> = gate
        .http
        .iter()
        .filter(|probe| probe.severity == Severity::Required && reads(probe))
        .filter_map(|probe| moved(probe, standby, place))
        .collect();
    if http.is_empty() {
        return None;
    }
    let outcomes = asked_at_once(http, hasty(&gate.policy), interrupt, around).await;
    let failed: Vec<String> = outcomes
        .into_iter()
        .filter(|outcome| outcome.verdict == Verdict::Fail)
        .map(|outcome| {
            let actual = outcome.actual.unwrap_or_default();
            let reason = outcome.reason.unwrap_or_default();
            format!("{} ({actual}, {reason})", outcome.id)
        })
        .collect();
    let at = match place {
        Place::Here => standby.at.clone(),
        Place::Host(name) => format!("{} at {name}", standby.at),
    };
    (!failed.is_empty()).then(|| format!("{at}: {}", failed.join(", ")))
}

/// The probe, directed at the release itself; `None` if it does not go through the front door,
/// because it would then reach the release that has the traffic.
pub fn moved(probe: &HttpProbe, standby: &Standby, place: &Place) -> Option<HttpProbe> {
    if probe.hosts.is_some() || probe.targets_file.is_some() {
        return None;
    }
    let (url, host) = probe::http::moved(&probe.url, &standby.front, &standby.at)?;
    let mut moved = probe.clone();
    let named = moved
        .headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("host"));
    if !named {
        moved.headers.insert("Host".to_owned(), host.into());
    }
    moved.url = url;
    // Its own answer names its release; a URL beside it is asked at the release itself, too.
    moved.release = probe.release.clone().filter(|source| source.url.is_none());
    if let Some(source) = &probe.release
        && let Some(url) = &source.url
        && let Some((url, _)) = probe::http::moved(url, &standby.front, &standby.at)
    {
        moved.release = Some(ReleaseSource {
            url: Some(url),
            ..source.clone()
        });
    }
    moved.resolve = Vec::new();
    moved.policy = None;
    moved.proxy = Some(Proxy::NONE);
    moved.via = match place {
        Place::Here => None,
        Place::Host(name) => Some(name.clone()),
    };
    (moved.server_name, moved.min_days) = (None, None);
    (moved.ca_file, moved.client_certificate) = (None, None);
    Some(moved)
}

/// One good answer of each, without the patience that something new would get: what is asked has
/// run for long.
pub async fn asked_at_once(
    http: Vec<HttpProbe>,
    policy: Policy,
    interrupt: &cli::Interrupt,
    around: probe::ProbeContext,
) -> Vec<Outcome> {
    let quick = Healthgate {
        policy: Policy {
            initial_delay: Span::ZERO,
            startup: Span::ZERO,
            soak: Span::ZERO,
            success_threshold: 1,
            min_samples: 0,
            failing_for: None,
            interval: policy.interval.min(Span::from_secs(1)),
            ..policy
        },
        release_identity: Identity::Optional,
        http,
        ..Healthgate::default()
    };
    let interrupted = || -> gate::Interrupted {
        let interrupt = interrupt.clone();
        Box::pin(async move {
            interrupt.wait().await;
        })
    };
    let watch = gate::GateContext {
        selects: &|_| true,
        shard: None,
        observer: &gate::observer::StatusLine::new(&|_| ()),
        interrupted: &interrupted,
        failed_beside: &|| None,
        around,
        forever: false,
    };
    Gate::of(&quick).run(None, &watch).await
}

/// The policy of a probe that is asked before traffic moves: little patience, and few tries.
fn hasty(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.failure_limit = Some(2);
    policy.deadline = policy.deadline.min(Span::from_secs(15));
    policy
}

/// Whether asking changes nothing.
pub fn reads(probe: &HttpProbe) -> bool {
    let method = probe.method.as_ref();
    method.is_none_or(|method| ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()))
        && probe.body.is_none()
        && probe.body_file.is_none()
        && probe.json.is_none()
        && probe.form.is_empty()
}

//! Whether the destination is healthy, where it can be asked before the traffic moves: behind a
//! proxy, the other colour runs already.

use config::file::{Healthgate, HttpProbe, Identity, Policy};
use config::value::{Proxy, Span};
use futures_util::future::join_all;
use gate::Gate;
use model::{Id, Outcome, Severity, Verdict};

use super::Rollback;
use super::capture::reads;
use target::{Place, Standby, Step, Target, Transition};

impl Rollback<'_> {
    /// The refusal, where the gate's own probes fail at the destination itself.
    pub(super) async fn unhealthy(
        &self,
        target: &dyn Target,
        transition: Transition<'_>,
    ) -> Option<Outcome> {
        let gate = self.gate.as_ref()?;
        let steps = target.steps(transition);
        let asking = steps.iter().map(|step| async move {
            // Where it cannot be found, the plan says why.
            let router = target.router()?;
            let idle = router.standby(step, transition.to).await.ok()?;
            self.unhealthy_at(gate, step, &idle).await
        });
        let unhealthy: Vec<String> = join_all(asking).await.into_iter().flatten().collect();
        if unhealthy.is_empty() {
            return None;
        }
        let all = unhealthy.join("; ");
        Some(
            Outcome::refused(Id::refused("unhealthy"), self.destination)
                .expected(format!("{} is healthy before it gets traffic", self.destination))
                .actual(all.clone())
                .reason(format!("{} is not healthy: {all}", self.destination))
                .hint(
                    "nothing was changed; start or repair it there (its log, its database), or choose another: `rollback history`, `--to`",
                ),
        )
    }

    async fn unhealthy_at(&self, gate: &Healthgate, step: &Step, idle: &Standby) -> Option<String> {
        let http: Vec<HttpProbe> = gate
            .http
            .iter()
            .filter(|probe| probe.severity == Severity::Required && reads(probe))
            .filter_map(|probe| moved(probe, idle, &step.place))
            .collect();
        if http.is_empty() {
            return None;
        }
        let mut policy = gate.policy.clone();
        policy.failure_limit = Some(2);
        policy.deadline = policy.deadline.min(Span::from_secs(15));
        let outcomes = self.asked_at_once(http, policy).await;
        let failed: Vec<String> = outcomes
            .into_iter()
            .filter(|outcome| outcome.verdict == Verdict::Fail)
            .map(|outcome| {
                let actual = outcome.actual.unwrap_or_default();
                let reason = outcome.reason.unwrap_or_default();
                format!("{} ({actual}, {reason})", outcome.id)
            })
            .collect();
        let at = match &step.place {
            Place::Here => idle.at.clone(),
            Place::Host(name) => format!("{} at {name}", idle.at),
        };
        (!failed.is_empty()).then(|| format!("{at}: {}", failed.join(", ")))
    }

    /// One good answer each, without the patience that something new would get: what is asked has
    /// run for long.
    pub(super) async fn asked_at_once(&self, http: Vec<HttpProbe>, policy: Policy) -> Vec<Outcome> {
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
        let interrupt = self.session.job.interrupt.clone();
        let interrupted = move || -> gate::Interrupted {
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
            around: self.around(),
            forever: false,
        };
        Gate::of(&quick).run(None, &watch).await
    }
}

/// The probe, directed at the destination itself; `None` if it does not go through the front door,
/// because it would then reach the release that has the traffic.
fn moved(probe: &HttpProbe, idle: &Standby, place: &Place) -> Option<HttpProbe> {
    if probe.hosts.is_some() || probe.targets_file.is_some() {
        return None;
    }
    let (url, host) = probe::http::moved(&probe.url, &idle.front, &idle.at)?;
    let mut moved = probe.clone();
    let named = moved
        .headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("host"));
    if !named {
        moved.headers.insert("Host".to_owned(), host.into());
    }
    moved.url = url;
    moved.release = None;
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

//! The state: whether it can be read and written, and what it contains.

use std::time::Duration;

use cli::Job;
use cli::rollout::in_progress;
use config::value::StateAddress;
use model::text::duration;
use model::{Outcome, StageName, Verdict};

use super::finding::Finding;

const QUERY_TIMEOUT: Duration = Duration::from_secs(15);
const USERS: [StageName; 3] = [
    StageName::Preflight,
    StageName::Traffic,
    StageName::Rollback,
];

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    let of = |name: &str| format!("state/{name}");
    let place = match job.config.state_address() {
        Ok(Some(place)) => place,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let outcome = Outcome::skipped(of("read"), "rollback.state", error.to_string());
            return vec![Finding::new(outcome, &USERS)];
        }
    };
    let address = place.to_string();
    let mut findings = Vec::new();
    let mut add = |outcome| findings.push(Finding::new(outcome, &USERS));
    // A bucket is not written to for a question.
    if !matches!(place, StateAddress::Bucket { .. }) {
        add(writable(job, place, &address).await);
    }
    let reading = async { job.store(place)?.read().await };
    let read = match tokio::time::timeout(QUERY_TIMEOUT, reading).await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {}", duration(QUERY_TIMEOUT))),
    };
    let document = match read {
        Ok(Some(document)) => document,
        Ok(None) => {
            add(Outcome::pass(of("read"), &address)
                .expected("a state, or none yet")
                .actual("none yet: the first good release makes it"));
            return findings;
        }
        Err(reason) => {
            add(Outcome::error(of("read"), &address)
                .expected("a state, or none yet")
                .actual("not known")
                .reason(format!("the state cannot be read: {reason}"))
                .hint("`rollback status` shows more"));
            return findings;
        }
    };
    let good = document.last_known_good.as_deref().unwrap_or("none");
    add(Outcome::pass(of("read"), &address)
        .expected("a state, or none yet")
        .actual(format!("last known good: {good}")));
    if let Some(refusal) = document.refuse_frozen(&address) {
        add(Outcome {
            id: of("frozen").into(),
            verdict: Verdict::Fail,
            ..refusal
        });
    }
    if let Some(lock) = &document.lock {
        let fate = job.fate(lock).await;
        let outcome = if fate.is_gone() {
            Outcome::pass(of("lock"), &address).actual(format!(
                "held by one {}: the next takes it over",
                fate.reason()
            ))
        } else {
            Outcome::fail(of("lock"), &address)
                .actual("held")
                .reason(format!(
                    "another operation holds the lock, {}",
                    fate.reason()
                ))
                .hint("`rollback status` shows who; wait for it, or `rollback unlock`")
        };
        add(outcome.expected("free, or held by what is gone"));
    }
    if let Some(rollout) = &document.rollout {
        let outcome = Outcome {
            verdict: Verdict::Fail,
            ..in_progress(of("rollout").into(), rollout)
        };
        // A rollback takes it back.
        findings.push(Finding::new(
            outcome,
            &[StageName::Preflight, StageName::Traffic],
        ));
    }
    findings
}

/// Whether the state could be written: its folder takes a new file, or can be made.
async fn writable(job: &Job, place: &StateAddress, address: &str) -> Outcome {
    let expected = "it can be written";
    let proving = async { job.store(place)?.prove_writable().await };
    let (actual, reason, hint) = match tokio::time::timeout(QUERY_TIMEOUT, proving).await {
        Ok(Ok(())) => {
            return Outcome::pass("state/write", address)
                .expected(expected)
                .actual("it can");
        }
        Ok(Err(error)) => (error.to_string(), error.to_string(), error.hint()),
        Err(_) => {
            let late = format!("no answer within {}", duration(QUERY_TIMEOUT));
            let reason = format!("whether the state can be written is not known: {late}");
            (late, reason, "`rollback plan` shows more".to_owned())
        }
    };
    Outcome::fail("state/write", address)
        .expected(expected)
        .actual(actual)
        .reason(reason)
        .hint(hint)
}

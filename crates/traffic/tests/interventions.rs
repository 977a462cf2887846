//! What another job, another machine or another hand does to a ramp.

use serde_json::{Value, json};
use testkit::End;

use crate::bed::{Bed, signal};

#[test]
fn a_ramp_waits_for_its_promotion() {
    let bed = Bed::new("  stage-duration: 200ms\n  auto-promote: false\n", "");
    bed.traffic(&["promote"])
        .is(5, &["no rollout is in progress"]);
    let child = bed.spawn(&["ramp", "--release", "v2", "--stages", "10%,50%,100%"]);
    bed.phase("waiting");
    assert_eq!(bed.recorded(), Some(10));
    // A share between two stages is one of its own, also for the process that waits.
    bed.traffic(&["promote", "--to", "30%"])
        .is(0, &["v2 may have up to 30%"]);
    bed.wait_for("30%", |bed| bed.recorded() == Some(30));
    bed.phase("waiting");
    bed.traffic(&["promote"]).is(0, &["v2 may have up to 50%"]);
    bed.wait_for("50%", |bed| bed.recorded() == Some(50));
    bed.phase("waiting");
    bed.traffic(&["promote", "--to", "100%"])
        .is(0, &["v2 may have up to 100%"]);
    End::from(child.wait_with_output().unwrap()).is(0, &["v2 has 100%"]);
}

#[test]
fn a_promotion_goes_on_where_no_process_has_the_ramp() {
    let bed = Bed::new("  stage-duration: 200ms\n  max-share: 10%\n", "");
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["waits for a promotion"]);
    assert_eq!(bed.configured(), 10);
    bed.traffic(&["promote"]).is(0, &["v2 has 100%"]);
}

/// Another set more by hand: nothing is left that could be judged.
/// `max-share` and `--to` between two stages are stages of their own.
#[test]
fn a_ramp_goes_to_its_limit_and_waits_there() {
    let bed = Bed::new(
        "  stages: [10%, 50%, 100%]\n  stage-duration: 200ms\n  max-share: 25%\n",
        "",
    );
    bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "would give 10%, 25%, 50%, 100%",
            "then it waits for `traffic promote`",
        ],
    );
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["v2 has 25%"]);
    bed.traffic(&["promote", "--to", "40%", "--no-wait"])
        .is(3, &["v2 has 40%"]);
    assert_eq!(bed.recorded(), Some(40));
    bed.traffic(&["promote"]).is(0, &["v2 has 100%"]);
}

/// The stable release is replaced in its place while another has a share: what answers there gets everything back.
#[test]
fn an_abort_goes_back_to_what_the_stable_side_runs_now() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "10%", "--release", "v2"]).is(0, &[]);
    bed.blue.set_release("v1.1");
    bed.traffic(&["abort"]).is(0, &["v1.1 has 100% again"]);
    assert!(bed.state()["rollout"].is_null());
}

/// `blue` and `green` change places in the configuration, or the release is deployed to both: a way back would give it all.
#[test]
fn a_share_of_a_release_that_runs_on_the_other_side_too_is_not_changed() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "10%", "--release", "v2"]).is(0, &[]);
    let rollout = bed.state()["rollout"].clone();
    let router = bed.router();
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let swapped = router
        .replace(&format!("blue: {blue}"), &format!("blue: {green}"))
        .replace(
            &format!("green: {green}\n    r"),
            &format!("green: {blue}\n    r"),
        );
    let refused = |at: &str| {
        let why = format!("blue {at} runs v2, and the rollout has v2 at green");
        for command in [
            &["abort"][..],
            &["abort", "--dry-run"],
            &["resume"],
            &["promote"],
            &["set", "50%", "--release", "v2"],
        ] {
            bed.traffic(command).is(5, &[&why, "nothing was changed"]);
            assert_eq!(bed.state()["rollout"], rollout, "{command:?}");
            assert_eq!(bed.configured(), 10, "{command:?}");
        }
        bed.traffic(&["status"])
            .is(1, &[&why, "change them back", "deploy v1 there again"]);
    };
    bed.write(&swapped, "");
    refused(&green);
    bed.write(&router, "");
    bed.blue.set_release("v2");
    refused(&blue);
    bed.blue.set_release("v1");
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

/// The release is deployed to both sides while its ramp goes on, which then fails.
#[test]
fn a_ramp_takes_nothing_back_to_the_release_itself() {
    let bed = Bed::new("  stage-duration: 60s\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.blue.set_release("v2");
    signal("TERM", child.id());
    End::from(child.wait_with_output().unwrap()).is(
        143,
        &[
            "runs v2, and the rollout has v2 at green",
            "v1 does not have 100% everywhere again",
        ],
    );
    assert_eq!((bed.configured(), bed.recorded()), (10, Some(10)));
}

/// Nothing is taken from the side that has nothing: it may be what another job prepares.
#[test]
fn a_switch_to_the_side_that_has_everything_stops_nothing() {
    let bed = Bed::new(
        "  keep-old: false\n  keep-for: 0s\n  drain-timeout: 0s\n  stop: touch stopped\n",
        "",
    );
    bed.traffic(&["switch", "--to", "blue"])
        .is(0, &["v1 has 100%"]);
    assert!(!bed.path("stopped").exists());
    bed.traffic(&["switch", "--to", "green"])
        .is(0, &["v2 has 100%"]);
    assert!(bed.path("stopped").exists());
}

/// A dry run tells what is done: nothing where nothing is left, over another's change by `resume` alone, and the way back.
#[test]
fn a_dry_run_of_what_goes_on_tells_what_would_be_done() {
    let bed = Bed::new("", "");
    let resume = ["resume", "--dry-run"];
    let promote = ["promote", "--dry-run"];
    bed.traffic(&["set", "50%", "--release", "v2"]).is(0, &[]);
    bed.traffic(&resume)
        .is(0, &["nothing to resume: v2 has 50%, as it was set"]);
    bed.traffic(&promote)
        .is(3, &["would let v2 have up to 100%"]);
    bed.weigh(9, 1);
    let both = "localhost has blue 90%, green 10%, and blue 50%, green 50% was set";
    bed.traffic(&resume).is(3, &["would set 50% again", both]);
    bed.traffic(&promote)
        .is(3, &["would promote nothing", both]);
    assert_eq!((bed.configured(), bed.recorded()), (10, Some(50)));
    bed.weigh(1, 1);
    bed.blue.set_release("");
    bed.traffic(&["abort"]).is(6, &[]);
    bed.traffic(&resume)
        .is(3, &["would take v2 back, and prove 0%"]);
    bed.traffic(&promote).is(5, &["v2 is being taken back"]);
}

/// A person has taken the release off by hand: a promotion does not write over it.
#[test]
fn a_promotion_leaves_what_another_changed() {
    let bed = Bed::new("  auto-promote: false\n  stage-duration: 300ms\n", "");
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["v2 has 10% and waits"]);
    bed.all_to_blue();
    bed.traffic(&["promote"]).is(
        1,
        &[
            "blue 100%, green 0%",
            "blue 90%, green 10% was set: another changed it",
        ],
    );
    assert_eq!(bed.configured(), 0);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

#[test]
fn a_ramp_below_the_share_that_a_release_has_is_refused() {
    let bed = Bed::new("  stage-duration: 200ms\n", "");
    bed.weigh(1, 1);
    for command in ["ramp", "plan"] {
        bed.traffic(&[command, "--release", "v2", "--stages", "10%,25%"])
            .is(5, &["v2 has 50% already, more than every stage"]);
    }
    assert_eq!((bed.configured(), bed.recorded()), (50, None));
    bed.traffic(&["plan", "--release", "v2", "--stages", "10%,50%,100%"])
        .is(0, &["would give 50%, 100% to v2 (50% has it now)"]);
    bed.traffic(&["ramp", "--release", "v2", "--stages", "10%,50%"])
        .is(0, &["v2 has 50%, the last of `--stages`"]);
}

/// A ramp of one stage was killed while it was judged.
#[test]
fn a_ramp_of_one_stage_is_judged_when_it_is_resumed() {
    let bed = Bed::new("", "");
    let gate = format!(
        "healthgate:\n  policy: {{ interval: 50ms, soak: 60s, failure-limit: 2 }}\n  http: [{{ name: ready, url: {} }}]\n",
        bed.nginx.url("/health/ready")
    );
    bed.configure("", &gate);
    let mut child = bed.spawn(&["ramp", "--release", "v2", "--stages", "100%"]);
    bed.phase("judging");
    child.kill().unwrap();
    child.wait().unwrap();
    bed.green.set_health("unhealthy", 503);
    bed.traffic(&["resume"])
        .is(1, &["status 503", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

#[test]
fn an_abort_is_asked_of_the_process_that_has_the_ramp() {
    let bed = Bed::new("  stage-duration: 60s\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.traffic(&["abort", "--reason", "checkout fails"])
        .is(0, &["taken it back"]);
    let end = End::from(child.wait_with_output().unwrap());
    end.is(1, &["checkout fails", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
    bed.traffic(&["history"])
        .is(0, &["requested an abort: checkout fails"]);
}

/// What a program reads: numbers, and why a share was taken back.
#[test]
fn the_json_of_status_and_history_has_the_shares_and_the_reasons() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "25%", "--release", "v2"]).is(0, &[]);
    let json = |args: &[&str]| -> Value {
        let mut command = bed.command(&[args, &["--format", "json"]].concat());
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    let status = json(&["status"]);
    let shares = status["shares"].as_array().unwrap();
    let green = &shares[1];
    assert_eq!(
        (&green["place"], &green["side"], &green["release"]),
        (&json!("localhost"), &json!("green"), &json!("v2"))
    );
    assert_eq!(
        (&green["configured"], &green["loaded"]),
        (&json!(0.25), &json!(null))
    );
    assert!(
        (green["observed"].as_f64().unwrap() - 0.25).abs() < 0.1,
        "{green}"
    );
    let aborted = json(&["abort", "--reason", "checkout fails"]);
    // The event log has it from there.
    let reason = aborted["reason"].as_str().unwrap();
    assert!(
        reason.contains("requested an abort: checkout fails"),
        "{reason}"
    );
    let history = json(&["history"]);
    let changes = history["share_changes"].as_array().unwrap();
    let all: Vec<_> = changes
        .iter()
        .map(|change| (&change["before"], &change["after"], &change["ended"]))
        .collect();
    let pass = json!("pass");
    assert_eq!(
        all,
        [
            (&json!(0.25), &json!(0.0), &pass),
            (&json!(0.0), &json!(0.25), &pass)
        ]
    );
    let reason = changes[0]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("requested an abort: checkout fails"),
        "{reason}"
    );
    assert_eq!(changes[1]["reason"], json!(null));
    assert_eq!(
        (&changes[0]["release"], &changes[0]["stable"]),
        (&json!("v2"), &json!("v1"))
    );
}

#[test]
fn a_change_behind_our_back_stops_the_ramp() {
    let bed = Bed::new("  stage-duration: 60s\n  watch-interval: 200ms\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.weigh(1, 1);
    let end = End::from(child.wait_with_output().unwrap());
    end.is(
        1,
        &[
            "blue 50%, green 50%",
            "blue 90%, green 10%",
            "another changed it",
        ],
    );
    assert_eq!(bed.configured(), 50, "nothing is overwritten");
    bed.traffic(&["status"])
        .is(1, &["recorded 10%, and the configuration has 50%"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

#[test]
fn a_release_that_fails_while_it_waits_is_taken_back() {
    let gate = "healthgate:\n  policy: { interval: 50ms }\n  http: [{ name: ready, url: URL }]\n";
    let bed = Bed::new("", "");
    let gate = gate.replace("URL", &bed.nginx.url("/health/ready"));
    let more = "  stage-duration: 300ms\n  watch-interval: 200ms\n  auto-promote: false\n";
    bed.configure(more, &gate);
    let child = bed.spawn(&["ramp", "--release", "v2", "--stages", "10%,100%"]);
    bed.phase("waiting");
    bed.green.set_health("unhealthy", 503);
    let end = End::from(child.wait_with_output().unwrap());
    end.is(1, &["v1 has 100% again", "status 503"]);
    assert_eq!(bed.configured(), 0);
}

/// Another changed the share before the gate failed, and the ramp has not looked since.
#[test]
fn a_failure_while_a_ramp_waits_does_not_write_over_what_another_changed() {
    let bed = Bed::new("", "");
    let url = bed.nginx.url("/health/ready");
    let gate = format!(
        "healthgate:\n  policy: {{ interval: 50ms }}\n  http: [{{ name: ready, url: {url} }}]\n"
    );
    let more = "  stage-duration: 300ms\n  auto-promote: false\n  watch-interval: 30s\n";
    bed.configure(more, &gate);
    let child = bed.spawn(&["ramp", "--release", "v2", "--stages", "50%,100%"]);
    bed.phase("waiting");
    bed.weigh(9, 1);
    bed.green.set_health("unhealthy", 503);
    End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            "status 503",
            "blue 90%, green 10%",
            "blue 50%, green 50% was set: another changed it",
        ],
    );
    assert_eq!(bed.configured(), 10);
    assert_eq!(bed.state()["rollout"]["phase"], "held");
}

#[test]
fn a_ramp_that_ends_below_is_resumed_to_nothing_and_promoted_to_all() {
    let bed = Bed::new("  stage-duration: 200ms\n", "");
    bed.traffic(&["ramp", "--release", "v2", "--stages", "10%,50%"])
        .is(0, &["v2 has 50%, the last of `--stages`"]);
    bed.traffic(&["history"]).is(0, &["changes: 2"]);
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    bed.traffic(&["history"]).is(0, &["changes: 2"]);
    // What another changed is set again.
    bed.weigh(9, 1);
    bed.traffic(&["resume"]).is(0, &["v2 at 50%"]);
    assert_eq!(bed.configured(), 50);
    bed.traffic(&["promote"])
        .is(0, &["v2 has 100%, v1 has none"]);
    assert_eq!(bed.configured(), 100);

    bed.traffic(&["set", "50%", "--release", "v1"])
        .is(0, &["v1 has 50%"]);
    bed.traffic(&["promote"])
        .is(0, &["v1 has 100%, v2 has none"]);
    assert_eq!(bed.configured(), 0);
}

//! What the pages of the runbooks ask a person to do, done by commands.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{Receiver, Reply};

use crate::bed::{Bed, CANARY};
use crate::github::GitHub;

const RUN: [&str; 5] = ["stage", "--run", "42", "--repo", "acme/shop"];

/// A service with production and staging, and these keys under `incident:`.
fn shop(incident: &Value) -> Bed {
    let bed = Bed::new(&json!({}));
    bed.configure(&json!({
        "version": 1, "service": "shop", "incident": incident,
        "environments": {"production": {}, "staging": {}},
    }));
    bed
}

/// With one webhook, which a test listens to.
fn heard(incident: &Value) -> (Bed, Receiver) {
    let mut incident = incident.clone();
    incident["webhook"] = json!([{"name": "hook", "url-env": "HOOK_URL"}]);
    (shop(&incident), Receiver::start(CANARY, Reply::Accept))
}

/// A command for production that must end well.
fn act(bed: &Bed, receiver: &Receiver, args: &[&str]) -> String {
    let args = [&["--environment", "production"], args].concat();
    let output = bed.command(&args).env("HOOK_URL", receiver.url()).output();
    crate::bed::Ran::of(&output.unwrap()).code(0).stdout
}

/// The notice of an event, as the webhook got it.
fn notice(receiver: &Receiver, event: &str) -> Value {
    let all = receiver.bodies();
    let all = all
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap());
    let mut found = all.filter(|body| body["event"] == event);
    found
        .next_back()
        .unwrap_or_else(|| panic!("no {event}: {:?}", receiver.bodies()))
}

fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A figure of `incident metrics`, as its row shows it.
fn row(bed: &Bed, figure: &str) -> String {
    let table = bed.run(&["metrics"]).code(0).stdout;
    let mut rows = table.lines().filter(|line| line.starts_with(figure));
    rows.next()
        .unwrap_or_else(|| panic!("{figure}: {table}"))
        .to_owned()
}

/// "Identify failure stage: Build failed, Tests failed, Deploy failed, Health check failed, Smoke test failed."
#[tokio::test]
async fn runbook_000_identify_failure_stage_of_a_workflow_run() {
    for (job, told) in [
        ("build failure: Build image FAIL", "build failed: job build"),
        ("test failure: Run pytest FAIL", "test failed: job test"),
        ("deploy failure: Deploy FAIL", "deploy failed: job deploy"),
        (
            "deploy failure: Health check FAIL",
            "health failed: job deploy",
        ),
        (
            "deploy failure: Smoke tests FAIL",
            "smoke failed: job deploy",
        ),
    ] {
        let github = GitHub::with_run("failure", job).await;
        let ran = github.run(&shop(&json!({})), &RUN).code(1);
        holds(&ran.stdout, &[told]);
    }
}

#[test]
fn runbook_000_communication_initial_alert_update_and_resolution() {
    let (bed, receiver) = heard(&json!({}));
    let open = [
        "open",
        "--release",
        "v2",
        "--impact",
        "down",
        "checkout answers 500",
    ];
    act(&bed, &receiver, &open);
    act(
        &bed,
        &receiver,
        &["update", "--phase", "identified", "rolling back to v1"],
    );
    let resolve = [
        "resolve",
        "--fix",
        "the pool's size",
        "--redeployment",
        "on Tuesday",
    ];
    act(
        &bed,
        &receiver,
        &[&resolve[..], &["v1 serves everything"]].concat(),
    );
    for (event, parts) in [
        (
            "incident-opened",
            &[
                "INCIDENT",
                "Severity: CRITICAL",
                "Status: investigating",
                "Deployment: v2",
                "Impact: ",
                "checkout answers 500",
            ][..],
        ),
        (
            "incident-updated",
            &[
                "UPDATE",
                "rolling back to v1",
                "Status: identified",
                "Service Status: ",
                "Root Cause: ",
                "Next Steps: ",
            ],
        ),
        (
            "incident-resolved",
            &[
                "RESOLVED",
                "v1 serves everything",
                "Duration: ",
                "Final Version: ",
                "Root Cause: ",
                "Fix Required: the pool's size",
                "Redeployment: on Tuesday",
            ],
        ),
    ] {
        holds(notice(&receiver, event)["text"].as_str().unwrap(), parts);
    }
}

/// "python scripts/deployment-analysis.py --deployment-id $DEPLOYMENT_ID --output deployment_failure_report.json"
#[test]
fn runbook_000_post_incident_deployment_analysis() {
    let bed = shop(&json!({}));
    bed.rolled_back("v2", 60);
    let text = bed.run(&["report", "--format", "json"]).code(0).stdout;
    let analysis: Value = serde_json::from_str(&text).unwrap();
    for (key, expected) in [
        ("deployment_id", json!("v2#42/1")),
        ("failed_stage", json!("healthgate")),
        ("conclusion", json!("rolled-back")),
        ("impact", json!("down")),
        ("serving", json!("v1")),
        ("exposure", json!({"failed": 30, "total": 1000})),
        (
            "findings",
            json!(["healthgate: fail: http/ready: failed (3) > failure-limit (2)"]),
        ),
    ] {
        assert_eq!(analysis[key], expected, "{key}: {text}");
    }
    // "Review all deployment steps": each with its time and its evidence.
    let timeline = analysis["timeline"].as_array().unwrap();
    let kinds: Vec<&Value> = timeline.iter().map(|row| &row["kind"]).collect();
    let expected = [
        "deployment-started",
        "stage-ended",
        "incident-opened",
        "deployment-ended",
        "incident-resolved",
    ];
    assert_eq!(kinds, expected);
    assert!(
        timeline
            .iter()
            .all(|row| row["evidence"][0]["url"].is_string())
    );
    // Four minutes until the gate failed, two until v1 served again.
    let minutes = |key: &str| (analysis[key].as_f64().unwrap() / 60_000.0).round();
    assert_eq!(
        (minutes("detection_ms"), minutes("recovery_ms")),
        (4.0, 2.0)
    );
}

/// "Deployment Success Rate > 95%, Rollback Time < 5 min, Deployment Duration < 15 min, Post-Deploy Errors 0"
#[test]
fn runbook_000_metrics_table() {
    let bed = shop(&json!({}));
    for number in 0..9 {
        bed.deployed(&format!("v{number}"), 1000 - number * 60, 8);
    }
    holds(
        &row(&bed, "Deployment success rate"),
        &["100%", "> 95%", "yes"],
    );
    holds(&row(&bed, "Deployment duration"), &["< 15m", "yes"]);
    holds(&row(&bed, "Post-deployment errors"), &["yes"]);
    holds(&row(&bed, "Rollback time"), &["< 5m", "unknown"]);
    bed.rolled_back("v10", 60);
    holds(
        &row(&bed, "Deployment success rate"),
        &["90%", "> 95%", "no"],
    );
    holds(&row(&bed, "Rollback time"), &["mean 2m,", "< 5m", "yes"]);
}

/// "Confirm in Slack #deployments. Update deployment log."
#[test]
fn runbook_000_checklist_the_deployment_log_keeps_every_deployment() {
    let (bed, receiver) = heard(&json!({}));
    bed.deployed("v2", 120, 8);
    bed.rolled_back("v3", 60);
    act(
        &bed,
        &receiver,
        &["--release", "v4", "note", "all endpoints were validated"],
    );
    holds(
        notice(&receiver, "note")["text"].as_str().unwrap(),
        &["all endpoints were validated"],
    );
    act(&bed, &receiver, &["metrics", "--cdevents", "log.jsonl"]);
    let log = std::fs::read_to_string(bed.path("log.jsonl")).unwrap();
    let events = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<String> = events
        .map(|event| {
            let kind = event["type"]
                .as_str()
                .unwrap()
                .split('.')
                .take(4)
                .last()
                .unwrap();
            format!(
                "{kind} {}",
                event["data"]["subject"]["content"]["artifactId"]
                    .as_str()
                    .unwrap()
            )
        })
        .collect();
    let expected = [
        "upgraded pkg:generic/shop@v2",
        "detected pkg:generic/shop@v3",
        "rolledback pkg:generic/shop@v1",
        "resolved pkg:generic/shop@v3",
    ];
    assert_eq!(told, expected);
    assert_eq!(bed.events_of("note").len(), 1);
}

/// "Note the deployment ID and timestamp, which environment, is it down, post in #incidents, tag on-call if production."
#[test]
fn runbook_001_initial_assessment() {
    let (bed, receiver) = heard(&json!({}));
    let open = [
        "open",
        "--release",
        "v2",
        "--impact",
        "degraded",
        "one region only",
    ];
    let told = act(&bed, &receiver, &open);
    holds(&told, &["is open, high", "shop · production · v2"]);
    let posted = notice(&receiver, "incident-opened");
    assert_eq!(posted["service"], "shop");
    assert_eq!(posted["environment"], "production");
    assert_eq!(posted["release"], "v2");
    assert!(posted["at"].as_str().unwrap().ends_with('Z'));
    holds(
        posted["text"].as_str().unwrap(),
        &["one region only", "degraded"],
    );
}

/// The table of four, with the time in which a person must act.
#[test]
fn runbook_001_severity_classification() {
    for (environment, impact, severity, minutes, target) in [
        ("production", "down", "critical", 6, "5m"),
        ("production", "degraded", "high", 16, "15m"),
        ("staging", "down", "medium", 61, "1h"),
        ("production", "none", "low", 24 * 60 + 1, "1d"),
    ] {
        let bed = shop(&json!({}));
        let open = [
            "--environment",
            environment,
            "open",
            "--impact",
            impact,
            "slow",
        ];
        holds(
            &bed.run(&open).code(0).stdout,
            &[&format!("is open, {severity}")],
        );
        // Opened by a stage, so that no person has acted yet, and for longer than allowed.
        let mut events = bed.events();
        events[0]["by"]["automatic"] = json!(true);
        bed.write_log(&events);
        let early = bed.run(&["status"]).code(0).stdout;
        holds(&early, &["not yet, after"]);
        assert!(!early.contains("is longer than"), "{early}");
        bed.age(minutes);
        let late = bed.run(&["status"]).code(0).stdout;
        holds(&late, &[&format!("is longer than {target}")]);
    }
}

/// "cat > incident-logs/${DEPLOYMENT_ID}.log: deployment ID, environment, service, timestamp, status"
#[test]
fn runbook_001_incident_log() {
    let bed = shop(&json!({}));
    let mut command = bed.command(&[
        "--environment",
        "production",
        "--release",
        "v2",
        "open",
        "checkout answers 500",
    ]);
    command
        .env("GITHUB_RUN_ID", "42")
        .env("GITHUB_RUN_ATTEMPT", "1");
    assert!(command.status().unwrap().success());
    let line = &bed.events()[0];
    for (key, expected) in [
        ("deployment", "v2#42/1"),
        ("environment", "production"),
        ("service", "shop"),
        ("text", "checkout answers 500"),
    ] {
        assert_eq!(line[key], expected, "{line}");
    }
    assert!(
        line["at"].is_string() && line["by"]["actor"] == "ann",
        "{line}"
    );
    holds(
        &bed.run(&["status"]).code(0).stdout,
        &["investigating", "v2", "checkout answers 500"],
    );
}

/// "Workflow fails at 'Build Docker image' step": which line of the Dockerfile, and why.
#[tokio::test]
async fn runbook_001_docker_build_failed_at_a_step_of_the_dockerfile() {
    let jobs =
        "build-image failure: Set up job ok; Build Docker image FAIL\ndeploy-staging skipped";
    let github = GitHub::with_run("failure", jobs).await;
    let log = "##[group]Run docker build -t azora-api:test .
        ##[endgroup]
        Step 4/6 : RUN npm ci --only=production
        npm ERR! Missing: left-pad@1.3.0 from lock file
        The command '/bin/sh -c npm ci --only=production' returned a non-zero code: 1
        ##[error]Process completed with exit code 1.";
    github.log(1, 1, log).await;
    let told = github.run(&shop(&json!({})), &RUN).code(1).stdout;
    holds(
        &told,
        &[
            "build failed: job build-image, step Build Docker image, Dockerfile step 4/6, RUN npm ci --only=production",
            "npm ERR! Missing: left-pad@1.3.0 from lock file",
        ],
    );
}

/// "Create incident report: summary, timeline, root cause, resolution, action items. Post incident summary."
#[test]
fn runbook_001_incident_report() {
    let bed = shop(&json!({}));
    bed.rolled_back("v2", 60);
    let report = bed
        .run(&["report", "--html", "incident.html"])
        .code(0)
        .stdout;
    holds(
        &report,
        &[
            "| deployment | v2&#35;<span></span>42/1 |",
            "| environment | production |",
            "| service | shop |",
            "| duration | 2m",
            "Users: down",
            "1000 requests, 30 failed (3%)",
            "## Timeline (UTC)",
            "deployment of v2 started",
            "rolled back",
            "## Cause",
            "failure-limit",
            "## Resolution",
            "v1 serves everything",
            "- [ ] Fix the root cause",
            "- [ ] Update the runbook",
            "- [ ] Hold the post-mortem meeting",
        ],
    );
    let page = std::fs::read_to_string(bed.path("incident.html")).unwrap();
    holds(&page, &["<html", "v1 serves everything"]);
}

/// "Production down > 15 min: VP Engineering. Data loss suspected: CTO. Multiple services: Incident Commander."
#[test]
fn runbook_001_escalation() {
    let sink = |name: &str| json!({"name": name, "url-env": "HOOK_URL", "events": ["escalated"]});
    let bed = shop(&json!({
        "webhook": [sink("vp"), sink("cto")],
        "escalate": [
            {"after": "15m", "to": "vp", "text": "production is down for 15 minutes"},
            {"after": "1s", "severity": "critical", "to": "cto", "text": "critical at once"},
        ],
    }));
    let receiver = Receiver::start(CANARY, Reply::Accept);
    act(&bed, &receiver, &["open", "--impact", "degraded", "slow"]);
    bed.age(14);
    act(&bed, &receiver, &["watch"]);
    assert!(
        bed.events_of("escalated").is_empty(),
        "14 minutes, and not critical"
    );
    let suspected = [
        "update",
        "--severity",
        "critical",
        "--reason",
        "data loss suspected",
        "rows are missing",
    ];
    act(&bed, &receiver, &suspected);
    act(&bed, &receiver, &["watch"]);
    assert_eq!(notice(&receiver, "escalated")["severity"], "critical");
    assert_eq!(bed.events_of("escalated").len(), 1);
    bed.age(2);
    act(&bed, &receiver, &["watch"]);
    let escalated = bed.events_of("escalated");
    assert_eq!(escalated.len(), 2);
    assert_eq!(escalated[1]["text"], "production is down for 15 minutes");
    assert_eq!(escalated[1]["sinks"][0], "vp");
}

/// "aws logs tail": whatever shows the application's log, the incident keeps it.
#[test]
fn runbook_002_diagnosis_2_application_logs_are_put_into_the_incident() {
    let bed = shop(&json!({}));
    let open = ["--environment", "production", "open", "--release", "v2"];
    bed.run(&[&open[..], &["tasks keep stopping"]].concat())
        .code(0);
    let mut command = bed.command(&["note", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = "ERROR database: connection refused\nERROR exit 1\n";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(log.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bed.events_of("note")[0]["text"], log.trim());
    holds(
        &bed.run(&["report"]).code(0).stdout,
        &["database: connection refused", "exit 1"],
    );
}

/// "Update #incidents; post status; notify stakeholders if prolonged. Create post-mortem."
#[test]
fn runbook_002_communication() {
    let (bed, receiver) = heard(&json!({}));
    act(
        &bed,
        &receiver,
        &["open", "--release", "v2", "tasks keep stopping"],
    );
    for text in ["the image is wrong", "the image is built again"] {
        act(&bed, &receiver, &["update", text]);
        holds(
            notice(&receiver, "incident-updated")["text"]
                .as_str()
                .unwrap(),
            &[text],
        );
    }
    act(&bed, &receiver, &["resolve", "v3 serves everything"]);
    let threads: Vec<Value> = receiver
        .bodies()
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["thread"].clone())
        .collect();
    assert_eq!(threads.len(), 4);
    assert!(
        threads.iter().all(|thread| *thread == threads[0]),
        "one conversation: {threads:?}"
    );
    let report = act(&bed, &receiver, &["report"]);
    holds(
        &report,
        &[
            "## Cause",
            "## Action items",
            "the image is wrong",
            "v3 serves everything",
        ],
    );
}

/// "If unresolved after 30 min: escalate to engineering lead."
#[test]
fn runbook_002_escalation_unresolved_after_30_minutes() {
    let (bed, receiver) =
        heard(&json!({"escalate": [{"after": "30m", "unless": "resolved", "to": "hook"}]}));
    act(&bed, &receiver, &["open", "tasks keep stopping"]);
    bed.age(29);
    act(&bed, &receiver, &["watch"]);
    assert!(bed.events_of("escalated").is_empty());
    bed.age(1);
    act(&bed, &receiver, &["watch"]);
    holds(
        &notice(&receiver, "escalated").to_string(),
        &["not resolved within 30m"],
    );
    act(&bed, &receiver, &["resolve", "done"]);
    act(&bed, &receiver, &["watch"]);
    assert_eq!(bed.events_of("escalated").len(), 1);
}

/// "Deployment Success Rate > 95%, Mean Time to Recovery < 30 min, Rollback Rate < 5%"
#[test]
fn runbook_002_metrics() {
    let bed = shop(&json!({}));
    for number in 0..3 {
        bed.deployed(&format!("v{number}"), 600 - number * 60, 8);
    }
    bed.rolled_back("v3", 60);
    holds(
        &row(&bed, "Deployment success rate"),
        &["75%", "> 95%", "no"],
    );
    holds(&row(&bed, "Rollback rate"), &["25%", "< 5%", "no"]);
    holds(
        &row(&bed, "Mean time to recovery"),
        &["mean 2m,", "< 30m", "yes"],
    );
}

/// The page's names, under which a dashboard and alerts look for them.
#[test]
fn runbook_003_deployment_metrics_and_dashboard() {
    let bed = shop(&json!({}));
    bed.deployed("v2", 120, 8);
    bed.rolled_back("v3", 60);
    bed.run(&["metrics", "--textfile", "shop.prom"]).code(0);
    let series = std::fs::read_to_string(bed.path("shop.prom")).unwrap();
    let labels = "service=\"shop\",environment=\"\"";
    holds(
        &series,
        &[
            &format!("deployment_started_total{{{labels}}} 2\n"),
            &format!("deployment_completed_total{{{labels},status=\"success\"}} 1\n"),
            &format!("deployment_completed_total{{{labels},status=\"failure\"}} 1\n"),
            &format!("deployment_duration_seconds_count{{{labels}"),
            &format!("rollback_triggered_total{{{labels}}} 1\n"),
        ],
    );
    let dashboard = bed.run(&["dashboard"]).code(0).stdout;
    holds(
        &dashboard,
        &["deployment_completed_total", "rollback_triggered_total"],
    );
    assert!(serde_json::from_str::<Value>(&dashboard).unwrap()["panels"].is_array());
}

/// "Critical: deployment failure, rollback triggered, error rate > 5%, latency > 3s. Warning: duration > 10min,
/// health check retries > 5, traffic imbalance in canary."
#[test]
fn runbook_003_alerts() {
    let bed = shop(&json!({}));
    let rules = bed.run(&["alerts"]).code(0).stdout;
    std::fs::write(bed.path("rules.yml"), &rules).unwrap();
    let checked = Command::new(testkit::tool("promtool"))
        .args(["check", "rules"])
        .arg(bed.path("rules.yml"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    for alert in [
        "DeploymentFailed",
        "RollbackTriggered",
        "HighErrorRate",
        "HighLatency",
        "SlowDeployment",
        "HealthCheckRetries",
        "CanaryTrafficImbalance",
    ] {
        holds(&rules, &[&format!("alert: {alert}\n")]);
    }
}

/// "Deployment failure (→ Slack), rollback triggered (→ Slack + PagerDuty)"
#[test]
fn runbook_003_notifications() {
    let (chat, pager) = (
        Receiver::start(CANARY, Reply::Accept),
        Receiver::start(CANARY, Reply::Accept),
    );
    let base = pager.url();
    let base = base.rsplit_once('/').unwrap().0;
    let bed = shop(&json!({
        "slack": [{"name": "chat", "url-env": "SLACK_WEBHOOK"}],
        "pagerduty": [{"name": "page", "routing-key-env": "PAGERDUTY_KEY", "url": base}],
    }));
    for args in [
        &[
            "open",
            "--release",
            "v2",
            "--impact",
            "down",
            "v2 failed its gate",
        ][..],
        &["resolve", "v1 serves everything"],
    ] {
        let args = [&["--environment", "production"], args].concat();
        let mut command = bed.command(&args);
        command
            .env("SLACK_WEBHOOK", chat.url())
            .env("PAGERDUTY_KEY", "0123456789abcdef0123456789abcdef");
        let ran = crate::bed::Ran::of(&command.output().unwrap()).code(0);
        assert!(
            !ran.stdout.contains("sink/"),
            "both were told: {}",
            ran.stdout
        );
    }
    holds(
        &chat.bodies().concat(),
        &["v2 failed its gate", "v1 serves everything"],
    );
    let alarms: Vec<Value> = pager
        .bodies()
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    let actions: Vec<&Value> = alarms.iter().map(|body| &body["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(alarms[0]["payload"]["severity"], "critical");
    assert_eq!(alarms[0]["dedup_key"], alarms[1]["dedup_key"]);
}

/// "If both runners offline: escalate to P1 incident. Page on-call SRE. Document outage in post-mortem."
#[test]
fn runbook_004_p1_both_runners_offline() {
    let (bed, receiver) = heard(
        &json!({"escalate": [{"after": "1s", "severity": "critical", "to": "hook", "text": "P1: page the on-call SRE"}]}),
    );
    let open = [
        "open",
        "--severity",
        "critical",
        "--reason",
        "P1: both runners are offline",
        "production deployments are blocked",
    ];
    act(&bed, &receiver, &open);
    let paged = notice(&receiver, "incident-opened");
    assert_eq!(paged["severity"], "critical");
    holds(
        paged["text"].as_str().unwrap(),
        &["production deployments are blocked"],
    );
    bed.age(1);
    act(
        &bed,
        &receiver,
        &["note", "emergency-runner-03 was started"],
    );
    holds(
        &notice(&receiver, "escalated").to_string(),
        &["P1: page the on-call SRE"],
    );
    act(&bed, &receiver, &["resolve", "both runners are online"]);
    holds(
        &act(&bed, &receiver, &["report"]),
        &[
            "P1: both runners are offline",
            "emergency-runner-03 was started",
            "both runners are online",
        ],
    );
}

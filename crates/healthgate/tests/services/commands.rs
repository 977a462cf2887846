//! Commands, here and on a host.

use testkit::{Sshd, SshdSetup};

use crate::services::bed::{Bed, QUICK};

fn probes(lines: &[&str]) -> String {
    let items: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(n, line)| format!("    - {{ name: c{n}, {line} }}"))
        .collect();
    format!("  command:\n{}", items.join("\n"))
}

#[test]
fn status_and_output_decide_here_as_on_a_host() {
    let sshd = Sshd::start();
    let bed = Bed::new().ssh("web-01", &sshd);
    let mut logins = 0;
    for place in ["", ", host: web-01"] {
        let with = |text: &str| format!("{text}{place}");
        let good = [
            with("run: 'true'"),
            with("run: 'exit 3', status: [0, 3]"),
            with("run: 'echo a; echo b', contains: b"),
            with("run: 'echo \" pong \"', equals: pong"),
            with("run: 'echo \"rows: 17\"', matches: '^rows: [0-9]+$'"),
        ];
        let good: Vec<&str> = good.iter().map(String::as_str).collect();
        bed.gate(QUICK, &probes(&good)).is(0, &[]);
        for (line, why) in [
            (
                "run: 'echo broken >&2; exit 3'",
                "exit status 3, expected exit status 0: broken",
            ),
            ("run: 'echo a', contains: b", "it does not print `b`"),
            (
                "run: 'echo ping', equals: pong",
                "what it prints is not `pong`",
            ),
            ("run: 'echo x', matches: '^rows'", "does not match `^rows`"),
            ("run: 'kill -9 $$'", "signal"),
        ] {
            bed.gate(QUICK, &probes(&[&with(line)])).is(1, &[why]);
            assert_eq!(bed.report()["verdict"], "fail");
        }
        logins += 6 * usize::from(!place.is_empty());
    }
    // Five probes of three measurements each: one login a gate.
    let log = sshd.process().log();
    assert_eq!(log.matches("Accepted publickey").count(), logins, "{log}");
}

#[test]
fn hg_command_127_a_program_that_is_missing_or_may_not_be_run_is_an_error_here_as_on_a_host() {
    let sshd = Sshd::start();
    let bed = Bed::new().ssh("web-01", &sshd);
    for place in ["", ", host: web-01"] {
        for (run, why) in [
            ("pg_probe_of_nobody -h db", "exit status 127"),
            ("/etc", "exit status 126"),
            ("true && /no/such/check.sh", "a program in it was not found"),
        ] {
            let end = bed.gate(QUICK, &probes(&[&format!("run: '{run}'{place}")]));
            end.is(4, &[why]);
            assert_eq!(bed.report()["verdict"], "error");
        }
        // An expected status is a pass, also 127.
        let wanted = format!("run: 'exit 127', status: [127]{place}");
        bed.gate(QUICK, &probes(&[&wanted])).is(0, &[]);
    }
}

#[test]
fn what_does_not_end_or_prints_without_end_fails_in_its_time() {
    let sshd = Sshd::start();
    let bed = Bed::new().ssh("web-01", &sshd);
    let policy =
        "{ interval: 100ms, timeout: 1s, failure-limit: 0, error-limit: 0, deadline: 60s }";
    for place in ["", ", host: web-01"] {
        let clock = std::time::Instant::now();
        let line = format!("run: 'sleep 60'{place}");
        bed.gate(policy, &probes(&[&line]))
            .is(1, &["not done in time (its time is 1s)"]);
        assert!(clock.elapsed() < std::time::Duration::from_secs(20));
        let line = format!("run: 'trap \"\" TERM; sleep 60 & wait; wait'{place}");
        bed.gate(policy, &probes(&[&line]))
            .is(1, &["not done in time"]);
        let line = format!("run: yes, matches: no{place}");
        let end = bed.gate(policy, &probes(&[&line]));
        assert_eq!(end.code, 1, "{}", end.text);
    }
}

#[test]
fn a_host_that_cannot_be_asked_is_an_error_and_no_failure() {
    let sshd = Sshd::start();
    let bed = Bed::new().ssh("web-01", &sshd);
    let line = ["run: 'true', host: web-01"];
    let policy =
        "{ interval: 100ms, timeout: 5s, failure-limit: 0, error-limit: 0, deadline: 60s }";
    sshd.process().signal("TERM");
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(20),
        || !sshd.process().alive()
    ));
    bed.gate(policy, &probes(&line))
        .is(4, &["host `web-01`: port", "connection refused"]);
    bed.gate(policy, &probes(&["run: 'true', host: web-02"]))
        .is(
            2,
            &["no host `web-02` under `hosts:`", "did you mean `web-01`?"],
        );

    // Another command runs in place of ours, and succeeds.
    let sshd = SshdSetup {
        config: "ForceCommand true\n".to_owned(),
        ..SshdSetup::default()
    }
    .start();
    let bed = Bed::new().ssh("web-01", &sshd);
    bed.gate(policy, &probes(&line))
        .is(4, &["without proof that it ran"]);
}

#[test]
fn releases_and_variables_reach_a_command_by_environment_and_are_never_code() {
    let sshd = Sshd::start();
    let value = "it's \"; touch pwned; $(touch pwned) `touch pwned` \\";
    let bed = Bed::new().ssh("web-01", &sshd).env("OURS", value);
    let release = "v2\"; touch pwned; \"$(touch pwned)";
    for place in ["", ", host: web-01"] {
        let run = r#"run: 'printf "%s\n" "${RELEASE}" "$RELEASE" "${OURS}" "${OURS#it}"; [ ! -e pwned ]'"#;
        let printed = format!("{release}\n{release}\n{value}\n{}", &value[2..]);
        let equals = serde_json::to_string(&printed).unwrap();
        let line = format!("{run}, equals: {equals}{place}");
        let probes = format!("  release-identity: optional\n{}", probes(&[&line]));
        let gate = bed.gate_with(QUICK, &probes, &["--release", release]);
        gate.is(0, &[]);
        assert!(!bed.path("pwned").exists());
    }
}

#[test]
fn what_a_command_printed_is_kept_without_its_secrets() {
    let bed = Bed::new().env("DB_TOKEN", "c4nary-0f-the-database");
    let line = "run: 'echo the token is $DB_TOKEN; exit 1'";
    let text = format!(
        "{}\npreflight: {{ secrets: [{{ name: DB_TOKEN }}] }}",
        probes(&[line])
    );
    let end = bed.gate(QUICK, &text).is(1, &["the token is"]);
    let report = bed.report();
    assert!(!end.text.contains("c4nary") && !report.to_string().contains("c4nary"));
    let evidence = &report["outcomes"][0]["measurements"][0]["evidence"];
    assert!(
        evidence.as_str().unwrap().contains("the token is"),
        "{evidence}"
    );
}

//! Another hand on the router while a ramp is under way: noticed at each kind of router, both values are
//! told, and nothing is overwritten.

use std::fs;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Balancer, Caddy, CaddyBuild, ELB, End, Haproxy};

use crate::bed::Bed;

const MORE: &str = "  stages: [10%, 100%]\n  stage-duration: 60s\n  watch-interval: 200ms\n";

/// When another changes the router.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Proof,
    Judging,
}

/// A ramp whose 10 % is proved, and then another ramp whose 10 % is judged, when this is done to its router; `told` is
/// what it finds there.
fn disturbed(bed: &Bed, variables: &[(String, String)], change: impl Fn(), told: &str) {
    disturbed_in(bed, variables, Moment::Proof, &change, told);
    let mut abort = bed.command(&["abort"]);
    abort.envs(variables.iter().cloned());
    End::from(abort.output().unwrap()).is(0, &["v1 has 100% again"]);
    disturbed_in(bed, variables, Moment::Judging, &change, told);
}

fn disturbed_in(
    bed: &Bed,
    variables: &[(String, String)],
    moment: Moment,
    change: &dyn Fn(),
    told: &str,
) {
    let mut command = bed.command(&["ramp", "--release", "v2"]);
    command
        .envs(variables.iter().cloned())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    if moment == Moment::Proof {
        bed.slow_answers(Duration::from_millis(30));
    }
    let child = command.spawn().unwrap();
    match moment {
        Moment::Proof => bed.proof(),
        Moment::Judging => bed.phase("judging"),
    }
    change();
    bed.slow_answers(Duration::ZERO);
    End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            told,
            "blue 90%, green 10% was set: another changed it",
            "the ramp stops",
        ],
    );
    let rollout = &bed.state()["rollout"];
    assert_eq!(
        (&rollout["phase"], &rollout["share"]),
        (&json!("held"), &json!("10%"))
    );
}

#[test]
fn haproxys_weights_at_its_socket() {
    let bed = Bed::new("", "");
    let proxy = Haproxy::start(bed.blue.port(), bed.green.port(), false);
    bed.write(
        &format!(
            "{MORE}  haproxy:\n    socket: {}\n    backend: app\n    blue: blue\n    green: green\n    \
             release: {{ url: 'http://127.0.0.1:{}/api/v1/version', jq: .version }}\n",
            proxy.socket().display(),
            proxy.port()
        ),
        "",
    );
    let other = || {
        proxy.send_command("set weight app/blue 128");
        proxy.send_command("set weight app/green 128");
    };
    disturbed(&bed, &[], other, "blue 50%, green 50%");
    let weight = proxy.send_command("get weight app/green");
    assert!(weight.starts_with("128"), "{weight}");
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

#[test]
fn caddys_configuration_over_its_api() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let policy =
        |blue: u32, green: u32| json!({"policy": "weighted_round_robin", "weights": [blue, green]});
    let proxy = json!({
        "handler": "reverse_proxy",
        "@id": "shop",
        "load_balancing": {"selection_policy": policy(1, 0)},
        "upstreams": [{"dial": blue}, {"dial": green}],
    });
    let config = json!({
        "admin": {"listen": "127.0.0.1:ADMIN"},
        "apps": {"http": {"servers": {"shop": {
            "listen": ["127.0.0.1:PORT"],
            "automatic_https": {"disable": true},
            "routes": [{"handle": [proxy]}],
        }}}},
    });
    let caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &config.to_string());
    bed.write(
        &format!(
            "{MORE}  caddy:\n    admin: '{}'\n    config-file: {}\n    blue: {blue}\n    green: {green}\n    \
             release: {{ url: '{}', jq: .version }}\n",
            caddy.admin(),
            caddy.file().display(),
            caddy.url("/api/v1/version")
        ),
        "",
    );
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    let other = || {
        let path = "/id/shop/load_balancing/selection_policy";
        let answer = caddy.call_admin_api("PATCH", path, &policy(3, 1).to_string());
        assert_eq!(answer.status, 200);
    };
    disturbed(&bed, &[], other, "blue 75%, green 25%");
    bed.traffic(&["status"]).is(
        1,
        &["caddy uses blue 75%, green 25%, and its configuration has blue 90%, green 10%"],
    );
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);

    // Another handler in its place: nothing may be written there, and who answers is told.
    bed.traffic(&["set", "50%", "--release", "v2"]).is(0, &[]);
    let one = json!([{"dial": green}, {"dial": "127.0.0.1:9"}]);
    let answer = caddy.call_admin_api("PATCH", "/id/shop/upstreams", &one.to_string());
    assert_eq!(answer.status, 200);
    let next = "let one have these two upstreams, or correct `traffic.caddy`";
    bed.traffic(&["status"]).is(1, &[next]);
    bed.traffic(&["abort"]).is(
        6,
        &[
            "repair it, then `traffic abort` again",
            next,
            "of 20 answers were of green",
        ],
    );
    let two = json!([{"dial": blue}, {"dial": green}]);
    let answer = caddy.call_admin_api("PATCH", "/id/shop/upstreams", &two.to_string());
    assert_eq!(answer.status, 200);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

#[test]
fn the_share_that_a_command_prints() {
    let bed = Bed::new("", "");
    // It divides by nginx, as a script of a person would.
    let script = format!(
        "set -e\nif [ \"$1\" = get ]; then cat {0}; exit; fi\necho \"$SIDE $SHARE $RELEASE\" >>{5}\n\
         if [ \"$SIDE\" = green ]; then g=$SHARE; else g=$((100 - SHARE)); fi\n\
         line() {{ if [ \"$2\" = 0 ]; then echo \"server $1 down;\"; else echo \"server $1 weight=$2;\"; fi; }}\n\
         {{ echo 'upstream shop {{'; line {1} $((100 - g)); line {2} $g; echo '}}'; }} >{3}.new\nmv {3}.new {3}\n{4}\n\
         sleep 0.2\necho $g >{0}\n",
        bed.path("share").display(),
        bed.blue.address(),
        bed.green.address(),
        bed.nginx.upstream_file().display(),
        bed.nginx.reload_command(),
        bed.path("asked").display(),
    );
    fs::write(bed.path("weigh.sh"), script).unwrap();
    fs::write(bed.path("share"), "0\n").unwrap();
    let get = "sh weigh.sh get | { read -r g; if [ \"$SIDE\" = green ]; then echo $g; else echo $((100 - g)); fi; }";
    bed.write(
        &format!(
            "{MORE}  command:\n    set: sh weigh.sh set\n    get: '{get}'\n    blue: {}\n    green: {}\n    \
             release: {{ url: '{}', jq: .version }}\n",
            bed.blue.address(),
            bed.green.address(),
            bed.nginx.url("/api/v1/version"),
        ),
        "",
    );
    let other = || fs::write(bed.path("share"), "40\n").unwrap();
    disturbed(&bed, &[], other, "blue 60%, green 40%");
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
    // A switch names no release.
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
    let asked = fs::read_to_string(bed.path("asked")).unwrap();
    assert_eq!(
        asked,
        "green 10 v2\nblue 100 v1\ngreen 10 v2\nblue 100 v1\ngreen 100 v2\n"
    );
}

/// Infrastructure code that puts its own weights back. moto has the control plane alone: nginx divides the
/// requests as the balancer would.
#[test]
fn the_weights_of_a_load_balancer_of_aws() {
    let balancer = Balancer::start();
    let Balancer {
        moto,
        listener,
        blue,
        green,
    } = &balancer;
    let bed = Bed::new("", "");
    balancer.register(blue, "127.0.0.1", bed.blue.port());
    balancer.register(green, "127.0.0.1", bed.green.port());
    bed.write(
        &format!(
            "{MORE}  alb:\n    listener: '{listener}'\n    blue: '{blue}'\n    green: '{green}'\n    propagation-time: 100ms\n    \
             release: {{ url: '{}', jq: .version }}\n",
            bed.nginx.url("/api/v1/version")
        ),
        "",
    );
    let other = || {
        moto.query(
            ELB,
            &[
                ("Action", "ModifyListener"),
                ("ListenerArn", listener),
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", blue),
            ],
        );
    };
    let variables: Vec<(String, String)> = moto
        .variables()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for moment in [Moment::Proof, Moment::Judging] {
        // What the balancer will do when it has been told so.
        bed.weigh(9, 1);
        disturbed_in(&bed, &variables, moment, &other, "blue 100%, green 0%");
        bed.all_to_blue();
        let mut abort = bed.command(&["abort"]);
        abort.envs(variables.iter().cloned());
        End::from(abort.output().unwrap()).is(0, &["v1 has 100% again"]);
    }
}

/// `set` and `switch` leave another's change as it is, also where the answers still prove the share.
#[test]
fn what_another_changes_during_the_proof_of_a_share_is_told_and_stays() {
    let set = ["set", "25%", "--release", "v2"];
    let blue_75 = "blue 75%, green 25% was set: another changed it";
    let reloaded: fn(&Bed) = |bed| bed.weigh(1, 1);
    // Nothing but the file has it until the next reload.
    let written: fn(&Bed) = |bed| bed.write_weights(1, 1);
    for (args, set, other) in [
        (&set[..], blue_75, reloaded),
        (&set, blue_75, written),
        (
            &["switch"],
            "blue 0%, green 100% was set: another changed it",
            reloaded,
        ),
    ] {
        let bed = Bed::new("", "");
        bed.slow_answers(Duration::from_millis(30));
        let child = bed.spawn(args);
        bed.proof();
        other(&bed);
        End::from(child.wait_with_output().unwrap()).is(1, &["blue 50%, green 50%", set]);
        assert_eq!(bed.configured(), 50);
        assert_eq!(bed.state()["rollout"]["phase"], "held");
        bed.slow_answers(Duration::ZERO);
        bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    }
}

/// One cause, one kind of it and one hint: in the report, in the journal, in `history` and in `status`.
#[test]
fn a_foreign_change_is_a_kind_of_its_own_with_one_hint() {
    for (args, moment) in [
        (&["set", "10%", "--release", "v2"][..], Moment::Proof),
        (&["ramp", "--release", "v2"], Moment::Proof),
        (&["ramp", "--release", "v2"], Moment::Judging),
    ] {
        let bed = Bed::new(MORE, "");
        let mut command = bed.command(&[args, &["--format", "json"]].concat());
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        if moment == Moment::Proof {
            bed.slow_answers(Duration::from_millis(30));
        }
        let child = command.spawn().unwrap();
        match moment {
            Moment::Proof => bed.proof(),
            Moment::Judging => bed.phase("judging"),
        }
        bed.weigh(1, 1);
        bed.slow_answers(Duration::ZERO);
        let json = |output: Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
        let report = json(child.wait_with_output().unwrap());
        let changes = &report["foreign_changes"];
        assert_eq!(
            (
                &changes[0]["release"],
                &changes[0]["set"],
                &changes[0]["found"]
            ),
            (&json!("v2"), &json!(0.1), &json!(0.5)),
            "{report:#}"
        );
        let outcomes = report["outcomes"].as_array().unwrap();
        let hints = outcomes
            .iter()
            .filter(|outcome| outcome["hint"].is_string());
        assert_eq!(hints.count(), 1, "{report:#}");

        let journals = fs::read_dir(bed.path("state.json.journals")).unwrap();
        let texts = journals.map(|journal| fs::read_to_string(journal.unwrap().path()).unwrap());
        let text: String = texts.collect();
        assert!(
            text.contains(r#""verdict":"foreign-change""#) && !text.contains("restored"),
            "{text}"
        );
        let history = json(
            bed.command(&["history", "--format", "json"])
                .output()
                .unwrap(),
        );
        let newest = &history["share_changes"][0];
        assert_eq!(newest["ended"], json!("foreign-change"), "{history:#}");
        let reason = newest["reason"].as_str().unwrap();
        assert!(reason.contains("has blue 50%, green 50%"), "{reason}");
        let status = json(
            bed.command(&["status", "--format", "json"])
                .output()
                .unwrap(),
        );
        assert_eq!(
            status["foreign_changes"][0]["found"],
            json!(0.5),
            "{status:#}"
        );
        bed.traffic(&["status"]).is(
            1,
            &["recorded 10%, and the configuration has 50%: another changed it"],
        );
        // What is known already is not written down again.
        let rows = history["share_changes"].as_array().unwrap().len();
        bed.traffic(&["promote"]).is(1, &["another changed it"]);
        bed.traffic(&["promote"]).is(1, &["another changed it"]);
        let history = json(
            bed.command(&["history", "--format", "json"])
                .output()
                .unwrap(),
        );
        let now = history["share_changes"].as_array().unwrap().len();
        assert!(now <= rows + 1, "{history:#}");
    }
}

/// A configuration manager puts back exactly what was there before.
#[test]
fn a_share_of_before_that_another_puts_back_stops_the_ramp() {
    let bed = Bed::new(
        "  stages: [10%, 50%, 100%]\n  stage-duration: 200ms\n  auto-promote: false\n",
        "",
    );
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["v2 has 10% and waits"]);
    bed.slow_answers(Duration::from_millis(30));
    let child = bed.spawn(&["promote", "--no-wait"]);
    bed.proof();
    bed.weigh(9, 1);
    End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            "blue 90%, green 10%",
            "blue 50%, green 50% was set: another changed it",
            "the ramp stops",
        ],
    );
    assert_eq!(bed.configured(), 10);
}

/// nginx does not take the share, and another adds a comment meanwhile: the share goes back, and the comment stays.
#[test]
fn a_share_is_taken_back_without_what_else_another_wrote() {
    let bed = Bed::new("  deadline: 6s\n", "");
    let router = bed.router().replace(&bed.nginx.reload_command(), "true");
    bed.write(&format!("  deadline: 6s\n{router}"), "");
    let child = bed.spawn(&["set", "25%", "--release", "v2"]);
    bed.wait_for("the file", |bed| bed.configured() == 25);
    let file = bed.nginx.upstream_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# theirs\n{text}")).unwrap();
    End::from(child.wait_with_output().unwrap()).is(1, &["should be in effect"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# theirs\n"), "{text}");
    assert_eq!(bed.configured(), 0, "{text}");
}

/// Users who are divided by a cookie stay where they are while the share grows.
#[test]
fn users_divided_by_a_cookie_stay_on_their_side_through_a_ramp() {
    let bed = Bed::new("", "");
    let sides = bed.path("split.conf");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let split = |share: &str| {
        format!("split_clients $cookie_id $up {{\n  {share} {green};\n  * {blue};\n}}\n")
    };
    fs::write(
        &sides,
        format!("split_clients $cookie_id $up {{ * {blue}; }}\n"),
    )
    .unwrap();
    let nginx = testkit::Nginx::serving(&format!(
        "include {};\nserver {{ listen 127.0.0.1:PORT; location / {{ proxy_pass http://$up; }} }}",
        sides.display()
    ));
    bed.write(
        &format!(
            "  stages: [10%, 50%, 100%]\n  stage-duration: 200ms\n  auto-promote: false\n  nginx:\n    upstream-file: {}\n    \
             sticky: $cookie_id\n    test: {}\n    reload: {}\n    blue: {blue}\n    green: {green}\n    \
             release: {{ url: {}, jq: .version }}\n",
            sides.display(),
            nginx.test_command(),
            nginx.reload_command(),
            nginx.url("/api/v1/version"),
        ),
        "",
    );
    // Of two hundred users, those who have v2.
    let with_v2 = || {
        let users = 0..200;
        let has = users.filter(|user| {
            let id = format!("id=user-{user}");
            let cookie = [("Cookie", id.as_str())];
            let answer = testkit::request("GET", &nginx.url("/"), &cookie, b"").unwrap();
            answer.header("x-version") == Some("v2")
        });
        has.collect::<Vec<i32>>()
    };
    assert!(with_v2().is_empty());
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["v2 has 10%"]);
    let first = with_v2();
    assert!((5..40).contains(&first.len()), "{first:?}");
    bed.traffic(&["promote", "--no-wait"])
        .is(3, &["v2 has 50%"]);
    let half = with_v2();
    assert!((70..130).contains(&half.len()), "{half:?}");
    assert!(
        first.iter().all(|user| half.contains(user)),
        "{first:?} {half:?}"
    );
    // A change by hand while no command watches: the next command sees it.
    fs::write(&sides, split("70%")).unwrap();
    bed.traffic(&["status"])
        .is(1, &["recorded 50%, and the configuration has 70%"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert!(with_v2().is_empty());
}

/// Another's change kept a share from its proof or its verdict: also where it was put back since, `resume` does that first.
#[test]
fn a_share_that_another_changed_and_put_back_is_judged_when_it_is_resumed() {
    let bed = Bed::new("", "");
    let gate = format!(
        "healthgate:\n  http: [{{ name: ready, url: {} }}]\n",
        bed.nginx.url("/health/ready")
    );
    bed.configure(
        "  stages: [100%]\n  stage-duration: 60s\n  watch-interval: 200ms\n",
        &gate,
    );
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.weigh(1, 1);
    End::from(child.wait_with_output().unwrap()).is(1, &["the ramp stops"]);
    bed.nginx.read(&format!(
        "upstream shop {{\n    server {} down;\n    server {};\n}}\n",
        bed.blue.address(),
        bed.green.address()
    ));
    bed.green.set_health("unhealthy", 503);
    bed.traffic(&["resume", "--dry-run"])
        .is(3, &["would go on with v2 at 100%"]);
    bed.traffic(&["resume"])
        .is(1, &["status 503", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// The same of a share that a person set: it is proved, and then nothing is left.
#[test]
fn a_share_that_another_changed_and_put_back_is_proved_when_it_is_resumed() {
    let bed = Bed::new("", "");
    bed.slow_answers(Duration::from_millis(30));
    let child = bed.spawn(&["set", "25%", "--release", "v2"]);
    bed.proof();
    bed.weigh(1, 1);
    End::from(child.wait_with_output().unwrap()).is(1, &["another changed it"]);
    bed.slow_answers(Duration::ZERO);
    bed.weigh(3, 1);
    bed.traffic(&["resume"]).is(0, &["v2 has 25%"]);
    bed.traffic(&["resume"])
        .is(0, &["nothing to resume: v2 has 25%, as it was set"]);
}

/// Where the answers show it before the next look at the file, it is another's change all the same.
#[test]
fn a_foreign_change_that_the_answers_show_first_is_not_overwritten() {
    let bed = Bed::new(
        "  stages: [100%]\n  stage-duration: 60s\n  watch-interval: 10s\n",
        "",
    );
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.weigh(1, 1);
    End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            "blue 0%, green 100% was set: another changed it",
            "the ramp stops",
        ],
    );
    assert_eq!(bed.configured(), 50);
    bed.traffic(&["history"]).is(0, &["foreign-change"]);
}

//! A ramp that is judged by comparing both releases while both serve.

use std::fs;

use testkit::{Load, Shop};

use crate::bed::{Bed, logging};

/// nginx writes down which side each request went to; the canary section reads that.
fn judged(fails: bool) -> (Bed, testkit::End) {
    let bed = Bed::new("", "");
    let sides = bed.path("sides.conf");
    let (blue, green): (&Shop, &Shop) = (&bed.blue, &bed.green);
    fs::write(
        &sides,
        format!(
            "server {};\nserver {} down;\n",
            blue.address(),
            green.address()
        ),
    )
    .unwrap();
    let nginx = logging(&sides);
    let _load = Load::on(nginx.port(), 400);
    if fails {
        green.fail_one_in(Some(4));
    }
    let section = format!(
        "  stages: [50%, 100%]\n  stage-duration: 60s\n  nginx:\n    upstream-file: {}\n    test: {}\n    reload: {}\n    blue: {}\n    green: {}\n    release: {{ url: {}, jq: .version }}\n",
        sides.display(),
        nginx.test_command(),
        nginx.reload_command(),
        blue.address(),
        green.address(),
        nginx.url("/api/v1/version"),
    );
    let canary = format!(
        "healthgate:\n  canary:\n    interval: 500ms\n    deadline: 60s\n    metrics: [{{ name: errors, kind: ratio, tolerance: 2, at-most: 0.5% }}]\n    access-log: {{ file: '{}', side: {{ field: 10, canary: '{}', stable: '{}' }} }}\n",
        nginx.folder().join("access.log").display(),
        green.address(),
        blue.address()
    );
    bed.write(&section, &canary);
    let end = bed.traffic(&["ramp", "--release", "v2"]);
    let file = fs::read_to_string(&sides).unwrap();
    assert_eq!(file.contains(&format!("{} down", green.address())), fails);
    (bed, end)
}

#[test]
fn a_release_that_is_worse_is_found_and_taken_back() {
    let (bed, end) = judged(true);
    end.is(1, &["50%/canary/errors", "v1 has 100% again"]);
    assert!(bed.state()["rollout"].is_null());
}

#[test]
fn a_release_that_is_as_good_gets_everything() {
    let (_bed, end) = judged(false);
    end.is(0, &["v2 has 100%, v1 has none"]);
}

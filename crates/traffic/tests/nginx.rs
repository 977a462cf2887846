//! Behind a real nginx.

use testkit::Nginx;

use crate::bed::Bed;

/// Both sides in the upstream file, blue with everything; the section, with these further lines.
fn behind_nginx(bed: &Bed, more: &str, rest: &str) -> Nginx {
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let nginx = Nginx::start(&blue);
    nginx.read(&format!(
        "upstream shop {{\n    server {blue};\n    server {green} down;\n}}\n"
    ));
    bed.configure(&section(bed, &nginx, more), rest);
    nginx
}

fn section(bed: &Bed, nginx: &Nginx, more: &str) -> String {
    format!(
        "{more}  nginx:\n    upstream-file: {}\n    test: {}\n    reload: {}\n    blue: {}\n    green: {}\n    release: {{ url: {}, jq: .version }}\n",
        nginx.upstream_file().display(),
        nginx.test_command(),
        nginx.reload_command(),
        bed.blue.address(),
        bed.green.address(),
        nginx.url("/api/v1/version"),
    )
}

#[test]
fn a_switch_goes_to_the_idle_side_and_back() {
    let bed = Bed::new();
    let nginx = behind_nginx(&bed, "", "");
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["switch", "--dry-run"])
        .is(0, &["nothing was changed"]);
    assert!(
        std::fs::read_to_string(nginx.upstream_file())
            .unwrap()
            .contains(" down;")
    );
    bed.traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none"]);
    bed.traffic(&["status"]).is(0, &["blue 0%, green 100%"]);
    assert_eq!(bed.state()["current"], "v2");
    assert!(bed.state()["rollout"].is_null());
    bed.traffic(&["switch", "--to", "v1"])
        .is(0, &["v1 has 100%"]);
    bed.traffic(&["switch", "--to", "v7"])
        .is(5, &["no side runs v7"]);
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    bed.traffic(&["abort"]).is(0, &["nothing to abort"]);
}

#[test]
fn a_ramp_gives_share_after_share_and_ends_with_everything() {
    let bed = Bed::new();
    let _nginx = behind_nginx(&bed, "  stage-duration: 300ms\n", "");
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%, v1 has none"]);
    bed.traffic(&["history"])
        .is(0, &["v2 at 10%", "v2 at 100%"]);
}

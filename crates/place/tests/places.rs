//! Scripts at a host whose connection is cut, against a real sshd.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use model::Env;
use place::{Effect, Place, PlaceAccess, word};
use tempfile::TempDir;
use testkit::Sshd;

const LONG: Duration = Duration::from_secs(30);

fn places(sshd: &Sshd, folder: &TempDir) -> PlaceAccess {
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    let host = serde_json::json!({
        "address": "127.0.0.1",
        "port": sshd.port(),
        "user": sshd.user(),
        "key-file": sshd.key(),
        "known-hosts": known_hosts,
    });
    let hosts = serde_json::json!({ "web-01": host });
    PlaceAccess::new(&serde_json::from_value(hosts).unwrap(), &Env::default())
}

/// Each way to read asks once more; what may change something does not.
#[tokio::test]
async fn a_read_that_was_cut_is_put_once_more_and_an_act_is_not() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let places = places(&sshd, &folder);
    let place = Place::Host("web-01".to_owned());
    // Its own sshd is killed under it, the first time.
    let sign = folder.path().join("sign");
    let text = format!(
        "if [ ! -e {sign} ]; then : >{sign}; kill -9 $PPID; sleep 60; fi; echo \"${{NAME-none}}\"",
        sign = word(&sign)
    );
    let again = || std::fs::remove_file(&sign).unwrap();
    let env = [("NAME".to_owned(), "a value".to_owned())];
    let read = places
        .full_output(&place, "a look", &text, &env, Effect::Reads, LONG)
        .await;
    assert_eq!(read.unwrap(), "a value\n");
    again();
    let read = places
        .script(&place, "a look", &text, Effect::Reads, LONG)
        .await;
    assert_eq!(read.unwrap(), "none\n");
    again();
    let acted = places
        .full_output(&place, "an act", &text, &env, Effect::Changes, LONG)
        .await;
    assert!(acted.is_err(), "{acted:?}");
    again();
    let acted = places
        .script(&place, "an act", &text, Effect::Changes, LONG)
        .await;
    assert!(acted.is_err(), "{acted:?}");
}

//! CDEvents as the specification's own library reads them.

use measures::cdevents::{Event, EventError, Occurrence, package_url};
use serde_json::Value;

use crate::support::at;

const DIGEST: &str = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";

fn event<'a>(what: Occurrence<'a>, artifact: Option<&'a str>) -> Event<'a> {
    Event {
        id: "shop-production-42",
        at: at("2026-11-21T02:45:49.12Z"),
        source: "/acme/shop",
        chain: Some("run-42"),
        service: "shop",
        environment: "production",
        artifact,
        what,
    }
}

fn all<'a>() -> [Occurrence<'a>; 6] {
    let (incident, description) = ("incident-7", Some("v3 failed its gate"));
    [
        Occurrence::ServiceDeployed,
        Occurrence::ServiceUpgraded,
        Occurrence::ServiceRolledBack,
        Occurrence::IncidentDetected {
            incident,
            description,
        },
        Occurrence::IncidentReported {
            incident,
            description,
            ticket: "https://github.com/acme/shop/issues/7",
        },
        Occurrence::IncidentResolved {
            incident,
            description: None,
        },
    ]
}

/// The library refuses keys that it does not know, and what it writes again is what it read.
#[test]
fn the_specifications_library_reads_each_event_and_writes_the_same() {
    let artifact = package_url("shop", "v3", Some("ghcr.io/acme/shop:v3"), Some(DIGEST));
    for what in all() {
        let made = event(what, Some(&artifact)).cdevent().unwrap();
        let read: cdevents_sdk::CDEvent = serde_json::from_value(made.clone()).unwrap();
        assert_eq!(read.ty(), made["context"]["type"].as_str().unwrap());
        assert_eq!(serde_json::to_value(&read).unwrap(), made, "{what:?}");
        let mut wrong = made.clone();
        wrong["subject"]["content"]["more"] = Value::from(1);
        assert!(
            serde_json::from_value::<cdevents_sdk::CDEvent>(wrong).is_err(),
            "{what:?}"
        );
    }
}

#[test]
fn the_envelope_repeats_the_context() {
    let artifact = package_url("shop", "v3", None, None);
    let made = event(Occurrence::ServiceUpgraded, Some(&artifact))
        .cloudevent()
        .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&made).unwrap());
}

#[test]
fn what_the_specification_requires_is_not_left_out() {
    assert_eq!(
        event(Occurrence::ServiceDeployed, None).cdevent(),
        Err(EventError::Artifact)
    );
    let incident = Occurrence::IncidentDetected {
        incident: "incident-7",
        description: None,
    };
    assert!(event(incident, None).cdevent().is_ok());
    let no_ticket = Occurrence::IncidentReported {
        incident: "incident-7",
        description: None,
        ticket: "",
    };
    assert_eq!(event(no_ticket, None).cdevent(), Err(EventError::Text));
    let no_service = Event {
        service: "",
        ..event(Occurrence::ServiceDeployed, Some("pkg:generic/x@1"))
    };
    assert_eq!(no_service.cloudevent(), Err(EventError::Text));
}

#[test]
fn a_release_is_named_by_its_digest_where_that_is_known() {
    let of = |image, digest| package_url("my shop", "v1/2", image, digest);
    let hex = &DIGEST[7..];
    assert_eq!(of(None, Some(DIGEST)), "pkg:generic/my%20shop@v1%2F2");
    assert_eq!(of(Some("Shop:v1"), None), "pkg:generic/my%20shop@v1%2F2");
    assert_eq!(
        of(Some("localhost:5000/acme/Shop:v1@sha256:x"), Some(DIGEST)),
        format!("pkg:oci/shop@sha256%3A{hex}?repository_url=localhost%3A5000%2Facme%2FShop")
    );
}

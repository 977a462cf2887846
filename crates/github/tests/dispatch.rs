//! A workflow is started once, and its run is found.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use github::{Access, Client, Credentials, Error, Repository};
use model::Redactor;
use serde_json::json;
use wiremock::matchers::{body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(url: String) -> Client {
    Client::new(Access {
        api_url: url,
        credentials: Credentials::Token("t0ken-value".to_owned().into()),
        timeout: Duration::from_secs(30),
        until: Instant::now() + Duration::from_secs(60),
        redactor: Redactor::default(),
    })
    .unwrap()
}

fn inputs() -> BTreeMap<String, String> {
    BTreeMap::from([("version".to_owned(), "v1 $(x) \"y\"".to_owned())])
}

fn shop() -> Repository {
    Repository::parse("octo-org/octo-repo").unwrap()
}

async fn dispatch(client: &Client) -> Result<Option<u64>, Error> {
    client
        .dispatch(&shop(), "rollback.yml", "main", &inputs())
        .await
}

/// Each request fits GitHub's description, or prism would refuse it.
#[test]
fn every_request_fits_githubs_description() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (prism, told) in [
        (testkit::Prism::github(), Some(1)),
        (testkit::Prism::ghes(), None),
    ] {
        runtime.block_on(async {
            let (client, shop) = (client(prism.url()), shop());
            let workflow = client.workflow(&shop, "rollback.yml").await.unwrap();
            assert_eq!(workflow.state, "active");
            assert!(!client.default_branch(&shop).await.unwrap().is_empty());
            assert_eq!(dispatch(&client).await.unwrap(), told);
            // The example is of a push: no run that anybody dispatched.
            let runs = client.dispatched(&shop, "rollback.yml").await.unwrap();
            assert_eq!(runs, []);
            let run = client.dispatched_run(&shop, 30_433_642).await.unwrap();
            assert!(!run.has_ended() && run.html_url.ends_with("/30433642"));
            assert!(client.login().await.unwrap().is_some());
        });
        let log = prism.process().log();
        // The answers are GitHub's own examples, which do not all fit.
        assert!(!log.contains("Violation: request"), "{log}");
    }
}

#[tokio::test]
async fn a_server_that_tells_no_details_is_asked_without() {
    let server = MockServer::start().await;
    let place = "/repos/octo-org/octo-repo/actions/workflows/rollback.yml/dispatches";
    let details = json!({"ref": "main", "inputs": inputs(), "return_run_details": true});
    let refusal =
        json!({"message": "Invalid request.\n\n\"return_run_details\" is not a permitted key."});
    Mock::given(method("POST"))
        .and(path(place))
        .and(body_json(details))
        .respond_with(ResponseTemplate::new(422).set_body_json(refusal))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path(place))
        .and(body_json(json!({"ref": "main", "inputs": inputs()})))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(dispatch(&client(server.uri())).await.unwrap(), None);
}

#[tokio::test]
async fn what_changes_something_is_sent_once() {
    for (status, message) in [
        (502, "GitHub answers status 502"),
        (500, "GitHub answers status 500"),
        (
            422,
            "GitHub refuses it (status 422): Unexpected inputs provided: [\"version\"]",
        ),
        (404, "it needs `actions: write`"),
        (403, "it needs `actions: write`"),
    ] {
        let server = MockServer::start().await;
        let body = json!({"message": "Unexpected inputs provided: [\"version\"]"});
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(status).set_body_json(body))
            .expect(1)
            .mount(&server)
            .await;
        let error = dispatch(&client(server.uri())).await.unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

//! The state in a bucket.

use config::value::StateAddress;
use model::Env;
use state::{Error, Store, StoreContext};
use testkit::Moto;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::{Place, races, record, run, suite};

struct Bucket(Moto);

impl Bucket {
    fn of(moto: Moto) -> Bucket {
        moto.make_bucket("shop-state");
        Bucket(moto)
    }

    fn env(&self) -> Env {
        let variables = self.0.variables();
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

fn store(address: &str, env: Env) -> Store {
    let address = StateAddress::Bucket {
        bucket: "shop-state".to_owned(),
        key: address.to_owned(),
    };
    let around = StoreContext {
        env,
        ..StoreContext::default()
    };
    Store::open(&address, &around).unwrap()
}

impl Place for Bucket {
    fn store(&self, name: &str) -> Store {
        store(name, self.env())
    }

    fn raw(&self, name: &str) -> Option<Vec<u8>> {
        self.0.object("shop-state", name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.0.put_object("shop-state", name, bytes);
    }
}

#[test]
fn a_bucket_conforms() {
    let bucket = Bucket::of(Moto::start());
    suite::conforms(&bucket);
    no_bucket_is_no_empty_state(&bucket);
}

#[test]
fn a_bucket_in_races() {
    suite::races(&Bucket::of(Moto::one_at_a_time()), races(12));
}

fn no_bucket_is_no_empty_state(bucket: &Bucket) {
    let address = StateAddress::Bucket {
        bucket: "nobodys".to_owned(),
        key: "state.json".to_owned(),
    };
    let around = StoreContext {
        env: bucket.env(),
        ..StoreContext::default()
    };
    let store = Store::open(&address, &around).unwrap();
    let error = run(store.read()).unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

fn mocked(server: &MockServer) -> Store {
    let env = [
        ("AWS_ENDPOINT_URL", server.uri()),
        ("AWS_ACCESS_KEY_ID", "testkit".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "testkit".to_owned()),
    ];
    let env = env
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    store("state.json", env.collect())
}

/// An old MinIO or Ceph: it takes every write.
#[test]
fn a_service_that_passes_over_conditions_is_refused() {
    run(async {
        let server = MockServer::start().await;
        let put = Mock::given(method("PUT"));
        put.respond_with(ResponseTemplate::new(200).insert_header("etag", "\"1\""))
            .mount(&server)
            .await;
        lists_nothing(&server).await;
        let error = mocked(&server).update(None, |_| Ok(())).await.unwrap_err();
        assert!(error.to_string().contains("If-None-Match"), "{error}");
        let requests = server.received_requests().await.unwrap();
        let state = requests.iter().filter(|request| {
            request.method == "PUT" && request.url.path().ends_with("/state.json")
        });
        assert_eq!(state.count(), 0, "the state was not written");
    });
}

/// There is no journal.
async fn lists_nothing(server: &MockServer) {
    let list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    Mock::given(method("GET"))
        .and(wiremock::matchers::query_param("list-type", "2"))
        .respond_with(ResponseTemplate::new(200).set_body_string(list))
        .with_priority(1)
        .mount(server)
        .await;
}

/// The write arrived and its answer did not: it is sent again and meets itself.
#[test]
fn a_write_whose_answer_was_lost_is_no_lost_race() {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    let written: &'static Mutex<Option<Vec<u8>>> = Box::leak(Box::default());
    let writes: &'static AtomicU32 = Box::leak(Box::default());
    run(async {
        let server = MockServer::start().await;
        Mock::given(method("PUT"))
            .respond_with(move |request: &wiremock::Request| {
                let conditional = request.headers.contains_key("if-none-match")
                    || request.headers.contains_key("if-match");
                if !request.url.path().ends_with("/state.json") {
                    return ResponseTemplate::new(if conditional { 412 } else { 200 });
                }
                match writes.fetch_add(1, Ordering::SeqCst) {
                    0 => {
                        *written.lock().unwrap() = Some(request.body.clone());
                        ResponseTemplate::new(503)
                    }
                    _ => ResponseTemplate::new(412),
                }
            })
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(|_: &wiremock::Request| match &*written.lock().unwrap() {
                None => ResponseTemplate::new(404)
                    .set_body_string("<Error><Code>NoSuchKey</Code></Error>"),
                Some(bytes) => ResponseTemplate::new(200)
                    .insert_header("etag", "\"1\"")
                    .insert_header("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT")
                    .set_body_bytes(bytes.clone()),
            })
            .mount(&server)
            .await;
        lists_nothing(&server).await;
        let store = mocked(&server);
        record(&store, "v1").await;
        assert_eq!(writes.load(Ordering::SeqCst), 2);
        let document = store.read().await.unwrap().unwrap();
        assert_eq!(document.generation, 1, "it was written once");
    });
}

#[test]
fn a_service_that_forbids_or_fails_is_told_from_one_that_has_nothing() {
    for (status, code, words) in [
        (403, "AccessDenied", "s3:ListBucket"),
        (500, "InternalError", "status 500"),
    ] {
        run(async {
            let server = MockServer::start().await;
            let body = format!("<Error><Code>{code}</Code></Error>");
            Mock::given(wiremock::matchers::any())
                .respond_with(ResponseTemplate::new(status).set_body_string(body))
                .mount(&server)
                .await;
            let error = mocked(&server).read().await.unwrap_err();
            assert!(matches!(error, Error::Read { .. }), "{error:?}");
            let text = format!("{error} {}", error.hint());
            assert!(text.contains(words), "{text}");
        });
    }
}

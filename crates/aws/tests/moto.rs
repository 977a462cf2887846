//! Against moto, and what it cannot be made to do.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use aws::{Address, Client, Condition, Error, Source};
use model::{Env, Secret};
use testkit::Moto;
use wiremock::matchers::{header, header_exists, header_regex, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

async fn client(env: &Env) -> Result<Client, Error> {
    Client::connect(env, &Source::find(env)?, None).await
}

#[tokio::test]
async fn a_bucket_is_listed_read_and_written_with_conditions() {
    let moto = Moto::start();
    moto.make_bucket("backups");
    let env = Env::from_iter(moto.variables());
    let s3 = client(&env).await.unwrap();
    for key in ["db/2026 01+01.dump", "db/ü&=%41.dump", "other"] {
        let content = format!("content of {key}");
        s3.put(
            &at(&format!("s3://backups/{key}")),
            content.as_bytes(),
            None,
        )
        .await
        .unwrap();
    }
    let objects = s3.list(&at("s3://backups/db/")).await.unwrap();
    let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["db/2026 01+01.dump", "db/ü&=%41.dump"]);
    let first = at(&format!("s3://backups/{}", keys[0]));
    let head = s3.head(&first).await.unwrap();
    assert_eq!(head.size, "content of db/2026 01+01.dump".len() as u64);
    let age = jiff::Timestamp::now().duration_since(head.modified);
    assert!(age.as_secs().abs() < 60);

    let mut part = s3.get(&first, Some("bytes=0-6")).await.unwrap();
    assert_eq!(part.object.size, head.size, "the size of the whole");
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.unwrap() {
        bytes.extend_from_slice(chunk.as_ref());
    }
    assert_eq!(bytes, b"content");

    let state = at("s3://backups/state.json");
    let made = s3
        .put(&state, b"1", Some(&Condition::Absent))
        .await
        .unwrap();
    let again = s3.put(&state, b"2", Some(&Condition::Absent)).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    let etag = made.etag.unwrap();
    let unchanged = Condition::Unchanged(etag);
    s3.put(&state, b"3", Some(&unchanged)).await.unwrap();
    let late = s3.put(&state, b"4", Some(&unchanged)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");

    let absent = s3.get(&at("s3://backups/nothing"), None).await;
    assert!(matches!(absent, Err(Error::Absent { .. })), "{absent:?}");
    let absent = s3.list(&at("s3://no-such-bucket/")).await;
    let Err(Error::Absent { code, .. }) = absent else {
        panic!("{absent:?}")
    };
    assert_eq!(code, "NoSuchBucket");
}

#[tokio::test]
async fn a_list_has_pages() {
    let moto = Moto::start();
    moto.make_bucket("many");
    for n in 0..1003 {
        moto.put_object("many", &format!("k/{n:04}"), b"x");
    }
    let s3 = client(&Env::from_iter(moto.variables())).await.unwrap();
    assert_eq!(s3.list(&at("s3://many/k/")).await.unwrap().len(), 1003);
}

#[tokio::test]
async fn ecr_gives_a_login_and_a_web_identity_a_session() {
    let moto = Moto::start();
    let login = client(&Env::from_iter(moto.variables()))
        .await
        .unwrap()
        .ecr_login()
        .await
        .unwrap();
    assert_eq!(login.username, "AWS");
    assert!(!login.password.expose().is_empty());

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "header.payload.signature\n").unwrap();
    let env = Env::from_iter([
        ("AWS_ENDPOINT_URL", moto.url()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        (
            "AWS_ROLE_ARN",
            "arn:aws:iam::123456789012:role/deploy".to_owned(),
        ),
    ]);
    let session = client(&env).await.unwrap();
    assert_eq!(
        session.secrets().len(),
        2,
        "a secret key and a session's token"
    );
    assert_eq!(session.ecr_login().await.unwrap().username, "AWS");
}

/// moto plays the metadata service too.
#[tokio::test]
async fn a_machine_hands_out_the_keys_of_its_role() {
    let moto = Moto::start();
    let keys = format!(
        "{}/latest/meta-data/iam/security-credentials/default-role",
        moto.url()
    );
    for (name, value) in [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", moto.url()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys),
    ] {
        let env = Env::from_iter([("AWS_ENDPOINT_URL", moto.url()), (name, value)]);
        let client = client(&env).await.unwrap();
        assert_eq!(
            client.secrets(),
            ["test-secret-key", "test-session-token"].map(Secret::from)
        );
        assert_eq!(client.ecr_login().await.unwrap().username, "AWS");
    }
}

#[tokio::test]
async fn a_metadata_service_is_shown_its_tokens_and_asked_no_longer_than_a_second() {
    let server = MockServer::start().await;
    let keys = r#"{"AccessKeyId": "AKID", "SecretAccessKey": "key", "Token": "session"}"#;
    Mock::given(path("/v1/credentials"))
        .and(header("authorization", "pod token"))
        .respond_with(ResponseTemplate::new(200).set_body_string(keys))
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/latest/api/token"))
        .and(header_exists("x-aws-ec2-metadata-token-ttl-seconds"))
        .respond_with(ResponseTemplate::new(200).set_body_string("imds"))
        .mount(&server)
        .await;
    for (at, body) in [("", "deploy"), ("deploy", keys)] {
        Mock::given(path(format!(
            "/latest/meta-data/iam/security-credentials/{at}"
        )))
        .and(header("x-aws-ec2-metadata-token", "imds"))
        .respond_with(ResponseTemplate::new(200).set_body_string(body))
        .mount(&server)
        .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "pod token\n").unwrap();
    let pod = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        format!("{}/v1/credentials", server.uri()),
    );
    let with = |more: (&'static str, String)| Env::from_iter([pod.clone(), more]);
    let file = with((
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        token.display().to_string(),
    ));
    assert_eq!(
        client(&file).await.unwrap().secrets(),
        ["key", "session"].map(Secret::from)
    );
    let told = client(&with((
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "other".to_owned(),
    )))
    .await;
    assert!(matches!(told, Err(Error::Absent { .. })), "{told:?}");
    let instance = |at: String| Env::from_iter([("AWS_EC2_METADATA_SERVICE_ENDPOINT", at)]);
    assert_eq!(
        client(&instance(server.uri())).await.unwrap().secrets(),
        ["key", "session"].map(Secret::from)
    );

    // No instance: the address does not answer, or refuses the connection.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", silent.local_addr().unwrap());
    let clock = std::time::Instant::now();
    let told = client(&instance(at)).await.unwrap_err();
    assert!(matches!(told, Error::NoCredentials { .. }), "{told}");
    assert!(clock.elapsed().as_secs() < 10);
    let off = Env::from_iter([
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.uri()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]);
    let told = client(&off).await.unwrap_err();
    assert!(
        told.to_string().contains("nor a role of this machine"),
        "{told}"
    );
}

#[tokio::test]
async fn a_profile_is_read_and_what_is_signed_bears_its_session() {
    let server = MockServer::start().await;
    let list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    Mock::given(method("GET"))
        .and(path("/base/backups/"))
        .and(query_param("prefix", "a b"))
        .and(header_regex(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/[0-9]{8}/eu-west-1/s3/aws4_request, .*",
        ))
        .and(header("x-amz-security-token", "session"))
        .and(header_exists("x-amz-content-sha256"))
        .respond_with(ResponseTemplate::new(200).set_body_string(list))
        .expect(1)
        .mount(&server)
        .await;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = format!(
        "[profile ci]\nregion = eu-west-1\nendpoint_url = {}/base\n[profile sso]\nsso_session = x\n",
        server.uri()
    );
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let keys = "[ci]\naws_access_key_id = AKID\naws_secret_access_key = key\naws_session_token = session\n";
    std::fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    let env = |profile: &str| {
        Env::from_iter([
            ("HOME", home.path().display().to_string()),
            ("AWS_PROFILE", profile.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    };
    let s3 = client(&env("ci")).await.unwrap();
    assert!(s3.list(&at("s3://backups/a b")).await.unwrap().is_empty());
    let told = client(&env("sso")).await.unwrap_err();
    assert!(told.to_string().contains("`sso_session`"), "{told}");
    let told = client(&env("nobody")).await.unwrap_err();
    assert!(matches!(told, Error::NoCredentials { .. }), "{told}");
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    let answer = async |template: ResponseTemplate| {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(template)
            .mount(&server)
            .await;
        let env = Env::from_iter([
            ("AWS_ENDPOINT_URL", server.uri()),
            ("AWS_ACCESS_KEY_ID", "a".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "s".to_owned()),
        ]);
        client(&env)
            .await
            .unwrap()
            .list(&at("s3://backups/"))
            .await
            .unwrap_err()
    };
    let error =
        |code: &str| format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
    let status = |status, body: String| ResponseTemplate::new(status).set_body_string(body);
    let told = answer(status(403, error("AccessDenied"))).await;
    assert!(
        matches!(&told, Error::Denied { message, .. } if message == "because"),
        "{told}"
    );
    let told = answer(status(400, error("ExpiredToken"))).await;
    assert!(matches!(told, Error::Denied { .. }), "{told}");
    let told = answer(status(503, error("SlowDown"))).await;
    assert!(matches!(told, Error::Status { status: 503, .. }), "{told}");
    let told = answer(status(302, String::new())).await;
    assert!(matches!(told, Error::Status { status: 302, .. }), "{told}");
    for body in [
        String::new(),
        "<html/>".to_owned(),
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>".to_owned(),
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>".to_owned(),
        "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult>&a;</ListBucketResult>".to_owned(),
        "x".repeat(9 << 20),
    ] {
        let told = answer(status(200, body)).await;
        assert!(matches!(told, Error::Malformed { .. }), "{told}");
    }
}

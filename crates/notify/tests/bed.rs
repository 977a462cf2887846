//! A section of the configuration, a notice, and a server that says what it is told to say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use config_of_tests::section;
use model::Env;
use notify::{
    Delivered, DeliveryError, Link, Notice, Phase, PreviousDelivery, SinkContext, recipients,
};
use sections::incident::{EventKind, Severity};

/// In every secret of the tests: it must be in no text that comes out.
pub(crate) const CANARY: &str = "c4n4ry-5ecret";

/// A secret that the program knows of, and that a notice holds.
pub(crate) const LEAKED: &str = "l34ked-pa55word";

mod config_of_tests {
    use sections::incident::Incident;

    /// As the file has it, without the rest of the file.
    pub(super) fn section(yaml: &str) -> Incident {
        yaml::Node::parse(yaml).unwrap().decode().unwrap()
    }
}

/// An incident that was opened by a failed deployment.
pub(crate) fn notice() -> Notice {
    Notice {
        id: "shop/production/42/1".into(),
        thread: "shop/production/42".into(),
        kind: EventKind::IncidentOpened,
        at: "2026-11-21T02:45:49Z".parse().unwrap(),
        began: "2026-11-21T02:45:49Z".parse().unwrap(),
        service: "shop".into(),
        environment: Some("production".into()),
        release: Some("v1.2.4".into()),
        severity: Some(Severity::High),
        worst: Some(Severity::High),
        phase: Phase::RolledBack,
        title: "v1.2.4 failed its health check; v1.2.3 is back".into(),
        body: "Impact: 2 % of the requests failed for 3 minutes\nAction: rolled back".into(),
        fields: vec![("Stage".into(), "health".into())],
        links: vec![Link {
            label: "Run 42".into(),
            url: "https://github.com/acme/shop/actions/runs/42?a=1&b=2".into(),
        }],
    }
}

pub(crate) fn resolved() -> Notice {
    Notice {
        id: "shop/production/42/9".into(),
        kind: EventKind::IncidentResolved,
        at: "2026-11-21T03:05:00Z".parse().unwrap(),
        phase: Phase::Resolved,
        title: "resolved: v1.2.3 serves everything".into(),
        ..notice()
    }
}

pub(crate) fn deployed() -> Notice {
    Notice {
        id: "shop/production/41/2".into(),
        thread: "shop/production/41".into(),
        kind: EventKind::DeploymentEnded,
        severity: None,
        worst: None,
        phase: Phase::Deployed,
        title: "v1.2.3 is deployed".into(),
        body: String::new(),
        ..notice()
    }
}

/// What is delivered by the first sink of a section, in at most two seconds.
pub(crate) async fn deliver(
    yaml: &str,
    env: &[(&str, &str)],
    notice: &Notice,
    earlier: PreviousDelivery<'_>,
) -> Result<Delivered, DeliveryError> {
    deliver_within(yaml, env, notice, earlier, Duration::from_secs(2)).await
}

pub(crate) async fn deliver_within(
    yaml: &str,
    env: &[(&str, &str)],
    notice: &Notice,
    earlier: PreviousDelivery<'_>,
    time: Duration,
) -> Result<Delivered, DeliveryError> {
    deliver_in(Path::new("."), yaml, env, notice, earlier, time).await
}

pub(crate) async fn deliver_in(
    folder: &Path,
    yaml: &str,
    env: &[(&str, &str)],
    notice: &Notice,
    earlier: PreviousDelivery<'_>,
    time: Duration,
) -> Result<Delivered, DeliveryError> {
    let section = section(yaml);
    let env: Env = env.iter().copied().collect();
    let api = env
        .get("GITHUB_API_URL")
        .unwrap_or("http://127.0.0.1:1")
        .to_owned();
    let token = env.secret("GITHUB_TOKEN");
    let client = move |_: Option<&str>, timeout, until| {
        github::Client::new(github::Access {
            api_url: api.clone(),
            credentials: token
                .clone()
                .map_or(github::Credentials::None, github::Credentials::Token),
            timeout,
            until,
            redactor: model::Redactor::default(),
        })
    };
    let redactor = model::Redactor::new([LEAKED]);
    let around = SinkContext {
        env: &env,
        redactor: &redactor,
        folder,
        github: &client,
        repository: Some("acme/shop"),
        say: &|line| {
            let is_line = !line.contains('\n') && !line.contains("##[");
            assert!(is_line && !line.trim_start().starts_with("::"), "{line}");
        },
        commit: Some("4f2c1d0"),
    };
    let all = recipients(&section, around);
    let deadline = Instant::now() + time;
    let delivered = all[0].deliver(notice, earlier, deadline).await;
    assert!(
        Instant::now() < deadline + Duration::from_millis(500),
        "later than the deadline"
    );
    if let Err(error) = &delivered {
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains(CANARY), "{shown}");
    }
    delivered
}

/// A failed delivery as a person reads it, its port replaced.
pub(crate) fn told(result: Result<Delivered, DeliveryError>) -> String {
    let Err(error) = result else {
        return "delivered".into();
    };
    let kind = match &error.why {
        notify::DeliveryFailure::Later {
            after: Some(after), ..
        } => format!("later, after {after:?}"),
        notify::DeliveryFailure::Later { after: None, .. } => "later".into(),
        notify::DeliveryFailure::Refused { .. } => "refused".into(),
        notify::DeliveryFailure::Unsure {
            after: Some(after), ..
        } => format!("unsure, after {after:?}"),
        notify::DeliveryFailure::Unsure { after: None, .. } => "unsure".into(),
    };
    let hint = error.hint().map(|hint| format!("\n  hint: {hint}"));
    let text = format!("{kind}: {error}{}", hint.unwrap_or_default());
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("127.0.0.1:") {
        let end = at + "127.0.0.1:".len();
        out.push_str(&rest[..end]);
        out.push_str("PORT");
        rest = rest[end..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

/// A server that answers one request with these bytes, after a while; what it was sent.
pub(crate) struct Raw {
    pub(crate) url: String,
    got: mpsc::Receiver<String>,
}

impl Raw {
    pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> Raw {
        let bytes = bytes.into();
        Raw::serve(move |stream| {
            let _ = stream.write_all(&bytes);
        })
    }

    /// Takes the request and says nothing for a minute.
    pub(crate) fn silent() -> Raw {
        Raw::serve(|_| std::thread::sleep(Duration::from_secs(60)))
    }

    /// Takes the request and closes.
    pub(crate) fn closing() -> Raw {
        Raw::serve(|_| {})
    }

    fn serve(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, got) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = request(&mut stream);
            let _ = tell.send(request);
            answer(&mut stream);
        });
        Raw { url, got }
    }

    pub(crate) fn got(&self) -> String {
        self.got.recv_timeout(Duration::from_secs(5)).unwrap()
    }
}

/// A whole request: its head, and as much body as that says.
fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return text;
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap_or(0))
        });
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

//! E-mail by SMTP, by lettre.
//!
//! A message's `Message-ID` is made of the event, and each refers to the thread: a mail program shows an incident as one
//! conversation, and a message that arrives twice once.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use model::text::excerpt;
use model::{Redactor, Secret};
use sections::incident::{EmailSink, EmailTls};
use url::Url;

use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext};
use crate::sinks::Kind;
use crate::{DeliveryError, Notice, digest, outside, secret};

const MAX_SUBJECT_CHARS: usize = 200;
const MAX_BODY_CHARS: usize = 20_000;
const MAX_FIELD_CHARS: usize = 1000;
const MAX_FIELDS: usize = 50;
const MAX_LINKS: usize = 20;
const MAX_CA: u64 = 1 << 20;
/// Saying good-bye is a courtesy.
const QUIT: Duration = Duration::from_millis(500);

impl Kind for EmailSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let value = |name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| secret::value(around.env, name)).transpose()
        };
        let login = value(&self.username_env)?.zip(value(&self.password_env)?);
        let redactor = Redactor::default();
        redactor.add(login.iter().flat_map(|(user, password)| [user, password]));
        let from = mailbox(&self.from)?;
        let to: Result<Vec<Mailbox>, _> = self.to.iter().map(|text| mailbox(text)).collect();
        let usual = match self.tls {
            EmailTls::Starttls => 587,
            EmailTls::Tls => 465,
            EmailTls::None => 25,
        };
        Ok(Box::new(Email {
            host: self.server.host().to_owned(),
            port: self.server.port().unwrap_or(usual),
            tls: self.tls,
            ca_file: self.ca_file.as_deref().map(|file| around.folder.join(file)),
            login,
            redactor,
            from,
            to: to?,
        }))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, DeliveryError> {
    text.parse().map_err(|error| {
        let reason = format!(
            "`{}` is not an e-mail address: {error}",
            text.escape_debug()
        );
        DeliveryError::refused(reason, "write it as `Name <user@example.com>`")
    })
}

struct Email {
    host: String,
    port: u16,
    tls: EmailTls,
    ca_file: Option<PathBuf>,
    login: Option<(Secret, Secret)>,
    redactor: Redactor,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Sink for Email {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let message = self.message(notice)?;
            let bytes = message.formatted();
            let left = deadline.saturating_duration_since(Instant::now());
            let server = self.server();
            if left.is_zero() {
                let reason = format!("{server} was not called: no time was left");
                return Err(DeliveryError::later(reason, None));
            }
            let mut is_sending = false;
            let sending = async {
                let mut connection = self.connect(left).await?;
                is_sending = true;
                let sent = connection.send(message.envelope(), &bytes);
                sent.await.map_err(|error| self.failed(&error, true))?;
                let _ = tokio::time::timeout(QUIT, connection.quit()).await;
                Ok(Delivered::default())
            };
            let sent = tokio::time::timeout(left, sending).await;
            sent.unwrap_or_else(|_| {
                let left = model::text::span(left);
                let reason = format!("{server} did not answer within {left}");
                Err(if is_sending {
                    DeliveryError::unsure(reason)
                } else {
                    DeliveryError::later(reason, None)
                })
            })
        })
    }
}

impl Email {
    fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn connect(&self, left: Duration) -> Result<AsyncSmtpConnection, DeliveryError> {
        let failed = |error| self.failed(&error, false);
        let hello = ClientId::default();
        let tls = match self.tls {
            EmailTls::None => None,
            EmailTls::Starttls | EmailTls::Tls => Some(self.tls_parameters()?),
        };
        let at_once = tls.clone().filter(|_| self.tls == EmailTls::Tls);
        let to = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(to, Some(left), &hello, at_once, None);
        let mut connection = connecting.await.map_err(failed)?;
        if let (EmailTls::Starttls, Some(tls)) = (self.tls, tls) {
            if !connection.can_starttls() {
                let reason = format!("{} does not offer STARTTLS", self.server());
                let hint = "nothing was sent; with `tls: tls` the connection is protected from its first byte";
                return Err(DeliveryError::refused(reason, hint));
            }
            connection.starttls(tls, &hello).await.map_err(failed)?;
        }
        if let Some((user, password)) = &self.login {
            let login = Credentials::new(user.expose().to_owned(), password.expose().to_owned());
            let ways = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&ways, &login).await.map_err(failed)?;
        }
        Ok(connection)
    }

    fn tls_parameters(&self) -> Result<TlsParameters, DeliveryError> {
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(file) = &self.ca_file {
            let unusable = |reason: String| {
                let reason = format!("the file {} cannot be used: {reason}", file.display());
                DeliveryError::refused(reason, "`ca-file` holds certificates in PEM form")
            };
            let pem = files::read(file, MAX_CA).map_err(|error| unusable(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem);
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters
            .build_rustls()
            .map_err(|error| self.failed(&error, false))
    }

    fn failed(&self, error: &lettre::transport::smtp::Error, is_sending: bool) -> DeliveryError {
        // A server may repeat the login.
        let said = self.redactor.redact(&model::text::chain(error));
        let reason = format!("{}: {}", self.server(), excerpt(said.as_bytes()));
        let code = error.status().map(u16::from);
        match code {
            Some(530 | 534 | 535 | 538) => DeliveryError::refused(
                reason,
                "compare the variables of `username-env` and `password-env` with the mail server's account",
            ),
            _ if error.is_permanent() => {
                DeliveryError::refused(reason, "may this sender write to these recipients there?")
            }
            _ if error.is_transient() || !is_sending => DeliveryError::later(reason, None),
            _ => DeliveryError::unsure(reason),
        }
    }

    fn message(&self, notice: &Notice) -> Result<Message, DeliveryError> {
        let id = |text: &str| {
            let domain = self.from.email.domain();
            format!("<{}@deploy-guard.{domain}>", &digest::of(text)[..32])
        };
        let thread = id(&notice.thread);
        let severity = notice.severity.map(|severity| format!(" {severity}"));
        let subject = format!(
            "[{}{}] {}",
            notice.place(),
            severity.unwrap_or_default(),
            notice.title
        );
        let to: Mailboxes = self.to.iter().cloned().collect();
        let at = SystemTime::from(notice.at);
        Message::builder()
            .message_id(Some(id(&notice.id)))
            .in_reply_to(thread.clone())
            .references(thread)
            .date(at)
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(to))
            .subject(outside::line(&subject, MAX_SUBJECT_CHARS))
            .header(ContentType::TEXT_PLAIN)
            .body(text(notice))
            .map_err(|error| {
                let reason = format!("the message cannot be written: {error}");
                DeliveryError::refused(reason, "look at `from` and `to` of the sink")
            })
    }
}

fn text(notice: &Notice) -> String {
    let (labels, urls): (Vec<&str>, Vec<Url>) = notice.web_links(MAX_LINKS).unzip();
    // A mail program makes a link of whatever looks like one.
    let clean = |text: String| outside::unlinked(&text, &urls);
    let line = |text: &str| clean(outside::line(text, MAX_FIELD_CHARS));
    let mut text = line(&format!("{} {}", notice.phase.emoji(), notice.title));
    let body = notice.body.trim();
    if !body.is_empty() {
        text = format!("{text}\n\n{}", clean(outside::text(body, MAX_BODY_CHARS)));
    }
    let time = notice.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let what = [("Event", notice.kind.word().to_owned()), ("Time", time)];
    text.push('\n');
    for (label, value) in what.into_iter().chain(notice.rows(MAX_FIELDS)) {
        text = format!("{text}\n{}: {}", line(label), line(&value));
    }
    text.push('\n');
    for (label, url) in labels.iter().zip(&urls) {
        text = format!("{text}\n{}: {url}", line(label));
    }
    text.push('\n');
    text
}

//! A TLS server: its chain is trusted, its certificate is for its name and holds long enough.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use config::file::TlsProbe;
use model::Verdict;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::addresses::Place;
use crate::connect::{End, Route};
use crate::kinds::{Measuring, Probe};
use crate::{Reading, certificate, plain_cause};

/// The port of HTTPS, which is what is mostly meant.
const PORT: u16 = 443;

/// One TLS probe.
pub(crate) struct Tls {
    probe: TlsProbe,
    place: Place,
    route: Route,
    name: ServerName<'static>,
    /// Reading the system's certificates takes longer than a measurement: once, when needed.
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    pub(crate) fn new(probe: TlsProbe) -> Result<Self, String> {
        let place = Place::new(&probe.address, PORT);
        let name = probe.server_name.as_ref().unwrap_or(&place.host).clone();
        let name = ServerName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is no name of a server"))?
            .to_owned();
        Ok(Tls {
            probe,
            place,
            route: Route::default(),
            name,
            config: OnceLock::new(),
        })
    }

    fn expected(&self) -> String {
        format!(
            "a trusted certificate for {} with {} days left",
            self.name.to_str(),
            self.probe.min_days
        )
    }

    async fn one(&self, end: End) -> Reading {
        let expected = self.expected();
        let not = |reason: String| Reading::not(Verdict::Fail, &expected, &reason, &reason);
        let config = match self
            .config
            .get_or_init(|| client(self.probe.ca_file.as_deref()))
        {
            Ok(config) => Arc::clone(config),
            // Our own certificates cannot be read: that says nothing of the server.
            Err(reason) => return Reading::not(Verdict::Error, &expected, reason, reason),
        };
        let stream = match self.route.open(&self.place, end).await {
            Ok(stream) => stream,
            Err(problem) => return problem.reading(&expected),
        };
        let shaken = TlsConnector::from(config)
            .connect(self.name.clone(), stream)
            .await;
        let stream = match shaken {
            Ok(stream) => stream,
            Err(error) => return not(plain_cause(&error)).value("handshake"),
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        self.judge(&expected, chain)
    }

    fn judge(&self, expected: &str, chain: &[CertificateDer<'_>]) -> Reading {
        let not = |reason: String| Reading::not(Verdict::Fail, expected, &reason, &reason);
        let validity = match certificate::validity_of(chain) {
            Ok(validity) => validity,
            Err(problem) => return not(problem.to_string()),
        };
        let left = validity.days_left(jiff::Timestamp::now());
        let actual = format!("{left} days left, until {:.0}", validity.not_after);
        let value = format!("{left} days");
        if left >= self.probe.min_days {
            return Reading::pass(expected, actual).value(value);
        }
        let reason = format!("{left} days left, fewer than {}", self.probe.min_days);
        Reading::not(Verdict::Fail, expected, actual, reason).value(value)
    }
}

/// TLS as it is spoken to servers that these certificates vouch for, or else the system's.
fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = match ca_file {
        Some(path) => {
            let unreadable =
                |error: String| format!("the file {} cannot be used: {error}", path.display());
            CertificateDer::pem_file_iter(path)
                .map_err(|error| unreadable(error.to_string()))?
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unreadable(error.to_string()))?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err("there is no certificate to trust; is `ca-certificates` installed?".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl Probe for Tls {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            let rule = self.probe.addresses;
            let ask = async |end| self.one(end).await;
            self.route
                .ask(&self.place, rule, timeout, &expected, ask)
                .await
        })
    }

    fn hint(&self) -> String {
        let Place { host, port } = &self.place;
        let name = self.name.to_str();
        format!(
            "look at it: `openssl s_client -connect {host}:{port} -servername {name} </dev/null | openssl x509 -noout -text`"
        )
    }
}

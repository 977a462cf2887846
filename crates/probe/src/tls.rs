//! A TLS server: its chain is trusted, its certificate is for its name and holds long enough.

use std::time::Duration;

use config::file::TlsProbe;
use model::Verdict;
use net::Place;
use net::certificate;
use net::tls::{Settings, server_name, shake_hands};
use net::{Endpoint, Route};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::addresses::measure_every;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// The port of HTTPS, which is what is mostly meant.
const PORT: u16 = 443;

/// One TLS probe.
pub(crate) struct Tls {
    probe: TlsProbe,
    place: Place,
    route: Route,
    name: ServerName<'static>,
    settings: Settings,
}

impl Tls {
    pub(crate) fn new(probe: TlsProbe) -> Result<Self, Error> {
        let place = Place::new(&probe.address, PORT);
        let name = probe.server_name.as_ref().unwrap_or(&place.host);
        let name = server_name(name)?;
        let settings = Settings {
            ca_file: probe.ca_file.clone(),
            ..Settings::default()
        };
        Ok(Tls {
            probe,
            place,
            route: Route::default(),
            name,
            settings,
        })
    }

    fn expected(&self) -> String {
        format!(
            "a trusted certificate for {} with {} days left",
            self.name.to_str(),
            self.probe.min_days
        )
    }

    async fn measure_endpoint(&self, end: Endpoint) -> Reading {
        let expected = self.expected();
        let shaken = async {
            let config = self.settings.config()?;
            let stream = self.route.open(&self.place, end).await?;
            shake_hands(config, self.name.clone(), stream).await
        };
        let stream = match shaken.await {
            Ok(stream) => stream,
            Err(problem) => return Reading::of_problem(problem, &expected),
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        self.judge(&expected, chain)
    }

    fn judge(&self, expected: &str, chain: &[CertificateDer<'_>]) -> Reading {
        let not = |reason: String| Reading::unmet(Verdict::Fail, expected, &reason, &reason);
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
        Reading::unmet(Verdict::Fail, expected, actual, reason).value(value)
    }
}

impl Kind for TlsProbe {
    fn subject(&self) -> String {
        self.address.to_string()
    }

    fn make(self, _around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Tls::new(self)?))
    }
}

impl Probe for Tls {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            let rule = self.probe.addresses;
            let ask = async |end| self.measure_endpoint(end).await;
            measure_every(&self.route, &self.place, rule, timeout, &expected, ask).await
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

//! TLS as a client: trusted authorities, our certificate, the protocols that we offer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use config::file::ClientCertificate;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{
    Resumption, VerifierBuilderError, WebPkiServerVerifier, verify_server_name,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::connect_error::ConnectError;
use crate::stream::Stream;

/// The value of a reading where no handshake came about.
const HANDSHAKE: &str = "handshake";

/// Why TLS cannot be spoken with what we have.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a server name")]
    ServerName(String),
    #[error("{}: no certificate is in it", .0.display())]
    NoCertificate(PathBuf),
    #[error("there is no certificate to trust; is `ca-certificates` installed?")]
    NothingTrusted,
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(rustls::Error),
    #[error("the file {} cannot be used: {cause}", path.display())]
    File { path: PathBuf, cause: PemFileError },
    #[error("{0}")]
    Protocol(rustls::Error),
    #[error("{0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// Why a file of certificates or keys cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PemFileError {
    #[error("{0}")]
    Io(Arc<std::io::Error>),
    #[error("it is not a file")]
    NoFile,
    #[error("{0}")]
    Pem(Arc<pem::Error>),
}

/// What we have ourselves keeps us from asking.
impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        ConnectError::of_way("error", error)
    }
}

/// What a probe's connections have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Instead of the system's certificates.
    pub ca_file: Option<PathBuf>,
    pub trust: Trust,
    pub certificate: Option<ClientCertificate>,
    /// Protocols by their ALPN names, the best first.
    pub protocols: &'static [&'static str],
}

/// Whom a connection may be made to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Whose certificate is trusted and for their name.
    #[default]
    Named,
    /// Whose certificate is trusted.
    Known,
    /// Any server that answers.
    Anybody,
}

impl Settings {
    /// Created once for all equal settings: reading the system's certificates takes longer than many
    /// measurements. An error of this machine is not a finding about the server.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        static KNOWN: LazyLock<Mutex<HashMap<Settings, Arc<ClientConfig>>>> =
            LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(self) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make()?);
        known.insert(self.clone(), Arc::clone(&config));
        Ok(config)
    }

    fn make(&self) -> Result<ClientConfig, Error> {
        static PROVIDER: LazyLock<Arc<CryptoProvider>> =
            LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_safe_default_protocol_versions()
            .map_err(Error::Protocol)?;
        let trusted = || trusted(self.ca_file.as_deref());
        let verified_by = |chain, any_name, pinned| {
            let builder = builder.clone().dangerous();
            builder.with_custom_certificate_verifier(Arc::new(Verifier {
                chain,
                any_name,
                pinned,
                provider: Arc::clone(&PROVIDER),
            }))
        };
        let builder = match (self.trust, &self.ca_file) {
            (Trust::Named, None) => builder.with_root_certificates(trusted()?),
            (Trust::Named | Trust::Known, ca_file) => {
                let pinned = ca_file.as_deref().map(certificates).transpose()?;
                let any_name = self.trust == Trust::Known;
                let chain = chains(trusted()?, &PROVIDER)?;
                verified_by(Some(chain), any_name, pinned.unwrap_or_default())
            }
            (Trust::Anybody, _) => verified_by(None, true, Vec::new()),
        };
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, key) = load_client_certificate(files)?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(Error::ClientCertificate)?
            }
        };
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        // A resumed session shows the certificate of an earlier one.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Trusts what a chain vouches for, and the very certificates that we were given. Where any name
/// will do, it is as PostgreSQL's `sslmode=verify-ca`, and without a chain as `sslmode=require`:
/// against listeners, not against a machine in between.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
    /// `openssl req -x509` makes a certificate of an authority, which rustls accepts as no server's
    /// own; curl and all of OpenSSL's users do, where it is the one that they trust.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A certificate that we were given needs no authority that vouches for it.
    fn is_pinned(&self, end: &CertificateDer<'_>) -> bool {
        self.pinned.iter().any(|pinned| pinned == end)
    }

    fn pinned(
        end: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let validity = crate::certificate::validity_of(std::slice::from_ref(end))
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < validity.not_before.as_second() {
            return Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet,
            ));
        }
        if now > validity.not_after.as_second() {
            return Err(rustls::Error::InvalidCertificate(CertificateError::Expired));
        }
        verify_server_name(&ParsedCertificate::try_from(end)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is looked at when all else is well.
        let verified = match chain.verify_server_cert(end, between, name, ocsp, now) {
            Err(_) if self.is_pinned(end) => Verifier::pinned(end, name, now),
            verified => verified,
        };
        match verified {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

fn chains(
    trusted: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let builder = WebPkiServerVerifier::builder_with_provider(trusted, Arc::clone(provider));
    Ok(builder.build()?)
}

pub async fn shake_hands(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: Stream,
) -> Result<TlsStream<Stream>, ConnectError> {
    let shaken = TlsConnector::from(config).connect(name, stream).await;
    shaken.map_err(|error| ConnectError::broken(&error).value(HANDSHAKE))
}

/// A name as certificates have it.
pub fn server_name(text: &str) -> Result<ServerName<'static>, Error> {
    match ServerName::try_from(text) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(Error::ServerName(text.to_owned())),
    }
}

/// The certificates to trust, for a library that speaks TLS itself: those of the file, else the system's.
///
/// # Errors
/// Returns an error if the file cannot be read, or nothing is trusted.
pub fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Error> {
    trusted(ca_file)?;
    let mut found = match ca_file {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    // A system may have some that no one can use.
    found.retain(|one| RootCertStore::empty().add(one.clone()).is_ok());
    Ok(found)
}

fn trusted(ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, Error> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let store = match ca_file {
        Some(path) => Arc::new(store(certificates(path)?)),
        None => Arc::clone(
            SYSTEM.get_or_init(|| Arc::new(store(rustls_native_certs::load_native_certs().certs))),
        ),
    };
    if let (true, Some(path)) = (store.is_empty(), ca_file) {
        return Err(Error::NoCertificate(path.to_owned()));
    }
    if store.is_empty() {
        return Err(Error::NothingTrusted);
    }
    Ok(store)
}

fn store(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    store
}

fn load_client_certificate(
    files: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let ClientCertificate {
        certificate_file,
        key_file,
    } = files;
    let key = PrivateKeyDer::from_pem_slice(&file(key_file)?);
    let key = key.map_err(|error| unusable(key_file, error))?;
    Ok((certificates(certificate_file)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(&file(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))
}

/// A bundle of all authorities is a sixteenth of this. Anything but a file could block us.
const MAX_FILE: u64 = 4 << 20;

fn file(path: &Path) -> Result<Vec<u8>, Error> {
    files::read_handed(path, MAX_FILE).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => unusable(path, PemFileError::NoFile),
        _ => unusable(path, error),
    })
}

fn unusable(path: &Path, cause: impl Into<PemFileError>) -> Error {
    Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    }
}

impl From<std::io::Error> for PemFileError {
    fn from(error: std::io::Error) -> Self {
        PemFileError::Io(Arc::new(error))
    }
}

impl From<pem::Error> for PemFileError {
    fn from(error: pem::Error) -> Self {
        PemFileError::Pem(Arc::new(error))
    }
}

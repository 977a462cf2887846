//! TLS to PostgreSQL over our own connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use config::file::PostgresTls;
use net::limited::Limited;
use net::tls::{Settings, Trust};
use rustls_pki_types::ServerName;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

/// How a server is encrypted to and proved.
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// `name` is whom the certificate must be for, with `verify-full`.
    pub fn new(
        mode: PostgresTls,
        ca_file: Option<&std::path::Path>,
        name: ServerName<'static>,
    ) -> Result<Tls, net::tls::Error> {
        let trust = match mode {
            PostgresTls::VerifyFull => Trust::Named,
            PostgresTls::VerifyCa => Trust::Known,
            PostgresTls::Disable | PostgresTls::Prefer | PostgresTls::Require => Trust::Anybody,
        };
        let settings = Settings {
            ca_file: ca_file.map(Into::into),
            trust,
            ..Settings::default()
        };
        Ok(Tls {
            config: settings.config()?,
            name,
        })
    }
}

/// libpq's `sslmode`, as far as it is more than whom to trust.
pub fn ssl_mode(mode: PostgresTls) -> SslMode {
    match mode {
        PostgresTls::Disable => SslMode::Disable,
        PostgresTls::Prefer => SslMode::Prefer,
        PostgresTls::Require | PostgresTls::VerifyCa | PostgresTls::VerifyFull => SslMode::Require,
    }
}

/// An encrypted connection to PostgreSQL.
pub struct Encrypted(tokio_rustls::client::TlsStream<Limited>);

impl TlsConnect<Limited> for Tls {
    type Stream = Encrypted;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Limited) -> Self::Future {
        Box::pin(async move {
            let shaken = TlsConnector::from(self.config).connect(self.name, stream);
            shaken.await.map(Encrypted)
        })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl tokio::io::AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

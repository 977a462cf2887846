//! Why something could not be asked, in plain words.

use std::error::Error;
use std::io;

use tokio_rustls::rustls;

/// What was seen where nothing listens.
pub const REFUSED: &str = "connection refused";

fn innermost<'e>(mut error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// Whether nothing listens at the other end.
pub(crate) fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let io = innermost(error).downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
}

/// An error's plainest words: the innermost cause, as a person would say it.
pub fn plain_cause(error: &(dyn Error + 'static)) -> String {
    let innermost = innermost(error);
    if let Some(io) = innermost.downcast_ref::<io::Error>() {
        use io::ErrorKind as Kind;
        match io.kind() {
            Kind::ConnectionRefused => return REFUSED.into(),
            Kind::ConnectionReset => return "connection reset".into(),
            Kind::ConnectionAborted => return "connection aborted".into(),
            Kind::HostUnreachable | Kind::NetworkUnreachable => return "host unreachable".into(),
            _ => {}
        }
    }
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) =
        remote::local_error::links(error).find_map(|link| link.downcast_ref())
    {
        return format!(
            "the server shows a certificate that is not one of a server ({})",
            other.0
        );
    }
    innermost.to_string()
}

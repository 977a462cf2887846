//! Why something could not be asked, in plain words.

use tokio_rustls::rustls;

/// An error's plainest words: the innermost cause, as a person would say it.
pub fn plain_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if let Some(io) = innermost.downcast_ref::<std::io::Error>() {
        use std::io::ErrorKind as Kind;
        match io.kind() {
            Kind::ConnectionRefused => return "connection refused".into(),
            Kind::ConnectionReset => return "connection reset".into(),
            Kind::ConnectionAborted => return "connection aborted".into(),
            Kind::HostUnreachable | Kind::NetworkUnreachable => return "host unreachable".into(),
            _ => {}
        }
    }
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) =
        remote::ours::links(error).find_map(|link| link.downcast_ref())
    {
        return format!(
            "the server shows a certificate that is not one of a server ({})",
            other.0
        );
    }
    innermost.to_string()
}

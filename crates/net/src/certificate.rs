//! Certificates: a chain in PEM form, whether each signs the one before it, and how long it holds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::X509Certificate;

/// A chain is two to four certificates; more than this is something else.
const MAX_CHAIN: usize = 32;

/// How long a chain holds: as long as the first of its certificates that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Certificates in the chain.
    pub length: usize,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Which certificate ends first, counted from 1, the leaf.
    pub first_to_end: usize,
}

/// Why a chain cannot be used. None of its content is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no `-----BEGIN CERTIFICATE-----` in it")]
    None,
    #[error("certificate {0} is damaged or cut off")]
    Damaged(usize),
    #[error(
        "certificate {0} is not signed by the one after it: the chain is out of order or incomplete"
    )]
    Broken(usize),
    #[error("it holds more than {MAX_CHAIN} certificates")]
    TooLong,
}

impl Validity {
    /// Whole days that are left; 0 where it ended or has not begun.
    pub fn days_left(&self, now: Timestamp) -> u32 {
        if now < self.not_before {
            return 0;
        }
        let left = Duration::try_from(self.not_after.duration_since(now)).unwrap_or_default();
        u32::try_from(left.as_secs() / 86_400).unwrap_or(u32::MAX)
    }
}

/// Reads a chain, the leaf first. Anything else in the text, such as a private key, is ignored.
pub fn read_chain(pem: &[u8]) -> Result<Validity, Error> {
    let mut ders = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        ders.push(der.map_err(|_| Error::Damaged(ders.len() + 1))?);
        if ders.len() > MAX_CHAIN {
            return Err(Error::TooLong);
        }
    }
    let chain = parse(&ders)?;
    for (at, pair) in chain.windows(2).enumerate() {
        let signed = pair[0].issuer() == pair[1].subject()
            && pair[0].verify_signature(Some(pair[1].public_key())).is_ok();
        if !signed {
            return Err(Error::Broken(at + 1));
        }
    }
    validity(&chain).ok_or(Error::None)
}

/// How long a chain is valid. The TLS library has already verified it.
pub fn validity_of(ders: &[CertificateDer<'_>]) -> Result<Validity, Error> {
    validity(&parse(ders)?).ok_or(Error::None)
}

fn parse<'d>(ders: &'d [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'d>>, Error> {
    ders.iter()
        .enumerate()
        .map(|(at, der)| match x509_parser::parse_x509_certificate(der) {
            Ok((_, certificate)) => Ok(certificate),
            Err(_) => Err(Error::Damaged(at + 1)),
        })
        .collect()
}

fn validity(chain: &[X509Certificate<'_>]) -> Option<Validity> {
    let (at, first) = chain
        .iter()
        .enumerate()
        .min_by_key(|(_, one)| one.validity().not_after)?;
    let begin = chain.iter().map(|one| one.validity().not_before).max()?;
    Some(Validity {
        length: chain.len(),
        not_before: timestamp(begin.timestamp()),
        not_after: timestamp(first.validity().not_after.timestamp()),
        first_to_end: at + 1,
    })
}

/// Seconds since 1970; what is out of range ends at the range.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(if seconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
}

//! PKCS#1, SEC 1 and PKCS#8 in PEM, as OpenSSL reads them for OpenSSH (`PEM_read_bio`): text before
//! the first line, line ends of any kind and a mark of the byte order are passed over, lines that
//! are indented or torn are not.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::error::{Error, Key};
use super::rules::{RSA_BITS, bits, not_base64};

/// Bits that are left over at the end are not looked at.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
/// `[0]`, the parameters of a SEC 1 key.
const PARAMETERS: u8 = 0xa0;
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// NIST P-256, P-384 and P-521 (RFC 5656).
const CURVES: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    &[0x2b, 0x81, 0x04, 0x00, 0x22],
    &[0x2b, 0x81, 0x04, 0x00, 0x23],
];

/// The text between two lines of dashes.
struct Block<'t> {
    label: &'t str,
    header: Vec<&'t str>,
    body: String,
}

pub(super) fn read(text: &str) -> Result<Key, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .split('\n')
        .map(|line| line.trim_end_matches(|c| c <= ' '));
    let mut other = None;
    loop {
        let Some(label) = lines.find_map(begin) else {
            return Err(other.unwrap_or(Error::NoBegin));
        };
        let block = block(label, &mut lines)?;
        if label.ends_with("PRIVATE KEY") && label != "OPENSSH PRIVATE KEY" {
            return key(&block);
        }
        // Such as `EC PARAMETERS`, or the certificate of the same key.
        other.get_or_insert(match label {
            "OPENSSH PRIVATE KEY" => Error::Damaged,
            _ if label.ends_with("PUBLIC KEY") => Error::PublicKey,
            _ => Error::OtherKind,
        });
    }
}

/// A key as every program reads it: lines of 64, no word before or after it.
pub(super) fn write(label: &str, header: &str, body: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n{header}");
    let mut rest = body;
    while let Some((line, more)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn begin(line: &str) -> Option<&str> {
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

/// Lines up to the end. The first blank one parts a header from the body; behind it every line but
/// the last has 64 characters.
fn block<'t>(
    label: &'t str,
    lines: &mut impl Iterator<Item = &'t str>,
) -> Result<Block<'t>, Error> {
    let mut before: Option<Vec<&str>> = None;
    let mut body: Vec<&str> = Vec::new();
    let mut short = false;
    for line in lines {
        if line.is_empty() {
            if before.is_some() {
                return Err(Error::Damaged);
            }
            before = Some(std::mem::take(&mut body));
            continue;
        }
        if let Some(named) = line.strip_prefix("-----END ") {
            if named.strip_suffix("-----") != Some(label) {
                return Err(Error::NoEnd);
            }
            return Ok(Block {
                label,
                header: before.unwrap_or_default(),
                body: body
                    .iter()
                    .flat_map(|line| line.split_whitespace())
                    .collect(),
            });
        }
        if before.is_some() {
            if short || line.len() > 64 {
                return Err(Error::Damaged);
            }
            short = line.len() < 64;
        }
        body.push(line);
    }
    Err(Error::NoEnd)
}

fn key(block: &Block<'_>) -> Result<Key, Error> {
    let Block {
        label,
        header,
        body,
    } = block;
    let protected = match header.as_slice() {
        [] => *label == "ENCRYPTED PRIVATE KEY",
        [first, second, ..]
            if first.strip_prefix("Proc-Type:").map(str::trim) == Some("4,ENCRYPTED")
                && second.starts_with("DEK-Info:") =>
        {
            true
        }
        _ => return Err(Error::Damaged),
    };
    let bytes = LENIENT.decode(body).map_err(not_base64)?;
    if header.is_empty() {
        match *label {
            "ENCRYPTED PRIVATE KEY" => {
                let mut inside = part(&mut bytes.as_slice(), SEQUENCE)?;
                part(&mut inside, SEQUENCE)?;
                part(&mut inside, OCTETS)?;
            }
            "PRIVATE KEY" => pkcs8(&bytes)?,
            "RSA PRIVATE KEY" => rsa(&bytes)?,
            "EC PRIVATE KEY" => ec(&bytes, None)?,
            "DSA PRIVATE KEY" => numbers(&bytes, 6)?,
            _ => return Err(Error::OtherKind),
        }
    } else if bytes.is_empty() || bytes.len() % 8 != 0 {
        return Err(Error::Damaged);
    }
    let mut head = header.join("\n");
    if !head.is_empty() {
        head.push_str("\n\n");
    }
    Ok(Key {
        protected,
        plain: write(label, &head, body),
    })
}

fn pkcs8(bytes: &[u8]) -> Result<(), Error> {
    let mut inside = part(&mut { bytes }, SEQUENCE)?;
    part(&mut inside, INTEGER)?;
    let mut algorithm = part(&mut inside, SEQUENCE)?;
    let private = part(&mut inside, OCTETS)?;
    match part(&mut algorithm, OID)? {
        OID_RSA => rsa(private),
        OID_EC => ec(private, part(&mut algorithm, OID).ok()),
        OID_DSA => part(&mut { private }, INTEGER).map(drop),
        OID_ED25519 => Err(Error::Ed25519Pkcs8),
        _ => Err(Error::Algorithm),
    }
}

fn rsa(bytes: &[u8]) -> Result<(), Error> {
    numbers(bytes, 9)?;
    let mut inside = part(&mut { bytes }, SEQUENCE)?;
    part(&mut inside, INTEGER)?;
    if bits(part(&mut inside, INTEGER)?) < RSA_BITS {
        return Err(Error::Weak);
    }
    Ok(())
}

/// SEC 1; it contains the curve, or the structure around it does.
fn ec(bytes: &[u8], curve: Option<&[u8]>) -> Result<(), Error> {
    let mut inside = part(&mut { bytes }, SEQUENCE)?;
    part(&mut inside, INTEGER)?;
    part(&mut inside, OCTETS)?;
    let curve = match curve {
        Some(curve) => curve,
        // Parameters that are written out name no curve.
        None => part(&mut part(&mut inside, PARAMETERS)?, OID).map_err(|_| Error::Algorithm)?,
    };
    if CURVES.contains(&curve) {
        Ok(())
    } else {
        Err(Error::Algorithm)
    }
}

fn numbers(bytes: &[u8], count: usize) -> Result<(), Error> {
    let mut inside = part(&mut { bytes }, SEQUENCE)?;
    for _ in 0..count {
        part(&mut inside, INTEGER)?;
    }
    Ok(())
}

/// The content of the next DER element, which must be of this kind.
fn part<'b>(rest: &mut &'b [u8], tag: u8) -> Result<&'b [u8], Error> {
    let [found, first, after @ ..] = *rest else {
        return Err(Error::Damaged);
    };
    let (length, content) = match first {
        0..=0x7f => (usize::from(*first), after),
        0x81..=0x84 => {
            let (size, content) = after
                .split_at_checked(usize::from(first & 0x7f))
                .ok_or(Error::Damaged)?;
            let length = size
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, content)
        }
        _ => return Err(Error::Damaged),
    };
    if *found != tag {
        return Err(Error::Damaged);
    }
    let (content, tail) = content.split_at_checked(length).ok_or(Error::Damaged)?;
    *rest = tail;
    Ok(content)
}

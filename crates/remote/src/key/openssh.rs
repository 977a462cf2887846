//! OpenSSH's own format (`PROTOCOL.key`), as `sshkey_parse_private2` reads it: the first line, the
//! line before the last and the line break at the end are exact; within, white space is passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{Error, Key};
use super::rules::{RSA_BITS, bits, not_base64};

pub(super) const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END: &str = "-----END OPENSSH PRIVATE KEY-----\n";

pub(super) fn read(text: &str) -> Result<Key, Error> {
    let rest = text.strip_prefix(BEGIN).ok_or(Error::NoBegin)?;
    let end = format!("\n{END}");
    let (body, _) = rest.split_once(&end).ok_or(Error::NoEnd)?;
    let body: String = body.split_whitespace().collect();
    let bytes = STANDARD.decode(&body).map_err(not_base64)?;
    let protected = whole(&bytes)?;
    Ok(Key {
        protected,
        plain: super::pem::write("OPENSSH PRIVATE KEY", "", &body),
    })
}

/// Cipher, KDF, its options, the number of keys, the public key, the private part; whether the
/// last one is encrypted.
fn whole(bytes: &[u8]) -> Result<bool, Error> {
    let mut rest = bytes
        .strip_prefix(b"openssh-key-v1\0")
        .ok_or(Error::Damaged)?;
    let cipher = string(&mut rest)?;
    let kdf = string(&mut rest)?;
    string(&mut rest)?;
    if number(&mut rest)? != 1 {
        return Err(Error::Damaged);
    }
    let public = string(&mut rest)?;
    let private = string(&mut rest)?;
    if private.is_empty() || private.len() % 8 != 0 {
        return Err(Error::Damaged);
    }
    if cipher != b"none" {
        // Some ciphers put a tag behind it.
        return if kdf == b"bcrypt" {
            Ok(true)
        } else {
            Err(Error::Damaged)
        };
    }
    if kdf != b"none" || !rest.is_empty() {
        return Err(Error::Damaged);
    }
    unprotected(private, public)?;
    Ok(false)
}

/// Two copies of one random number, the key, a comment, and padding that counts.
fn unprotected(private: &[u8], public: &[u8]) -> Result<(), Error> {
    let mut rest = private;
    if number(&mut rest)? != number(&mut rest)? {
        return Err(Error::Damaged);
    }
    let mut public = public;
    let name = string(&mut rest)?;
    if string(&mut public)? != name {
        return Err(Error::Damaged);
    }
    let mut same = |rest: &mut &[u8]| -> Result<(), Error> {
        if string(rest)? == string(&mut public)? {
            Ok(())
        } else {
            Err(Error::Damaged)
        }
    };
    match name {
        b"ssh-ed25519" => {
            same(&mut rest)?;
            if string(&mut rest)?.len() != 64 {
                return Err(Error::Damaged);
            }
        }
        b"ssh-rsa" => {
            // The public part has the exponent first, the private one the modulus.
            let modulus = string(&mut rest)?;
            let exponent = string(&mut rest)?;
            if (exponent, modulus) != (string(&mut public)?, string(&mut public)?) {
                return Err(Error::Damaged);
            }
            if bits(modulus) < RSA_BITS {
                return Err(Error::Weak);
            }
            for _ in ["d", "iqmp", "p", "q"] {
                string(&mut rest)?;
            }
        }
        b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" => {
            same(&mut rest)?;
            same(&mut rest)?;
            string(&mut rest)?;
        }
        b"ssh-dss" => {
            for _ in ["p", "q", "g", "y"] {
                same(&mut rest)?;
            }
            string(&mut rest)?;
        }
        b"sk-ssh-ed25519@openssh.com" | b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            // The curve, the point and the application, or the point and the application.
            let shared = if name.starts_with(b"sk-ecdsa") { 3 } else { 2 };
            for _ in 0..shared {
                same(&mut rest)?;
            }
            rest = rest.split_first().ok_or(Error::Damaged)?.1;
            string(&mut rest)?;
            string(&mut rest)?;
        }
        _ => {
            // A certificate and the like are not keys; anything that is not even a name is damage.
            let readable = name.iter().all(u8::is_ascii_graphic);
            return Err(if readable {
                Error::Algorithm
            } else {
                Error::Damaged
            });
        }
    }
    string(&mut rest)?;
    let counts = rest.iter().zip(1u8..).all(|(got, wanted)| *got == wanted);
    if counts && rest.len() < 8 {
        Ok(())
    } else {
        Err(Error::Damaged)
    }
}

fn number(rest: &mut &[u8]) -> Result<u32, Error> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(Error::Damaged)?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head))
}

fn string<'k>(rest: &mut &'k [u8]) -> Result<&'k [u8], Error> {
    let length = usize::try_from(number(rest)?).map_err(|_| Error::Damaged)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(Error::Damaged)?;
    *rest = tail;
    Ok(head)
}

//! Whether a text is an SSH private key that a machine can use, without asking any server.
//!
//! The judge is what OpenSSH reads from a file with these bytes. Its own format is exact to the byte
//! (`sshkey_parse_private2`); every other one it hands to OpenSSL, which is lenient.

mod error;
mod openssh;
mod parse;
mod pem;
mod rules;
mod shape;

pub use error::Error;
use parse::parse;

/// Whether OpenSSH reads a file with this text, without a passphrase.
pub fn inspect(text: &str) -> Result<(), Error> {
    let key = parse(text).map_err(|error| shape::name(text, error))?;
    if key.protected {
        return Err(Error::Passphrase);
    }
    Ok(())
}

/// Whether our own login reads it, without a passphrase: [`inspect`], but the last line break may
/// be missing, as our login writes no file.
pub fn inspect_for_login(text: &str) -> Result<(), Error> {
    match inspect(text) {
        Err(Error::NoFinalBreak) => inspect(&with_break(text)),
        other => other,
    }
}

/// The text to log in with, in the one spelling that every library reads.
pub(crate) fn for_login(text: &str) -> Result<String, Error> {
    parse(&with_break(text))
        .map(|key| key.plain)
        .map_err(|error| shape::name(text, error))
}

fn with_break(text: &str) -> String {
    format!("{}\n", text.strip_suffix('\n').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn what_is_no_key_at_all_has_its_name() {
        for (text, error) in [
            ("", Error::Empty),
            (" \n ", Error::Empty),
            ("hunter2", Error::NoBegin),
            ("ssh-ed25519 AAAA me", Error::PublicKey),
            ("sk-ssh-ed25519@openssh.com AAAA me", Error::PublicKey),
            ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", Error::PublicKey),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                Error::PublicKey,
            ),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", Error::Putty),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
                Error::SshCom,
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                Error::OtherKind,
            ),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", Error::NoEnd),
            (
                "-----BEGIN RSA PRIVATE KEY-----\n!!!\n-----END RSA PRIVATE KEY-----\n",
                Error::NotBase64,
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                Error::Damaged,
            ),
        ] {
            assert_eq!(inspect(text), Err(error), "{text}");
            assert!(for_login(text).is_err(), "{text}");
        }
    }

    #[test]
    fn junk_of_every_length_is_read_without_a_panic() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz\n-----END OPENSSH PRIVATE KEY-----\n";
        for end in 0..key.len() {
            assert!(inspect(&key[..end]).is_err());
            assert!(inspect(&key.replacen(&key[end..=end], "", 1)).is_err());
        }
    }
}

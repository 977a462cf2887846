//! Whether a text is an SSH private key that a machine can use, without asking any server.
//!
//! The judge is what OpenSSH reads from a file with these bytes. Its own format is exact to the byte
//! (`sshkey_parse_private2`); every other one it hands to OpenSSL, which is lenient.

mod openssh;
mod parse;
mod pem;
mod problem;
mod rules;
mod shape;

use parse::parse;
pub use problem::Problem;

/// Whether OpenSSH reads a file with this text, without a passphrase.
pub fn inspect(text: &str) -> Result<(), Problem> {
    let key = parse(text).map_err(|problem| shape::name(text, problem))?;
    if key.protected {
        return Err(Problem::Passphrase);
    }
    Ok(())
}

/// Whether our own login reads it, without a passphrase: [`inspect`], but the last line break may
/// be missing, as our login writes no file.
pub fn inspect_for_login(text: &str) -> Result<(), Problem> {
    match inspect(text) {
        Err(Problem::NoFinalBreak) => inspect(&with_break(text)),
        other => other,
    }
}

/// The text to log in with, in the one spelling that every library reads.
pub(crate) fn for_login(text: &str) -> Result<String, Problem> {
    parse(&with_break(text))
        .map(|key| key.plain)
        .map_err(|problem| shape::name(text, problem))
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
        for (text, problem) in [
            ("", Problem::Empty),
            (" \n ", Problem::Empty),
            ("hunter2", Problem::NoBegin),
            ("ssh-ed25519 AAAA me", Problem::PublicKey),
            ("sk-ssh-ed25519@openssh.com AAAA me", Problem::PublicKey),
            (
                "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n",
                Problem::PublicKey,
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                Problem::PublicKey,
            ),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", Problem::Putty),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
                Problem::SshCom,
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                Problem::OtherKind,
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
                Problem::NoEnd,
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\n!!!\n-----END RSA PRIVATE KEY-----\n",
                Problem::NotBase64,
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                Problem::Damaged,
            ),
        ] {
            assert_eq!(inspect(text), Err(problem), "{text}");
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

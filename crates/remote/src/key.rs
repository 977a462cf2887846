//! Whether a text is an SSH private key that a machine can use, without asking any server.
//!
//! The judge is what OpenSSH reads from a file with these bytes. Its own format is exact to the byte
//! (`sshkey_parse_private2`); every other one it hands to OpenSSL, which is lenient.

mod openssh;
mod pem;
mod rules;
mod shape;

/// Why a text is no usable private key. Tells nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it is empty")]
    Empty,
    #[error("it has Windows line ends (CRLF)")]
    Crlf,
    #[error("its line breaks are gone: it is one line")]
    OneLine,
    #[error("its line breaks are written as `\\n`")]
    LiteralBreaks,
    #[error("it stands in quotes")]
    Quoted,
    #[error("its lines are indented")]
    Indented,
    #[error("spaces stand at the ends of its lines")]
    Padded,
    #[error("blank lines stand between its lines")]
    BlankLines,
    #[error("a byte order mark (BOM) stands before its first line")]
    Bom,
    #[error("a blank line or a space stands before its first line")]
    BlankBefore,
    #[error("other text stands before its first line")]
    TextBefore,
    #[error("its last line has no line break at its end")]
    NoFinalBreak,
    #[error("it is the base64 of a key")]
    Encoded,
    #[error("it is a public key")]
    PublicKey,
    #[error("it is a key of PuTTY's (PPK)")]
    Putty,
    #[error("it is a key in the format of SSH.COM")]
    SshCom,
    #[error("it has no `-----BEGIN … PRIVATE KEY-----` line")]
    NoBegin,
    #[error("it has no `-----END … PRIVATE KEY-----` line: it was cut off")]
    NoEnd,
    #[error("it is no private key, its header names something else")]
    OtherKind,
    #[error("it is protected by a passphrase")]
    Passphrase,
    #[error("its lines are not base64")]
    NotBase64,
    #[error("it was cut off, or is damaged")]
    Damaged,
    #[error("it is an Ed25519 key in PKCS#8 form, which OpenSSH reads since 9.6 only")]
    Ed25519Pkcs8,
    #[error("it is a key of a kind or curve that SSH does not have")]
    Algorithm,
    #[error("it is an RSA key of fewer than 1024 bits")]
    Weak,
}

impl Problem {
    /// The next step.
    pub fn hint(self) -> &'static str {
        match self {
            Problem::Crlf => {
                "store it with Unix line ends: `tr -d '\\r' < key | gh secret set NAME`"
            }
            Problem::OneLine | Problem::LiteralBreaks => {
                "store the file with its line breaks, `gh secret set NAME < key`, and hand it on in quotes: `echo \"$NAME\" > key`"
            }
            Problem::Quoted
            | Problem::Indented
            | Problem::Padded
            | Problem::BlankLines
            | Problem::BlankBefore
            | Problem::TextBefore => {
                "store the file as `ssh-keygen` wrote it, and nothing around it: `gh secret set NAME < key`"
            }
            Problem::Bom => {
                "store it without: `sed '1s/^\\xEF\\xBB\\xBF//' key | gh secret set NAME`"
            }
            // gh takes line breaks off the end of what it stores.
            Problem::NoFinalBreak => {
                "`gh secret set` takes it off; put it back where the step gets the key: `env: { NAME: \"${{ secrets.NAME }}\\n\" }`"
            }
            Problem::Encoded => "store the key itself: `base64 -d key.b64 | gh secret set NAME`",
            Problem::PublicKey => "store the file without `.pub`",
            Problem::Putty => {
                "convert it: `puttygen key.ppk -O private-openssh -o key`, then `gh secret set NAME < key`"
            }
            Problem::SshCom => {
                "convert it: `ssh-keygen -i -f key > key.openssh`, then `gh secret set NAME < key.openssh`"
            }
            Problem::Passphrase => {
                "name the variable with its passphrase as the host's `passphrase-env`, or store a deploy key of its own, made with `ssh-keygen -N ''`"
            }
            Problem::Ed25519Pkcs8 => {
                "an OpenSSH of 9.6 or later writes it in its own format: `ssh-keygen -p -N '' -f key`; or make a new one: `ssh-keygen -t ed25519 -N '' -f key`"
            }
            Problem::Algorithm | Problem::Weak => {
                "make a new one: `ssh-keygen -t ed25519 -N '' -f key`, and authorize it on the hosts"
            }
            Problem::Empty
            | Problem::NoBegin
            | Problem::NoEnd
            | Problem::OtherKind
            | Problem::NotBase64
            | Problem::Damaged => {
                "store the whole file, first to last line: `gh secret set NAME < key`"
            }
        }
    }
}

/// A key that OpenSSH reads.
struct Key {
    protected: bool,
    /// The same key as every program reads it.
    plain: String,
}

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

/// OpenSSH's own reader, else OpenSSL's.
fn parse(text: &str) -> Result<Key, Problem> {
    if text.starts_with(openssh::BEGIN) {
        return openssh::read(text);
    }
    pem::read(text)
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

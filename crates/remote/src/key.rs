//! Whether a text is an SSH private key that a machine can use, without asking any server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text is no usable private key. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it is empty")]
    Empty,
    #[error("it has Windows line ends (CRLF)")]
    Crlf,
    #[error("it is a public key")]
    PublicKey,
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
}

impl Problem {
    /// The next step.
    pub fn hint(self) -> &'static str {
        match self {
            Problem::Crlf => {
                "store it with Unix line ends: `tr -d '\\r' < key | gh secret set NAME`"
            }
            Problem::PublicKey => "store the file without `.pub`",
            Problem::Passphrase => {
                "name the variable with its passphrase as the host's `passphrase-env`, or store a deploy key of its own, made with `ssh-keygen -N ''`"
            }
            _ => "store the whole file, first to last line: `gh secret set NAME < key`",
        }
    }
}

/// The kind of key, such as `OPENSSH` or `RSA`.
pub fn inspect(text: &str) -> Result<&str, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if text.contains('\r') {
        return Err(Problem::Crlf);
    }
    let text = text.trim();
    if text.starts_with("ssh-")
        || text.starts_with("ecdsa-sha2-")
        || text.contains("BEGIN PUBLIC KEY")
    {
        return Err(Problem::PublicKey);
    }
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(Problem::NoBegin)?;
    let (label, rest) = rest.split_once("-----").ok_or(Problem::NoBegin)?;
    let kind = label
        .strip_suffix("PRIVATE KEY")
        .ok_or(Problem::OtherKind)?
        .trim();
    let (body, _) = rest.split_once("-----END ").ok_or(Problem::NoEnd)?;
    if kind == "ENCRYPTED" || body.contains("ENCRYPTED") {
        return Err(Problem::Passphrase);
    }
    let body: String = body.split_whitespace().collect();
    let bytes = STANDARD.decode(body).map_err(|_| Problem::NotBase64)?;
    if kind == "OPENSSH" {
        openssh(&bytes)?;
    } else {
        der(&bytes)?;
    }
    Ok(if kind.is_empty() { "PKCS#8" } else { kind })
}

/// OpenSSH's own format (PROTOCOL.key): cipher, KDF, options, count, public keys, private part.
fn openssh(bytes: &[u8]) -> Result<(), Problem> {
    let mut rest = bytes
        .strip_prefix(b"openssh-key-v1\0")
        .ok_or(Problem::Damaged)?;
    let cipher = string(&mut rest)?;
    let (_kdf, _options) = (string(&mut rest)?, string(&mut rest)?);
    if cipher != b"none" {
        return Err(Problem::Passphrase);
    }
    let keys = length(&mut rest)?;
    if keys != 1 {
        return Err(Problem::Damaged);
    }
    string(&mut rest)?;
    let private = string(&mut rest)?;
    // Two copies of one random number tell that the private part is whole.
    if private.len() < 8 || private[..4] != private[4..8] {
        return Err(Problem::Damaged);
    }
    Ok(())
}

fn length(rest: &mut &[u8]) -> Result<usize, Problem> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(Problem::Damaged)?;
    *rest = tail;
    usize::try_from(u32::from_be_bytes(*head)).map_err(|_| Problem::Damaged)
}

fn string<'k>(rest: &mut &'k [u8]) -> Result<&'k [u8], Problem> {
    let length = length(rest)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(Problem::Damaged)?;
    *rest = tail;
    Ok(head)
}

/// PKCS#1, PKCS#8 and SEC 1 are one DER sequence whose length must be that of the bytes.
fn der(bytes: &[u8]) -> Result<(), Problem> {
    let [0x30, first, rest @ ..] = bytes else {
        return Err(Problem::Damaged);
    };
    let (length, content) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (size, content) = rest
                .split_at_checked(usize::from(first & 0x7f))
                .ok_or(Problem::Damaged)?;
            (
                size.iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                content,
            )
        }
        _ => return Err(Problem::Damaged),
    };
    if content.len() == length {
        Ok(())
    } else {
        Err(Problem::Damaged)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;

    fn keygen(args: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-f", path.to_str().unwrap()])
            .args(args)
            .status()
            .expect("ssh-keygen is installed by `cargo xtask setup`");
        assert!(made.success());
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn keys_that_ssh_keygen_makes_are_keys() {
        for args in [
            &["-t", "ed25519", "-N", ""][..],
            &["-t", "rsa", "-b", "2048", "-N", ""],
            &["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"],
            &["-t", "ecdsa", "-N", "", "-m", "PKCS8"],
        ] {
            assert!(inspect(&keygen(args)).is_ok(), "{args:?}");
        }
    }

    #[test]
    fn each_way_to_spoil_a_key_has_its_name() {
        let key = keygen(&["-t", "ed25519", "-N", ""]);
        let lines: Vec<&str> = key.lines().collect();
        let cut = [&lines[..3], &lines[lines.len() - 1..]].concat().join("\n");
        assert_eq!(inspect(""), Err(Problem::Empty));
        assert_eq!(inspect(&key.replace('\n', "\r\n")), Err(Problem::Crlf));
        assert_eq!(inspect("ssh-ed25519 AAAA me"), Err(Problem::PublicKey));
        assert_eq!(inspect("hunter2"), Err(Problem::NoBegin));
        assert_eq!(inspect(&lines[..3].join("\n")), Err(Problem::NoEnd));
        assert_eq!(inspect(&cut), Err(Problem::Damaged));
        assert_eq!(
            inspect(&key.replace(lines[1], "!!!")),
            Err(Problem::NotBase64)
        );
        assert_eq!(
            inspect(&key.replace("PRIVATE KEY", "CERTIFICATE")),
            Err(Problem::OtherKind)
        );
        for args in [
            &["-t", "ed25519", "-N", "secret"][..],
            &["-t", "rsa", "-N", "secret", "-m", "PEM"],
        ] {
            assert_eq!(inspect(&keygen(args)), Err(Problem::Passphrase));
        }
    }
}

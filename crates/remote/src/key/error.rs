//! A key that can be used, or why it cannot.

/// Why a text is not a usable private key. Reveals none of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is empty")]
    Empty,
    #[error("it has Windows line endings (CRLF)")]
    Crlf,
    #[error("its line breaks are missing: it is one line")]
    OneLine,
    #[error("its line breaks are written as `\\n`")]
    LiteralBreaks,
    #[error("it is in quotes")]
    Quoted,
    #[error("its lines are indented")]
    Indented,
    #[error("there are spaces at the ends of its lines")]
    Padded,
    #[error("there are blank lines between its lines")]
    BlankLines,
    #[error("there is a byte order mark (BOM) before its first line")]
    Bom,
    #[error("there is a blank line or a space before its first line")]
    BlankBefore,
    #[error("there is other text before its first line")]
    TextBefore,
    #[error("its last line has no line break at its end")]
    NoFinalBreak,
    #[error("it is the base64 of a key")]
    Encoded,
    #[error("it is a public key")]
    PublicKey,
    #[error("it is a PuTTY key (PPK)")]
    Putty,
    #[error("it is a key in the format of SSH.COM")]
    SshCom,
    #[error("it has no `-----BEGIN … PRIVATE KEY-----` line")]
    NoBegin,
    #[error("it has no `-----END … PRIVATE KEY-----` line: it was cut off")]
    NoEnd,
    #[error("it is not a private key: its header names something else")]
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

impl Error {
    /// The next step.
    pub fn hint(self) -> &'static str {
        match self {
            Error::Crlf => {
                "store it with Unix line endings: `tr -d '\\r' < key | gh secret set NAME`"
            }
            Error::OneLine | Error::LiteralBreaks => {
                "store the file with its line breaks, `gh secret set NAME < key`, and hand it on in quotes: `echo \"$NAME\" > key`"
            }
            Error::Quoted
            | Error::Indented
            | Error::Padded
            | Error::BlankLines
            | Error::BlankBefore
            | Error::TextBefore => {
                "store the file as `ssh-keygen` wrote it, and nothing around it: `gh secret set NAME < key`"
            }
            Error::Bom => {
                "store it without: `sed '1s/^\\xEF\\xBB\\xBF//' key | gh secret set NAME`"
            }
            // gh takes line breaks off the end of what it stores.
            Error::NoFinalBreak => {
                "`gh secret set` takes it off; put it back where the step gets the key: `env: { NAME: \"${{ secrets.NAME }}\\n\" }`"
            }
            Error::Encoded => "store the key itself: `base64 -d key.b64 | gh secret set NAME`",
            Error::PublicKey => "store the file without `.pub`",
            Error::Putty => {
                "convert it: `puttygen key.ppk -O private-openssh -o key`, then `gh secret set NAME < key`"
            }
            Error::SshCom => {
                "convert it: `ssh-keygen -i -f key > key.openssh`, then `gh secret set NAME < key.openssh`"
            }
            Error::Passphrase => {
                "name the variable with its passphrase as the host's `passphrase-env`, or store a deploy key of its own, made with `ssh-keygen -N ''`"
            }
            Error::Ed25519Pkcs8 => {
                "an OpenSSH of 9.6 or later writes it in its own format: `ssh-keygen -p -N '' -f key`; or make a new one: `ssh-keygen -t ed25519 -N '' -f key`"
            }
            Error::Algorithm | Error::Weak => {
                "make a new one: `ssh-keygen -t ed25519 -N '' -f key`, and authorize it on the hosts"
            }
            Error::Empty
            | Error::NoBegin
            | Error::NoEnd
            | Error::OtherKind
            | Error::NotBase64
            | Error::Damaged => {
                "store the whole file, first to last line: `gh secret set NAME < key`"
            }
        }
    }
}

/// A key that OpenSSH reads.
pub(super) struct Key {
    pub(super) protected: bool,
    /// The same key as every program reads it.
    pub(super) plain: String,
}

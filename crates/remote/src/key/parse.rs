//! A key in any form that OpenSSH reads.

use super::error::{Error, Key};
use super::{openssh, pem};

/// OpenSSH's own reader, else OpenSSL's.
pub(super) fn parse(text: &str) -> Result<Key, Error> {
    if text.starts_with(openssh::BEGIN) {
        return openssh::read(text);
    }
    pem::read(text)
}

//! A key in any form that OpenSSH reads.

use super::problem::{Key, Problem};
use super::{openssh, pem};

/// OpenSSH's own reader, else OpenSSL's.
pub(super) fn parse(text: &str) -> Result<Key, Problem> {
    if text.starts_with(openssh::BEGIN) {
        return openssh::read(text);
    }
    pem::read(text)
}

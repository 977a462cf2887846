//! What holds for a key in any form.

use base64::DecodeError;

use super::error::Error;

/// By `SSH_RSA_MINIMUM_MODULUS_SIZE`.
pub(super) const RSA_BITS: usize = 1024;

/// What a wrong character is, and what a wrong length.
pub(super) fn not_base64(error: DecodeError) -> Error {
    match error {
        DecodeError::InvalidByte(..) => Error::NotBase64,
        _ => Error::Damaged,
    }
}

/// Of an unsigned number of any length.
pub(super) fn bits(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0);
    first.map_or(0, |at| {
        (number.len() - at) * 8 - number[at].leading_zeros() as usize
    })
}

//! How large the binary of a release may be.

use std::fs;
use std::path::Path;

use crate::command::{Failure, target};

/// Of `deploy-guard` after `cargo build --release`, in bytes. A commit that raises it tells why.
const LIMIT: u64 = 21_500_000;

/// Holds the release build in the target folder against the limit.
pub(crate) fn check() -> Result<(), Failure> {
    let binary = target().join("release/deploy-guard");
    let bytes = bytes(&binary)?;
    within(bytes)?;
    println!("deploy-guard: {} of {}", megabytes(bytes), megabytes(LIMIT));
    Ok(())
}

fn within(bytes: u64) -> Result<(), Failure> {
    if bytes <= LIMIT {
        return Ok(());
    }
    let (is, limit) = (megabytes(bytes), megabytes(LIMIT));
    Err(Failure::new(format!(
        "deploy-guard has {is}, and at most {limit} are allowed"
    ))
    .hint(
        "see which crate grew: CARGO_PROFILE_RELEASE_STRIP=none cargo build --release, then \
             nm --print-size --size-sort --demangle target/release/deploy-guard",
    ))
}

pub(crate) fn of(path: &Path) -> Result<String, Failure> {
    bytes(path).map(megabytes)
}

fn bytes(path: &Path) -> Result<u64, Failure> {
    let metadata = fs::metadata(path);
    metadata
        .map(|metadata| metadata.len())
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_above_the_limit_is_refused_with_both_numbers() {
        assert!(within(LIMIT).is_ok());
        let Err(Failure { what, hint }) = within(LIMIT + 100_000) else {
            panic!("it is above the limit")
        };
        assert!(what.contains(&megabytes(LIMIT)), "{what}");
        assert!(what.contains(&megabytes(LIMIT + 100_000)), "{what}");
        assert!(hint.is_some());
    }
}

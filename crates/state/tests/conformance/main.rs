//! One suite for every store, and the tests that are special to each.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bucket;
mod file;
mod host;
mod log;
mod suite;

use std::future::Future;
use std::time::Duration;

use state::journal::{Event, Intention, JournalLine, ROLLBACK};
use state::{Claim, Holder, Journal, Status, Store};

/// Somewhere that states can be kept, by name. Each store is another writer, as in a process of
/// its own.
pub(crate) trait Place: Sync {
    fn store(&self, name: &str) -> Store;
    /// Whether several machines reach it.
    fn is_shared(&self) -> bool {
        true
    }
    /// The stored bytes, read without the store.
    fn raw(&self, name: &str) -> Option<Vec<u8>>;
    fn put(&self, name: &str, bytes: &[u8]);
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Whether the step was made at any time.
pub(crate) fn is_done(journal: &Journal, wanted: &str) -> bool {
    let done = |line: &JournalLine| matches!(&line.event, Event::Done { step } if step == wanted);
    journal.lines().iter().any(done)
}

pub(crate) fn claim(operation: &str) -> Claim<'_> {
    Claim {
        holder: Holder::this_process(None, None),
        operation,
        ttl: Duration::from_secs(600),
        gone: None,
    }
}

/// A rollback from one release to another, under the lease of a token.
pub(crate) fn rollback<'a>(to: &'a str, left: &'a str, token: u64) -> Intention<'a> {
    Intention {
        left: Some(left),
        ..Intention::new(ROLLBACK, to, token)
    }
}

pub(crate) async fn record(store: &Store, release: &str) {
    let now = jiff::Timestamp::now();
    store
        .update(None, |document| {
            document.deployed(release, Status::Good, now, None);
            Ok(())
        })
        .await
        .unwrap();
}

/// How many races are run: `RACES=1000 cargo test -p state --test conformance races`.
pub(crate) fn races(usual: usize) -> usize {
    let wanted = std::env::var("RACES").ok();
    wanted.map_or(usual, |text| text.parse().unwrap())
}

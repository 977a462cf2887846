//! A connection with what is done on it, and how much of a head it may carry.

use std::pin::pin;
use std::task::Poll;

/// More than any server's headers.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Behind several proxies, each of which adds some, a hundred are soon had.
pub(super) const MAX_HEADERS: usize = 512;

/// Drives a connection while something is done with it; both end together.
pub(super) async fn drive<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (mut connection, mut work) = (pin!(connection), pin!(work));
    let mut open = true;
    std::future::poll_fn(|context| {
        if open && connection.as_mut().poll(context).is_ready() {
            open = false;
        }
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

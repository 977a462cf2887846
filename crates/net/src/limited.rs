//! A connection on which a server can say only so much.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// Ends with an error after so many bytes were read.
pub struct Limited {
    stream: Stream,
    allowance: Allowance,
}

/// How much a server may say until it is asked something else.
#[derive(Clone, Debug)]
pub struct Allowance {
    left: Arc<AtomicUsize>,
    most: usize,
}

impl Allowance {
    /// It was asked something else: all of it again.
    pub fn renew(&self) {
        self.left.store(self.most, Ordering::Relaxed);
    }

    /// Whether the server said more than it may.
    pub fn is_used_up(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn take(&self, bytes: usize) {
        let left = self.left.load(Ordering::Relaxed);
        self.left
            .store(left.saturating_sub(bytes), Ordering::Relaxed);
    }
}

impl Limited {
    pub fn new(stream: Stream, most: usize) -> Limited {
        let left = Arc::new(AtomicUsize::new(most));
        Limited {
            stream,
            allowance: Allowance { left, most },
        }
    }

    /// To renew it.
    pub fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance.is_used_up() {
            let text = format!("it sends more than {} KiB", self.allowance.most >> 10);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        // A little more than the limit fits into the reader's own buffer.
        self.allowance.take(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! One connection that a host makes for us: bytes between its channel and a local pair of
//! sockets, one end of which is handed out.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ssh2::Channel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::Error;
use super::link::{Link, LinkError};
use super::socket::Keeps;

/// What is on its way, in each direction, besides the buffers of the system.
const PIECE: usize = 16 << 10;

/// A stream to a place that a host can reach. It keeps the connection to the host open.
///
/// Where it ends because that connection broke, reading and writing give an error that carries
/// [`Severed`]: the far end has not closed it.
pub struct Tunnel {
    reads: tokio::net::UnixStream,
    /// Where it writes; `None` where one socket does both.
    writes: Option<tokio::net::UnixStream>,
    severed: Breakage,
    /// Without it the connection would end.
    session: Keeps,
}

/// How to find out that the connection broke.
pub(super) enum Breakage {
    /// The thread of the connection sets it before it closes a tunnel.
    Flag(Arc<AtomicBool>),
    Asked(Arc<dyn Fn() -> bool + Send + Sync>),
}

/// The connection to the host broke, and the tunnel with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the host broke")]
pub struct Severed;

/// The end of a tunnel that is handed out.
pub(super) struct TunnelEnd {
    stream: UnixStream,
    severed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Breakage {
    fn has_happened(&self) -> bool {
        match self {
            Breakage::Flag(flag) => flag.load(Ordering::Acquire),
            Breakage::Asked(asked) => asked(),
        }
    }
}

impl Tunnel {
    pub(super) fn new(end: TunnelEnd, session: Keeps) -> io::Result<Tunnel> {
        Ok(Tunnel {
            reads: tokio::net::UnixStream::from_std(end.stream)?,
            writes: None,
            severed: Breakage::Flag(end.severed),
            session,
        })
    }

    /// One that has a socket for each direction.
    pub(super) fn of_pair(
        [reads, writes]: [tokio::net::UnixStream; 2],
        severed: Breakage,
        session: Keeps,
    ) -> Tunnel {
        Tunnel {
            reads,
            writes: Some(writes),
            severed,
            session,
        }
    }

    /// The same bytes on one socket that blocks, for a library that wants one, and what must live as
    /// long as it.
    pub(super) fn into_socket(self) -> io::Result<(UnixStream, Keeps)> {
        let keeps = Arc::clone(&self.session);
        if self.writes.is_none() {
            let stream = self.reads.into_std()?;
            stream.set_nonblocking(false)?;
            return Ok((stream, keeps));
        }
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut ours = tokio::net::UnixStream::from_std(ours)?;
        let mut tunnel = self;
        tokio::spawn(async move {
            // However it ends: both sides see the end of their stream.
            let _ = tokio::io::copy_bidirectional(&mut tunnel, &mut ours).await;
        });
        Ok((theirs, keeps))
    }

    fn writer(&mut self) -> &mut tokio::net::UnixStream {
        self.writes.as_mut().unwrap_or(&mut self.reads)
    }

    /// Translates an end or an error of the local pair of sockets into its cause.
    fn translate_end<T>(
        &self,
        result: io::Result<T>,
        is_end: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let over = result.as_ref().map_or(true, is_end);
        if over && self.severed.has_happened() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, Severed));
        }
        result
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.reads).poll_read(context, buffer);
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        read.map(|read| self.translate_end(read, |()| is_end))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.writer()).poll_write(context, bytes);
        written.map(|written| self.translate_end(written, |_| false))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.writer()).poll_flush(context);
        flushed.map(|flushed| self.translate_end(flushed, |()| false))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.writer()).poll_shutdown(context)
    }
}

/// The destination, and the caller.
pub(super) struct Order {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) reply: oneshot::Sender<Result<TunnelEnd, Error>>,
}

/// One direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing more comes.
    Ended,
    /// The other side knows.
    Told,
}

/// An open tunnel.
pub(super) struct OpenTunnel {
    pub(super) channel: Channel,
    pub(super) local: UnixStream,
    severed: Arc<AtomicBool>,
    /// From the host, not yet taken here.
    down: Vec<u8>,
    /// From here, not yet taken by the host.
    up: Vec<u8>,
    from_host: Flow,
    from_us: Flow,
    /// Our end was dropped.
    pub(super) dropped: bool,
}

impl OpenTunnel {
    /// The end of the pump, and the one that is handed out.
    pub(super) fn new(channel: Channel) -> io::Result<(OpenTunnel, TunnelEnd)> {
        let (local, other) = UnixStream::pair()?;
        let severed = Arc::new(AtomicBool::new(false));
        local.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let bore = OpenTunnel {
            channel,
            local,
            severed: Arc::clone(&severed),
            down: Vec::new(),
            up: Vec::new(),
            from_host: Flow::Open,
            from_us: Flow::Open,
            dropped: false,
        };
        let end = TunnelEnd {
            stream: other,
            severed,
        };
        Ok((bore, end))
    }

    /// Ends it because the connection broke; the channel is left to be closed.
    pub(super) fn sever(self) -> Channel {
        // Before the local end closes, by which the other is woken.
        self.severed.store(true, Ordering::Release);
        self.channel
    }

    /// Whether something can be read, or written, that shows on no socket.
    pub(super) fn is_ahead(&self) -> bool {
        let to_read = self.down.is_empty()
            && self.from_host == Flow::Open
            && (self.channel.read_window().available > 0 || self.channel.eof());
        to_read || self.channel.write_window().remaining > 0 && !self.up.is_empty()
    }

    pub(super) fn wants_local_bytes(&self) -> bool {
        self.up.is_empty() && self.from_us == Flow::Open
    }

    pub(super) fn has_local_bytes(&self) -> bool {
        !self.down.is_empty()
    }

    /// Moves what can be moved: whether something was, or `None` when the tunnel has ended.
    pub(super) fn turn(&mut self, link: &Link) -> Result<Option<bool>, LinkError> {
        let Some(down) = self.downwards(link)? else {
            return Ok(None);
        };
        let Some(up) = self.upwards(link)? else {
            return Ok(None);
        };
        let done = self.from_us == Flow::Told && (self.from_host == Flow::Told || self.dropped);
        Ok((!done).then_some(down || up))
    }

    fn downwards(&mut self, link: &Link) -> Result<Option<bool>, LinkError> {
        let mut moved = false;
        if self.down.is_empty() && self.from_host == Flow::Open {
            let mut piece = [0; PIECE];
            let mut stream = self.channel.stream(0);
            if let Some(length) = link.step(|| stream.read(&mut piece))? {
                self.down.extend_from_slice(&piece[..length]);
                moved |= length > 0;
            }
            if self.channel.eof() {
                self.from_host = Flow::Ended;
            }
        }
        if !self.down.is_empty() {
            match self.local.write(&self.down) {
                Ok(taken) => {
                    self.down.drain(..taken);
                    moved |= taken > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(None),
            }
        }
        if self.from_host != Flow::Open && self.down.is_empty() {
            if self.from_host == Flow::Ended {
                let _ = self.local.shutdown(Shutdown::Write);
                self.from_host = Flow::Told;
                moved = true;
            }
            let channel = &mut self.channel;
            if link.step(|| channel.wait_close())?.is_some() {
                // It no longer accepts anything either.
                return Ok(None);
            }
        }
        Ok(Some(moved))
    }

    fn upwards(&mut self, link: &Link) -> Result<Option<bool>, LinkError> {
        let mut moved = false;
        if self.wants_local_bytes() {
            let mut piece = [0; PIECE];
            match self.local.read(&mut piece) {
                Ok(0) => self.from_us = Flow::Ended,
                Ok(length) => {
                    self.up.extend_from_slice(&piece[..length]);
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(None),
            }
        }
        let channel = &mut self.channel;
        if !self.up.is_empty()
            && let Some(taken) = link.step(|| channel.write(&self.up))?
        {
            self.up.drain(..taken);
            moved |= taken > 0;
        }
        if self.from_us == Flow::Ended
            && self.up.is_empty()
            && link.step(|| channel.send_eof())?.is_some()
        {
            self.from_us = Flow::Told;
            moved = true;
        }
        Ok(Some(moved))
    }
}

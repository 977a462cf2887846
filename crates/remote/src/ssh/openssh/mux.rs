//! The protocol of a master's control socket, version 4, as far as it is needed here.
//!
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.mux>

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

const HELLO: u32 = 0x1;
const VERSION: u32 = 4;
const NEW_SESSION: u32 = 0x1000_0002;
const TERMINATE: u32 = 0x1000_0005;
const NEW_STDIO_FORWARD: u32 = 0x1000_0008;
const DENIED: u32 = 0x8000_0002;
const FAILURE: u32 = 0x8000_0003;
const EXIT: u32 = 0x8000_0004;
const OPENED: u32 = 0x8000_0006;

/// Of our requests there is one on each connection.
const REQUEST: u32 = 1;
/// A session without an escape character.
const NO_ESCAPE: u32 = u32::MAX;
/// Longer than any answer.
const MAX_ANSWER: usize = 64 << 10;
/// The master takes as many connections at a time as its queue holds.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// What a master answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MasterReply {
    /// The host has opened the channel.
    Opened,
    /// The command has ended with this status.
    Exit(u32),
    /// The host, or the master, refuses.
    Refused(String),
    Other,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    Command(&'a str),
    /// A subsystem that no server has: it answers, and runs nothing.
    Nothing,
    Tunnel {
        host: &'a str,
        port: u16,
    },
}

/// A connection to a master. What was checked for on it ends with it.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    /// What has arrived of the next answer.
    arrived: Vec<u8>,
}

impl Client {
    /// Connects, and exchanges versions.
    pub(super) async fn connect(path: &Path) -> io::Result<Client> {
        let stream = loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                connected => break connected?,
            }
        };
        let mut client = Client {
            stream,
            arrived: Vec::new(),
        };
        let mut hello = Packet::new(HELLO);
        hello.number(VERSION);
        client.send(hello).await?;
        let answer = client.packet().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut reader = Reader(&answer);
        if (reader.number(), reader.number()) != (Some(HELLO), Some(VERSION)) {
            return Err(io::Error::other(
                "the `ssh` program speaks another version of its control protocol",
            ));
        }
        Ok(client)
    }

    /// Asks, and hands over the sockets: for a command its input, output and errors, for a tunnel
    /// its input and output.
    pub(super) async fn send_request(
        &mut self,
        request: Request<'_>,
        sockets: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let packet = match request {
            Request::Command(text) => session(text, false),
            Request::Nothing => session("deploy-guard-pulse", true),
            Request::Tunnel { host, port } => {
                let mut packet = Packet::new(NEW_STDIO_FORWARD);
                packet.number(REQUEST);
                packet.text("");
                packet.text(host);
                packet.number(port.into());
                packet
            }
        };
        self.send(packet).await?;
        for socket in sockets {
            self.pass(*socket).await?;
        }
        Ok(())
    }

    /// The next answer; `None` where the connection has ended. May be cancelled.
    pub(super) async fn read_reply(&mut self) -> io::Result<Option<MasterReply>> {
        let Some(packet) = self.packet().await? else {
            return Ok(None);
        };
        let mut reader = Reader(&packet);
        let kind = reader.number();
        // Of the request, or of the session.
        let _ = reader.number();
        Ok(Some(match kind {
            Some(OPENED) => MasterReply::Opened,
            Some(EXIT) => reader
                .number()
                .map_or(MasterReply::Other, MasterReply::Exit),
            Some(FAILURE | DENIED) => MasterReply::Refused(reader.text()),
            _ => MasterReply::Other,
        }))
    }

    /// The connection alone, to be kept.
    pub(super) fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.stream.into_std()
    }

    async fn send(&mut self, packet: Packet) -> io::Result<()> {
        self.stream.write_all(&packet.bytes()).await
    }

    async fn pass(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let sockets = [socket];
            control.push(SendAncillaryMessage::ScmRights(&sockets));
            let sent = sendmsg(
                self.stream.as_fd(),
                &[IoSlice::new(&[0])],
                &mut control,
                SendFlags::empty(),
            );
            Ok(sent.map(drop)?)
        };
        self.stream.async_io(Interest::WRITABLE, send).await
    }

    /// May be cancelled: what has arrived is kept.
    async fn packet(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((length, rest)) = self.arrived.split_first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if length > MAX_ANSWER {
                    return Err(io::Error::other(
                        "an answer of the `ssh` program is too long",
                    ));
                }
                if let Some(packet) = rest.get(..length) {
                    let packet = packet.to_vec();
                    self.arrived.drain(..4 + length);
                    return Ok(Some(packet));
                }
            }
            if self.stream.read_buf(&mut self.arrived).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// What ends a master, with all that runs on it.
pub(super) fn terminate() -> Vec<u8> {
    let mut packet = Packet::new(TERMINATE);
    packet.number(REQUEST);
    packet.bytes()
}

fn session(text: &str, is_subsystem: bool) -> Packet {
    let mut packet = Packet::new(NEW_SESSION);
    packet.number(REQUEST);
    packet.text("");
    let (terminal, x11, agent) = (0, 0, 0);
    for number in [terminal, x11, agent, u32::from(is_subsystem), NO_ESCAPE] {
        packet.number(number);
    }
    // The kind of terminal.
    packet.text("");
    packet.text(text);
    packet
}

/// A message that is being written.
struct Packet(Vec<u8>);

impl Packet {
    fn new(kind: u32) -> Packet {
        let mut packet = Packet(Vec::new());
        packet.number(kind);
        packet
    }

    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    fn bytes(self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), self.0.as_slice()].concat()
    }
}

/// A message that is being read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn text(&mut self) -> String {
        let length = self
            .number()
            .and_then(|length| usize::try_from(length).ok());
        let text = length.and_then(|length| self.0.get(..length));
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    }
}

//! The terminal that a person looks at: lines that are rewritten in place.
//!
//! Nothing here waits for it. A terminal that does not take a frame, because it was stopped or its
//! line is slow, misses the next ones; one that is gone is drawn on no more.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// Who has drawn what is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The live line.
    Line,
    /// A board of several lines.
    Board,
}

/// What is on a terminal of us, and what is on its way there.
#[derive(Debug)]
pub(crate) struct Screen<W> {
    out: W,
    owner: Option<Owner>,
    lines: Vec<String>,
    /// The rest of the last frame: begun, it must be ended before another one.
    unsent: Vec<u8>,
    gone: bool,
}

impl<W: Write> Screen<W> {
    pub(crate) const fn new(out: W) -> Self {
        Screen {
            out,
            owner: None,
            lines: Vec::new(),
            unsent: Vec::new(),
            gone: false,
        }
    }

    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Whether the terminal no longer accepts output.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Puts these lines, none as wide as the terminal, in the place of those before.
    pub(crate) fn draw(&mut self, owner: Owner, lines: &[String]) {
        if !self.flush() || self.owner == Some(owner) && self.lines == lines {
            return;
        }
        let frame = format!("{}{}\x1b[J", self.home(), lines.join("\x1b[K\r\n"));
        self.owner = Some(owner);
        self.lines = lines.to_vec();
        self.unsent = frame.into_bytes();
        self.flush();
    }

    /// Takes away what is drawn.
    pub(crate) fn clear(&mut self) {
        let sent = self.flush();
        if self.owner.take().is_some() && sent {
            self.unsent = format!("{}\x1b[J", self.home()).into_bytes();
            self.flush();
        }
        self.lines.clear();
    }

    /// Where the first line begins.
    fn home(&self) -> String {
        match self.lines.len() {
            0 | 1 => "\r".to_owned(),
            lines => format!("\r\x1b[{}A", lines - 1),
        }
    }

    /// Sends what the terminal takes now; whether that was all.
    fn flush(&mut self) -> bool {
        while !self.gone && !self.unsent.is_empty() {
            match self.out.write(&self.unsent) {
                Ok(taken @ 1..) => {
                    self.unsent.drain(..taken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // EIO, EPIPE, ENXIO: its window was closed, or its connection is lost.
                Ok(0) | Err(_) => {
                    self.gone = true;
                    self.unsent = Vec::new();
                    self.lines = Vec::new();
                }
            }
        }
        !self.gone
    }
}

/// The terminal of stderr, without waiting for it.
#[derive(Debug)]
pub(crate) enum Terminal {
    /// Not opened yet.
    Unopened,
    /// Opened once more: that what stderr shares with other programs must wait is theirs to say.
    Own(File),
    /// Where it may not be opened, it is asked before each write whether it has room.
    Shared,
}

impl Terminal {
    fn open() -> Self {
        let stderr = std::io::stderr();
        let Ok(name) = rustix::termios::ttyname(&stderr, Vec::new()) else {
            return Terminal::Shared;
        };
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(Path::new(OsStr::from_bytes(name.as_bytes())));
        let same = |file: &File| {
            let theirs = file.metadata().ok()?.rdev();
            let ours = rustix::fs::fstat(&stderr).ok()?.st_rdev;
            Some(u128::from(theirs) == u128::from(ours))
        };
        match opened {
            Ok(file) if same(&file) == Some(true) => Terminal::Own(file),
            _ => Terminal::Shared,
        }
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Terminal::Unopened => {
                *self = Terminal::open();
                self.write(bytes)
            }
            Terminal::Own(file) => file.write(bytes),
            Terminal::Shared => {
                let stderr = std::io::stderr();
                let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
                poll(&mut asked, Some(&Timespec::default()))?;
                let found = asked[0].revents();
                if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    return Err(ErrorKind::BrokenPipe.into());
                }
                if !found.contains(PollFlags::OUT) {
                    return Err(ErrorKind::WouldBlock.into());
                }
                stderr.lock().write(bytes)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The one terminal of this process: what draws there, and what writes between.
static SCREEN: Mutex<Screen<Terminal>> = Mutex::new(Screen::new(Terminal::Unopened));

pub(crate) fn screen() -> MutexGuard<'static, Screen<Terminal>> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clears the screen, writes to stderr, and lets the screen be drawn again.
pub(crate) fn aside(write: impl FnOnce()) {
    let mut screen = screen();
    let owner = screen.owner;
    screen.clear();
    write();
    // It is drawn again by the same owner; no other may take the place meanwhile.
    screen.owner = owner;
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A screen, and its other end, which is read where a test looks.
    fn pair() -> (Screen<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Screen::new(ours), theirs)
    }

    fn lines(text: &str, count: usize) -> Vec<String> {
        vec![text.to_owned(); count]
    }

    fn read(end: &mut UnixStream) -> String {
        let mut all = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while let Ok(taken @ 1..) = end.read(&mut piece) {
            all.extend_from_slice(&piece[..taken]);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before_and_is_not_sent_twice() {
        let (mut screen, mut end) = pair();
        screen.draw(Owner::Board, &lines("a", 3));
        assert_eq!(read(&mut end), "\ra\x1b[K\r\na\x1b[K\r\na\x1b[J");
        screen.draw(Owner::Board, &lines("a", 3));
        assert_eq!(read(&mut end), "");
        screen.draw(Owner::Board, &lines("b", 1));
        assert_eq!(read(&mut end), "\r\x1b[2Ab\x1b[J");
        screen.clear();
        assert_eq!(read(&mut end), "\r\x1b[J");
        screen.clear();
        assert_eq!(read(&mut end), "");
    }

    #[test]
    fn a_terminal_that_takes_nothing_misses_frames_and_none_pile_up() {
        let (mut screen, mut end) = pair();
        let wide = "x".repeat(5_000);
        for n in 0..10_000 {
            screen.draw(Owner::Board, &lines(&format!("{n:05}{wide}"), 20));
            // One frame at most, as large as it is.
            assert!(screen.unsent.len() < 110_000, "{}", screen.unsent.len());
        }
        assert!(!screen.unsent.is_empty() && !screen.is_gone());
        // When it is looked at again, what was begun is ended, and then comes what is true now.
        let mut seen = String::new();
        while !screen.unsent.is_empty() {
            seen += &read(&mut end);
            screen.flush();
        }
        screen.draw(Owner::Board, &lines("now", 1));
        seen += &read(&mut end);
        assert!(
            seen.ends_with("x\x1b[J\r\x1b[19Anow\x1b[J"),
            "{}",
            &seen[seen.len() - 50..]
        );
        assert!(seen.matches("\x1b[J").count() < 100);
    }

    #[test]
    fn a_terminal_that_is_gone_is_drawn_on_no_more() {
        let (mut screen, end) = pair();
        screen.draw(Owner::Line, &lines("a", 1));
        drop(end);
        screen.draw(Owner::Line, &lines("b", 1));
        assert!(screen.is_gone());
        for n in 0..1_000 {
            screen.draw(Owner::Board, &lines(&n.to_string(), 9));
        }
        screen.clear();
        assert!(screen.unsent.capacity() == 0 && screen.lines.capacity() == 0);
    }
}

//! Several lines that are rewritten in place on a terminal, and printed one after the other
//! without one.

use std::io::Write as _;
use std::time::{Duration, Instant};

use model::Redactor;

use crate::screen::{Owner, screen};

/// Shorter work ends before a person could read a line about it.
pub const QUIET_FOR: Duration = Duration::from_secs(1);

/// Where a stage shows the progress of its parts. Ends when it is dropped, and leaves nothing behind
/// on a terminal.
#[derive(Debug)]
pub struct Board {
    place: Place,
    redactor: Redactor,
}

#[derive(Debug)]
enum Place {
    Nowhere,
    Terminal { since: Instant },
    Lines,
}

impl Board {
    pub(crate) fn new(wanted: bool, terminal: bool, redactor: Redactor) -> Self {
        let place = match (wanted, terminal) {
            (false, _) => Place::Nowhere,
            (true, false) => Place::Lines,
            (true, true) => Place::Terminal {
                since: Instant::now(),
            },
        };
        Board { place, redactor }
    }

    /// One that shows nothing.
    pub fn silent(redactor: Redactor) -> Self {
        Board::new(false, false, redactor)
    }

    /// Text from outside as it may be shown: on one line, redacted, and without what a terminal
    /// would obey. Cut it only afterwards: half a secret is not found.
    pub fn sanitize(&self, text: &str) -> String {
        crate::plain(&self.redactor.redact(text), 0).replace('\n', " ")
    }

    /// Columns and rows of the terminal, where there is one to draw on now.
    pub fn size(&self) -> Option<(usize, usize)> {
        let Place::Terminal { since } = &self.place else {
            return None;
        };
        if since.elapsed() < QUIET_FOR || screen().is_gone() {
            return None;
        }
        Some(size())
    }

    /// Puts these lines, none as wide as the terminal, in the place of those before.
    pub fn show(&self, lines: &[String]) {
        if matches!(self.place, Place::Terminal { .. }) {
            screen().draw(Owner::Board, lines);
        }
    }

    /// Whether lines are written one after the other.
    pub fn writes_lines(&self) -> bool {
        matches!(self.place, Place::Lines)
    }

    /// Writes a clean line, if there is no terminal.
    pub fn line(&self, text: &str) {
        if self.writes_lines() {
            // A closed stderr has no reader.
            let _ = std::io::stderr()
                .lock()
                .write_all(format!("{text}\n").as_bytes());
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let mut screen = screen();
        if matches!(self.place, Place::Terminal { .. }) && screen.owner() == Some(Owner::Board) {
            screen.clear();
        }
    }
}

/// Columns and rows of the terminal; the usual ones where it does not say.
pub(crate) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let size = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let or = |count: u16, usual: usize| {
        if count == 0 {
            usual
        } else {
            usize::from(count)
        }
    };
    (or(size.0, 80), or(size.1, 24))
}

/// Redraw interval: elapsed times change even without events.
pub const TICK: Duration = Duration::from_millis(250);

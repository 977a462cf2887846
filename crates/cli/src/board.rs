//! Several lines that are rewritten in place on a terminal, and lines one after the other where
//! there is none.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::Redactor;

use crate::progress::QUIET_FOR;

/// Where a stage shows how its parts stand. Ends with the value, and leaves nothing behind on a
/// terminal.
#[derive(Debug)]
pub struct Board {
    place: Place,
    redactor: Redactor,
}

#[derive(Debug)]
enum Place {
    Nowhere,
    /// The bar draws many lines as one message.
    Terminal {
        bar: ProgressBar,
        since: Instant,
    },
    Lines,
}

/// The bar that is on the screen now: whoever else writes there must make it step aside.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether a board is on the screen.
pub(crate) fn is_shown() -> bool {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    shown.is_some()
}

/// Writes to stderr while no board stands in the way.
pub(crate) fn aside(write: impl FnOnce()) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

impl Board {
    pub(crate) fn new(wanted: bool, terminal: bool, redactor: Redactor) -> Self {
        let place = match (wanted, terminal) {
            (false, _) => Place::Nowhere,
            (true, false) => Place::Lines,
            (true, true) => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
                if let Ok(style) = ProgressStyle::with_template("{msg}") {
                    bar.set_style(style);
                }
                Place::Terminal {
                    bar,
                    since: Instant::now(),
                }
            }
        };
        Board { place, redactor }
    }

    /// One that shows nothing.
    pub fn silent(redactor: Redactor) -> Self {
        Board::new(false, false, redactor)
    }

    /// Text from outside as it may be shown: on one line, redacted, and without what a terminal
    /// would obey. Cut it only afterwards: half a secret is not found.
    pub fn clean(&self, text: &str) -> String {
        crate::plain(&self.redactor.redact(text), 0).replace('\n', " ")
    }

    /// Columns and rows of the terminal, where there is one to draw on now.
    pub fn size(&self) -> Option<(usize, usize)> {
        let Place::Terminal { since, .. } = &self.place else {
            return None;
        };
        if since.elapsed() < QUIET_FOR {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(std::io::stderr());
        let size = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        let or = |count: u16, usual: usize| {
            if count == 0 {
                usual
            } else {
                usize::from(count)
            }
        };
        Some((or(size.0, 80), or(size.1, 24)))
    }

    /// Puts these lines, none wider than the terminal, in the place of those before.
    pub fn show(&self, lines: &[String]) {
        let Place::Terminal { bar, .. } = &self.place else {
            return;
        };
        if bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        }
        bar.set_message(lines.join("\n"));
        bar.tick();
    }

    /// Whether lines are written one after the other.
    pub fn writes_lines(&self) -> bool {
        matches!(self.place, Place::Lines)
    }

    /// Writes a clean line, where there is no terminal.
    pub fn line(&self, text: &str) {
        if self.writes_lines() {
            // Whoever closed stderr does not want to read it.
            let _ = std::io::stderr()
                .lock()
                .write_all(format!("{text}\n").as_bytes());
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if let Place::Terminal { bar, .. } = &self.place {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
            bar.finish_and_clear();
        }
    }
}

/// How often what is shown is looked at anew: time goes on also where nothing happens.
pub const TICK: Duration = Duration::from_millis(250);

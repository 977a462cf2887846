//! The live line: what is going on, on a terminal, for work that takes longer than a second.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::{Env, Redactor};

use crate::Board;

/// Shorter work ends before a person could read a line about it.
pub const QUIET_FOR: Duration = Duration::from_secs(1);

/// A line that is rewritten in place. Silent where stderr is no terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    wanted: bool,
    live: Option<Arc<Live>>,
    said: Arc<Mutex<String>>,
    redactor: Redactor,
}

#[derive(Debug)]
struct Live {
    bar: ProgressBar,
    since: Instant,
}

impl Progress {
    pub(crate) fn new(wanted: bool, env: &Env, redactor: Redactor) -> Self {
        // A dumb terminal cannot rewrite what it has written.
        let terminal = std::io::stderr().is_terminal() && env.get("TERM") != Some("dumb");
        let live = (wanted && terminal).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            Arc::new(Live {
                bar,
                since: Instant::now(),
            })
        });
        Progress {
            wanted,
            live,
            said: Arc::default(),
            redactor,
        }
    }

    /// A place for more than one line. While it is on the screen, what is said is only kept in
    /// [`Progress::said`].
    pub fn board(&self) -> Board {
        Board::new(self.wanted, self.live.is_some(), self.redactor.clone())
    }

    /// Puts this text in the line.
    pub fn say(&self, text: &str) {
        let Some(live) = &self.live else { return };
        let clean: String = self
            .redactor
            .redact(text)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        (*self.said.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&clean);
        if live.since.elapsed() < QUIET_FOR || crate::board::is_shown() {
            return;
        }
        if live.bar.is_hidden() {
            live.bar.set_draw_target(ProgressDrawTarget::stderr());
            live.bar.enable_steady_tick(Duration::from_millis(120));
        }
        live.bar.set_message(clean);
    }

    /// What was said last.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(live) = &self.live {
            live.bar.finish_and_clear();
        }
    }
}

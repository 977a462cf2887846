//! The live line: what is going on, on a terminal, for work that takes longer than a second.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::Redactor;

/// Shorter work ends before a person could read a line about it.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// A line that is rewritten in place. Silent where stderr is no terminal.
#[derive(Clone, Debug)]
pub struct Progress(Option<Arc<Live>>);

#[derive(Debug)]
struct Live {
    bar: ProgressBar,
    since: Instant,
    redactor: Redactor,
}

impl Progress {
    pub(crate) fn new(wanted: bool, redactor: Redactor) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        Progress(Some(Arc::new(Live {
            bar,
            since: Instant::now(),
            redactor,
        })))
    }

    /// One that says nothing.
    pub fn silent() -> Self {
        Progress(None)
    }

    /// Puts this text in the line.
    pub fn say(&self, text: &str) {
        let Some(live) = &self.0 else { return };
        if live.since.elapsed() < QUIET_FOR {
            return;
        }
        if live.bar.is_hidden() {
            live.bar.set_draw_target(ProgressDrawTarget::stderr());
            live.bar.enable_steady_tick(Duration::from_millis(120));
        }
        let clean: String = live
            .redactor
            .redact(text)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        live.bar.set_message(clean);
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(live) = &self.0 {
            live.bar.finish_and_clear();
        }
    }
}

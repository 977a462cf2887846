//! The live line: what is going on, on a terminal, for work that takes longer than a second.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use config::value::Span;
use model::{Env, Redactor};

use crate::board::QUIET_FOR;
use crate::screen::{Owner, screen};
use crate::{Board, board, cut};

/// How often the line moves.
const BEAT: Duration = Duration::from_millis(120);
const SIGNS: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A line that is rewritten in place. Silent if stderr is not a terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    wanted: bool,
    live: Option<Arc<Live>>,
    redactor: Redactor,
}

#[derive(Debug)]
struct Live {
    since: Instant,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    said: String,
    /// Whether it is wanted on the screen.
    shown: bool,
    /// What moves it; it ends with this.
    beats: Option<mpsc::Sender<()>>,
}

impl Progress {
    pub(crate) fn new(wanted: bool, env: &Env, redactor: Redactor) -> Self {
        // A dumb terminal cannot rewrite what it has written.
        let terminal = std::io::stderr().is_terminal() && env.get("TERM") != Some("dumb");
        let live = (wanted && terminal).then(|| {
            Arc::new(Live {
                since: Instant::now(),
                line: Mutex::default(),
            })
        });
        Progress {
            wanted,
            live,
            redactor,
        }
    }

    /// A place for more than one line. While it is on the screen, what is said is only kept in
    /// [`Progress::text`].
    pub fn board(&self) -> Board {
        Board::new(self.wanted, self.live.is_some(), self.redactor.clone())
    }

    /// Puts this text in the line.
    pub fn show(&self, text: &str) {
        let Some(live) = &self.live else { return };
        let clean = crate::plain(&self.redactor.redact(text), 0).replace('\n', " ");
        {
            let mut state = live.line();
            state.said = clean;
            state.shown = true;
            if state.beats.is_none() {
                state.beats = Some(beat(Arc::downgrade(live)));
            }
        }
        live.draw();
    }

    /// What was said last.
    pub fn text(&self) -> String {
        let live = self.live.as_ref();
        live.map(|live| live.line().said.clone())
            .unwrap_or_default()
    }

    /// Takes the line away.
    pub fn clear(&self) {
        let Some(live) = &self.live else { return };
        live.line().shown = false;
        let mut screen = screen();
        if screen.owner() == Some(Owner::Line) {
            screen.clear();
        }
    }
}

impl Live {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) {
        let since = self.since.elapsed();
        if since < QUIET_FOR {
            return;
        }
        // First the screen: what is taken away after this look is not drawn again.
        let mut screen = screen();
        let line = self.line();
        if screen.owner() == Some(Owner::Board) || !line.shown {
            return;
        }
        let beats = usize::try_from(since.as_millis() / BEAT.as_millis()).unwrap_or_default();
        let text = format!(
            "{} {} {}",
            SIGNS[beats % SIGNS.len()],
            Span::from(Duration::from_secs(since.as_secs())),
            line.said
        );
        let (width, _) = board::size();
        screen.draw(Owner::Line, &[cut(&text, width.saturating_sub(1))]);
    }
}

/// Moves the line for as long as there is one and a terminal to show it.
fn beat(live: Weak<Live>) -> mpsc::Sender<()> {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
            match live.upgrade() {
                Some(live) if !screen().is_gone() => live.draw(),
                _ => return,
            }
        }
    });
    sender
}

//! What people see of a gate while it runs: a line for each probe on a terminal; elsewhere a line
//! when something changes, and a sign of life each half minute.

mod frame;
mod lines;
mod row;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use cli::Board;
use gate::observer::{Measured, Observer, ProbeInfo, StandingEvent};
use gate::policy::Conclusion;
use jiff::Timestamp;
use model::Verdict;
use model::report::Pause;

use lines::Lines;
use row::Row;

use crate::compared::Compared;

/// Shows a gate on a board.
pub(crate) struct View {
    board: Board,
    started: Instant,
    state: RefCell<State>,
    /// When we ourselves were stopped; the first of them.
    pauses: RefCell<Vec<Pause>>,
}

/// More tell a reader nothing new.
const PAUSES: usize = 50;

#[derive(Default)]
struct State {
    /// The probes, then the metrics that are compared.
    rows: Vec<Row>,
    probes: usize,
    lines: Lines,
}

impl View {
    pub(crate) fn new(board: Board) -> Self {
        View {
            board,
            started: Instant::now(),
            state: RefCell::default(),
            pauses: RefCell::default(),
        }
    }

    /// Metrics that are compared beside the probes.
    pub(crate) fn compare(&self, metrics: &[Compared]) {
        let row = |metric: &Compared| {
            let mut row = Row::new(
                &ProbeInfo {
                    id: &metric.id,
                    subject: &metric.subject,
                    severity: metric.severity,
                    policy: &metric.policy,
                    members: None,
                },
                &self.board,
            );
            row.compares("no data yet", &self.board);
            row
        };
        self.state.borrow_mut().rows.extend(metrics.iter().map(row));
    }

    /// How one of them stands.
    pub(crate) fn compares(&self, nth: usize, text: &str) {
        let elapsed = self.started.elapsed();
        let probes = self.state.borrow().probes;
        self.changed(probes + nth, elapsed, |row, board| {
            row.compares(text, board);
            false
        });
    }

    /// How one of them ended.
    pub(crate) fn compared(&self, nth: usize, verdict: Verdict, reason: &str) {
        let probes = self.state.borrow().probes;
        let reason = reason.to_owned();
        self.concluded(probes + nth, &Conclusion { verdict, reason });
    }

    /// When the gate itself was stopped, at its end.
    pub(crate) fn into_pauses(self) -> Vec<Pause> {
        self.pauses.into_inner()
    }

    /// Draws for as long as it is polled.
    pub(crate) async fn draw(&self) -> Infallible {
        let mut ticks = tokio::time::interval(cli::TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick(self.started.elapsed());
        }
    }

    fn tick(&self, elapsed: Duration) {
        let State {
            rows,
            lines,
            probes: _,
        } = &mut *self.state.borrow_mut();
        if let Some((width, height)) = self.board.size() {
            self.board.show(&frame::frame(rows, elapsed, width, height));
        }
        if self.board.writes_lines() {
            lines
                .tick(rows, elapsed)
                .iter()
                .for_each(|line| self.board.line(line));
        }
    }

    /// Notes what happened to a probe, and says it where lines are written.
    fn changed(
        &self,
        probe: usize,
        elapsed: Duration,
        note: impl FnOnce(&mut Row, &Board) -> bool,
    ) {
        let State {
            rows,
            lines,
            probes: _,
        } = &mut *self.state.borrow_mut();
        let Some(row) = rows.get_mut(probe) else {
            return;
        };
        if note(row, &self.board)
            && self.board.writes_lines()
            && let Some(line) = lines.change(row, elapsed)
        {
            self.board.line(&line);
        }
    }
}

impl Observer for View {
    fn begin(&self, probes: &[ProbeInfo<'_>]) {
        let rows = probes.iter().map(|asked| Row::new(asked, &self.board));
        let state = &mut *self.state.borrow_mut();
        state.rows.splice(..state.probes, rows);
        state.probes = probes.len();
    }

    fn measured(&self, measured: &Measured<'_>) {
        self.changed(measured.probe, measured.started, |row, board| {
            row.measured(measured, board);
            false
        });
    }

    fn stands(&self, stands: &StandingEvent<'_>) {
        self.changed(stands.probe, stands.elapsed, |row, _| row.stands(stands));
    }

    fn concluded(&self, probe: usize, conclusion: &Conclusion) {
        let elapsed = self.started.elapsed();
        self.changed(probe, elapsed, |row, board| {
            row.concluded(conclusion, board)
        });
    }

    fn reopened(&self, probe: usize) {
        let elapsed = self.started.elapsed();
        self.changed(probe, elapsed, |row, _| row.reopened());
    }

    fn stopped(&self, lasted: Duration) {
        let now = Timestamp::now();
        let mut pauses = self.pauses.borrow_mut();
        if pauses.len() < PAUSES {
            let at = now.checked_sub(lasted).unwrap_or(now);
            pauses.push(Pause { at, lasted });
        }
    }

    fn end(&self) {
        let State {
            rows,
            lines,
            probes: _,
        } = &mut *self.state.borrow_mut();
        if self.board.writes_lines()
            && let Some(line) = lines.unprinted_changes(rows, self.started.elapsed())
        {
            self.board.line(&line);
        }
    }
}

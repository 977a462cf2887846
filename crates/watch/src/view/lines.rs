//! Output without a terminal: what changed, and a sign of life.

use std::time::Duration;

use model::text::tenths;

use super::frame::counts;
use super::row::{Row, seconds};

/// Silence for longer looks like a hang.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// In one second; a log of thousands of endpoints is not read.
const CHANGES: usize = 10;

/// What has been said.
#[derive(Default)]
pub(super) struct Lines {
    /// The second of which `said` tells.
    second: u64,
    said: usize,
    /// Changes that were not said.
    unsaid: usize,
    /// Heartbeats so far.
    beats: u32,
}

impl Lines {
    /// The line for a change, unless there were too many in this second.
    pub(super) fn change(&mut self, row: &Row, elapsed: Duration) -> Option<String> {
        if self.second != elapsed.as_secs() {
            self.second = elapsed.as_secs();
            self.said = 0;
        }
        if self.said == CHANGES {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        let (mark, outlook) = (row.mark(), row.outlook(elapsed));
        Some(format!("+{} {mark} {}: {outlook}", since(elapsed), row.id))
    }

    /// What there is to say now though nothing changed.
    pub(super) fn tick(&mut self, rows: &[Row], elapsed: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        if self.second != elapsed.as_secs() {
            lines.extend(self.unprinted_changes(rows, elapsed));
        }
        let beats = u32::try_from(elapsed.as_secs() / HEARTBEAT.as_secs()).unwrap_or(u32::MAX);
        if beats > self.beats {
            self.beats = beats;
            lines.push(counts(rows, elapsed));
            let worst = rows
                .iter()
                .filter(|row| row.is_open())
                .max_by_key(|row| row.rank());
            lines.extend(
                worst.map(|row| format!("  {} {}: {}", row.mark(), row.id, row.outlook(elapsed))),
            );
        }
        lines
    }

    /// How many changes were not said.
    pub(super) fn unprinted_changes(&mut self, rows: &[Row], elapsed: Duration) -> Option<String> {
        let unsaid = std::mem::take(&mut self.unsaid);
        (unsaid > 0).then(|| {
            format!(
                "+{} … {unsaid} more changes; {}",
                since(elapsed),
                counts(rows, elapsed)
            )
        })
    }
}

fn since(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(10) {
        return tenths(elapsed);
    }
    seconds(elapsed)
}

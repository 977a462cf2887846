//! What is kept of what a command prints, and when it prints too much.

use super::proof::Proof;
use super::{Exit, Output};
use crate::local::before_cut;

/// A command is cut off above this many times of what is kept of it, or above [`FLOOD`].
const FLOOD_FACTOR: u64 = 16;
const FLOOD: u64 = 1 << 20;

/// One of a command's streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Stdout,
    Stderr,
}

/// What is kept of the two streams.
pub(super) struct BoundedOutput {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    printed: u64,
    most: usize,
}

impl BoundedOutput {
    pub(super) fn new(most: usize) -> BoundedOutput {
        BoundedOutput {
            stdout: Vec::new(),
            stderr: Vec::new(),
            printed: 0,
            most,
        }
    }

    pub(super) fn flood(&self) -> bool {
        self.printed > (self.most as u64).saturating_mul(FLOOD_FACTOR).max(FLOOD)
    }

    /// Takes a piece of a stream.
    pub(super) fn take(&mut self, part: Part, piece: &[u8], proof: &mut Proof) {
        self.printed += piece.len() as u64;
        let kept = match part {
            Part::Stdout => &mut self.stdout,
            Part::Stderr => {
                proof.see(piece);
                &mut self.stderr
            }
        };
        let room = self.most.saturating_sub(kept.len()).min(piece.len());
        kept.extend_from_slice(&piece[..room]);
    }

    pub(super) fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// All of it, when the command has ended.
    pub(super) fn output(mut self, exit: Exit, proof: &Proof) -> Output {
        self.printed -= proof.remove(&mut self.stderr);
        let truncated = self.printed > (self.stdout.len() + self.stderr.len()) as u64;
        for stream in [&mut self.stdout, &mut self.stderr] {
            if truncated && stream.len() >= self.most {
                stream.truncate(before_cut(stream).len());
            }
        }
        Output {
            exit,
            truncated,
            stdout: self.stdout,
            stderr: self.stderr,
            printed: self.printed,
        }
    }
}

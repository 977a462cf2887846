//! Lines that come one at a time, for a reader that waits for none.

use std::cell::RefCell;
use std::io::{BufRead, Read, Result};
use std::rc::Rc;

/// What was pushed and not read yet. A clone is the same lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    shared: Rc<RefCell<Vec<u8>>>,
    /// What is being read.
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&self, line: &str) {
        let mut shared = self.shared.borrow_mut();
        shared.extend_from_slice(line.as_bytes());
        shared.push(b'\n');
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.buffer.is_empty() {
            self.buffer = std::mem::take(&mut *self.shared.borrow_mut());
        }
        Ok(&self.buffer)
    }

    fn consume(&mut self, read: usize) {
        self.buffer.drain(..read);
    }
}

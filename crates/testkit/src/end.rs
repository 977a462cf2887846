//! How a command ended, as a user sees it.

use std::process::Output;

/// What a command printed and the code it exited with.
pub struct End {
    /// -1 where a signal ended it.
    pub code: i32,
    /// Its output, then its errors.
    pub text: String,
}

impl End {
    /// Fails the test unless the command exited with this code and printed all of these parts.
    #[track_caller]
    pub fn is(self, code: i32, all: &[&str]) -> End {
        assert_eq!(self.code, code, "{}", self.text);
        for part in all {
            assert!(
                self.text.contains(part),
                "`{part}` is not in:\n{}",
                self.text
            );
        }
        self
    }
}

impl From<Output> for End {
    fn from(output: Output) -> End {
        let text = [output.stdout, output.stderr].concat();
        End {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

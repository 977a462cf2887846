//! Whether a command that is said to have succeeded ran at all.
//!
//! A server may close a channel without an exit status, and libssh2 then tells 0; or it runs
//! another command in place of ours and tells that one's status. So the shell that runs the
//! command prints a word that was made for it alone, after its success, on standard error.

/// The word, and whether it was seen.
pub(super) struct Proof {
    word: String,
    given: bool,
    /// The end of what was seen: the word may arrive in pieces.
    end: Vec<u8>,
}

impl Proof {
    /// What to run so that the user's login shell, one of POSIX's kind, runs `command` and
    /// proves it. In a subshell, which takes an `exit` or an `exec` with it.
    pub(super) fn of_command(command: &str) -> (Proof, String) {
        let proof = Proof::new();
        let text = format!("(\n{command}\n) && echo {} >&2", proof.word);
        (proof, text)
    }

    /// What `sh` must read so that it runs a script and proves it.
    pub(super) fn of_script(script: &str) -> (Proof, String) {
        let proof = Proof::new();
        let text = format!(
            "trap '[ $? != 0 ] || echo {} >&2' EXIT\n{script}",
            proof.word
        );
        (proof, text)
    }

    fn new() -> Proof {
        Proof {
            word: format!("deploy-guard-done-{:016x}", rand::random::<u64>()),
            given: false,
            end: Vec::new(),
        }
    }

    /// Takes a piece of standard error.
    pub(super) fn see(&mut self, piece: &[u8]) {
        if !self.given {
            self.end.extend_from_slice(piece);
            self.given = find(&self.end, &self.word).is_some();
            let old = self.end.len().saturating_sub(self.word.len());
            self.end.drain(..old);
        }
    }

    pub(super) fn is_given(&self) -> bool {
        self.given
    }

    /// Takes the word and its line break out of what was kept; how many bytes it had.
    pub(super) fn remove(&self, kept: &mut Vec<u8>) -> u64 {
        if !self.given {
            return 0;
        }
        let length = self.word.len() + 1;
        if let Some(at) = find(kept, &self.word) {
            kept.drain(at..(at + length).min(kept.len()));
        }
        length as u64
    }
}

fn find(text: &[u8], word: &str) -> Option<usize> {
    text.windows(word.len())
        .position(|part| part == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_found_in_pieces_and_taken_out() {
        let (mut proof, _) = Proof::of_command("true");
        let text = format!("warning\n{}\nlate", proof.word);
        for piece in text.as_bytes().chunks(7) {
            proof.see(piece);
        }
        assert!(proof.is_given());
        let mut kept = text.into_bytes();
        proof.remove(&mut kept);
        assert_eq!(kept, b"warning\nlate");
        let (mut proof, _) = Proof::of_script("exit 0");
        proof.see(b"deploy-guard-done-");
        assert!(!proof.is_given());
        assert_eq!(proof.remove(&mut b"x".to_vec()), 0);
    }
}

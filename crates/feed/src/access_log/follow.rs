//! A log that grows, here or at a host: what was added to it since it was read last.
//!
//! A log that was moved away is read to its end where it lies now, beside the new one; one that
//! was cut is read from its beginning.

use std::time::Duration;

use probe::shell::Shell;
use remote::quote_path;

use crate::error::Error;

/// Read at once; what is more is read the next time.
const MAX_READ_BYTES: usize = 8 << 20;
/// A longer line is none.
const LONGEST_LINE: usize = 64 << 10;
/// Times a log is read on in one look, so that a busy one is not behind.
const MAX_READS: usize = 32;

pub(crate) struct Follow {
    shell: Shell,
    file: String,
    place: Option<Place>,
    /// A line that is not whole yet.
    rest: Vec<u8>,
    /// The line that is being read is too long.
    skips: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    inode: u64,
    offset: u64,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Added {
    pub(crate) lines: Vec<String>,
    /// Lines that were too long.
    pub(crate) too_long: usize,
    /// There is more than was read.
    pub(crate) behind: bool,
}

impl Follow {
    pub(crate) fn new(shell: Shell, file: String) -> Follow {
        Follow {
            shell,
            file,
            place: None,
            rest: Vec::new(),
            skips: false,
        }
    }

    /// The lines since the last time; the first time only its end is looked up.
    pub(crate) async fn added(&mut self, timeout: Duration) -> Result<Added, Error> {
        let mut added = Added::default();
        for _ in 0..MAX_READS {
            let Some(before) = self.place else {
                let script = self.script(None);
                let printed = self.run(&script, timeout).await?;
                let (place, _, _) = self.head(&printed)?;
                self.place = Some(place);
                return Ok(added);
            };
            let script = self.script(Some(before));
            let printed = self.run(&script, timeout).await?;
            let (now, old, body) = self.head(&printed)?;
            let read = body.len() as u64;
            self.split(&printed[printed.len() - body.len()..], &mut added);
            let was = if now.inode == before.inode && now.offset >= before.offset {
                before.offset
            } else {
                0
            };
            // What came from the old file is not part of the new one.
            let offset = if read >= old { was + (read - old) } else { 0 };
            self.place = Some(Place {
                inode: now.inode,
                offset,
            });
            added.behind = offset < now.offset;
            if !added.behind {
                break;
            }
        }
        Ok(added)
    }

    async fn run(&self, script: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        let ran = self
            .shell
            .full_output(script, timeout, 2 * MAX_READ_BYTES + 4096)
            .await?;
        if ran.status != Some(0) {
            return Err(Error::Log {
                file: self.file.clone(),
                why: format!("{}: {}", ran.exit, ran.tail),
            });
        }
        Ok(ran.stdout)
    }

    /// Prints `inode size length-of-the-old-part`, a line's end, and what was added.
    fn script(&self, before: Option<Place>) -> String {
        let file = quote_path(&self.file);
        let head = format!(
            "f={file}\nset -- $(stat -L -c '%i %s' -- \"$f\") || exit 1\n[ -r \"$f\" ] || {{ echo \
             'it cannot be read' >&2; exit 1; }}\n"
        );
        let Some(Place { inode, offset }) = before else {
            return format!("{head}echo \"$1 $2 0\"\n");
        };
        let from = offset + 1;
        format!(
            "{head}old=; part=0; from=1
if [ \"$1\" = {inode} ]; then
  if [ \"$2\" -ge {offset} ]; then from={from}; fi
else
  for g in \"$f\"?*; do
    if [ -f \"$g\" ] && [ \"$(stat -c %i -- \"$g\")\" = {inode} ]; then
      size=$(stat -c %s -- \"$g\")
      if [ \"$size\" -gt {offset} ]; then old=$g; part=$((size - {offset})); fi
    fi
  done
fi
[ \"$part\" -le {MAX_READ_BYTES} ] || part={MAX_READ_BYTES}
echo \"$1 $2 $part\"
[ -z \"$old\" ] || tail -c +{from} -- \"$old\" | head -c \"$part\"
tail -c +\"$from\" -- \"$f\" | head -c {MAX_READ_BYTES}
"
        )
    }

    fn head<'p>(&self, printed: &'p [u8]) -> Result<(Place, u64, &'p [u8]), Error> {
        let end = printed.iter().position(|byte| *byte == b'\n');
        let (head, body) = match end {
            Some(end) => (&printed[..end], &printed[end + 1..]),
            None => (printed, &printed[..0]),
        };
        let head = String::from_utf8_lossy(head);
        let numbers: Vec<u64> = head.split(' ').filter_map(|it| it.parse().ok()).collect();
        let [inode, offset, old] = numbers[..] else {
            return Err(Error::Log {
                file: self.file.clone(),
                why: "its size cannot be read".to_owned(),
            });
        };
        Ok((Place { inode, offset }, old, body))
    }

    fn split(&mut self, bytes: &[u8], added: &mut Added) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let whole = pieces.peek().is_some();
            if self.rest.len() + piece.len() > LONGEST_LINE {
                self.skips = true;
                self.rest.clear();
            } else if !self.skips {
                self.rest.extend_from_slice(piece);
            }
            if !whole {
                break;
            }
            if std::mem::take(&mut self.skips) {
                added.too_long += 1;
            } else if !self.rest.is_empty() {
                added
                    .lines
                    .push(String::from_utf8_lossy(&self.rest).into_owned());
            }
            self.rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;

    use probe::ProbeContext;

    use super::*;

    fn follow(file: &Path) -> Follow {
        let shell =
            Shell::new(None, &ProbeContext::default()).unwrap_or_else(|why| panic!("{why}"));
        Follow::new(shell, file.display().to_string())
    }

    fn append(file: &Path, text: &str) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    async fn read(follow: &mut Follow) -> String {
        let added = follow.added(Duration::from_secs(20)).await;
        let added = added.unwrap_or_else(|why| panic!("{why}"));
        assert!(!added.behind);
        format!("{} {}", added.lines.join(","), added.too_long)
    }

    #[tokio::test]
    async fn a_log_is_read_on_over_rotation_truncation_and_half_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's a log");
        append(&file, "before\n");
        let mut follow = follow(&file);
        assert_eq!(read(&mut follow).await, " 0");
        append(&file, "a\nb\nhal");
        assert_eq!(read(&mut follow).await, "a,b 0");
        append(&file, "f\nc\n");
        assert_eq!(read(&mut follow).await, "half,c 0");
        assert_eq!(read(&mut follow).await, " 0");
        // Moved away while something was added to it, as logrotate does.
        append(&file, "d\n");
        fs::rename(&file, folder.path().join("it's a log.1")).unwrap();
        append(&file, "e\n");
        assert_eq!(read(&mut follow).await, "d,e 0");
        append(&file, "g\n");
        assert_eq!(read(&mut follow).await, "g 0");
        // Cut in its place.
        fs::write(&file, "h\n").unwrap();
        assert_eq!(read(&mut follow).await, "h 0");
        // A line without an end is no memory without one.
        append(&file, &"x".repeat(LONGEST_LINE * 3));
        assert_eq!(read(&mut follow).await, " 0");
        append(&file, "\ni\n");
        assert_eq!(read(&mut follow).await, "i 1");
    }

    #[tokio::test]
    async fn a_log_that_is_not_there_is_an_error() {
        let why = follow(Path::new("/nowhere/access.log"))
            .added(Duration::from_secs(20))
            .await;
        let why = why.err().map(|why| why.to_string()).unwrap_or_default();
        assert!(
            why.contains("/nowhere/access.log") && why.contains("No such file"),
            "{why}"
        );
    }
}

//! Ends the connections of the `ssh` program when this process ends without a word, also by `kill -9`.
//!
//! By itself the program waits for a command that still runs on a host, however long that takes. So a
//! small shell waits for the end of its input, which is ours, and ends what is left then.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// `$0` is the program; its input is the paths of control sockets.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while IFS= read -r socket; do set -- "$@" "$socket"; done
for socket do
  folder=${socket%/*}
  [ -d "$folder" ] || continue
  [ -S "$socket" ] && "$0" -F none -S "$socket" -O exit guard
  rm -f "$folder/s" "$folder/log"
  rmdir "$folder"
done
"#;

/// The input of the shell, which is started with the first connection.
static SHELL: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Sees to it that this connection ends with us.
pub(super) fn watch(program: &Path, socket: &Path) -> std::io::Result<()> {
    let mut shell = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    let told = shell
        .as_mut()
        .is_some_and(|input| writeln!(input, "{}", socket.display()).is_ok());
    if !told {
        let mut input = start(program)?;
        // A shell that does not read leaves the program to its own limit.
        let _ = writeln!(input, "{}", socket.display());
        *shell = Some(input);
    }
    Ok(())
}

fn start(program: &Path) -> std::io::Result<ChildStdin> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What ends our group must leave it.
        .process_group(0)
        .spawn()?;
    let no_input = || std::io::Error::other("a shell has no input");
    child.stdin.take().ok_or_else(no_input)
}

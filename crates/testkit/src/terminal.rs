//! What a person sees of a command on a terminal.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every screen that a person saw of this line of a shell, run in the folder on a terminal of so
/// many rows and columns.
pub fn screens(
    line: &str,
    folder: &Path,
    (rows, columns): (u16, u16),
    variables: &[(&str, &str)],
) -> Vec<String> {
    let inner = format!("stty rows {rows} cols {columns}; {line}");
    let mut command = Command::new(crate::tool("script"));
    let mut child = crate::clean(&mut command)
        .args(["--quiet", "--return", "--flush", "--command", &inner])
        .arg("/dev/null")
        .current_dir(folder)
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be started");
    let mut terminal = vt100::Parser::new(rows, columns, 1000);
    let mut screens = vec![String::new()];
    let mut output = child.stdout.take().expect("a pipe");
    let mut bytes = [0; 4096];
    loop {
        let read = output.read(&mut bytes).expect("the terminal can be read");
        if read == 0 {
            break;
        }
        terminal.process(&bytes[..read]);
        let lines = terminal.screen().rows(0, columns);
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        screens.push(lines.join("\n").trim_end().to_owned());
    }
    child.wait().expect("script ends");
    screens
}

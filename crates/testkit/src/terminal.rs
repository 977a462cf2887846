//! What a person sees of a command on a terminal.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A terminal whose window is open.
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    output: ChildStdout,
}

impl Terminal {
    /// Runs this line of a shell in the folder, on a terminal of so many rows and columns.
    pub fn open(
        line: &str,
        folder: &Path,
        (rows, columns): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Terminal {
        let inner = format!("stty rows {rows} cols {columns}; {line}");
        let mut command = Command::new(crate::tool("script"));
        let mut script = crate::clear_environment(&mut command)
            .args(["--quiet", "--return", "--flush", "--command", &inner])
            .arg("/dev/null")
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script can be started");
        let output = script.stdout.take().expect("a pipe");
        Terminal { script, output }
    }

    /// The next bytes that a person sees; none at the end.
    pub fn read(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let read = self
            .output
            .read(&mut bytes)
            .expect("the terminal can be read");
        bytes.truncate(read);
        bytes
    }

    /// Closes the window at once, as a lost connection does. What runs there goes on if it ignores
    /// SIGHUP.
    pub fn close(mut self) {
        self.script.kill().expect("script can be killed");
        self.script.wait().expect("script ends");
    }
}

/// Every screen that a person saw of this line of a shell, run in the folder on a terminal of so
/// many rows and columns.
pub fn screens(
    line: &str,
    folder: &Path,
    (rows, columns): (u16, u16),
    variables: &[(&str, &str)],
) -> Vec<String> {
    let mut window = Terminal::open(line, folder, (rows, columns), variables);
    let mut terminal = vt100::Parser::new(rows, columns, 1000);
    let mut screens = vec![String::new()];
    loop {
        let bytes = window.read();
        if bytes.is_empty() {
            break;
        }
        terminal.process(&bytes);
        let lines = terminal.screen().rows(0, columns);
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        screens.push(lines.join("\n").trim_end().to_owned());
    }
    window.script.wait().expect("script ends");
    screens
}

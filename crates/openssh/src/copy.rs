//! The command lines of `scp` and `rsync`.

use crate::options::{Options, Program};
use crate::text::words;

/// Where files are copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub options: Options,
    /// `user@host`.
    pub destination: String,
    pub path: String,
}

impl Copy {
    /// Reads a command line, the program first. `None` where nothing goes to another machine.
    pub fn read(line: &[String]) -> Option<Copy> {
        let mut options = Options::default();
        let (program, rest) = line.split_first()?;
        let target = if program.rsplit('/').next()? == "scp" {
            let operands = options.read(rest, Program::Scp);
            operands.last()?.clone()
        } else {
            // `-e "ssh -p 2222 -i KEY"`, `--rsh=ssh`.
            let shell = rest.iter().enumerate().find_map(|(nth, word)| {
                let bundled =
                    word.starts_with('-') && !word.starts_with("--") && word.ends_with('e');
                if bundled || word == "--rsh" {
                    return rest.get(nth + 1).cloned();
                }
                word.strip_prefix("--rsh=")
                    .or_else(|| word.strip_prefix("-e"))
                    .map(str::to_owned)
            });
            if let Some(words) = shell.and_then(|shell| words(&shell)) {
                let from = words.iter().position(|word| word.ends_with("ssh"));
                let from = from.map_or(0, |at| at + 1);
                options.read(words.get(from..).unwrap_or_default(), Program::Ssh);
            }
            let mut operands = rest.iter().filter(|word| !word.starts_with('-'));
            operands.next_back()?.clone()
        };
        let (destination, path) = split_target(&target)?;
        Some(Copy {
            options,
            destination: destination.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// `user@host:/path`; not a path with a colon in it.
pub fn split_target(target: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let at = target.char_indices().find_map(|(at, c)| {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => return Some(None),
            ':' if depth == 0 => return Some(Some(at)),
            _ => {}
        }
        None
    })??;
    Some((&target[..at], &target[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_files_go() {
        let read = |text: &str| {
            let words: Vec<String> = text.split('|').map(str::to_owned).collect();
            Copy::read(&words)
        };
        for (text, destination, path, port) in [
            (
                "rsync|-az|--delete|-e|ssh -p 2222|./|a@h:/srv/x/",
                "a@h",
                "/srv/x/",
                Some("2222"),
            ),
            (
                "rsync|-avze|ssh|out/|${{ secrets.H }}:~/x",
                "${{ secrets.H }}",
                "~/x",
                None,
            ),
            ("scp|-q|-P|22|a|b|u@h:x", "u@h", "x", Some("22")),
        ] {
            let copy = read(text).unwrap();
            assert_eq!(
                (&*copy.destination, &*copy.path),
                (destination, path),
                "{text}"
            );
            assert_eq!(copy.options.port.as_deref(), port, "{text}");
        }
        let way = "rsync|-e|ssh -o 'ProxyCommand=ssh -W %h:%p ${{ secrets.A }}@b'|x|h:y";
        assert!(read(way).unwrap().options.way.is_some());
        assert!(read("rsync|-a|x|./y:z").is_none());
        assert!(read("scp").is_none());
    }
}

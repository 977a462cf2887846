//! A summary that is too long keeps its head and its tail.
//!
//! Neither may be cut within a block: text that was safe in a fence would become markup.

/// Keeps the head and the tail of a text so that it fits into `limit` bytes, and marks the cut.
pub fn fit(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let note =
        |cut: usize| format!("\n\n_… {cut} bytes cut here: a step's summary holds 1 MB …_\n\n");
    let room = limit.saturating_sub(note(text.len()).len());
    let (mut at, mut blocks) = (0, Blocks::default());
    let (mut head, mut close) = (0, String::new());
    let mut tail = text.len();
    for line in text.split_inclusive('\n') {
        // Whole lines only: half a table row would spoil what follows.
        if at + line.len() + blocks.close().len() + MAX_CLOSING_BYTES <= room / 2 {
            blocks.read(line);
            (head, close) = (at + line.len(), blocks.close());
        } else {
            if at >= text.len() - room / 2 && blocks.outside() {
                tail = at;
                break;
            }
            blocks.read(line);
        }
        at += line.len();
    }
    format!(
        "{}{close}{}{}",
        &text[..head],
        note(tail - head),
        &text[tail..]
    )
}

/// What one line can add to what must be closed, of lines as we write them.
const MAX_CLOSING_BYTES: usize = 64;

/// Which blocks are open between two lines.
#[derive(Default)]
struct Blocks {
    /// How many backticks the open fence has.
    fence: usize,
    pre: bool,
    details: usize,
}

impl Blocks {
    fn read(&mut self, line: &str) {
        let backticks = line.len() - line.trim_start_matches('`').len();
        if self.fence > 0 {
            if backticks >= self.fence && line.trim_start_matches('`').trim().is_empty() {
                self.fence = 0;
            }
        } else if self.pre {
            self.pre = !line.contains("</pre>");
        } else if backticks >= 3 {
            self.fence = backticks;
        } else {
            self.pre = line.contains("<pre>") && !line.contains("</pre>");
            self.details += line.matches("<details").count();
            self.details -= line.matches("</details>").count().min(self.details);
        }
    }

    fn outside(&self) -> bool {
        self.fence == 0 && !self.pre && self.details == 0
    }

    /// What ends the open blocks.
    fn close(&self) -> String {
        let mut close = String::new();
        if self.fence > 0 {
            close.push_str(&"`".repeat(self.fence));
            close.push('\n');
        }
        if self.pre {
            close.push_str("</pre>\n");
        }
        close.push_str(&"</details>\n".repeat(self.details));
        close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1000;

    fn filled(line: &str) -> String {
        format!("{line}\n").repeat(40)
    }

    #[test]
    fn a_cut_leaves_no_block_open() {
        let fence = format!(
            "## a\n<details><summary>x</summary>\n\n````text\n```\n{}````\n</details>\n\n## b\n",
            filled("</pre> [x](http://evil) <details>")
        );
        let fitted = fit(&fence, LIMIT);
        assert!(fitted.len() <= LIMIT, "{fitted}");
        assert!(
            fitted.contains("<details>\n````\n</details>\n\n\n_… "),
            "{fitted}"
        );
        assert!(
            fitted.ends_with("cut here: a step's summary holds 1 MB …_\n\n\n## b\n"),
            "{fitted}"
        );
        let pre = format!(
            "<details><summary>x</summary>\n\n<pre>\n```\n{}</pre>\n</details>\n",
            filled("**x** and a few more words")
        );
        let fitted = fit(&pre, 500);
        assert!(
            fitted.contains("words\n</pre>\n</details>\n\n\n_… ") && fitted.ends_with("_\n\n"),
            "{fitted}"
        );
    }

    #[test]
    fn a_line_that_is_longer_than_the_limit_is_left_out() {
        let fitted = fit(&format!("## a\n{}\n## b\n", "x".repeat(LIMIT * 3)), LIMIT);
        assert!(
            fitted.starts_with("## a\n") && fitted.ends_with("## b\n"),
            "{fitted}"
        );
        assert!(fitted.len() < 200, "{fitted}");
    }
}

//! A step summary on a terminal: enough Markdown for what `actions::summary` writes.

/// Tables are aligned, tags and entities resolved, details indented.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::new();
    let mut table: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        if line.starts_with('|') {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| plain(cell.trim()))
                .collect();
            if !cells
                .iter()
                .all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-'))
            {
                table.push(cells);
            }
            continue;
        }
        flush(&mut out, &mut table);
        let line = if let Some(title) = line.strip_prefix("## ") {
            plain(title)
        } else if line.starts_with("<details") {
            format!("▾ {}", plain(line))
        } else if line.is_empty() && out.ends_with("\n\n") {
            continue;
        } else {
            plain(line)
        };
        out.push_str("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    flush(&mut out, &mut table);
    out
}

fn flush(out: &mut String, table: &mut Vec<Vec<String>>) {
    /// A wider cell would push the next column off the screen.
    const WIDEST: usize = 44;
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cli::columns(cell))
            .max()
            .unwrap_or_default()
            .min(WIDEST)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table.drain(..) {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&cli::padded(cell, *width));
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Text without tags and with its character references resolved.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(end) = rest.strip_prefix('<').and_then(|tag| tag.find('>')) {
            if rest.starts_with("<br") {
                out.push(' ');
            }
            rest = &rest[end + 2..];
        } else if let Some((resolved, length)) = reference(rest) {
            out.push(resolved);
            rest = &rest[length..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out.replace("**", "").replace('\u{200b}', "")
}

fn reference(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.strip_prefix('&')?.split_once(';')?;
    let resolved = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        number => char::from_u32(number.strip_prefix('#')?.parse().ok()?)?,
    };
    Some((resolved, name.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_reads_as_text() {
        let text = markdown(
            "## ✅ a\n\n| | check |\n|---|---|\n| ❌ | a&#124;b |\n\n<details open><summary>❌ <b>x</b>: fail</summary>\n\n<pre>1 &lt; 2</pre>\n</details>\n",
        );
        assert!(text.contains("  ❌  a|b\n"), "{text}");
        assert!(
            text.contains("▾ ❌ x: fail\n") && text.contains("1 < 2\n") && !text.contains("<pre>"),
            "{text}"
        );
    }
}

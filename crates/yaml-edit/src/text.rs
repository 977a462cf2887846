//! Text that came from outside, on its way into a file or onto a terminal.

/// Words that YAML reads as something else.
const TAKEN: [&str; 7] = ["null", "true", "false", "yes", "no", "on", "off"];

/// A YAML scalar: as it is where it is a plain word, else in double quotes.
pub fn scalar(text: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    // A number, a date, a word such as `on` or `null` would be read as something else.
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '.')
        && text.chars().all(good);
    if word && text.len() > 1 && !TAKEN.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    // JSON's strings are YAML's, but for what only JSON leaves as it is.
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control()
                || model::text::is_bidi(c)
                || "\u{2028}\u{2029}\u{feff}".contains(c) =>
            {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The same in the configuration, where `${NAME}` would be filled in.
pub fn literal(text: &str) -> String {
    scalar(&text.replace('$', "$$"))
}

/// A value of a workflow's `env:` or `with:`: an expression stays as it is written, where YAML reads it so.
pub fn expression(text: &str) -> String {
    let safe = text.starts_with("${{")
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.chars().any(char::is_control);
    if safe { text.to_owned() } else { scalar(text) }
}

/// One line of a terminal or a comment.
pub fn line(text: &str) -> String {
    let odd =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || model::text::is_bidi(c);
    text.chars()
        .map(|c| if odd(c) { '\u{fffd}' } else { c })
        .collect()
}

/// A text with `width` more spaces before each of its lines.
pub fn indented(text: &str, width: usize) -> String {
    let space = " ".repeat(width);
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("{space}{line}\n")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_scalar_comes_back() {
        for text in [
            "shop",
            "a: b",
            "x\" y",
            "\\",
            "${{ github.token }}",
            "#no",
            "on",
            "1.10",
            "- a",
            "line\nbreak",
            "\u{2028}",
            "é",
            "",
        ] {
            let tree = yaml::read(&format!("key: {}\n", scalar(text))).unwrap();
            assert_eq!(tree["key"].as_str().unwrap_or_default(), text, "{text:?}");
        }
    }
}

//! What was done to a key that is not read: the one change whose undoing makes it readable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use super::parse::parse;

type Undo = fn(&str) -> Option<String>;

/// Each with how it is undone; `None` where it was not done. In the order in which several are
/// undone together.
const SHAPES: [(Error, Undo); 11] = [
    (Error::Encoded, decoded),
    (Error::Bom, |text| {
        if_changed(text, text.replace('\u{feff}', ""))
    }),
    (Error::Quoted, unquoted),
    (Error::LiteralBreaks, |text| {
        if_changed(text, text.replace("\\r", "").replace("\\n", "\n"))
    }),
    (Error::Crlf, |text| {
        if_changed(text, text.replace("\r\n", "\n").replace('\r', "\n"))
    }),
    (Error::OneLine, broken_again),
    (Error::BlankBefore, |text| {
        if_changed(text, text.trim_start().to_owned())
    }),
    (Error::Indented, |text| {
        if_changed(text, each_line(text, str::trim_start))
    }),
    (Error::Padded, |text| {
        if_changed(text, each_line(text, str::trim_end))
    }),
    (Error::TextBefore, |text| {
        let at = text.find("-----BEGIN ").filter(|at| *at > 0)?;
        Some(text[at..].to_owned())
    }),
    (Error::BlankLines, |text| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        if_changed(text, lines.join("\n"))
    }),
];

/// What is wrong with a text that was not read because of `error`.
pub(super) fn name(text: &str, error: Error) -> Error {
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .is_empty()
    {
        return Error::Empty;
    }
    if !text.ends_with('\n') && parse(&ended(text)).is_ok() {
        return Error::NoFinalBreak;
    }
    // One change is reported before several.
    for (shape, undo) in SHAPES {
        if undo(text).is_some_and(|text| parse(&ended(&text)).is_ok()) {
            return shape;
        }
    }
    let mut first = None;
    let mut whole = text.to_owned();
    for (shape, undo) in SHAPES {
        if let Some(undone) = undo(&whole) {
            first = first.or(Some(shape));
            whole = undone;
        }
        if let Some(first) = first
            && parse(&ended(&whole)).is_ok()
        {
            return first;
        }
    }
    no_key(text).unwrap_or_else(|| parse(&ended(&whole)).err().unwrap_or(error))
}

/// What other thing it is.
fn no_key(text: &str) -> Option<Error> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || "\"'\u{feff}".contains(c));
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if begins(&[
        "ssh-",
        "ecdsa-sha2-",
        "sk-ssh-",
        "sk-ecdsa-",
        "---- BEGIN SSH2 PUBLIC KEY",
    ]) {
        return Some(Error::PublicKey);
    }
    if begins(&["PuTTY-User-Key-File-"]) {
        return Some(Error::Putty);
    }
    begins(&["---- BEGIN SSH2 ", "SSH PRIVATE KEY FILE FORMAT"]).then_some(Error::SshCom)
}

fn if_changed(text: &str, changed: String) -> Option<String> {
    (changed != text).then_some(changed)
}

fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

fn each_line(text: &str, change: fn(&str) -> &str) -> String {
    text.split('\n').map(change).collect::<Vec<_>>().join("\n")
}

fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    let inside = ['"', '\'', '`'].iter().find_map(|quote| {
        let open = text.strip_prefix(*quote);
        let whole = open.unwrap_or(text);
        let closed = whole.strip_suffix(*quote);
        open.or(closed)?;
        Some(closed.unwrap_or(whole))
    })?;
    Some(inside.trim().to_owned())
}

/// The lines of a key that has become one, by spaces or by nothing.
fn broken_again(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    if body.trim().contains('\n') || body.starts_with('\n') && body.ends_with('\n') {
        return None;
    }
    let body: String = body.split_whitespace().collect();
    Some(super::pem::write(label, "", &body))
}

fn decoded(text: &str) -> Option<String> {
    let packed: String = text.split_whitespace().collect();
    let inside = STANDARD.decode(packed).ok()?;
    let inside = String::from_utf8(inside).ok()?;
    inside.contains("PRIVATE KEY-----").then_some(inside)
}

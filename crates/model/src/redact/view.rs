//! A text as its reader sees it: with the escapes of some encoder undone, and every byte's place in
//! the text that it came from.
//!
//! Encoders agree on what they decode to, not on what they write: Go has `\u0026` for `&`, PHP `\/`,
//! .NET `\u002B`, a template `&#x27;` or `&#39;`. So a secret is looked for behind the escapes, in
//! place of a list of all the ways to write it.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::text::CUT;

/// How often a text may have been escaped: JSON within JSON within a page.
const LAYERS: usize = 3;

/// A way to escape text.
#[derive(Clone, Copy)]
enum Escape {
    /// `\n`, `\/`, `\"`, `\x2f`, `\u002f`, `\u{2f}`: JSON, C, Go, Rust, Python, shells.
    Backslash,
    /// `%2F`.
    Percent,
    /// The same with `+` for a space: forms.
    Form,
    /// `&amp;`, `&#47;`, `&#x2f;`.
    Entity,
    /// Line ends and the indentation behind them: base64 is often wrapped.
    Wrap,
}

const ESCAPES: [Escape; 5] = [
    Escape::Backslash,
    Escape::Percent,
    Escape::Form,
    Escape::Entity,
    Escape::Wrap,
];

/// Whether an escape may begin with this byte.
const MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut escape = 0;
    while escape < ESCAPES.len() {
        let of_one = ESCAPES[escape].marks();
        let mut nth = 0;
        while nth < of_one.len() {
            marks[of_one[nth] as usize] = true;
            nth += 1;
        }
        escape += 1;
    }
    marks
};

pub(super) struct View<'t> {
    pub(super) text: Cow<'t, [u8]>,
    /// For each byte of `text`, and for its end, where it begins in the original; `None` where it is
    /// the original.
    starts: Option<Vec<usize>>,
}

impl<'t> View<'t> {
    /// The text itself, and what it is once each escape that it has is undone.
    pub(super) fn all(text: &'t str) -> Vec<View<'t>> {
        let mut views = vec![View {
            text: Cow::Borrowed(text.as_bytes()),
            starts: None,
        }];
        // Most texts have no escapes, and every text of every report comes this way.
        if !text.bytes().any(|byte| MARKS[usize::from(byte)]) {
            return views;
        }
        let mut seen = HashSet::new();
        let mut done = 0;
        for _ in 0..LAYERS {
            let mut new = Vec::new();
            for view in &views[done..] {
                let decoded = ESCAPES.iter().filter_map(|escape| view.decoded(*escape));
                new.extend(decoded.filter(|view| seen.insert(view.text.to_vec())));
            }
            done = views.len();
            views.append(&mut new);
        }
        views
    }

    /// The bytes of the original that became this range.
    pub(super) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        (self.start(start), self.start(end))
    }

    fn start(&self, at: usize) -> usize {
        self.starts.as_ref().map_or(at, |starts| starts[at])
    }

    /// `None` where nothing is escaped in this way.
    fn decoded(&self, escape: Escape) -> Option<View<'t>> {
        let marks = escape.marks();
        if !self.text.iter().any(|byte| marks.contains(byte)) {
            return None;
        }
        let mut text = Vec::with_capacity(self.text.len());
        let mut starts = Vec::with_capacity(self.text.len() + 1);
        let mut at = 0;
        let mut any = false;
        while let Some(&byte) = self.text.get(at) {
            let (length, meaning) = match escape.read(&self.text[at..]) {
                Some(found) => {
                    any = true;
                    found
                }
                None => (1, vec![byte]),
            };
            starts.extend(std::iter::repeat_n(self.start(at), meaning.len()));
            text.extend(meaning);
            at += length;
        }
        starts.push(self.start(at));
        any.then_some(View {
            text: Cow::Owned(text),
            starts: Some(starts),
        })
    }
}

impl Escape {
    /// The bytes that one begins with.
    const fn marks(self) -> &'static [u8] {
        match self {
            Escape::Backslash => b"\\",
            Escape::Percent => b"%",
            Escape::Form => b"%+",
            Escape::Entity => b"&",
            Escape::Wrap => b"\n\r",
        }
    }

    /// The escape that the text begins with: its length, and the bytes that it encodes.
    fn read(self, text: &[u8]) -> Option<(usize, Vec<u8>)> {
        match (self, text[0]) {
            (Escape::Backslash, b'\\') => backslash(&text[1..]).map(behind(1)),
            (Escape::Percent | Escape::Form, b'%') => percent(&text[1..]).map(behind(1)),
            (Escape::Form, b'+') => Some((1, b" ".to_vec())),
            (Escape::Entity, b'&') => entity(&text[1..]).map(behind(1)),
            (Escape::Wrap, b'\n' | b'\r') => {
                let blank = |byte: &&u8| byte.is_ascii_whitespace();
                Some((text.iter().take_while(blank).count(), Vec::new()))
            }
            _ => None,
        }
    }
}

fn behind(more: usize) -> impl FnOnce((usize, Vec<u8>)) -> (usize, Vec<u8>) {
    move |(length, meaning)| (length + more, meaning)
}

/// What is behind a backslash.
fn backslash(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let code = |length: usize, code: u32| Some((length, utf8(code)?));
    match *text.first()? {
        b'u' if text.get(1) == Some(&b'{') => {
            let end = text.iter().take(9).position(|byte| *byte == b'}')?;
            code(end + 1, hex(&text[2..end])?)
        }
        b'u' => match digits(&text[1..], 4) {
            Digits::All(high @ 0xd800..0xdc00) => {
                let low = text[5..].strip_prefix(b"\\u").map(|rest| digits(rest, 4));
                let Some(Digits::All(low @ 0xdc00..0xe000)) = low else {
                    return None;
                };
                code(11, 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            Digits::All(value) => code(5, value),
            Digits::CutOff(length) => Some((1 + length, Vec::new())),
            Digits::Not => None,
        },
        b'U' => match digits(&text[1..], 8) {
            Digits::All(value) => code(9, value),
            Digits::CutOff(length) => Some((1 + length, Vec::new())),
            Digits::Not => None,
        },
        b'x' => match digits(&text[1..], 2) {
            Digits::All(value) => Some((3, vec![u8::try_from(value).ok()?])),
            Digits::CutOff(length) => Some((1 + length, Vec::new())),
            Digits::Not => None,
        },
        b'n' => Some((1, b"\n".to_vec())),
        b't' => Some((1, b"\t".to_vec())),
        b'r' => Some((1, b"\r".to_vec())),
        other if other.is_ascii_punctuation() || other == b' ' => Some((1, vec![other])),
        _ => None,
    }
}

fn percent(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    match digits(text, 2) {
        Digits::All(value) => Some((2, vec![u8::try_from(value).ok()?])),
        Digits::CutOff(length) => Some((length, Vec::new())),
        Digits::Not => None,
    }
}

/// What is behind an ampersand.
fn entity(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    const NAMES: [(&[u8], u8); 5] = [
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"quot", b'"'),
        (b"apos", b'\''),
    ];
    /// `#x10ffff`
    const LONGEST: usize = 8;
    let word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'#';
    let length = text.iter().take(LONGEST).take_while(word).count();
    let (name, rest) = text.split_at(length);
    if rest.first() != Some(&b';') {
        return (length > 0 && is_cut(rest)).then_some((length, Vec::new()));
    }
    let meaning = match name.strip_prefix(b"#") {
        Some([b'x' | b'X', hexadecimal @ ..]) => utf8(hex(hexadecimal)?)?,
        Some(decimal) => utf8(std::str::from_utf8(decimal).ok()?.parse().ok()?)?,
        None => vec![NAMES.iter().find(|(known, _)| *known == name)?.1],
    };
    Some((length + 1, meaning))
}

enum Digits {
    All(u32),
    /// Where the text was cut, so many of them are there.
    CutOff(usize),
    Not,
}

/// So many hexadecimal digits.
fn digits(text: &[u8], count: usize) -> Digits {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let there = text.iter().take(count).take_while(is_digit).count();
    match hex(&text[..there]) {
        Some(value) if there == count => Digits::All(value),
        _ if is_cut(&text[there..]) => Digits::CutOff(there),
        _ => Digits::Not,
    }
}

/// Whether the text was cut here, or ends.
fn is_cut(rest: &[u8]) -> bool {
    let mut mark = [0; 4];
    rest.is_empty() || rest.starts_with(CUT.encode_utf8(&mut mark).as_bytes())
}

fn hex(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|c| c.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let views = View::all(text).into_iter();
        let texts = views.map(|view| String::from_utf8_lossy(&view.text).into_owned());
        texts.skip(1).collect()
    }

    #[test]
    fn a_text_without_escapes_has_one_view() {
        assert_eq!(decoded("plain & 50% a\\b"), [] as [&str; 0]);
    }

    #[test]
    fn a_text_in_which_no_escape_can_begin_is_not_copied() {
        let text = "a line of a log, as long as many are; ".repeat(30_000);
        let views = View::all(&text);
        assert_eq!(views.len(), 1);
        assert!(matches!(views[0].text, Cow::Borrowed(_)));
        assert_eq!(views[0].origin(7, text.len()), (7, text.len()));
        // Every byte that an escape is read at is one that is looked for.
        for escape in ESCAPES {
            for byte in 0..=u8::MAX {
                for behind in ["2f", "u002f", "#47;", "n", " "] {
                    let text = [&[byte], behind.as_bytes()].concat();
                    let is_mark = escape.marks().contains(&byte) && MARKS[usize::from(byte)];
                    assert!(is_mark || escape.read(&text).is_none(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn each_encoder_is_undone() {
        for text in [
            r"a\u0026b",
            r"a\x26b",
            r"a\u{26}b",
            r"a\U00000026b",
            r"a\&b",
            "a%26b",
            "a&amp;b",
            "a&#38;b",
            "a&#x26;b",
            "a&#X26;b",
            r"a\\u0026b",
            "a&\n    b",
        ] {
            assert!(decoded(text).contains(&"a&b".to_owned()), "{text}");
        }
        assert!(decoded(r"\ud83d\udd11").contains(&"🔑".to_owned()));
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [r"\ud83d", r"\q", "%zz", "&unknown;", "&#xffffffff;"] {
            assert_eq!(decoded(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn a_place_is_that_of_the_whole_escape() {
        let views = View::all(r"ab\u0026cd");
        let at = views[1].text.iter().position(|byte| *byte == b'&').unwrap();
        assert_eq!(views[1].origin(at, at + 1), (2, 8));
        assert_eq!(views[1].origin(at + 1, at + 3), (8, 10));
    }

    #[test]
    fn an_escape_that_was_cut_off_means_nothing() {
        assert!(decoded(r"secret\u00…").contains(&"secret…".to_owned()));
        assert!(decoded("secret%2").contains(&"secret".to_owned()));
        assert!(decoded("secret&am…").contains(&"secret…".to_owned()));
    }
}

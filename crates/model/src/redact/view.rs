//! A text as its reader sees it: with the escapes of some encoder undone, and every byte's place in
//! the text that it came from.
//!
//! Encoders agree on what they decode to, not on what they write: Go has `\u0026` for `&`, PHP `\/`,
//! .NET `\u002B`, a template `&#x27;` or `&#39;`. So a secret is looked for behind the escapes, in
//! place of a list of all the ways to write it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

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
    /// Looks at the text itself, and at what it is once each escape that it has is undone. One at a time is kept: of a
    /// long log that has every escape there are many.
    pub(super) fn each(text: &'t str, look: &mut dyn FnMut(&View<'t>)) {
        let view = View {
            text: Cow::Borrowed(text.as_bytes()),
            starts: None,
        };
        // Most texts have no escapes, and every text of every report comes this way.
        if text.bytes().any(|byte| MARKS[usize::from(byte)]) {
            let mut seen = VisitedTexts::default();
            seen.layers_before(&view, LAYERS);
            view.below(LAYERS, &mut seen, look);
        }
        look(&view);
    }

    /// What it is once one of its escapes is undone, and then at most so many more.
    fn below(&self, layers: usize, seen: &mut VisitedTexts, look: &mut dyn FnMut(&View<'t>)) {
        let Some(layers) = layers.checked_sub(1) else {
            return;
        };
        for escape in ESCAPES {
            let Some(view) = self.decoded(escape) else {
                continue;
            };
            let before = seen.layers_before(&view, layers);
            if before.is_none() {
                look(&view);
            }
            if before.is_none_or(|before| before < layers) {
                view.below(layers, seen, look);
            }
        }
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
        let next = |from: usize| {
            let mut rest = self.text[from..].iter();
            let found = rest.position(|byte| marks.contains(byte));
            found.map(|at| from + at)
        };
        let mut found = next(0);
        let mut decoded: Option<(Vec<u8>, Vec<usize>)> = None;
        // What of the text is in what was decoded.
        let mut done = 0;
        while let Some(at) = found {
            let Some((length, meaning)) = escape.read(&self.text[at..]) else {
                found = next(at + 1);
                continue;
            };
            let (text, starts) = decoded.get_or_insert_with(|| {
                let length = self.text.len();
                (Vec::with_capacity(length), Vec::with_capacity(length + 1))
            });
            text.extend_from_slice(&self.text[done..at]);
            starts.extend((done..at).map(|at| self.start(at)));
            starts.extend(std::iter::repeat_n(self.start(at), meaning.len()));
            text.extend(meaning);
            done = at + length;
            found = next(done);
        }
        let (mut text, mut starts) = decoded?;
        text.extend_from_slice(&self.text[done..]);
        starts.extend((done..=self.text.len()).map(|at| self.start(at)));
        Some(View {
            text: Cow::Owned(text),
            starts: Some(starts),
        })
    }
}

/// The texts that were looked at, each by two hashes, with how many layers below it were.
#[derive(Default)]
struct VisitedTexts {
    hashers: [RandomState; 2],
    layers: HashMap<[u64; 2], usize>,
}

impl VisitedTexts {
    /// Notes that so many layers below a text are looked at; gives how many were before, if it was seen at all.
    fn layers_before(&mut self, view: &View<'_>, layers: usize) -> Option<usize> {
        let key = self.hashers.each_ref().map(|one| one.hash_one(&view.text));
        let before = self.layers.get(&key).copied();
        self.layers.insert(key, layers.max(before.unwrap_or(0)));
        before
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
    const MAX_ENTITY_BYTES: usize = 8;
    let word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'#';
    let length = text.iter().take(MAX_ENTITY_BYTES).take_while(word).count();
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
        let mut texts = Vec::new();
        View::each(text, &mut |view| {
            if view.starts.is_some() {
                texts.push(String::from_utf8_lossy(&view.text).into_owned());
            }
        });
        texts
    }

    #[test]
    fn a_text_without_escapes_has_one_view() {
        assert_eq!(decoded("plain & 50% a\\b"), [] as [&str; 0]);
    }

    #[test]
    fn a_text_in_which_no_escape_can_begin_is_not_copied() {
        let text = "a line of a log, as long as many are; ".repeat(30_000);
        let mut views = 0;
        View::each(&text, &mut |view| {
            views += 1;
            assert!(matches!(view.text, Cow::Borrowed(_)));
            assert_eq!(view.origin(7, text.len()), (7, text.len()));
        });
        assert_eq!(views, 1);
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
        let mut views = 0;
        View::each(r"ab\u0026cd", &mut |view| {
            let Some(at) = view.text.iter().position(|byte| *byte == b'&') else {
                return;
            };
            views += 1;
            assert_eq!(view.origin(at, at + 1), (2, 8));
            assert_eq!(view.origin(at + 1, at + 3), (8, 10));
        });
        assert_eq!(views, 1);
    }

    #[test]
    fn an_escape_that_was_cut_off_means_nothing() {
        assert!(decoded(r"secret\u00…").contains(&"secret…".to_owned()));
        assert!(decoded("secret%2").contains(&"secret".to_owned()));
        assert!(decoded("secret&am…").contains(&"secret…".to_owned()));
    }

    #[test]
    fn each_text_is_looked_at_once_and_as_deep_as_escapes_may_be() {
        // JSON within JSON within a page, and what is the same in two ways.
        let texts = decoded(r"&#92;\u0026x%2Fy+z");
        for wanted in ["&x%2Fy+z", r"&#92;\u0026x/y z", "\\u0026x%2Fy+z"] {
            let has = texts.iter().any(|text| text.contains(wanted));
            assert!(has, "{wanted}: {texts:#?}");
        }
        let mut once = texts.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), texts.len(), "{texts:#?}");
    }
}

//! `haproxy.cfg`: the weights of two `server` lines, which a reload finds.

use std::collections::BTreeMap;
use std::ops::Range;

use config::value::Side;

/// Why the text has no place for two weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("it has no `backend {0}` or `listen {0}`")]
    NoBackend(String),
    #[error("its backend {backend} has no line `server {server}`")]
    NoServer { backend: String, server: String },
    #[error("its backend {backend} has two lines `server {server}`")]
    Twice { backend: String, server: String },
}

/// The words that begin a section.
const SECTIONS: [&str; 17] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
    "traces",
];

/// What `default-server` gives to the lines after it.
#[derive(Clone, Copy, Debug, Default)]
struct ServerDefaults {
    weight: Option<u32>,
    disabled: bool,
}

/// A `server` line.
#[derive(Clone, Debug)]
struct Line {
    /// Where its address ends: parameters stand after it.
    address: usize,
    /// The number after `weight`.
    weight: Option<(Range<usize>, u32)>,
    /// Each `disabled`, with the space before it.
    disabling: Vec<Range<usize>>,
    /// Each `enabled`, likewise.
    enabling: Vec<Range<usize>>,
    /// By its last mark.
    disabled: Option<bool>,
    given: ServerDefaults,
}

/// The two lines of a text.
#[derive(Clone, Debug)]
pub(super) struct Cfg<'t> {
    text: &'t str,
    blue: Line,
    green: Line,
}

/// What a line is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEdit {
    Weight(u32),
    Disabled,
}

impl<'t> Cfg<'t> {
    pub(super) fn read(
        text: &'t str,
        backend: &str,
        [blue, green]: [&str; 2],
    ) -> Result<Self, Error> {
        // By name; a section takes the last one, unless it names another by `from`.
        let mut defaults: BTreeMap<&str, ServerDefaults> = BTreeMap::new();
        let (mut last, mut given) = ("", ServerDefaults::default());
        let (mut in_defaults, mut ours, mut found) = (false, false, false);
        let mut lines: [Option<Line>; 2] = [None, None];
        let mut start = 0;
        for row in text.split_inclusive('\n') {
            let words = words(text, start..start + row.len());
            start += row.len();
            let word = |nth: usize| words.get(nth).map_or("", |range| &text[range.clone()]);
            if SECTIONS.contains(&word(0)) {
                in_defaults = word(0) == "defaults";
                ours = matches!(word(0), "backend" | "listen") && plain(word(1)) == backend;
                found |= ours;
                let from = (1..words.len()).find(|nth| word(*nth) == "from");
                let base = from.map(|nth| plain(word(nth + 1)));
                given = if in_defaults {
                    let inherited = base.and_then(|base| defaults.get(base).copied());
                    last = if from == Some(1) { "" } else { plain(word(1)) };
                    let begun = inherited.unwrap_or_default();
                    defaults.insert(last, begun);
                    begun
                } else {
                    let base = defaults.get(base.unwrap_or(last));
                    base.copied().unwrap_or_default()
                };
                continue;
            }
            match word(0) {
                "default-server" if in_defaults || ours => {
                    given = given.then(&words, text);
                    if in_defaults {
                        defaults.insert(last, given);
                    }
                }
                "server" if ours => {
                    for (slot, name) in lines.iter_mut().zip([blue, green]) {
                        if plain(word(1)) != name {
                            continue;
                        }
                        if slot.is_some() {
                            return Err(Error::Twice {
                                backend: backend.to_owned(),
                                server: name.to_owned(),
                            });
                        }
                        *slot = line(text, &words, given);
                    }
                }
                _ => {}
            }
        }
        if !found {
            return Err(Error::NoBackend(backend.to_owned()));
        }
        let [one, other] = lines;
        let must = |line: Option<Line>, server: &str| {
            line.ok_or_else(|| Error::NoServer {
                backend: backend.to_owned(),
                server: server.to_owned(),
            })
        };
        Ok(Cfg {
            text,
            blue: must(one, blue)?,
            green: must(other, green)?,
        })
    }

    fn line(&self, side: Side) -> &Line {
        match side {
            Side::Blue => &self.blue,
            Side::Green => &self.green,
        }
    }

    /// The weight that a start of HAProxy would give to a side; 0 where it is disabled.
    pub(super) fn weight(&self, side: Side) -> u32 {
        let line = self.line(side);
        if line.disabled.unwrap_or(line.given.disabled) {
            return 0;
        }
        let own = line.weight.as_ref().map(|(_, weight)| *weight);
        own.or(line.given.weight).unwrap_or(1)
    }

    /// The text in which the sides say this. Everything else stays as its author wrote it.
    pub(super) fn with(&self, blue: LineEdit, green: LineEdit) -> String {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for (line, say) in [(&self.blue, blue), (&self.green, green)] {
            let mut more = String::new();
            match say {
                LineEdit::Weight(weight) => {
                    let marks = line.disabling.iter();
                    changes.extend(marks.map(|mark| (mark.clone(), String::new())));
                    match &line.weight {
                        Some((number, _)) => changes.push((number.clone(), weight.to_string())),
                        None => more = format!(" weight {weight}"),
                    }
                    if line.given.disabled && line.enabling.is_empty() {
                        more.push_str(" enabled");
                    }
                }
                LineEdit::Disabled if line.disabled.unwrap_or(line.given.disabled) => {}
                LineEdit::Disabled => {
                    let marks = line.disabling.iter().chain(&line.enabling);
                    changes.extend(marks.map(|mark| (mark.clone(), String::new())));
                    " disabled".clone_into(&mut more);
                }
            }
            changes.push((line.address..line.address, more));
        }
        // Of two at one place, the removal is made before the insertion.
        changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = self.text.to_owned();
        for (range, new) in changes.into_iter().rev() {
            text.replace_range(range, &new);
        }
        text
    }
}

impl ServerDefaults {
    fn then(mut self, words: &[Range<usize>], text: &str) -> ServerDefaults {
        let word = |range: &Range<usize>| &text[range.clone()];
        for (nth, range) in words.iter().enumerate() {
            match word(range) {
                "weight" => {
                    let number = words.get(nth + 1).and_then(|next| word(next).parse().ok());
                    self.weight = number.or(self.weight);
                }
                "disabled" => self.disabled = true,
                "enabled" => self.disabled = false,
                _ => {}
            }
        }
        self
    }
}

fn line(text: &str, words: &[Range<usize>], given: ServerDefaults) -> Option<Line> {
    let address = words.get(2)?.end;
    let mut line = Line {
        address,
        weight: None,
        disabling: Vec::new(),
        enabling: Vec::new(),
        disabled: None,
        given,
    };
    let mut before = address;
    let mut rest = words[3..].iter().peekable();
    while let Some(range) = rest.next() {
        match &text[range.clone()] {
            "weight" => {
                if let Some(number) = rest.peek()
                    && let Ok(weight) = text[(*number).clone()].parse()
                {
                    line.weight = Some(((*number).clone(), weight));
                }
            }
            mark @ ("disabled" | "enabled") => {
                let is_disabling = mark == "disabled";
                line.disabled = Some(is_disabling);
                let marks = if is_disabling {
                    &mut line.disabling
                } else {
                    &mut line.enabling
                };
                marks.push(before..range.end);
            }
            _ => {}
        }
        before = range.end;
    }
    Some(line)
}

/// The words of a line, up to a comment.
fn words(text: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = line.start;
    while at < line.end {
        match bytes[at] {
            b'#' => break,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let start = at;
                let mut quote = None;
                while at < line.end {
                    match bytes[at] {
                        b'\\' if quote != Some(b'\'') => at += 1,
                        byte if quote == Some(byte) => quote = None,
                        byte @ (b'"' | b'\'') if quote.is_none() => quote = Some(byte),
                        byte if quote.is_none() && (byte.is_ascii_whitespace() || byte == b'#') => {
                            break;
                        }
                        _ => {}
                    }
                    at += 1;
                }
                at = at.min(line.end);
                words.push(start..at);
            }
        }
    }
    words
}

/// A word without quotes.
fn plain(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["blue", "green"];

    fn both(text: &str) -> (u32, u32) {
        let cfg = Cfg::read(text, "app", NAMES).unwrap();
        (cfg.weight(Side::Blue), cfg.weight(Side::Green))
    }

    fn with(text: &str, blue: LineEdit, green: LineEdit) -> String {
        Cfg::read(text, "app", NAMES).unwrap().with(blue, green)
    }

    #[test]
    fn only_the_weights_of_the_two_lines_change() {
        let text = "# server blue 1:1 weight 7\nbackend other\n  server blue 1:1 weight 7\nbackend app # ours\n\tbalance roundrobin\n\tserver blue  127.0.0.1:8001 check  weight 10 # live\n\tserver green 127.0.0.1:8002 check disabled\nlisten x\n  server green 1:1\n";
        assert_eq!(both(text), (10, 0));
        let ten = with(text, LineEdit::Weight(9), LineEdit::Weight(1));
        assert_eq!(
            ten,
            text.replace("weight 10 # live", "weight 9 # live")
                .replace("8002 check disabled", "8002 weight 1 check")
        );
        assert_eq!(both(&ten), (9, 1));
        assert_eq!(with(&ten, LineEdit::Weight(9), LineEdit::Weight(1)), ten);
        let none = with(&ten, LineEdit::Weight(9), LineEdit::Weight(0));
        assert_eq!(both(&none), (9, 0));
        let out = with(&ten, LineEdit::Weight(9), LineEdit::Disabled);
        assert_eq!(
            out,
            ten.replace("8002 weight 1 check", "8002 disabled weight 1 check")
        );
        assert_eq!(both(&out), (9, 0));
        assert_eq!(with(&out, LineEdit::Weight(9), LineEdit::Disabled), out);
        assert_eq!(
            both(&with(&out, LineEdit::Weight(9), LineEdit::Weight(3))),
            (9, 3)
        );
    }

    #[test]
    fn default_server_counts_for_the_lines_after_it() {
        let text = "defaults\n  default-server weight 5 disabled\nbackend app\n  server blue a:1 enabled\n  server green a:2\n";
        assert_eq!(both(text), (5, 0));
        let ten = with(text, LineEdit::Weight(9), LineEdit::Weight(1));
        assert_eq!(both(&ten), (9, 1), "{ten}");
        let text = "backend app\n  default-server weight 5\n  server blue a:1\n  server green a:2 weight 2\n";
        assert_eq!(both(text), (5, 2));
    }

    /// HAProxy 2.4 and later: a section names the defaults that it takes.
    #[test]
    fn the_defaults_of_a_section_are_those_that_it_names() {
        let servers = "  server blue a:1 weight 20 enabled\n  server green a:2\n";
        let text = format!(
            "defaults one\n  default-server weight 5 disabled\ndefaults two from one\n  default-server enabled\nbackend app from one\n{servers}"
        );
        assert_eq!(both(&text), (20, 0));
        let set = with(&text, LineEdit::Weight(9), LineEdit::Weight(1));
        assert!(set.contains("server blue a:1 weight 9 enabled"), "{set}");
        assert_eq!(both(&set), (9, 1), "{set}");
        assert_eq!(both(&text.replace("app from one", "app from two")), (20, 5));
        assert_eq!(both(&text.replace("app from one", "app")), (20, 5));
    }

    #[test]
    fn a_text_without_the_lines_is_told() {
        for (text, why) in [
            ("", "no `backend app`"),
            ("backend app\n  server blue a:1\n", "no line `server green`"),
            (
                "backend app\n  server blue a:1\n  server blue a:1\n",
                "two lines `server blue`",
            ),
        ] {
            let error = Cfg::read(text, "app", NAMES).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        for text in [
            "backend app\n server",
            "\\",
            "server \"",
            "backend 'app\n server blue \\",
        ] {
            let _ = Cfg::read(text, "app", NAMES)
                .map(|cfg| cfg.with(LineEdit::Disabled, LineEdit::Weight(1)));
        }
    }
}

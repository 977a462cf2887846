//! The `server` lines of an upstream file: who gets the traffic, and the text that gives it to
//! one colour.

use std::collections::BTreeMap;
use std::ops::Range;

/// A `server` line with a colour's address.
struct Line {
    address: Range<usize>,
    /// Without quotes.
    colour: String,
    /// `down` and `backup`, with the space before each.
    marks: Vec<Range<usize>>,
    down: bool,
    weight: u32,
    /// Where its `;` stands.
    end: usize,
}

/// The colours of a file, and its lines in each block: one that names the live colour, or one for
/// each.
pub(super) struct Upstream<'t> {
    text: &'t str,
    blocks: Vec<Vec<Line>>,
}

impl<'t> Upstream<'t> {
    pub(super) fn read(text: &'t str, blue: &str, green: &str) -> Result<Self, String> {
        let blocks: Vec<Vec<Line>> = lines(text, &[blue, green]).into_values().collect();
        if blocks.is_empty() {
            return Err(format!(
                "the upstream file has no `server` line with {blue} or {green}"
            ));
        }
        for block in &blocks {
            let twice = block.len() == 2 && block[0].colour == block[1].colour;
            if block.len() > 2 || twice {
                return Err(format!(
                    "the upstream file has {} `server` lines with {blue} or {green} in one block; \
                     one is needed, or one for each",
                    block.len()
                ));
            }
        }
        Ok(Upstream { text, blocks })
    }

    /// The addresses that get traffic.
    pub(super) fn active(&self) -> Vec<&str> {
        let mut active: Vec<&str> = Vec::new();
        for block in &self.blocks {
            let up = |line: &&Line| !line.down;
            let first = |line: &&Line| up(line) && line.marks.is_empty();
            let mut found: Vec<&Line> = block.iter().filter(first).collect();
            if found.is_empty() {
                // A backup takes all where nobody else does.
                found = block.iter().filter(up).collect();
            }
            active.extend(found.iter().map(|line| line.colour.as_str()));
        }
        active.sort_unstable();
        active.dedup();
        active
    }

    /// Whether a colour can get a request, if only where the other one fails.
    pub(super) fn may_ask(&self, colour: &str) -> bool {
        let all = || self.blocks.iter().flatten();
        all().any(|line| line.colour == colour && !line.down)
    }

    /// Of how many requests one goes to the colour that gets the fewest.
    pub(super) fn rarest(&self) -> u32 {
        let rarest = |block: &Vec<Line>| {
            let weights = || block.iter().map(|line| line.weight.max(1));
            let all: u32 = weights().fold(0, u32::saturating_add);
            all.div_ceil(weights().min().unwrap_or(1))
        };
        self.blocks.iter().map(rarest).max().unwrap_or(1)
    }

    /// The text in which one colour gets all. Where a block has one line, its address is replaced;
    /// where it has one for each, the other is marked `down`. Everything else stays as its author
    /// wrote it.
    pub(super) fn all_to(&self, colour: &str) -> String {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for block in &self.blocks {
            let [line] = block.as_slice() else {
                for line in block {
                    if line.colour == colour {
                        changes.extend(line.marks.iter().map(|mark| (mark.clone(), String::new())));
                    } else if !line.down {
                        changes.push((line.end..line.end, " down".to_owned()));
                    }
                }
                continue;
            };
            changes.push((line.address.clone(), colour.to_owned()));
            changes.extend(line.marks.iter().map(|mark| (mark.clone(), String::new())));
        }
        changes.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.to_owned();
        for (range, new) in changes.into_iter().rev() {
            text.replace_range(range, &new);
        }
        text
    }
}

/// The lines by the block that they stand in.
fn lines(text: &str, colours: &[&str]) -> BTreeMap<usize, Vec<Line>> {
    let mut found: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
    let (mut inside, mut blocks) = (vec![0], 0);
    let mut words: Vec<Range<usize>> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
            b';' => {
                let block = inside.last().copied().unwrap_or_default();
                if let Some(line) = line(text, &words, colours, at) {
                    found.entry(block).or_default().push(line);
                }
                words.clear();
                at += 1;
            }
            b'{' => {
                blocks += 1;
                inside.push(blocks);
                words.clear();
                at += 1;
            }
            b'}' => {
                inside.pop();
                words.clear();
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end = word(bytes, at);
                words.push(at..end);
                at = end;
            }
        }
    }
    found
}

/// Where the word ends that begins here.
fn word(bytes: &[u8], start: usize) -> usize {
    let quote = match bytes[start] {
        quote @ (b'"' | b'\'') => Some(quote),
        _ => None,
    };
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            byte if Some(*byte) == quote => return at + 1,
            _ if quote.is_some() => {}
            // `${name}` opens no block.
            b'{' if bytes[at - 1] == b'$' => {
                while bytes.get(at).is_some_and(|byte| *byte != b'}') {
                    at += 1;
                }
            }
            b';' | b'{' | b'}' => return at,
            byte if byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn line(text: &str, words: &[Range<usize>], colours: &[&str], end: usize) -> Option<Line> {
    let (name, rest) = words.split_first()?;
    let (address, marks) = rest.split_first()?;
    let plain = |word: &Range<usize>| text[word.clone()].trim_matches(['"', '\'']);
    let colour = plain(address);
    if plain(name) != "server" || !colours.contains(&colour) {
        return None;
    }
    let mut line = Line {
        address: address.clone(),
        colour: colour.to_owned(),
        marks: Vec::new(),
        down: false,
        weight: 1,
        end,
    };
    let mut before = address.end;
    for word in marks {
        match plain(word) {
            mark @ ("down" | "backup") => {
                line.down |= mark == "down";
                line.marks.push(before..word.end);
            }
            other => {
                let weight = other.strip_prefix("weight=");
                line.weight = weight.and_then(|n| n.parse().ok()).unwrap_or(line.weight);
            }
        }
        before = word.end;
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: &str = "127.0.0.1:8001";
    const GREEN: &str = "127.0.0.1:8002";

    fn all_to(text: &str, colour: &str) -> Option<String> {
        Some(Upstream::read(text, BLUE, GREEN).ok()?.all_to(colour))
    }

    fn active(text: &str) -> Vec<String> {
        let upstream = Upstream::read(text, BLUE, GREEN).unwrap();
        upstream.active().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn of_one_line_only_the_address_changes() {
        let blue = |text: &str| all_to(text, BLUE);
        assert_eq!(
            blue("# server 127.0.0.1:8001;\nupstream shop {\n\tserver  127.0.0.1:8002 max_fails=0; # green\n}\n").unwrap(),
            "# server 127.0.0.1:8001;\nupstream shop {\n\tserver  127.0.0.1:8001 max_fails=0; # green\n}\n"
        );
        assert_eq!(
            blue("upstream a {server 127.0.0.1:8002;server backup:1;}").unwrap(),
            "upstream a {server 127.0.0.1:8001;server backup:1;}"
        );
        assert_eq!(
            blue("server \"127.0.0.1:8002\" weight=5;").unwrap(),
            "server 127.0.0.1:8001 weight=5;"
        );
        let two =
            "upstream a { server 127.0.0.1:8002; } upstream b { server 127.0.0.1:8002 backup; }";
        assert_eq!(
            blue(two).unwrap(),
            "upstream a { server 127.0.0.1:8001; } upstream b { server 127.0.0.1:8001; }"
        );
        assert_eq!(blue("upstream a { server 127.0.0.1:80011; }"), None);
        assert_eq!(
            blue("upstream a { server 127.0.0.1:8001; server 127.0.0.1:8001; }"),
            None
        );
        assert_eq!(
            blue("set $server 127.0.0.1:8001; # server 127.0.0.1:8001;"),
            None
        );
        assert_eq!(blue(""), None);
    }

    #[test]
    fn of_two_lines_one_gets_all_whatever_their_weights() {
        let canary = "upstream shop {\n  server 127.0.0.1:8001 weight=95;\n  server 127.0.0.1:8002 weight=5 max_fails=1;\n}\n";
        assert_eq!(active(canary), [BLUE, GREEN]);
        let blue = all_to(canary, BLUE).unwrap();
        assert_eq!(
            blue,
            "upstream shop {\n  server 127.0.0.1:8001 weight=95;\n  server 127.0.0.1:8002 weight=5 max_fails=1 down;\n}\n"
        );
        assert_eq!(active(&blue), [BLUE]);
        assert_eq!(all_to(&blue, BLUE).unwrap(), blue, "twice is once");
        let green = all_to(&blue, GREEN).unwrap();
        assert_eq!(active(&green), [GREEN]);
        assert!(green.contains("8001 weight=95 down;") && green.contains("weight=5 max_fails=1;"));
        let backup = "upstream shop { server 127.0.0.1:8001 down; server 127.0.0.1:8002 backup; }";
        assert_eq!(active(backup), [GREEN]);
        assert_eq!(Upstream::read(canary, BLUE, GREEN).unwrap().rarest(), 20);
        assert_eq!(Upstream::read(backup, BLUE, GREEN).unwrap().rarest(), 2);
    }

    #[test]
    fn no_text_makes_it_stumble() {
        for text in [
            "\\",
            "\"",
            "'",
            "${",
            "}}}}",
            "{",
            "server",
            "server ;",
            "é\\é;",
            "server 127.0.0.1:8001",
            "server '127.0.0.1:8001",
            "x ${y} { server 127.0.0.1:8001; }",
        ] {
            let _ = Upstream::read(text, BLUE, GREEN).map(|upstream| upstream.all_to(GREEN));
        }
    }
}

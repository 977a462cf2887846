//! nginx: the `server` lines of an upstream file, which tell who gets the traffic, and the text
//! that gives it to one colour.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use config::file::NginxTarget;

use super::syntax::{changed, plain, statements};

/// Why no text of this file could give the traffic to one colour.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the upstream file has no `server` line with {blue} or {green}{place}")]
    NoLine {
        blue: String,
        green: String,
        /// ` in `upstream shop``, where one block is meant.
        place: String,
    },
    /// An upstream is there, which a deployment may yet point at a colour.
    #[error("the upstream file has `server` lines, and not one with {blue} or {green}{place}")]
    Elsewhere {
        blue: String,
        green: String,
        place: String,
    },
    #[error(
        "the upstream file has {count} `server` lines with {blue} or {green} in one block; \
         one is needed, or one for each"
    )]
    TooMany {
        count: usize,
        blue: String,
        green: String,
    },
    #[error(
        "`upstream {one}` and `upstream {other}` give the traffic to different colours: name the one that is \
         meant under `{section}.nginx.upstream`"
    )]
    Apart {
        one: String,
        other: String,
        section: &'static str,
    },
}

impl Error {
    /// How the file or the configuration must be.
    pub fn hint(&self, target: &NginxTarget, section: &str) -> String {
        match self {
            Error::Apart { one, .. } => format!(
                "where all traffic goes through one of them, name it: `{section}.nginx.upstream: {one}`; where a \
                 variable chooses between them, a switch goes under `{section}.command`"
            ),
            Error::NoLine { .. } | Error::Elsewhere { .. } | Error::TooMany { .. } => {
                hint(target, section)
            }
        }
    }
}

/// How the file must look.
pub fn hint(target: &NginxTarget, section: &str) -> String {
    let name = target.upstream.as_deref().unwrap_or("shop");
    format!(
        "{section} rewrites a `server` line: let {} hold `upstream {name} {{ server {}; }}` with the \
         address of the colour that is live, and let the site have `proxy_pass http://{name};`; what switches in \
         another way (a variable, a port in `proxy_pass`) goes under `{section}.command`",
        target.upstream_file.display(),
        target.blue
    )
}

/// Why there is nothing to rewrite.
pub fn no_file(path: &Path) -> String {
    format!("there is no file {}", path.display())
}

/// A `server` line.
#[derive(Debug)]
pub(super) struct Line {
    /// The position of the word `server`.
    pub(super) start: usize,
    pub(super) address: Range<usize>,
    /// The address without quotes.
    pub(super) colour: String,
    /// `down` and `backup`, with the space before each.
    pub(super) marks: Vec<Range<usize>>,
    pub(super) down: bool,
    pub(super) weight: u32,
    /// `weight=9`, where it says so.
    pub(super) weighs_at: Option<Range<usize>>,
    /// The position of its `;`.
    pub(super) end: usize,
}

/// The colours' lines in a block: one that names the live colour, or one for each.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// `shop` of `upstream shop`.
    pub(super) name: String,
    pub(super) lines: Vec<Line>,
    /// Other servers that get traffic here, and their weights.
    pub(super) others: Vec<(String, u32)>,
    /// The directive under which a weight is no share of the requests.
    pub(super) unshared: Option<String>,
}

/// What chooses a server by more than its weight; or, as `include` may, brings servers of which this
/// file says nothing.
const UNSHARED: [&str; 8] = [
    "least_conn",
    "least_time",
    "ip_hash",
    "hash",
    "random",
    "fair",
    "sticky",
    "include",
];

/// The colours of a file.
#[derive(Debug)]
pub struct Upstream<'t> {
    pub(super) text: &'t str,
    pub(super) blocks: Vec<Block>,
    /// The addresses of blue and green.
    pub(super) colours: [&'t str; 2],
}

impl Block {
    /// The colours that get traffic.
    fn active(&self) -> Vec<&str> {
        let active = self.serving().into_iter();
        active.map(|line| line.colour.as_str()).collect()
    }

    /// Their lines.
    pub(super) fn serving(&self) -> Vec<&Line> {
        let up = |line: &&Line| !line.down;
        let first = |line: &&Line| up(line) && line.marks.is_empty();
        let found: Vec<&Line> = self.lines.iter().filter(first).collect();
        if found.is_empty() {
            // A backup takes all where no other server does.
            return self.lines.iter().filter(up).collect();
        }
        found
    }

    /// Of how many requests one goes to the server that gets the fewest.
    fn rarest(&self) -> u32 {
        let colours = self.lines.iter().map(|line| line.weight.max(1));
        let others = self.others.iter().map(|(_, weight)| *weight);
        let weights = || colours.clone().chain(others.clone());
        let all: u32 = weights().fold(0, u32::saturating_add);
        all.div_ceil(weights().min().unwrap_or(1))
    }
}

impl<'t> Upstream<'t> {
    /// The colours of the configured target in its file; `section` is the one that has the target.
    pub fn of(
        text: &'t str,
        target: &'t NginxTarget,
        section: &'static str,
    ) -> Result<Self, Error> {
        let only = target.upstream.as_deref();
        Upstream::read(text, [&target.blue, &target.green], only, section)
    }

    /// `only`: the name of the one block that is meant.
    pub(super) fn read(
        text: &'t str,
        colours: [&'t str; 2],
        only: Option<&str>,
        section: &'static str,
    ) -> Result<Self, Error> {
        let [blue, green] = colours;
        let mut blocks: Vec<Block> = blocks(text, &colours).into_values().collect();
        blocks.retain(|block| only.is_none_or(|name| block.name == name));
        let others = blocks.iter().any(|block| !block.others.is_empty());
        blocks.retain(|block| !block.lines.is_empty());
        if blocks.is_empty() {
            let place = only.map_or(String::new(), |name| format!(" in `upstream {name}`"));
            let (blue, green) = (blue.to_owned(), green.to_owned());
            return Err(if others {
                Error::Elsewhere { blue, green, place }
            } else {
                Error::NoLine { blue, green, place }
            });
        }
        for block in &blocks {
            let lines = &block.lines;
            let twice = lines.len() == 2 && lines[0].colour == lines[1].colour;
            if lines.len() > 2 || twice {
                return Err(Error::TooMany {
                    count: lines.len(),
                    blue: blue.to_owned(),
                    green: green.to_owned(),
                });
            }
        }
        // A block for the colour that has no traffic yet is to stay as it is.
        let apart = |one: &Block, other: &Block| {
            let (one, other) = (one.active(), other.active());
            !one.is_empty() && !other.is_empty() && one.iter().all(|c| !other.contains(c))
        };
        for (at, block) in blocks.iter().enumerate() {
            if let Some(other) = blocks[..at].iter().find(|other| apart(block, other)) {
                return Err(Error::Apart {
                    one: other.name.clone(),
                    other: block.name.clone(),
                    section,
                });
            }
        }
        Ok(Upstream {
            text,
            blocks,
            colours,
        })
    }

    /// The addresses that get traffic.
    pub fn active(&self) -> Vec<&str> {
        let mut active: Vec<&str> = self.blocks.iter().flat_map(Block::active).collect();
        active.sort_unstable();
        active.dedup();
        active
    }

    /// The names of the blocks that have a colour; those without a name are left out.
    pub fn names(&self) -> Vec<&str> {
        let names = self.blocks.iter().map(|block| block.name.as_str());
        names.filter(|name| !name.is_empty()).collect()
    }

    /// Whether a colour can get a request, if only where the other one fails.
    pub fn may_ask(&self, colour: &str) -> bool {
        let all = || self.blocks.iter().flat_map(|block| &block.lines);
        all().any(|line| line.colour == colour && !line.down)
    }

    /// Of how many requests one goes to the server that gets the fewest.
    pub fn rarest(&self) -> u32 {
        self.blocks.iter().map(Block::rarest).max().unwrap_or(1)
    }

    /// The text in which one colour gets all. Where a block has one line, its address is replaced;
    /// where it has one for each, the other is marked `down`. Everything else stays as its author
    /// wrote it.
    pub fn all_to(&self, colour: &str) -> String {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for block in &self.blocks {
            let [line] = block.lines.as_slice() else {
                for line in &block.lines {
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
        changed(self.text, changes)
    }
}

/// The blocks in their order.
fn blocks(text: &str, colours: &[&str]) -> BTreeMap<usize, Block> {
    let mut found: BTreeMap<usize, Block> = BTreeMap::new();
    for statement in statements(text) {
        let words = &statement.words;
        if statement.opens {
            if let [.., kind, name] = words.as_slice()
                && plain(text, kind) == "upstream"
            {
                let block = found.entry(statement.block).or_default();
                plain(text, name).clone_into(&mut block.name);
            }
            continue;
        }
        if let Some(line) = line(text, words, statement.end) {
            let block = found.entry(statement.block).or_default();
            if colours.contains(&line.colour.as_str()) {
                block.lines.push(line);
            } else if line.marks.is_empty() {
                block.others.push((line.colour, line.weight.max(1)));
            }
        } else if let Some(first) = words.first()
            && UNSHARED.contains(&plain(text, first))
        {
            let block = found.entry(statement.block).or_default();
            block.unshared = Some(plain(text, first).to_owned());
        }
    }
    found
}

/// The named upstreams that have servers of one colour alone, and which.
pub(super) fn leading<'t>(text: &str, colours: &[&'t str]) -> Vec<(String, &'t str)> {
    let mut leading = Vec::new();
    for block in blocks(text, colours).into_values() {
        let serving = block.active();
        let only = |colour: &str| serving.iter().all(|serves| *serves == colour);
        let colour = colours.iter().find(|colour| only(colour));
        if let (Some(colour), true) = (colour, block.others.is_empty() && !serving.is_empty()) {
            leading.push((block.name.clone(), *colour));
        }
    }
    leading.retain(|(name, _)| !name.is_empty());
    leading
}

/// A `server` line, of a colour or not.
fn line(text: &str, words: &[Range<usize>], end: usize) -> Option<Line> {
    let (name, rest) = words.split_first()?;
    let (address, marks) = rest.split_first()?;
    let plain = |word: &Range<usize>| plain(text, word);
    let colour = plain(address);
    if plain(name) != "server" {
        return None;
    }
    let mut line = Line {
        start: name.start,
        address: address.clone(),
        colour: colour.to_owned(),
        marks: Vec::new(),
        down: false,
        weight: 1,
        weighs_at: None,
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
                if let Some(weight) = other.strip_prefix("weight=") {
                    line.weight = weight.parse().unwrap_or(line.weight);
                    line.weighs_at = Some(word.clone());
                }
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

    fn read<'t>(text: &'t str, only: Option<&str>) -> Result<Upstream<'t>, Error> {
        Upstream::read(text, [BLUE, GREEN], only, "rollback")
    }

    fn all_to(text: &str, colour: &str) -> Option<String> {
        Some(read(text, None).ok()?.all_to(colour))
    }

    fn active(text: &str) -> Vec<String> {
        let upstream = read(text, None).unwrap();
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
        let preview =
            "upstream shop { server 127.0.0.1:8002; } upstream preview { server 127.0.0.1:8001; }";
        let apart = read(preview, None).err().unwrap();
        assert!(
            apart
                .to_string()
                .contains("`upstream shop` and `upstream preview`"),
            "{apart}"
        );
        let shop = read(preview, Some("shop")).unwrap();
        assert_eq!(
            shop.all_to(BLUE),
            "upstream shop { server 127.0.0.1:8001; } upstream preview { server 127.0.0.1:8001; }"
        );
        assert!(read(preview, Some("other")).is_err());
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
        assert_eq!(read(canary, None).unwrap().rarest(), 20);
        assert_eq!(read(backup, None).unwrap().rarest(), 2);
        let pool = "upstream shop { server 127.0.0.1:8001 weight=2; server other:1; server far:1 backup; }";
        assert_eq!(read(pool, None).unwrap().rarest(), 3);
    }

    #[test]
    fn a_form_that_has_nothing_to_switch_is_told() {
        for text in [
            "set $service_url http://127.0.0.1:8001;",
            "location / { proxy_pass http://127.0.0.1:8001; }",
            "map $host $pool { default blue; }",
        ] {
            let error = read(text, None).unwrap_err();
            assert!(matches!(error, Error::NoLine { .. }), "{text}: {error}");
        }
        let socket = "upstream shop { server unix:/run/shop.sock; }";
        let error = read(socket, None).unwrap_err();
        assert!(matches!(error, Error::Elsewhere { .. }), "{error}");
        let pools = "upstream blue_primary { server 127.0.0.1:8001; server 127.0.0.1:8002 backup; }\n\
                     upstream green_primary { server 127.0.0.1:8002; server 127.0.0.1:8001 backup; }\n";
        let error = read(pools, None).unwrap_err();
        assert!(matches!(error, Error::Apart { .. }), "{error}");
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
            let _ = read(text, None).map(|upstream| upstream.all_to(GREEN));
        }
    }
}

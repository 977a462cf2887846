//! `split_clients`: users are divided by a key of theirs, and each stays on one side.

use std::ops::Range;

use config::value::{Share, Side, Split};

use super::key::may_be_empty;
use super::syntax::{changed, line_break_before, plain, statements};
use super::upstream::leading;

/// Why no text of this file could divide users by the key, or tells how it does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the upstream file has no `split_clients {key}`{others}")]
    NoBlock {
        key: String,
        /// `; it has one by $remote_addr`, or empty.
        others: String,
    },
    #[error("the upstream file divides users by `{key}` twice, for {one} and for {other}")]
    Several {
        key: String,
        one: String,
        other: String,
    },
    #[error(
        "`{0}` of `split_clients` is neither the address of blue or green nor an upstream of the file that leads \
         to one of them alone"
    )]
    Value(String),
    #[error("`{0}` of `split_clients` is not a share")]
    Share(String),
    #[error("`split_clients` gives no side to {0} of the users: begin its last line with `*`")]
    Rest(Share),
    #[error("`split_clients` has {0} lines: a share can be set where each side has one at most")]
    Lines(usize),
    #[error(
        "`split_clients` names one upstream, and no other one of the file leads to {0}: add `upstream NAME {{ server \
         {0}; }}`"
    )]
    NoUpstream(String),
}

/// A line: `10% green;`, `* blue;`.
#[derive(Clone, Debug)]
struct Line {
    share: Range<usize>,
    /// Of all users, those that it gets before the lines after it.
    gets: Share,
    value: Range<usize>,
    side: Side,
    /// The position of its `;`.
    end: usize,
}

/// How a file divides users.
#[derive(Debug)]
pub struct Clients<'t> {
    text: &'t str,
    /// The key of users.
    key: String,
    /// The addresses of blue and green.
    colours: [&'t str; 2],
    lines: Vec<Line>,
}

impl<'t> Clients<'t> {
    /// The block by this key.
    pub fn read(text: &'t str, colours: [&'t str; 2], key: &str) -> Result<Self, Error> {
        let all = statements(text);
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for statement in all.iter().filter(|statement| statement.opens) {
            let [kind, by, variable] = statement.words.as_slice() else {
                continue;
            };
            if plain(text, kind) != "split_clients" {
                continue;
            }
            if plain(text, by) == key {
                ours.push((statement.block, plain(text, variable)));
            } else {
                others.push(plain(text, by));
            }
        }
        let block = match ours[..] {
            [(block, _)] => block,
            [] => {
                let others = match others.first() {
                    Some(by) => format!("; it has one by `{by}`"),
                    None => String::new(),
                };
                return Err(Error::NoBlock {
                    key: key.to_owned(),
                    others,
                });
            }
            [(_, one), (_, other), ..] => {
                return Err(Error::Several {
                    key: key.to_owned(),
                    one: one.to_owned(),
                    other: other.to_owned(),
                });
            }
        };
        let upstreams = leading(text, &colours);
        let (mut lines, mut left) = (Vec::new(), Share::WHOLE);
        for statement in all.iter().filter(|s| !s.opens && s.block == block) {
            let [share, value] = statement.words.as_slice() else {
                continue;
            };
            let gets = match plain(text, share) {
                "*" => left,
                percent => {
                    let share = percent.parse::<Share>();
                    let share = share.map_err(|_| Error::Share(percent.to_owned()))?;
                    share.steps().min(left)
                }
            };
            left -= gets;
            let word = plain(text, value);
            let address = word.rsplit("://").next().unwrap_or(word);
            let leads = upstreams.iter().find(|(name, _)| name == address);
            let colour = leads.map_or(address, |(_, colour)| colour);
            let side = match colour {
                colour if colour == colours[0] => Side::Blue,
                colour if colour == colours[1] => Side::Green,
                _ => return Err(Error::Value(word.to_owned())),
            };
            lines.push(Line {
                share: share.clone(),
                gets: Share::from_steps(gets),
                value: value.clone(),
                side,
                end: statement.end,
            });
        }
        if left > 0 {
            return Err(Error::Rest(Share::from_steps(left)));
        }
        Ok(Clients {
            text,
            key: key.to_owned(),
            colours,
            lines,
        })
    }

    /// What each side gets of the users.
    pub fn split(&self) -> Split {
        let green = self.lines.iter().filter(|line| line.side == Side::Green);
        let steps = green.map(|line| line.gets.steps()).sum();
        Split::giving(Side::Green, Share::from_steps(steps))
    }

    /// Where requests without the key go: all to the first line, for the hash of nothing is 0
    /// (`ngx_http_split_clients_variable`). `None` where all go there, or none is without it.
    pub fn exception(&self) -> Option<String> {
        let first = self.lines.first()?.side;
        let is_split = self.split().whole().is_none() && may_be_empty(&self.key);
        is_split.then(|| {
            format!(
                "a request without `{}` goes to {first}, whose line is the first of `split_clients`: the shares are \
                 of the users who have one",
                self.key
            )
        })
    }

    /// The text in which the sides have these shares. Users who are on the side that grows stay there.
    /// Everything else stays as its author wrote it.
    pub fn with(&self, split: Split) -> Result<String, Error> {
        let mut changes = Vec::new();
        match (self.lines.as_slice(), split.whole()) {
            ([only], Some(side)) => changes.extend(self.all(only, side)?),
            ([only], None) => {
                // The side that has all stays the first: nginx gives whoever has no key to the first line.
                let other = only.side.other();
                let parted = line_break_before(self.text, only.share.start).unwrap_or(" ");
                let line = format!("{parted}* {};", self.value(other)?);
                changes.push((only.share.clone(), split.of(only.side).to_string()));
                changes.push((only.end + 1..only.end + 1, line));
            }
            ([first, last], Some(side)) if first.side != last.side => {
                // A part of 0 % is refused by nginx, and one of 100 % leaves out a user in four billion.
                let rest = &self.text[first.end + 1..last.share.start];
                let gone = if rest.trim().is_empty() {
                    last.share.start
                } else {
                    first.end + 1
                };
                changes.push((first.share.start..gone, String::new()));
                changes.extend(self.all(last, side)?);
            }
            ([first, last], None) if first.side != last.side => {
                changes.push((first.share.clone(), split.of(first.side).to_string()));
                changes.push((last.share.clone(), "*".to_owned()));
            }
            (lines, _) => return Err(Error::Lines(lines.len())),
        }
        Ok(changed(self.text, changes))
    }

    fn all(&self, line: &Line, side: Side) -> Result<Vec<(Range<usize>, String)>, Error> {
        let mut changes = vec![(line.share.clone(), "*".to_owned())];
        if line.side != side {
            changes.push((line.value.clone(), self.value(side)?));
        }
        Ok(changes)
    }

    /// What a line says to lead to a side, in the form of the lines that there are.
    fn value(&self, side: Side) -> Result<String, Error> {
        let written = |line: &Line| self.text[line.value.clone()].to_owned();
        if let Some(line) = self.lines.iter().find(|line| line.side == side) {
            return Ok(written(line));
        }
        let colour = match side {
            Side::Blue => self.colours[0],
            Side::Green => self.colours[1],
        };
        let model = self.lines.first().map(|line| plain(self.text, &line.value));
        let model = model.unwrap_or_default();
        let (scheme, address) = match model.rfind("://") {
            Some(at) => model.split_at(at + 3),
            None => ("", model),
        };
        if self.colours.contains(&address) {
            return Ok(format!("{scheme}{colour}"));
        }
        let upstreams = leading(self.text, &self.colours);
        let named = upstreams.into_iter().find(|(_, leads)| *leads == colour);
        let named = named.map(|(name, _)| format!("{scheme}{name}"));
        named.ok_or_else(|| Error::NoUpstream(colour.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: &str = "127.0.0.1:8001";
    const GREEN: &str = "127.0.0.1:8002";
    const TEN: &str = "# users\nsplit_clients $cookie_id $up {\n    10%  127.0.0.1:8002; # canary\n    *    127.0.0.1:8001;\n}\n";

    fn read(text: &str) -> Result<Clients<'_>, Error> {
        Clients::read(text, [BLUE, GREEN], "$cookie_id")
    }

    fn green(share: &str) -> Split {
        Split::giving(Side::Green, share.parse().unwrap())
    }

    fn with(text: &str, share: &str) -> String {
        let text = read(text).unwrap().with(green(share)).unwrap();
        assert_eq!(read(&text).unwrap().split(), green(share), "{text}");
        assert_eq!(read(&text).unwrap().with(green(share)).unwrap(), text);
        text
    }

    #[test]
    fn a_share_is_a_part_and_all_is_one_line() {
        assert_eq!(read(TEN).unwrap().split(), green("10%"));
        assert_eq!(with(TEN, "33.33%"), TEN.replace("10%", "33.33%"));
        let plain = TEN.replace(" # canary", "");
        let none = with(&plain, "0%");
        assert_eq!(
            none,
            "# users\nsplit_clients $cookie_id $up {\n    *    127.0.0.1:8001;\n}\n"
        );
        let all = with(&plain, "100%");
        assert_eq!(all, none.replace("8001", "8002"));
        // Who comes back to a share comes back to the same users.
        assert_eq!(
            with(&none, "10%"),
            none.replace(
                "*    127.0.0.1:8001;",
                "90%    127.0.0.1:8001;\n    * 127.0.0.1:8002;"
            ),
            "what has no key stays at blue"
        );
        assert_eq!(
            with(&all, "90%"),
            all.replace(
                "*    127.0.0.1:8002;",
                "90%    127.0.0.1:8002;\n    * 127.0.0.1:8001;"
            )
        );
        // A comment stays.
        assert!(with(TEN, "0%").contains("# canary"));
        assert_eq!(
            with(
                "split_clients $cookie_id $up{* http://127.0.0.1:8001;}",
                "0.5%"
            ),
            "split_clients $cookie_id $up{99.5% http://127.0.0.1:8001; * http://127.0.0.1:8002;}"
        );
    }

    #[test]
    fn a_value_may_be_an_upstream_that_leads_to_one_side() {
        let text = "upstream one { server 127.0.0.1:8001; } upstream two { server 127.0.0.1:8002; }\n\
                    split_clients \"$cookie_id\" $up { * \"one\"; }";
        let ten = with(text, "10%");
        assert!(ten.contains("{ 90% \"one\"; * two; }"), "{ten}");
        let alone = text
            .replace("upstream two", "upstream two2")
            .replace("8002; }", "9; }");
        assert_eq!(
            read(&alone).unwrap().with(green("10%")),
            Err(Error::NoUpstream(GREEN.to_owned()))
        );
    }

    #[test]
    fn what_is_no_division_of_two_sides_is_told() {
        for (text, why) in [
            ("", "no `split_clients $cookie_id`"),
            (
                "split_clients $remote_addr $up { * 127.0.0.1:8001; }",
                "it has one by `$remote_addr`",
            ),
            (
                "split_clients $cookie_id $up { * elsewhere; }",
                "`elsewhere` of `split_clients`",
            ),
            (
                "split_clients $cookie_id $up { 10% 127.0.0.1:8001; }",
                "no side to 90% of the users",
            ),
            (
                "split_clients $cookie_id $up { x 127.0.0.1:8001; }",
                "`x` of `split_clients` is not a share",
            ),
            (
                "split_clients $cookie_id $a { * 127.0.0.1:8001; } split_clients $cookie_id $b { * 127.0.0.1:8001; }",
                "twice, for $a and for $b",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let three = "split_clients $cookie_id $up { 10% 127.0.0.1:8002; 5% 127.0.0.1:8002; * 127.0.0.1:8001; }";
        assert_eq!(read(three).unwrap().split(), green("15%"));
        assert_eq!(
            read(three).unwrap().with(green("10%")),
            Err(Error::Lines(3))
        );
        for text in [
            "split_clients",
            "split_clients $cookie_id $up {",
            "split_clients $cookie_id $up { *",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

//! Shares as the weights of an upstream file: what it says, and the text that says another one.

use config::value::{Share, Side, Split};

use super::syntax::{changed, line_break_before};
use super::upstream::{Block, Line, Upstream};
use crate::weights::Weights;

/// Why the file says no share, or cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    #[error(
        "`{directive}` in {block} chooses servers by more than their weights, so a weight is not a share of \
         the requests: only 0% and 100% can be set"
    )]
    Balance { directive: String, block: String },
    #[error("{block} includes another file, which may hold more servers")]
    Include { block: String },
    #[error("{block} gives traffic to {server} too, so blue and green do not share all requests")]
    Others { block: String, server: String },
    #[error("neither blue nor green gets traffic in {0}")]
    NoShare(String),
    #[error(
        "{one} and {other} divide the traffic differently: name the one that is meant under `upstream`"
    )]
    Disagree { one: String, other: String },
}

impl Upstream<'_> {
    /// What each side gets.
    pub fn split(&self) -> Result<Split, ShareError> {
        let mut split = None;
        for block in &self.blocks {
            let found = self.split_in(block)?;
            match split {
                None => split = Some((found, block)),
                Some((one, _)) if one == found => {}
                Some((_, one)) => {
                    return Err(ShareError::Disagree {
                        one: one.shown(),
                        other: block.shown(),
                    });
                }
            }
        }
        let no_share = || ShareError::NoShare("the upstream file".to_owned());
        split.map(|(split, _)| split).ok_or_else(no_share)
    }

    fn split_in(&self, block: &Block) -> Result<Split, ShareError> {
        block.is_ours()?;
        let serving = block.serving();
        let weight = |side: Side| {
            let of_side = serving
                .iter()
                .filter(|line| line.colour == self.colour(side));
            of_side.fold(0_u32, |sum, line| sum.saturating_add(line.weight.max(1)))
        };
        let weights = Weights {
            blue: weight(Side::Blue),
            green: weight(Side::Green),
        };
        if weights.blue > 0 && weights.green > 0 {
            block.weighs()?;
        }
        let no_share = || ShareError::NoShare(block.shown());
        weights.split().ok_or_else(no_share)
    }

    /// The text in which the sides have these shares. Everything else stays as its author wrote it.
    pub fn with(&self, split: Split) -> Result<String, ShareError> {
        for block in &self.blocks {
            block.is_ours()?;
        }
        if let Some(side) = split.whole() {
            return Ok(self.all_to(self.colour(side)));
        }
        let weights = Weights::of(split, u32::from(Share::WHOLE));
        let mut changes = Vec::new();
        for block in &self.blocks {
            block.weighs()?;
            for line in &block.lines {
                let side = if line.colour == self.colour(Side::Blue) {
                    Side::Blue
                } else {
                    Side::Green
                };
                let colour = line.colour.clone();
                let mut new = self.rewritten(line, &colour, weights.of_side(side));
                if block.lines.len() == 1 {
                    let other = side.other();
                    let weight = weights.of_side(other);
                    let more = self.rewritten(line, self.colour(other), weight);
                    new = format!("{more}{}{new}", self.before(line));
                }
                changes.push((line.start..line.end + 1, new));
            }
        }
        Ok(changed(self.text, changes))
    }

    fn colour(&self, side: Side) -> &str {
        match side {
            Side::Blue => self.colours[0],
            Side::Green => self.colours[1],
        }
    }

    /// The line for an address, which gets traffic.
    fn rewritten(&self, line: &Line, colour: &str, weight: u32) -> String {
        let at = |range: &std::ops::Range<usize>| range.start - line.start..range.end - line.start;
        let mut changes: Vec<_> = line
            .marks
            .iter()
            .map(|mark| (at(mark), String::new()))
            .collect();
        let mut address = if colour == line.colour {
            self.text[line.address.clone()].to_owned()
        } else {
            colour.to_owned()
        };
        match &line.weighs_at {
            Some(there) => changes.push((at(there), format!("weight={weight}"))),
            None if weight != 1 => address.push_str(&format!(" weight={weight}")),
            None => {}
        }
        changes.push((at(&line.address), address));
        changed(&self.text[line.start..=line.end], changes)
    }

    /// What parts a line from the one before it.
    fn before(&self, line: &Line) -> &str {
        line_break_before(self.text, line.start).unwrap_or_else(|| {
            let head = &self.text[..line.start];
            match head.trim_end().len() {
                0 => "\n",
                end => &head[end..],
            }
        })
    }
}

impl Block {
    fn shown(&self) -> String {
        match self.name.as_str() {
            "" => "the upstream file".to_owned(),
            name => format!("`upstream {name}`"),
        }
    }

    /// Whether blue and green have all the traffic of the block.
    fn is_ours(&self) -> Result<(), ShareError> {
        if let Some((server, _)) = self.others.first() {
            return Err(ShareError::Others {
                block: self.shown(),
                server: server.clone(),
            });
        }
        if self.unshared.as_deref() == Some("include") {
            return Err(ShareError::Include {
                block: self.shown(),
            });
        }
        Ok(())
    }

    /// Whether weights are shares of the requests.
    fn weighs(&self) -> Result<(), ShareError> {
        match &self.unshared {
            None => Ok(()),
            Some(directive) => Err(ShareError::Balance {
                directive: directive.clone(),
                block: self.shown(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: &str = "127.0.0.1:8001";
    const GREEN: &str = "127.0.0.1:8002";

    fn read(text: &str) -> Upstream<'_> {
        Upstream::read(text, [BLUE, GREEN], None, "traffic").unwrap()
    }

    fn green(share: &str) -> Split {
        Split::giving(Side::Green, share.parse().unwrap())
    }

    /// The text with this share of green, which must read as that share.
    fn with(text: &str, share: &str) -> String {
        let text = read(text).with(green(share)).unwrap();
        assert_eq!(read(&text).split(), Ok(green(share)), "{text}");
        let again = read(&text).with(green(share)).unwrap();
        assert_eq!(again, text, "twice is once");
        text
    }

    #[test]
    fn a_second_line_is_made_with_the_parameters_of_the_first() {
        let one = "upstream shop {\n\t# live\n\tserver  127.0.0.1:8001 max_fails=0; # blue\n\tkeepalive 8;\n}\n";
        let ten = with(one, "10%");
        assert_eq!(
            ten,
            "upstream shop {\n\t# live\n\tserver  127.0.0.1:8002 max_fails=0;\n\tserver  127.0.0.1:8001 weight=9 max_fails=0; # blue\n\tkeepalive 8;\n}\n"
        );
        assert_eq!(
            with(&ten, "25%"),
            ten.replace("weight=9", "weight=3"),
            "only the weight changes"
        );
        let none = with(&ten, "0%");
        assert_eq!(
            none,
            ten.replace("8002 max_fails=0;", "8002 max_fails=0 down;")
        );
        assert_eq!(none, read(&ten).all_to(BLUE));
        let all = with(&none, "100%");
        assert_eq!(all, read(&none).all_to(GREEN));
        assert_eq!(with(&all, "10%"), ten);
        assert_eq!(
            with("server 127.0.0.1:8001;", "50%"),
            "server 127.0.0.1:8002;\nserver 127.0.0.1:8001;"
        );
        assert_eq!(
            with("upstream a {server 127.0.0.1:8002 backup;}", "0.01%"),
            "upstream a {server 127.0.0.1:8001 weight=9999;server 127.0.0.1:8002;}"
        );
    }

    #[test]
    fn what_weights_cannot_say_is_told() {
        let both = "server 127.0.0.1:8001; server 127.0.0.1:8002;";
        for (inside, why) in [
            (format!("ip_hash; {both}"), "`ip_hash` in `upstream shop`"),
            (format!("{both} least_conn;"), "`least_conn` in"),
            (format!("hash $uri consistent; {both}"), "`hash` in"),
            (format!("random two; {both}"), "`random` in"),
            (
                format!("{both} server 10.0.0.9:80;"),
                "gives traffic to 10.0.0.9:80 too",
            ),
            (
                format!("{both} include more.conf;"),
                "includes another file",
            ),
            (
                "server 127.0.0.1:8001 down;".to_owned(),
                "neither blue nor green gets traffic",
            ),
        ] {
            let text = format!("upstream shop {{ {inside} }}");
            let error = read(&text).split().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        // One side alone needs no weight, and a server that waits for the others to fail has no share.
        let hashed = "upstream shop { ip_hash; server 127.0.0.1:8001; server 127.0.0.1:8002 down; server far:1 backup; }";
        assert_eq!(read(hashed).split(), Ok(green("0%")));
        assert!(with(hashed, "100%").contains("8001 down; server 127.0.0.1:8002;"));
        assert!(matches!(
            read(hashed).with(green("10%")),
            Err(ShareError::Balance { .. })
        ));
        let two = "upstream a { server 127.0.0.1:8001; server 127.0.0.1:8002; } upstream b { server 127.0.0.1:8001; }";
        assert!(matches!(
            read(two).split(),
            Err(ShareError::Disagree { .. })
        ));
    }

    #[test]
    fn weights_are_shares() {
        for (weights, share) in [
            ((95, 5), "5%"),
            ((2, 1), "33.33%"),
            ((1, 1), "50%"),
            ((0, 1), "50%"),
            ((99_999, 1), "0.01%"),
            ((1, 2_000_000_000), "99.99%"),
        ] {
            let text = format!(
                "server {BLUE} weight={}; server {GREEN} weight={};",
                weights.0, weights.1
            );
            assert_eq!(read(&text).split(), Ok(green(share)), "{text}");
        }
    }

    #[test]
    fn every_share_is_written_and_read_again() {
        let text = "upstream shop { server 127.0.0.1:8001; }";
        for steps in (0..=Share::WHOLE).step_by(7) {
            let split = Split::giving(Side::Green, Share::from_steps(steps));
            let text = read(text).with(split).unwrap();
            assert_eq!(read(&text).split(), Ok(split), "{text}");
        }
    }
}

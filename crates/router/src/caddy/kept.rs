//! What Caddy reads when it starts again: a file in JSON, a Caddyfile, or the copy that it keeps itself
//! for `--resume`.

use std::path::Path;

use config::file::CaddyRouter;
use config::value::{Side, Split};
use place::{Error, Place, PlaceAccess};
use serde_json::Value;

use super::admin::Admin;
use super::handler::{Handler, MAX_WEIGHTS};
use crate::weights::Weights;

/// Lines of a Caddyfile that are tried.
const MAX_LINES: usize = 32;
const POLICY: &str = "weighted_round_robin";

pub(super) struct StoredConfig<'a> {
    pub(super) config: &'a CaddyRouter,
    pub(super) places: &'a PlaceAccess,
    pub(super) admin: Admin<'a>,
}

impl StoredConfig<'_> {
    fn file(&self) -> Result<&Path, Error> {
        let CaddyRouter {
            config_file,
            autosave,
            ..
        } = self.config;
        let file = config_file.as_ref().or(autosave.as_ref());
        let none = || Error::Unconfigured("`traffic.caddy.config-file` is not given".to_owned());
        file.map(std::path::PathBuf::as_path).ok_or_else(none)
    }

    async fn read(&self, place: &Place) -> Result<String, Error> {
        let file = self.file()?;
        let text = self.places.read(place, file, self.admin.limit).await?;
        text.ok_or_else(|| {
            let hint = match self.config.autosave {
                Some(_) => ": Caddy writes it after a change of its configuration, unless `persist_config` is off",
                None => "",
            };
            Error::Missing(format!("there is no {}{hint}", file.display()))
        })
    }

    /// How the requests are divided after a restart.
    pub(super) async fn split(&self, place: &Place) -> Result<Split, Error> {
        let text = self.read(place).await?;
        let config = match serde_json::from_str(&text) {
            Ok(config) => config,
            Err(_) => self.adapted(place, &text).await?,
        };
        self.split_of(&config)
    }

    fn split_of(&self, config: &Value) -> Result<Split, Error> {
        let split =
            Handler::find(config, self.config).and_then(|handler| handler.split(self.config));
        let file = self.file()?.display().to_string();
        split.map_err(|error| error.at(file))
    }

    async fn adapted(&self, place: &Place, text: &str) -> Result<Value, Error> {
        let file = self.file()?.display().to_string();
        let adapted = self.admin.adapted(place, text).await;
        adapted.map_err(|error| error.at(file))
    }

    /// The file's text with another split; `None` where there is nothing to write.
    pub(super) async fn changed(
        &self,
        place: &Place,
        split: Split,
    ) -> Result<Option<String>, Error> {
        if self.config.autosave.is_some() {
            return Ok(None);
        }
        let text = self.read(place).await?;
        let Ok(mut config) = serde_json::from_str::<Value>(&text) else {
            return self.changed_caddyfile(place, &text, split).await;
        };
        if self.split_of(&config)? == split {
            return Ok(None);
        }
        let handler = Handler::find(&config, self.config)?;
        let value = handler.with(split, self.config)?;
        let pointer = handler.path.iter().fold(String::new(), |pointer, word| {
            let word = word.replace('~', "~0").replace('/', "~1");
            format!("{pointer}/{word}")
        });
        if let Some(place) = config.pointer_mut(&pointer) {
            *place = value;
        }
        Ok(Some(format!("{config:#}\n")))
    }

    /// A Caddyfile with other weights in the one line that gives the two their shares: Caddy itself is
    /// asked which one that is.
    async fn changed_caddyfile(
        &self,
        place: &Place,
        text: &str,
        split: Split,
    ) -> Result<Option<String>, Error> {
        let now = self.adapted(place, text).await?;
        if self.split_of(&now)? == split {
            return Ok(None);
        }
        let (mut right, mut refused) = (Vec::new(), None);
        for changed in candidates(text, split) {
            match self.adapted(place, &changed).await {
                Ok(config) if self.split_of(&config).is_ok_and(|new| new == split) => {
                    right.push(changed);
                }
                Ok(_) => {}
                Err(error) => refused = Some(error),
            }
        }
        let file = self.file()?.display();
        match (right.len(), refused) {
            (1, _) => Ok(right.pop()),
            (0, Some(error)) => Err(error),
            (0, None) => Err(Error::Unfit(format!(
                "{file} has no line `lb_policy {POLICY} …` that gives the two upstreams their shares; write one, or run Caddy with `--resume` and name its `autosave`"
            ))),
            (many, _) => Err(Error::Unfit(format!(
                "{file} can be changed in {many} ways that all lead to {split}"
            ))),
        }
    }

    pub(super) async fn may_write(&self, place: &Place) -> Result<(), Error> {
        if self.config.autosave.is_some() {
            return Ok(());
        }
        let file = self.file()?;
        self.places.may_replace(place, file, self.admin.limit).await
    }

    pub(super) async fn write(&self, place: &Place, text: Option<&str>) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        let file = self.file()?;
        self.places
            .replace(place, file, text, self.admin.limit)
            .await
    }
}

/// The text with other weights in each one of the lines that have two, in both orders.
fn candidates(text: &str, split: Split) -> Vec<String> {
    let weights = Weights::of(split, MAX_WEIGHTS);
    let (blue, green) = (weights.of_side(Side::Blue), weights.of_side(Side::Green));
    let mut orders = vec![(blue, green), (green, blue)];
    orders.dedup();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let with_weights = lines.iter().enumerate().filter_map(|(nth, line)| {
        let (head, tail) = around_weights(line)?;
        Some((nth, head, tail))
    });
    let mut all = Vec::new();
    for (nth, head, tail) in with_weights.take(MAX_LINES) {
        for (first, second) in &orders {
            let line = format!("{head}{first} {second}{tail}");
            let before = lines[..nth].concat();
            let behind = lines[nth + 1..].concat();
            all.push(format!("{before}{line}{behind}"));
        }
    }
    all
}

/// What stands before and behind the two weights of a line such as `lb_policy weighted_round_robin 9 1`.
fn around_weights(line: &str) -> Option<(&str, &str)> {
    let keyword = line.split_whitespace().next()?;
    if !["lb_policy", "fallback"].contains(&keyword) {
        return None;
    }
    let at = line.find(POLICY)? + POLICY.len();
    let behind = &line[at..];
    let begin = at + behind.find(|c: char| !c.is_whitespace())?;
    let mut rest = &line[begin..];
    for nth in 0..2 {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        if nth > 0 && trimmed.len() == rest.len() {
            return None;
        }
        let digits = trimmed.trim_start_matches(|c: char| c.is_ascii_digit());
        if digits.len() == trimmed.len() {
            return None;
        }
        rest = digits;
    }
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    ends.then(|| (&line[..begin], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weights_of_a_line_are_found_and_nothing_else() {
        for (line, found) in [
            (
                "\tlb_policy weighted_round_robin 9 1\n",
                Some(("\tlb_policy weighted_round_robin ", "\n")),
            ),
            (
                "lb_policy weighted_round_robin 9  1 # the shares",
                Some(("lb_policy weighted_round_robin ", " # the shares")),
            ),
            (
                "  fallback weighted_round_robin 1 0\r\n",
                Some(("  fallback weighted_round_robin ", "\r\n")),
            ),
            ("lb_policy weighted_round_robin 9\n", None),
            ("lb_policy weighted_round_robin 9 {$GREEN}\n", None),
            ("lb_policy weighted_round_robin 9 1x\n", None),
            ("lb_policy round_robin\n", None),
            ("# lb_policy weighted_round_robin 9 1\n", None),
            ("", None),
        ] {
            assert_eq!(around_weights(line), found, "{line:?}");
        }
    }

    #[test]
    fn each_line_is_tried_in_both_orders() {
        let text = "a\nlb_policy weighted_round_robin 1 1\nb\nlb_policy weighted_round_robin 9 1";
        let ten = Split::giving(Side::Green, "10%".parse().unwrap());
        assert_eq!(
            candidates(text, ten),
            [
                "a\nlb_policy weighted_round_robin 9 1\nb\nlb_policy weighted_round_robin 9 1",
                "a\nlb_policy weighted_round_robin 1 9\nb\nlb_policy weighted_round_robin 9 1",
                "a\nlb_policy weighted_round_robin 1 1\nb\nlb_policy weighted_round_robin 9 1",
                "a\nlb_policy weighted_round_robin 1 1\nb\nlb_policy weighted_round_robin 1 9",
            ]
        );
    }
}

//! The parts of an SQL file that has the way there and the way back, and what a text of another
//! language says of its way back.

use std::sync::LazyLock;

use regex::Regex;

use crate::reading::Undo;

/// The two parts of a file, and the words behind the mark of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) up: String,
    pub(crate) up_options: String,
    pub(crate) down: Option<String>,
}

impl Parts {
    /// `up` and `down` match the lines that begin a part; what is behind them are options.
    pub(crate) fn of(text: &str, up: &Regex, down: &Regex) -> Option<Parts> {
        let begin = up.find(text)?;
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end);
        let behind = line_end(begin.end());
        let back = down.find(text);
        let end_of = |from: usize| match &back {
            Some(back) if back.start() >= from => back.start(),
            _ => text.len(),
        };
        let down = back.as_ref().map(|back| {
            let from = line_end(back.end());
            let to = if begin.start() > from {
                begin.start()
            } else {
                text.len()
            };
            text[from..to].trim().to_owned()
        });
        Some(Parts {
            up: text[behind..end_of(behind)].trim().to_owned(),
            up_options: text[begin.end()..behind].trim().to_owned(),
            down,
        })
    }

    pub(crate) fn undo(&self) -> Undo {
        undo_of_sql(self.down.as_deref())
    }
}

/// Comments alone undo nothing.
pub(crate) fn undo_of_sql(down: Option<&str>) -> Undo {
    let does = |line: &str| !line.trim().is_empty() && !line.trim().starts_with("--");
    match down {
        Some(sql) if sql.lines().any(does) => Undo::Present,
        _ => Undo::Absent,
    }
}

/// What JavaScript or TypeScript exports as `down`.
pub(crate) fn undo_of_script(text: &str) -> Undo {
    static DOWN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\bdown\b\s*(=|\(|:)").ok());
    static NONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"\bdown\b\s*[=:]\s*(false|null|undefined)\b|\bdown\b[^{};]*\{\s*(throw\b[^}]*)?\}",
        )
        .ok()
    });
    let matches = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    match (matches(&DOWN), matches(&NONE)) {
        (_, true) => Undo::Absent,
        (true, false) => Undo::Present,
        (false, false) => Undo::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_way_back_is_none() {
        for (text, undo) in [
            (
                "exports.down = function (knex) { return knex.schema.dropTable('a') }",
                Undo::Present,
            ),
            (
                "export async function down(knex) {\n await knex.schema.dropTable('a');\n}",
                Undo::Present,
            ),
            (
                "module.exports = { up, down: (k) => k.raw('x') }",
                Undo::Present,
            ),
            ("exports.down = (pgm) => {};", Undo::Absent),
            ("exports.down = false;", Undo::Absent),
            (
                "exports.down = async () => { throw new Error('no way back') };",
                Undo::Absent,
            ),
            (
                "exports.up = (pgm) => pgm.createTable('a', {});",
                Undo::Unknown,
            ),
        ] {
            assert_eq!(undo_of_script(text), undo, "{text}");
        }
        assert_eq!(undo_of_sql(Some("-- nothing\n\n")), Undo::Absent);
        assert_eq!(undo_of_sql(Some("-- back\ndrop table a;")), Undo::Present);
    }
}

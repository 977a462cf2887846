//! What `pg_restore --list` prints: the table of contents of an archive. It is at the archive's front, so it says what
//! should be in it, and never that it is.

use std::collections::BTreeSet;

use crate::contents::{ContentsError, halves};

/// The archive is made for a version that is newer than the program that reads it.
pub const NEWER: &str = "unsupported version";

/// A table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    pub database: Option<String>,
    /// The server's version.
    pub server: Option<String>,
    /// `schema.table`
    pub tables: BTreeSet<String>,
    pub with_data: BTreeSet<String>,
    /// Entries that make something.
    pub definitions: usize,
    /// Entries that fill something: tables, sequences, large objects.
    pub data: usize,
}

/// The script that proves an archive: it is read to its end, and standard output is its table of contents without entries
/// whose like was there before. `file` is a word of the shell.
pub fn script(file: &str) -> String {
    format!(
        "pg_restore --list {file} >/dev/null && pg_restore --file=/dev/null {file} && \
         pg_restore --list {file} | awk '/^;/ || !seen[$4 \" \" $5]++'\n"
    )
}

/// What two words an entry begins with, and whether it holds data.
fn kind(words: &str) -> (&str, bool) {
    const TWO: [&str; 3] = ["TABLE DATA", "SEQUENCE SET", "BLOB DATA"];
    if let Some(data) = TWO.iter().find(|two| words.starts_with(*two)) {
        return (data, true);
    }
    let first = words.split(' ').next().unwrap_or_default();
    // A large object's text; what makes it is `BLOB` or, since 17, `BLOB METADATA`.
    (first, first == "BLOBS")
}

impl Toc {
    /// Reads the list; lines without an entry are skipped.
    pub fn read(list: &str) -> Toc {
        let mut toc = Toc::default();
        for line in list.lines() {
            if let Some(note) = line.strip_prefix(';') {
                toc.note(note.trim());
            } else if let Some((_, entry)) = line.split_once("; ") {
                toc.entry(entry);
            }
        }
        toc
    }

    fn note(&mut self, note: &str) {
        if let Some(name) = note.strip_prefix("dbname: ") {
            self.database = Some(name.to_owned());
        } else if let Some(version) = note.strip_prefix("Dumped from database version: ") {
            let version = version.split(' ').next().unwrap_or_default();
            self.server = Some(version.to_owned());
        }
    }

    /// `1259 16385 TABLE public orders app`: two numbers, the kind, the schema, the name, the owner.
    fn entry(&mut self, entry: &str) {
        let Some(words) = entry.splitn(3, ' ').nth(2) else {
            return;
        };
        let (kind, is_data) = kind(words);
        if is_data {
            self.data += 1;
        } else {
            self.definitions += 1;
        }
        let rest = words[kind.len()..].trim_start();
        let named = || {
            let (schema, rest) = rest.split_once(' ')?;
            // A name may have spaces; the owner's is the last word, or all that is known.
            let name = rest.rsplit_once(' ').map_or(rest, |(name, _)| name);
            Some(format!("{schema}.{name}"))
        };
        match kind {
            "TABLE DATA" => self.with_data.extend(named()),
            "TABLE" if !rest.starts_with("ATTACH ") => self.tables.extend(named()),
            _ => {}
        }
    }

    /// What is wrong with a dump of these contents.
    pub fn fault(&self) -> Option<ContentsError> {
        halves(self.definitions, self.tables.len(), self.data)
    }
}

/// What a reader's last words mean.
pub fn unreadable(said: &str) -> ContentsError {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = model::text::cut(&said, 300);
    let is_cut = [
        "end of file",
        "unexpected end",
        "could not find block",
        "too short",
        "incomplete",
        "could not find header",
    ];
    if said.contains("does not appear to be a valid archive")
        || said.contains("input file is too short")
    {
        ContentsError::NotADump
    } else if is_cut.iter().any(|words| said.contains(words)) {
        ContentsError::CutOff(said)
    } else {
        ContentsError::Damaged(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = ";
; Archive created at 2026-11-29 10:20:36 UTC
;     dbname: shop
;     TOC Entries: 9
;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
;
;
; Selected TOC Entries:
;
215; 1259 16385 TABLE public orders app
216; 1259 16390 TABLE public two words app
217; 1259 16395 SEQUENCE public orders_id_seq app
3355; 0 0 TABLE ATTACH public part app
3350; 0 16385 TABLE DATA public orders app
3351; 0 16390 TABLE DATA public two words app
3360; 0 0 SEQUENCE SET public orders_id_seq app
";

    #[test]
    fn a_list_is_read() {
        let toc = Toc::read(LIST);
        assert_eq!(toc.database.as_deref(), Some("shop"));
        assert_eq!(toc.server.as_deref(), Some("15.18"));
        let tables = ["public.orders".to_owned(), "public.two words".to_owned()];
        assert_eq!(toc.tables, BTreeSet::from(tables.clone()));
        assert_eq!(toc.with_data, BTreeSet::from(tables));
        assert_eq!((toc.definitions, toc.data), (4, 3));
        assert_eq!(toc.fault(), None);
    }

    #[test]
    fn half_a_dump_is_told_by_its_list() {
        let only = |keep: &dyn Fn(&str) -> bool| {
            let lines: Vec<&str> = LIST.lines().filter(|line| keep(line)).collect();
            Toc::read(&lines.join("\n")).fault()
        };
        let is_data = |line: &str| line.contains(" DATA ") || line.contains(" SET ");
        assert_eq!(only(&is_data), Some(ContentsError::DataOnly));
        assert_eq!(
            only(&|line| !is_data(line)),
            Some(ContentsError::SchemaOnly)
        );
        assert_eq!(
            only(&|line| line.starts_with(';')),
            Some(ContentsError::NoTables)
        );
        assert_eq!(Toc::read("rubbish").fault(), Some(ContentsError::NoTables));
    }
}

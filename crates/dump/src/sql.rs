//! Plain SQL, as `pg_dump --format=plain`, `pg_dumpall` and `mariadb-dump` write it, read line by line in one pass. Of a line
//! only the beginning is kept: one statement may have megabytes.
//!
//! Such a dump proves little: its last line is there, its rows have their columns, and nothing in it is a zero byte. Whether a
//! letter in it has changed is known by a checksum alone.

use std::collections::BTreeSet;

use database::System;

use crate::contents::{ContentsError, halves};

/// What is kept of a line, in bytes.
const KEPT: usize = 1024;
/// A dump names itself in its first lines.
const HEAD: usize = 40;

/// What the next line is of.
#[derive(Debug, Default)]
enum Within {
    #[default]
    Statements,
    /// The rows of a table: its name, and how many columns it has, where that is known.
    Rows(String, Option<usize>),
    /// A routine, which may be written like a dump.
    Body,
}

/// What was read of a dump so far.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    tabs: usize,
    lines: usize,
    system: Option<System>,
    /// Of all databases of a server (`pg_dumpall`).
    is_cluster: bool,
    within: Within,
    is_complete: bool,
    fault: Option<ContentsError>,
    definitions: usize,
    data: usize,
    pub(crate) databases: Vec<String>,
    pub(crate) server: Option<String>,
    pub(crate) tables: BTreeSet<String>,
    pub(crate) with_data: BTreeSet<String>,
    pub(crate) is_bound: bool,
}

impl Reader {
    /// Reads on.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if piece.contains(&0) && self.fault.is_none() {
                let reason = format!("there is a zero byte in line {}", self.lines + 1);
                self.fault = Some(ContentsError::Damaged(reason));
            }
            if matches!(self.within, Within::Rows(..)) {
                self.tabs += piece.split(|byte| *byte == b'\t').count() - 1;
            }
            let room = KEPT.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
            if piece.ends_with(b"\n") {
                self.end_of_line();
            }
        }
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        self.lines += 1;
        self.read_line(line.trim_end_matches(['\r', '\n']));
        self.tabs = 0;
    }

    fn read_line(&mut self, line: &str) {
        match &self.within {
            Within::Rows(..) if line == "\\." => self.within = Within::Statements,
            Within::Rows(table, Some(columns)) if self.tabs + 1 != *columns => {
                let reason = format!(
                    "line {}: a row of `{table}` has {} cells, and the table has {columns} columns",
                    self.lines,
                    self.tabs + 1
                );
                self.fault.get_or_insert(ContentsError::Damaged(reason));
            }
            Within::Body if line == "DELIMITER ;" => self.within = Within::Statements,
            Within::Rows(..) | Within::Body => {}
            Within::Statements => self.outside(line),
        }
    }

    fn outside(&mut self, line: &str) {
        if let Some(comment) = line.strip_prefix("-- ") {
            self.comment(comment);
        } else if !line.is_empty() && line != "--" {
            self.statement(line);
        }
    }

    fn comment(&mut self, comment: &str) {
        match self.system {
            None => self.first(comment),
            Some(System::Postgres) => self.of_postgres(comment),
            Some(System::MySql) => self.of_mysql(comment),
        }
    }

    fn first(&mut self, comment: &str) {
        if self.lines > HEAD {
            return;
        }
        if comment.starts_with("PostgreSQL database") {
            self.system = Some(System::Postgres);
            self.is_cluster = comment.starts_with("PostgreSQL database cluster");
        } else if comment.starts_with("MariaDB dump") || comment.starts_with("MySQL dump") {
            self.system = Some(System::MySql);
        }
    }

    fn of_postgres(&mut self, comment: &str) {
        let end = if self.is_cluster {
            "PostgreSQL database cluster dump complete"
        } else {
            "PostgreSQL database dump complete"
        };
        if comment == end {
            self.is_complete = true;
        } else if let Some(version) = comment.strip_prefix("Dumped from database version ") {
            self.server = version.split(' ').next().map(str::to_owned);
        } else if let Some((name, kind, schema)) = named(comment, "Data for Name: ") {
            self.data += 1;
            if kind == "TABLE DATA" {
                self.with_data.insert(format!("{schema}.{name}"));
            }
        } else if let Some((name, kind, schema)) = named(comment, "Name: ") {
            if kind == "SEQUENCE SET" {
                self.data += 1;
                return;
            }
            self.definitions += 1;
            if kind == "TABLE" {
                self.tables.insert(format!("{schema}.{name}"));
            }
        }
    }

    fn of_mysql(&mut self, comment: &str) {
        let quoted = |text: &str| text.trim().trim_matches('`').to_owned();
        if comment.starts_with("Dump completed") {
            self.is_complete = true;
        } else if let Some((_, name)) = comment.split_once("Database: ")
            && !name.trim().is_empty()
        {
            self.databases.push(quoted(name));
        } else if let Some(version) = comment.strip_prefix("Server version") {
            self.server = Some(version.trim().to_owned());
        } else if let Some(name) = comment.strip_prefix("Table structure for table ") {
            self.definitions += 1;
            self.tables.insert(quoted(name));
        } else if let Some(name) = comment.strip_prefix("Dumping data for table ") {
            self.data += 1;
            self.with_data.insert(quoted(name));
        } else if comment.contains(" structure for ") {
            self.definitions += 1;
        }
    }

    fn statement(&mut self, line: &str) {
        // Newer versions take back here what they forbade `psql` at the beginning.
        if line.starts_with("\\unrestrict ") {
            return;
        }
        self.is_complete = false;
        if line.starts_with("DELIMITER ") {
            self.within = Within::Body;
        } else if let Some(name) = line.strip_prefix("\\connect ") {
            self.is_bound = true;
            self.databases.push(name.trim_matches('"').to_owned());
        } else if line.starts_with("USE `") || line.starts_with("CREATE DATABASE ") {
            self.is_bound = true;
        } else if let Some(rest) = line.strip_prefix("COPY ")
            && let Some(head) = rest.strip_suffix(" FROM stdin;")
        {
            let (table, columns) = head.split_once(" (").unwrap_or((head, ""));
            // A name in quotes may have a comma.
            let is_plain = columns.ends_with(')') && !columns.contains('"');
            let columns = is_plain.then(|| columns.split(',').count());
            self.within = Within::Rows(table.to_owned(), columns);
        }
    }

    /// The end was reached: what it is a dump of.
    pub(crate) fn end(&mut self) -> Result<System, ContentsError> {
        // A half of a row is no row.
        if !self.line.is_empty() && !matches!(self.within, Within::Rows(..)) {
            self.end_of_line();
        }
        let Some(system) = self.system else {
            return Err(ContentsError::NotADump);
        };
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if let Within::Rows(table, _) = &self.within {
            return Err(ContentsError::CutOff(format!(
                "it ends within the rows of `{table}`"
            )));
        }
        if !self.is_complete {
            let end = match system {
                System::Postgres if self.is_cluster => {
                    "-- PostgreSQL database cluster dump complete"
                }
                System::Postgres => "-- PostgreSQL database dump complete",
                System::MySql => "-- Dump completed",
            };
            let reason = format!("its last line is not `{end}`");
            return Err(ContentsError::CutOff(reason));
        }
        match halves(self.definitions, self.tables.len(), self.data) {
            // Whether that is right is for those to say who know the database.
            None | Some(ContentsError::NoTables) => Ok(system),
            Some(fault) => Err(fault),
        }
    }
}

/// `Name: orders; Type: TABLE; Schema: public; Owner: app` gives the name, the type and the schema.
fn named<'a>(comment: &'a str, start: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (name, rest) = comment.strip_prefix(start)?.split_once("; Type: ")?;
    let (kind, rest) = rest.split_once("; Schema: ")?;
    Some((name, kind, rest.split(';').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, piece: usize) -> (Reader, Result<System, ContentsError>) {
        let mut reader = Reader::default();
        text.as_bytes()
            .chunks(piece)
            .for_each(|piece| reader.read(piece));
        let end = reader.end();
        (reader, end)
    }

    const PLAIN: &str = "--
-- PostgreSQL database dump
--
\\restrict abc
-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
SET lock_timeout = 0;
--
-- Name: t; Type: TABLE; Schema: public; Owner: app
--
CREATE TABLE public.t (
    a integer,
    b text
);
--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: app
--
COPY public.t (a, b) FROM stdin;
1\t-- PostgreSQL database dump complete
2\ttwo
\\.
--
-- PostgreSQL database dump complete
--

\\unrestrict abc
";

    #[test]
    fn a_plain_dump_is_read_whatever_the_pieces_are() {
        for piece in [1, 7, 4096] {
            let (reader, end) = read(PLAIN, piece);
            assert_eq!(end, Ok(System::Postgres), "{piece}");
            assert_eq!(reader.tables, BTreeSet::from(["public.t".to_owned()]));
            assert_eq!(reader.with_data, reader.tables);
            assert_eq!(reader.server.as_deref(), Some("15.18"));
        }
    }

    #[test]
    fn each_fault_has_its_reason() {
        let end = |text: &str| read(text, 64).1.unwrap_err();
        let at = |mark: &str| PLAIN.find(mark).unwrap();
        assert_eq!(
            end(&PLAIN[..at("2\ttwo")]),
            ContentsError::CutOff("it ends within the rows of `public.t`".to_owned())
        );
        assert!(matches!(
            end(&PLAIN[..at("COPY")]),
            ContentsError::CutOff(_)
        ));
        assert_eq!(
            end(&PLAIN.replace("2\ttwo", "2 two")),
            ContentsError::Damaged(
                "line 19: a row of `public.t` has 1 cells, and the table has 2 columns".to_owned()
            )
        );
        assert!(matches!(
            end(&PLAIN.replace("two", "\0wo")),
            ContentsError::Damaged(_)
        ));
        let further = format!("{PLAIN}INSERT INTO t VALUES (1);\n");
        assert!(matches!(end(&further), ContentsError::CutOff(_)));
        assert_eq!(end("SELECT 1;\n"), ContentsError::NotADump);
        assert_eq!(
            end(&PLAIN.replace("-- Name: t;", "-- Nothing")),
            ContentsError::DataOnly
        );
        assert_eq!(
            end(&PLAIN.replace("-- Data for", "-- ")),
            ContentsError::SchemaOnly
        );
    }

    #[test]
    fn a_routines_body_is_not_taken_for_the_dump() {
        let text = "-- MariaDB dump 10.19
-- Host: localhost    Database: shop
-- Server version\t10.11.19-MariaDB
-- Table structure for table `t`
-- Dumping data for table `t`
DELIMITER ;;
-- Dump completed
USE `other`
DELIMITER ;
";
        let (reader, end) = read(text, 8);
        assert!(matches!(end, Err(ContentsError::CutOff(_))));
        assert!(!reader.is_bound);
        let (reader, end) = read(&format!("{text}-- Dump completed on 2026-11-29\n"), 8);
        assert_eq!(end, Ok(System::MySql));
        assert_eq!(reader.databases, ["shop"]);
        assert_eq!(reader.server.as_deref(), Some("10.11.19-MariaDB"));
    }
}

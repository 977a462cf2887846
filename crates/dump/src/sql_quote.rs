//! Texts and names as SQL of each system has them.

use database::{System, pg_facts};

/// A text. The backslash is a letter in PostgreSQL alone.
pub(crate) fn literal(system: System, text: &str) -> String {
    match system {
        System::Postgres => pg_facts::literal(text),
        System::MySql => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
    }
}

/// A name.
pub(crate) fn identifier(system: System, name: &str) -> String {
    match system {
        System::Postgres => pg_facts::identifier(name),
        System::MySql => format!("`{}`", name.replace('`', "``")),
    }
}

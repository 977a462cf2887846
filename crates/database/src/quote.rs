//! Texts and names as SQL of each system has them.

use crate::address::System;

/// A text. The backslash is a letter in PostgreSQL alone.
pub fn literal(system: System, text: &str) -> String {
    let text = text.replace('\'', "''");
    match system {
        System::Postgres => format!("'{text}'"),
        System::MySql => format!("'{}'", text.replace('\\', "\\\\")),
    }
}

/// A name.
pub fn identifier(system: System, name: &str) -> String {
    match system {
        System::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        System::MySql => format!("`{}`", name.replace('`', "``")),
    }
}

//! What the types of all tools have in common: how the tool is called, and rules.

use yaml::Fault;

use crate::spot::KeyPosition;

/// The configuration of a migration tool.
pub trait ToolConfig {
    /// What calls the tool, as the user wrote it.
    fn command(&self) -> Option<&str>;

    /// Names of the database: each is one identifier.
    fn identifiers(&self) -> Vec<(&'static str, Option<&str>)> {
        Vec::new()
    }

    /// Words that a program gets, such as files and folders.
    fn paths(&self) -> Vec<(&'static str, Option<&str>)> {
        Vec::new()
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if let Some(command) = self.command() {
            spot.key("command").some_text(command)?;
        }
        for (key, name) in self.identifiers() {
            let Some(name) = name else { continue };
            let spot = spot.key(key);
            spot.some_text(name)?;
            if name.contains(char::is_control) || name.len() > MAX_IDENTIFIER {
                return Err(spot.fault("it is not a name of a database's"));
            }
            if key == "table" && name.contains('.') {
                let fault = spot.fault(format!("`{name}` is a table of a schema"));
                return Err(fault.hint("write the schema under `schema:` and the table alone here"));
            }
        }
        for (key, path) in self.paths() {
            let Some(path) = path else { continue };
            if path.trim().is_empty() || path.starts_with('-') || path.contains(char::is_control) {
                let problem =
                    format!("`{path}` is empty, or a program would take it for an option");
                return Err(spot.key(key).fault(problem));
            }
        }
        Ok(())
    }
}

/// Of PostgreSQL; MariaDB's is 64 characters.
const MAX_IDENTIFIER: usize = 256;

/// A tool whose keys are all named by their fields: which of them are names of the database, and which are words
/// of a program.
macro_rules! tool_config {
    ($tool:ident { identifiers: [$($identifier:ident),*], paths: [$($path:ident),*] }) => {
        impl $crate::migrate::ToolConfig for $tool {
            fn command(&self) -> Option<&str> {
                self.command.as_deref()
            }

            fn identifiers(&self) -> Vec<(&'static str, Option<&str>)> {
                vec![$((stringify!($identifier), self.$identifier.as_deref())),*]
            }

            fn paths(&self) -> Vec<(&'static str, Option<&str>)> {
                vec![$((stringify!($path), self.$path.as_deref())),*]
            }
        }
    };
}
pub(super) use tool_config;

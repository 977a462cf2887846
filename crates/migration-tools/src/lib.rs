//! The migration tools: how a command line calls each, where its files are, and how it makes a migration. What a tool
//! has done to a database is read in `migrations`.

mod facts;
mod transaction;

mod alembic;
mod command;
mod dbmate;
mod django;
mod flyway;
mod golang_migrate;
mod knex;
mod node_pg_migrate;
mod prisma;
mod rails;
mod sqitch;

pub use facts::{Dialect, Facts, Markers, SafeWays};
pub use transaction::Transaction;

/// The kinds of migration tool, a row each: the field of the section `migrate:`, which is the module with its facts, and its
/// type. `$with!` gets the rows.
#[macro_export]
macro_rules! tool_kinds {
    ($with:ident) => {
        $with! {
            /// Alembic, with or without Flask-Migrate.
            alembic: Alembic,
            /// Django's own migrations.
            django: Django,
            /// knex.
            knex: Knex,
            /// node-pg-migrate.
            node_pg_migrate: NodePgMigrate,
            /// dbmate.
            dbmate: Dbmate,
            /// Sqitch.
            sqitch: Sqitch,
            /// Flyway.
            flyway: Flyway,
            /// Prisma Migrate.
            prisma: Prisma,
            /// Active Record of Ruby on Rails.
            rails: Rails,
            /// golang-migrate.
            golang_migrate: GolangMigrate,
            /// Commands and queries of yours.
            command: CommandTool,
        }
    };
}

macro_rules! tools {
    ($($(#[$doc:meta])* $kind:ident: $tool:ident,)*) => {
        /// A migration tool.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Tool {
            $($(#[$doc])* $tool,)*
        }

        impl Tool {
            pub const ALL: &[Tool] = &[$(Tool::$tool),*];

            pub fn facts(self) -> &'static Facts {
                match self {
                    $(Tool::$tool => &$kind::FACTS,)*
                }
            }
        }
    };
}
tool_kinds!(tools);

impl Tool {
    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The tool of a name; an unknown one is the user's own.
    pub fn named(name: &str) -> Tool {
        let known = Tool::ALL.iter().find(|tool| tool.name() == name);
        known.copied().unwrap_or(Tool::CommandTool)
    }
}

/// Whether a program does nothing but migrate.
pub fn is_program(name: &str) -> bool {
    let mut all = Tool::ALL.iter().flat_map(|tool| tool.facts().programs);
    all.any(|program| *program == name)
}

/// Whether a folder holds migrations, by its path: that of a tool, or one of the many that are called so.
pub fn is_folder(path: &str) -> bool {
    let folders = Tool::ALL.iter().flat_map(|tool| tool.facts().folders);
    let mut folders = folders.copied().chain(["migrations"]);
    folders.any(|folder| {
        let before = path.strip_suffix(folder);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    })
}

/// Parts of a command line that speak of a migration.
pub fn mentions() -> impl Iterator<Item = &'static str> {
    let tools = Tool::ALL.iter().flat_map(|tool| tool.facts().mentions);
    tools.copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a tool is its row's.
    #[test]
    fn a_tool_is_called_as_its_row() {
        macro_rules! rows {
            ($($(#[$doc:meta])* $kind:ident: $tool:ident,)*) => {
                [$((stringify!($kind), Tool::$tool)),*]
            };
        }
        for (row, tool) in tool_kinds!(rows) {
            assert_eq!(tool.name(), row.replace('_', "-"));
            assert_eq!(Tool::named(tool.name()), tool);
        }
        assert_eq!(Tool::named("goose"), Tool::CommandTool);
    }

    #[test]
    fn what_is_known_as_a_command_alone_is_known_everywhere() {
        for name in ["goose", "liquibase"] {
            assert!(is_program(name), "{name}");
            assert!(mentions().any(|part| part.starts_with(name)), "{name}");
        }
        assert!(is_folder("db/liquibase") && is_folder("db/migrate") && is_folder("migrations"));
        assert!(!is_folder("docs/migrations-guide") && !is_folder("src/nomigrations"));
    }
}

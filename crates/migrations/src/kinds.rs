//! The configured tool. The kinds are the rows of `migration_tools::tool_kinds`.

use sections::migrate::Migrate;

use crate::tool::{Named, Tool};

/// A tool as it is configured.
#[derive(Clone, Debug)]
pub(crate) struct Configured<C> {
    pub(crate) config: C,
    /// The variable with the database's URL.
    pub(crate) url_env: String,
    kind: migration_tools::Tool,
}

impl<C> Named for Configured<C> {
    fn name(&self) -> &'static str {
        self.kind.name()
    }
}

/// The configured tool; a section that passes the rules has exactly one.
pub fn tool(section: &Migrate) -> Option<Box<dyn Tool>> {
    macro_rules! first {
        ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
            $(if let Some(config) = &section.$kind {
                return Some(Box::new(Configured {
                    config: config.clone(),
                    url_env: section.url_env.clone(),
                    kind: migration_tools::Tool::$config,
                }));
            })*
        };
    }
    migration_tools::tool_kinds!(first);
    None
}

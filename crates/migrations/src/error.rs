//! Why nothing can be said: the database or the files were not read.

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The files, or the place where they are.
    #[error("the migration files cannot be read: {0}")]
    Files(#[source] place::Error),
    #[error("{0}")]
    Database(#[source] database::Error),
    /// The table is there, and this user may not read it.
    #[error("{table} cannot be read: {cause}")]
    Denied {
        table: String,
        #[source]
        cause: database::Error,
    },
    /// The table is there, and it is not what the tool makes.
    #[error("{table} is not a table of {tool}: {cause}")]
    Foreign {
        table: String,
        tool: &'static str,
        #[source]
        cause: database::Error,
    },
    /// The table is in a schema where the connection does not look.
    #[error("{table} is not in the connection's search path, but in the schema {}", schemas.join(", "))]
    Elsewhere { table: String, schemas: Vec<String> },
    /// The table is in a schema that this user may not use.
    #[error("{table} cannot be read: permission denied for the schema {schema}")]
    NoUsage { table: String, schema: String },
    /// A query of the user's.
    #[error("the query `{key}` failed: {cause}")]
    Query {
        key: &'static str,
        #[source]
        cause: database::Error,
    },
    /// The folder with the migrations does not exist.
    #[error("there is no folder `{0}`")]
    NoFolder(String),
    /// The tool's own configuration does not exist.
    #[error("there is no `{0}`")]
    NoConfig(String),
    /// The tool's own configuration is not understood.
    #[error("{file}: {reason}")]
    Config { file: String, reason: String },
    #[error("more than {0} files are in the folders of the migrations")]
    TooMany(usize),
}

impl Error {
    /// A next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Denied { table, .. } => Some(format!(
                "`GRANT SELECT ON {table} TO …` for the user that deploy-guard logs in as"
            )),
            Error::NoUsage { table, schema } => Some(format!(
                "`GRANT USAGE ON SCHEMA {schema} TO …` and `GRANT SELECT ON {schema}.{table} TO …` for the user that deploy-guard logs in as"
            )),
            Error::Elsewhere { schemas, .. } => Some(format!(
                "write `schema: {}` beside the tool's other keys",
                schemas.first()?
            )),
            Error::Foreign { .. } => {
                Some("another tool may have a table of that name: set `table:`".to_owned())
            }
            Error::NoFolder(_) => {
                Some("set `folder:`; it counts from where the tool is called".to_owned())
            }
            Error::NoConfig(_) => {
                Some("set `config:`; it counts from where the tool is called".to_owned())
            }
            _ => None,
        }
    }
}

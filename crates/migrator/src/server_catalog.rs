//! What the server tells that the SQL of a migration does not: its relations, and its version.

use crate::session::Session;
use database::{Error, QueryRows as _};
use ddl::Catalog;

/// The relations of a server, its version, and how many rows its tables have.
#[derive(Debug, Default)]
pub struct ServerCatalog {
    pub catalog: Catalog,
    pub server: Option<u32>,
    /// By schema and name, as the planner estimates it; −1 where it does not know.
    rows: Vec<(ddl::Name, i64)>,
}

impl ServerCatalog {
    /// Asks PostgreSQL.
    pub async fn read(session: &Session<'_>) -> Result<ServerCatalog, Error> {
        let mut connection = session.database.connect().await?;
        let relations = connection.rows(ddl::catalog::QUERY).await?;
        let version = connection
            .rows("SELECT current_setting('server_version_num')")
            .await?;
        let rows = connection.rows(
            "SELECT n.nspname, c.relname, c.reltuples::bigint FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
        );
        let rows = rows.await?.rows.into_iter().filter_map(|row| {
            let [schema, name, count] = row.try_into().ok()?;
            Some((ddl::Name::new(schema?, name?), count?.parse().ok()?))
        });
        let version: Option<u32> = version
            .first_cell()
            .and_then(|version| version.parse().ok());
        Ok(ServerCatalog {
            catalog: Catalog::from_rows(relations.rows),
            server: version.map(|version| version / 10_000),
            rows: rows.collect(),
        })
    }

    /// The rows of a table, where the planner has counted them.
    pub fn rows(&self, table: &ddl::Name) -> Option<u64> {
        let counted = self.rows.iter().find(|(name, _)| name == table);
        counted.and_then(|(_, rows)| u64::try_from(*rows).ok())
    }
}

//! What each tool did, and what is read of it: against the real tools, PostgreSQL and MariaDB. For
//! tools that the test bed does not have, against their documented tables.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod alembic;
mod bed;
mod dbmate;
mod django;
mod documented;
mod knex;
mod node_pg_migrate;
mod places;
mod sqitch;

//! The tools, a file each.

pub(crate) mod alembic;
pub(crate) mod command;
pub(crate) mod dbmate;
pub(crate) mod django;
pub(crate) mod flyway;
pub(crate) mod golang_migrate;
pub(crate) mod knex;
pub(crate) mod node_pg_migrate;
pub(crate) mod prisma;
pub(crate) mod rails;
pub(crate) mod sqitch;

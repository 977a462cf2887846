//! Commands of the user's own: they may be any tool, those too that are known by their words alone.

use crate::facts::{Dialect, FACTS as COMMON, Facts, Markers};
use crate::{dbmate, node_pg_migrate};

pub(crate) const FACTS: Facts = Facts {
    name: "command",
    programs: &["goose", "liquibase"],
    mentions: &["goose up", "liquibase"],
    folders: &["liquibase"],
    has_own_transactions: true,
    // Goose's, sql-migrate's and those of tools that have a file here.
    markers: &[
        dbmate::MARKERS,
        node_pg_migrate::MARKERS,
        Markers {
            up: "+goose up",
            down: "+goose down",
        },
        Markers {
            up: "+migrate up",
            down: "+migrate down",
        },
    ],
    undoes: |_, name| name.ends_with(".down.sql"),
    dialect: Dialect::Psql,
    ..COMMON
};

//! Whether a default is the same for all rows that are there.

use squawk_syntax::ast::{self, AstNode};

use crate::name;
use crate::sql::node_text;

/// How often a function must be asked for all rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volatility {
    /// Once: constants, and functions that are stable within a statement.
    Once,
    /// It is a function of the user's own.
    Unknown,
    /// For each row.
    EachRow,
}

/// By 38.7 Function Volatility Categories of the manual; a function in no list is a user's.
pub(crate) fn of(expression: &ast::Expr) -> Volatility {
    let calls = expression
        .syntax()
        .descendants()
        .filter_map(ast::CallExpr::cast);
    // Those without a name are of the grammar: COALESCE, EXTRACT, TRIM.
    let names = calls.filter_map(|call| Some(name::last(&node_text(&call.expr()?))));
    names
        .map(|name| of_function(&name))
        .max()
        .unwrap_or(Volatility::Once)
}

pub(crate) fn of_function(name: &str) -> Volatility {
    if VOLATILE.contains(&name) {
        Volatility::EachRow
    } else if STABLE.contains(&name) {
        Volatility::Once
    } else {
        Volatility::Unknown
    }
}

/// Volatile in `pg_proc`, and used as defaults; and those of the extensions uuid-ossp and pgcrypto.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "lastval",
    "nextval",
    "random",
    "setval",
    "timeofday",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
];

/// Stable or immutable in `pg_proc`.
const STABLE: &[&str] = &[
    "abs",
    "age",
    "array_append",
    "array_cat",
    "array_fill",
    "array_length",
    "array_prepend",
    "array_to_json",
    "array_to_string",
    "ascii",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "current_database",
    "current_date",
    "current_schema",
    "current_setting",
    "current_time",
    "current_timestamp",
    "current_user",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "floor",
    "format",
    "greatest",
    "initcap",
    "inet_client_addr",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "localtime",
    "localtimestamp",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "mod",
    "now",
    "nullif",
    "octet_length",
    "pg_backend_pid",
    "pg_current_xact_id",
    "position",
    "power",
    "quote_ident",
    "quote_literal",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_to_json",
    "rpad",
    "rtrim",
    "session_user",
    "sha256",
    "sign",
    "split_part",
    "sqrt",
    "statement_timestamp",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "text",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "txid_current",
    "upper",
    "version",
];

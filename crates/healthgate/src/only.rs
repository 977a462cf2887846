//! Names that `--only` has and that fit nothing.

use model::Outcome;

/// The pass of the other probes must not be taken for the pass of a probe that does not exist.
pub(crate) fn unmatched_pattern(pattern: &str) -> Outcome {
    Outcome::inconclusive(format!("only/{pattern}"), pattern)
        .expected("a probe of that name")
        .actual("none")
        .reason(format!("`--only {pattern}` fits no probe"))
        .hint("`healthgate --dry-run` shows their names")
}

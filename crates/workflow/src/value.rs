//! A value of a workflow, as far as it is known without running it.

use std::fmt;

use crate::expression;

/// Text in which what only a run knows is still an expression: `ghcr.io/acme/shop:${{ github.sha }}`.
/// Variables of a shell that nothing sets are still `$NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(String);

impl Value {
    pub fn new(text: impl Into<String>) -> Value {
        Value(text.into())
    }

    /// With its expressions.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, where all of it is known.
    pub fn literal(&self) -> Option<&str> {
        let unknown = self.0.contains("${{") || self.0.contains('$') || self.0.contains('`');
        (!unknown && !self.0.is_empty()).then_some(&self.0)
    }

    /// The one expression that the value is, without `${{` and `}}`.
    pub fn expression(&self) -> Option<&str> {
        let inner = self.0.trim().strip_prefix("${{")?.strip_suffix("}}")?;
        (!inner.contains("}}")).then(|| inner.trim())
    }

    /// The secrets that it names, by name.
    pub fn secrets(&self) -> Vec<String> {
        expression::names(&self.0, "secrets")
    }

    /// The variables of the repository, its organization or environment that it names.
    pub fn variables(&self) -> Vec<String> {
        expression::names(&self.0, "vars")
    }

    /// Whether the expression has another value where a secret or variable is not set: `secrets.PORT || 22`.
    pub fn has_default(&self) -> bool {
        self.expression().is_some_and(|text| text.contains("||"))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

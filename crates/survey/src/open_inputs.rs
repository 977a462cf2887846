//! The inputs of a workflow that a person gives, and which expressions read them.

use std::collections::BTreeMap;

use workflow::{Text, expression};

/// Inputs that a person gives: whether one for production was taken among several.
pub(crate) type Open = BTreeMap<String, bool>;

/// The inputs of a workflow that is called with a person's own.
pub(crate) fn handed(open: &Open, with: &[(String, Text)]) -> Open {
    let given = |text: &Text| {
        let mut inners = expression::inners(text.value.text());
        inners.find_map(|inner| reads(open, inner))
    };
    with.iter()
        .filter_map(|(name, text)| Some((name.clone(), given(text)?)))
        .collect()
}

/// Whether an expression reads an open input, and whether one for production was taken for it.
pub(crate) fn reads(open: &Open, inner: &str) -> Option<bool> {
    let mut read = open.iter().filter(|(name, _)| {
        ["inputs", "github.event.inputs"]
            .iter()
            .any(|context| expression::reads(inner, &format!("{context}.{name}")))
    });
    let (_, first) = read.next()?;
    Some(*first || read.any(|(_, picked)| *picked))
}

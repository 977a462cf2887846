//! Expressions of GitHub Actions, as far as a workflow alone says their values.

use std::sync::LazyLock;

use regex::Regex;

/// Where values have made a text longer than this, the rest stays as it is written.
const MAX_FILLED: usize = 1 << 18;

/// The names that `text` reads from a context: `secrets.KEY`, `vars['HOST']`. Expressions know no case.
pub fn names(text: &str, context: &str) -> Vec<String> {
    static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)(^|[^A-Za-z0-9_.-])(secrets|vars)(?:\.|\[')([a-z_][a-z0-9_]{0,99})").ok()
    });
    let mut found: Vec<String> = Vec::new();
    for inner in inners(text) {
        let all = NAMES.iter().flat_map(|names| names.captures_iter(inner));
        for one in all.filter(|one| one[2].eq_ignore_ascii_case(context)) {
            let name = one[3].to_ascii_uppercase();
            if name != "GITHUB_TOKEN" && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// The condition that an expression has a value: `(inputs.target || 'staging') == 'production'`.
pub fn equals(expression: &str, value: &str) -> String {
    let path = |c: char| c.is_ascii_alphanumeric() || "._-*".contains(c);
    let value = value.replace('\'', "''");
    if expression.chars().all(path) {
        format!("{expression} == '{value}'")
    } else {
        format!("({expression}) == '{value}'")
    }
}

/// Whether an expression reads a context's value: `inputs.target`.
pub fn reads(expression: &str, path: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    expression
        .split(|c: char| !inside(c))
        .any(|word| word == path)
}

/// Whether a condition never holds: `false`, with `${{` and `}}` or without.
pub fn is_never(condition: &str) -> bool {
    bare(condition) == "false"
}

/// Whether one of two conditions never holds where the other does: `github.ref == 'refs/heads/main'` and the same with
/// another branch. `false` where that is not seen.
pub fn excludes(one: &str, other: &str) -> bool {
    // What a bracket is about is not read.
    let is_plain = |text: &str| !text.contains("!(") && !text.contains("! (");
    let alternatives =
        |text: &str| -> Vec<String> { bare(text).split("||").map(str::to_owned).collect() };
    let never = |one: &String, other: &String| {
        let parts = |text: &str| -> Vec<Term> { text.split("&&").map(Term::of).collect() };
        let others = parts(other);
        (parts(one).iter()).any(|part| others.iter().any(|other| part.excludes(other)))
    };
    let others = alternatives(other);
    is_plain(one)
        && is_plain(other)
        && (alternatives(one).iter()).all(|one| others.iter().all(|other| never(one, other)))
}

/// A part of a condition: whether a context's value is a text, or anything else by its own words.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    left: String,
    /// The text that it is compared with; of other words, none.
    right: Option<String>,
    negated: bool,
}

impl Term {
    fn of(text: &str) -> Term {
        let text = text.trim().trim_start_matches('(').trim();
        let (text, negated) = match text.strip_prefix('!') {
            Some(rest) => (rest.trim(), true),
            None => (text, false),
        };
        let compared = |sign: &str| {
            let (left, right) = text.split_once(sign)?;
            let right = literal(right.trim_end_matches([' ', ')']).trim())?;
            Some((left.trim().to_ascii_lowercase(), right.to_ascii_lowercase()))
        };
        let (right, negated) = match (compared("=="), compared("!=")) {
            (Some(found), _) => (Some(found), negated),
            (None, Some(found)) => (Some(found), !negated),
            (None, None) => (None, negated),
        };
        match right {
            Some((left, right)) => Term {
                left,
                right: Some(right),
                negated,
            },
            None => Term {
                left: text.trim_end_matches([' ', ')']).to_ascii_lowercase(),
                right: None,
                negated,
            },
        }
    }

    fn excludes(&self, other: &Term) -> bool {
        let differ = self.right != other.right;
        self.left == other.left
            && self.right.is_some() == other.right.is_some()
            && match (self.negated, other.negated) {
                (false, false) => differ,
                (true, true) => false,
                _ => !differ,
            }
            || self.begins_otherwise(other)
            || other.begins_otherwise(self)
    }

    /// `startsWith(github.ref, 'refs/tags/')` where the other wants a branch.
    fn begins_otherwise(&self, other: &Term) -> bool {
        let begin = || {
            let (left, begin) = (self.left.strip_prefix("startswith("))?.split_once(',')?;
            Some((left.trim(), literal(begin.trim())?))
        };
        match (begin(), &other.right) {
            (Some((left, begin)), Some(right)) => {
                left == other.left && !self.negated && !other.negated && !right.starts_with(&begin)
            }
            _ => false,
        }
    }
}

/// A condition without `${{` and `}}`.
pub fn bare(condition: &str) -> &str {
    let condition = condition.trim();
    let inside = condition
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"));
    inside.unwrap_or(condition).trim()
}

/// The texts between `${{` and `}}`.
pub fn inners(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("${{")?;
        let (inner, after) = after.split_once("}}")?;
        rest = after;
        Some(inner)
    })
}

/// `text` with each expression that `known` has a value for replaced by it; the others are written in one form,
/// `${{ github.sha }}`.
pub fn fill(text: &str, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((inner, after)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        let inner = inner.trim();
        if let Some(value) =
            value(inner, known).filter(|value| out.len() + value.len() < MAX_FILLED)
        {
            out.push_str(&value);
        } else {
            out.push_str("${{ ");
            out.push_str(inner);
            out.push_str(" }}");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The value of an expression: a literal, a context's value, or the first of `a || b` that is one.
fn value(expression: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if let Some(text) = literal(expression) {
        return Some(text);
    }
    let path = |c: char| c.is_ascii_alphanumeric() || "._-*".contains(c);
    if !expression.is_empty() && expression.chars().all(path) {
        return known(expression);
    }
    // What a person who starts the workflow chose comes before what follows it.
    let (first, rest) = expression.split_once("||")?;
    let first = first.trim();
    let empty = first.starts_with("github.event.inputs.") || first.starts_with("inputs.");
    match value(first, known) {
        Some(text) if !text.is_empty() => Some(text),
        Some(_) => value(rest.trim(), known),
        None if empty => value(rest.trim(), known),
        None => None,
    }
}

fn literal(expression: &str) -> Option<String> {
    let quoted = expression.strip_prefix('\'')?.strip_suffix('\'')?;
    // Two quotes are one; one alone ends the text.
    let whole = quoted.replace("''", "");
    (!whole.contains('\'')).then(|| quoted.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workflow_alone_says_is_filled_in() {
        let known = |path: &str| (path == "env.IMAGE").then(|| "acme/shop".to_owned());
        let cases = [
            (
                "${{env.IMAGE}}:${{ github.sha }}",
                "acme/shop:${{ github.sha }}",
            ),
            ("${{ secrets.PORT || 22 }}", "${{ secrets.PORT || 22 }}"),
            ("${{ inputs.tag || 'v1' }}", "v1"),
            (
                "${{ inputs.tag || github.sha }}",
                "${{ inputs.tag || github.sha }}",
            ),
            ("${{ 'it''s' }}", "it's"),
            ("${{ broken", "${{ broken"),
        ];
        for (text, expected) in cases {
            assert_eq!(fill(text, &known), expected, "{text}");
        }
    }

    #[test]
    fn a_condition_is_about_the_whole_expression() {
        assert_eq!(equals("inputs.stage", "it's"), "inputs.stage == 'it''s'");
        assert_eq!(
            equals("inputs.stage || 'dev'", "dev"),
            "(inputs.stage || 'dev') == 'dev'"
        );
        assert!(reads(
            "github.event.inputs.stage || 'dev'",
            "github.event.inputs.stage"
        ));
        assert!(!reads("inputs.stages", "inputs.stage") && !reads("'inputs'", "inputs.stage"));
    }

    #[test]
    fn of_two_conditions_one_holds() {
        let main = "github.ref == 'refs/heads/main'";
        for (other, expected) in [
            ("github.ref == 'refs/heads/develop'", true),
            (
                "${{ github.ref == 'refs/heads/develop' && success() }}",
                true,
            ),
            (
                "(github.ref == 'refs/heads/a') || (github.ref == 'refs/heads/b')",
                true,
            ),
            ("startsWith(github.ref, 'refs/tags/')", true),
            ("github.ref != 'refs/heads/main'", true),
            (main, false),
            ("github.ref != 'refs/heads/develop'", false),
            ("github.ref == 'refs/heads/a' || inputs.force", false),
            ("startsWith(github.ref, 'refs/heads/')", false),
            ("!(github.ref == 'refs/heads/develop')", false),
            ("github.ref_name == 'develop'", false),
        ] {
            assert_eq!(excludes(main, other), expected, "{other}");
            assert_eq!(excludes(other, main), expected, "{other}");
        }
        assert!(excludes("inputs.live", "${{ !inputs.live }}"));
        assert!(!excludes("inputs.live", "inputs.test"));
    }

    #[test]
    fn names_of_secrets_and_of_nothing_else() {
        let names = |text| names(text, "secrets");
        assert_eq!(names("${{ secrets.A || SECRETS['b'] }}"), ["A", "B"]);
        assert!(names("${{ steps.secrets.outputs.KEY }} secrets.A").is_empty());
        assert!(names("${{ secrets.GITHUB_TOKEN }}").is_empty());
    }
}

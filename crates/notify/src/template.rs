//! Templates: ours, and those of files.
//!
//! The syntax is Jinja's. A variable that does not exist is an error that names its line. What a template may do is
//! bounded: its size, its steps and its output.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// A template is a page of text.
const MAX_FILE: u64 = 64 << 10;
const MAX_OUTPUT: usize = 256 << 10;
/// Steps of the template engine; a page of text takes hundreds.
const FUEL: u64 = 100_000;
const NAME: &str = "template";

/// What its output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Text without markup: the sink makes it harmless.
    Text,
    /// JSON: values are escaped as the inside of a JSON string.
    Json,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read the template {}: {reason}", file.display())]
    File { file: PathBuf, reason: String },
    #[error("{}{}: {reason}", file.as_ref().map_or_else(|| "the template".into(), |file| file.display().to_string()), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Template {
        file: Option<PathBuf>,
        line: Option<usize>,
        reason: String,
    },
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::File { .. } => "paths begin at the folder in which the program runs",
            Error::Template { .. } => {
                "the variables are listed in docs/guide/incident.md, the syntax is Jinja's"
            }
        }
    }
}

/// A template that can be read.
#[derive(Clone)]
pub(crate) struct Template {
    engine: Environment<'static>,
    file: Option<PathBuf>,
}

impl Template {
    /// One that comes with the program.
    pub(crate) fn ours(text: &'static str, output: Output) -> Result<Template, Error> {
        Template::of(text.to_owned(), None, output)
    }

    /// One of a file, whose path begins at a folder.
    pub(crate) fn read(folder: &Path, file: &Path, output: Output) -> Result<Template, Error> {
        let unreadable = |reason: String| Error::File {
            file: file.to_owned(),
            reason,
        };
        let bytes = files::read(&folder.join(file), MAX_FILE);
        let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".into()))?;
        Template::of(text, Some(file.to_owned()), output)
    }

    fn of(text: String, file: Option<PathBuf>, output: Output) -> Result<Template, Error> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        // A line with nothing but a block leaves no empty line.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        engine.set_syntax(syntax.map_err(|error| failed(&error, file.clone()))?);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_formatter(move |out, _, value| {
            let text = if value.is_none() {
                "unknown".to_owned()
            } else {
                value.to_string()
            };
            let shown = match output {
                Output::Json if !value.is_safe() => inside_of_json(&text),
                Output::Json | Output::Text => text,
            };
            out.write_str(&shown).map_err(minijinja::Error::from)
        });
        if let Err(error) = engine.add_template_owned(NAME, text) {
            return Err(failed(&error, file));
        }
        Ok(Template { engine, file })
    }

    pub(crate) fn render(&self, variables: impl Serialize) -> Result<String, Error> {
        let told = |error: &minijinja::Error| failed(error, self.file.clone());
        let template = self
            .engine
            .get_template(NAME)
            .map_err(|error| told(&error))?;
        let text = template.render(Value::from(Serde(variables)));
        let text = text.map_err(|error| told(&error))?;
        if text.len() > MAX_OUTPUT {
            return Err(Error::Template {
                file: self.file.clone(),
                line: None,
                reason: format!("it makes more than {} KiB", MAX_OUTPUT >> 10),
            });
        }
        Ok(text)
    }
}

/// A text as it stands between the quotes of a JSON string.
fn inside_of_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inside = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

fn failed(error: &minijinja::Error, file: Option<PathBuf>) -> Error {
    use minijinja::ErrorKind;
    let detail = error.detail().unwrap_or_default();
    let reason = match error.kind() {
        ErrorKind::UndefinedError => "a variable is used that does not exist".to_owned(),
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        kind => format!("{kind}: {detail}"),
    };
    Error::Template {
        file,
        line: error.line(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Facts;

    fn told(text: &str, output: Output) -> String {
        let facts = Facts {
            service: "shop".into(),
            version: Some("v\"1\\\n</script>".into()),
            ..Facts::default()
        };
        let made = Template::of(text.to_owned(), None, output);
        let made = made.and_then(|template| template.render(&facts));
        made.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_line() {
        let all = [
            "{{ service }} {{ eta }}",
            "a\n{{ verison }}",
            "a\nb\n{% if service %}",
            "{{ service | nofilter }}",
            "{{ service.name.first }}",
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "{% if eta %}eta{% else %}no eta{% endif %}",
            "{% include 'other' %}",
        ];
        let all: Vec<String> = all
            .iter()
            .map(|text| format!("{text:?}: {}", told(text, Output::Text)))
            .collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn values_cannot_end_the_string_that_they_are_in() {
        let text = told(
            "{\"a\": \"{{ version }}\", \"b\": {{ version | tojson }}}",
            Output::Json,
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["a"], "v\"1\\\n</script>");
        assert_eq!(read["a"], read["b"]);
    }
}

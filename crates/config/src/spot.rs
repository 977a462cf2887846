//! A value of the file by its place, for rules that types cannot state.

use std::collections::BTreeSet;
use std::path::Path;

use inventory::{Groups, selected};
use yaml::{Fault, Node, nearest};

use crate::value::{Span, dollar_name};

/// A URL that [`Spot::http_url`] takes; `{target}` may be all of it.
pub(crate) const HTTP_URL: &str = "^https?://[^/]|^\\{";

/// What other sections define, for rules that refer to it.
pub(crate) struct Defined<'n> {
    /// The keys of `hosts:`.
    pub(crate) hosts: &'n BTreeSet<String>,
    pub(crate) groups: &'n Groups,
    /// Any other name may be a host's, too.
    pub(crate) has_more_hosts: bool,
    /// The keys of `runners:`; `None` where the section cannot be used.
    pub(crate) runners: Option<Vec<&'n str>>,
    pub(crate) has_rollback: bool,
}

/// Where a value is in the file. A default, which is not written, has the place of the nearest
/// value around it.
#[derive(Clone, Copy)]
pub struct Spot<'n> {
    node: &'n Node,
    is_given: bool,
    pub(crate) defined: &'n Defined<'n>,
}

impl<'n> Spot<'n> {
    /// The whole file.
    pub(crate) fn root(tree: &'n Node, defined: &'n Defined<'n>) -> Self {
        Spot {
            node: tree,
            is_given: true,
            defined,
        }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.below(|node| node.get(key))
    }

    pub(crate) fn item(self, nth: usize) -> Self {
        self.below(|node| node.items().get(nth))
    }

    fn below(self, find: impl FnOnce(&'n Node) -> Option<&'n Node>) -> Self {
        let found = self.given().and_then(find);
        Spot {
            node: found.unwrap_or(self.node),
            is_given: found.is_some(),
            ..self
        }
    }

    fn given(self) -> Option<&'n Node> {
        self.is_given.then_some(self.node)
    }

    pub(crate) fn is_given(self) -> bool {
        self.is_given
    }

    pub(crate) fn text(self) -> Option<&'n str> {
        self.given().and_then(Node::text)
    }

    pub(crate) fn fault(self, message: impl Into<String>) -> Fault {
        Fault::new(message).at(self.node.place.clone())
    }

    /// Refuses the value of a key.
    pub(crate) fn refuse(self, key: &str, message: impl Into<String>) -> Result<(), Fault> {
        Err(self.key(key).fault(message))
    }

    pub(crate) fn http_url(self, text: &str) -> Result<(), Fault> {
        match url_problem(text) {
            Some((problem, hint)) => Err(self.fault(problem).hint(hint)),
            None => Ok(()),
        }
    }

    /// The name is one of a section's.
    fn known(self, what: &str, name: &str, known: &[&str], example: &str) -> Result<(), Fault> {
        if known.contains(&name) {
            return Ok(());
        }
        let fault = self.fault(format!("no {what} `{name}` under `{what}s:`"));
        let is_address = what == "host" && name.contains('.') && !name.contains(['*', '?']);
        Err(match nearest(name, known) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None if is_address => fault.hint(format!(
                "give it a name, `hosts: {{ web-01: {{ address: {name} }} }}`, and write that one"
            )),
            None => fault.hint(format!("add `{what}s: {{ {name}: {{ {example}: … }} }}`")),
        })
    }

    pub(crate) fn known_host(self, name: &str) -> Result<(), Fault> {
        if self.defined.has_more_hosts {
            return Ok(());
        }
        let known: Vec<&str> = self.defined.hosts.iter().map(String::as_str).collect();
        self.known("host", name, &known, "address")
    }

    pub(crate) fn known_runner(self, name: &str) -> Result<(), Fault> {
        match &self.defined.runners {
            Some(known) => self.known("runner", name, known, "host"),
            None => Ok(()),
        }
    }

    /// Whether a selector is known to name no host.
    pub(crate) fn fits_none(self, selector: &str) -> bool {
        !self.defined.has_more_hosts && self.hosts_named(selector).is_empty()
    }

    /// The hosts that a selector names: one, those of a group or a pattern, or `all`.
    pub(crate) fn hosts_named(self, selector: &str) -> Vec<&'n str> {
        let names = self.defined.hosts.iter().map(String::as_str);
        selected(names, self.defined.groups, selector)
    }

    /// Names within a list must differ and must not be empty: they become outcome ids.
    pub(crate) fn unique(self, key: &str) -> Result<(), Fault> {
        let mut seen = BTreeSet::new();
        for item in self.given().map(Node::items).unwrap_or_default() {
            let given = item.get(key).filter(|node| !node.is_null());
            let Some(node) = given else { continue };
            let Some(name) = node.text() else { continue };
            let problem = match name.trim() {
                "" => format!("`{key}` is empty"),
                _ if !seen.insert(name) => format!("duplicate {key} `{name}`"),
                _ => continue,
            };
            return Err(Fault::new(problem)
                .at(node.place.clone())
                .hint("outcomes are told apart by this name"));
        }
        Ok(())
    }

    /// At most one of some keys.
    pub(crate) fn exclusive(self, keys: &[(&str, bool)]) -> Result<(), Fault> {
        let mut given = keys.iter().filter(|(_, given)| *given);
        match (given.next(), given.next()) {
            (Some((one, _)), Some((other, _))) => {
                self.refuse(other, format!("`{one}` and `{other}` exclude each other"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn not_zero(self, is_zero: bool) -> Result<(), Fault> {
        if is_zero {
            return Err(self.fault("must be more than zero"));
        }
        Ok(())
    }

    pub(crate) fn some_time(self, time: Option<Span>) -> Result<(), Fault> {
        self.not_zero(time.is_some_and(|time| time.get().is_zero()))
    }

    pub(crate) fn some_text(self, text: &str) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Err(self.fault("it is empty"));
        }
        Ok(())
    }

    pub(crate) fn a_word(self, text: &str) -> Result<(), Fault> {
        if !is_word(text) {
            return Err(self.fault(format!("`{text}` is not a name")));
        }
        Ok(())
    }

    /// Letters, digits and a few others, and no dash at the front.
    pub(crate) fn plain(self, text: &str, others: &str) -> Result<(), Fault> {
        let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(good) {
            return Err(self.fault(format!("`{text}` is not a name")));
        }
        Ok(())
    }

    /// A file as a program's argument. Some programs split a list of them at commas.
    pub(crate) fn a_file(self, file: &Path, may_have_comma: bool) -> Result<(), Fault> {
        let text = file.display().to_string();
        if text.is_empty() || text.starts_with('-') || !may_have_comma && text.contains(',') {
            return Err(self.fault(format!("`{text}` is not a file's name")));
        }
        Ok(())
    }
}

/// Why a text is not a URL that is asked by HTTP, and what to write.
fn url_problem(text: &str) -> Option<(String, String)> {
    let form = || "write it as `http://host:port/path` or `https://…`".to_owned();
    if let Some(name) = dollar_name(text.split(['?', '#']).next().unwrap_or(text)) {
        let problem = format!("`${name}` is not replaced here");
        return Some((problem, format!("write `${{{name}}}`")));
    }
    if text.contains("{{") {
        let problem = "`{{ … }}` is not replaced here".to_owned();
        return Some((problem, "write `${NAME}` for a variable".to_owned()));
    }
    // What may be a password is not repeated.
    let repeated = |scheme: &str| {
        let is_plain = !text.contains('@') && text.len() <= 100;
        if is_plain && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            format!("write it as `{scheme}{text}`")
        } else {
            form()
        }
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, rest),
        None if text.starts_with('/') => {
            let problem = "the URL has no host".to_owned();
            return Some((problem, form()));
        }
        None => ("", text),
    };
    let lower = scheme.to_ascii_lowercase();
    let is_port = rest.starts_with(|c: char| c.is_ascii_digit());
    if !matches!(lower.as_str(), "http" | "https")
        && (!rest.starts_with("//") || scheme.contains(['.', '/']))
    {
        let slip = ["http//", "https//", "http/", "https/"];
        let slip = slip.iter().any(|slip| text.starts_with(slip));
        return Some(if slip {
            ("`:` is missing behind the scheme".to_owned(), form())
        } else {
            let local = ["localhost", "127.", "10.", "192.168."];
            let is_local = is_port || local.iter().any(|start| text.starts_with(start));
            let scheme = if is_local { "http://" } else { "https://" };
            ("the URL has no scheme".to_owned(), repeated(scheme))
        });
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => None,
        Ok(url) => Some(match url.scheme() {
            "tcp" => (
                "`tcp` is not asked by HTTP".to_owned(),
                "a port is asked by `tcp: [{ name: …, address: host:port }]`".to_owned(),
            ),
            scheme => (
                format!("`{scheme}` is not a scheme that is asked here"),
                form(),
            ),
        }),
        Err(url::ParseError::InvalidPort) => Some((
            "the port of the URL is not a number up to 65535".to_owned(),
            form(),
        )),
        Err(url::ParseError::EmptyHost) => Some(("the URL has no host".to_owned(), form())),
        Err(error) => Some((format!("not a URL: {error}"), form())),
    }
}

/// A text that a program would take for an option, or a shell for two words, is not a word.
pub(crate) fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    !text.is_empty() && !text.starts_with('-') && !text.contains(odd)
}

//! A value of the file by its place, for rules that types cannot state.

use std::collections::BTreeSet;
use std::path::Path;

use inventory::{Groups, selected};
use yaml::{Fault, Node};

use values::{Span, StateAddress, is_variable, url_problem};

/// What other sections define, for rules that refer to it.
pub struct Defined<'n> {
    /// The keys of `hosts:`.
    pub hosts: &'n BTreeSet<String>,
    pub groups: &'n Groups,
    /// Any other name may be a host's, too.
    pub has_more_hosts: bool,
    /// The keys of `runners:`; `None` where the section cannot be used.
    pub runners: Option<Vec<&'n str>>,
    pub has_rollback: bool,
    /// The keys of `environments:`.
    pub environments: Vec<&'n str>,
}

/// Where a value is in the file. A default, which is not written, has the place of the nearest
/// value around it.
#[derive(Clone, Copy)]
pub struct KeyPosition<'n> {
    node: &'n Node,
    is_given: bool,
    pub defined: &'n Defined<'n>,
}

impl<'n> KeyPosition<'n> {
    /// The whole file.
    pub fn root(tree: &'n Node, defined: &'n Defined<'n>) -> Self {
        KeyPosition {
            node: tree,
            is_given: true,
            defined,
        }
    }

    pub fn key(self, key: &str) -> Self {
        self.below(|node| node.get(key))
    }

    pub fn item(self, nth: usize) -> Self {
        self.below(|node| node.items().get(nth))
    }

    fn below(self, find: impl FnOnce(&'n Node) -> Option<&'n Node>) -> Self {
        let found = self.given().and_then(find);
        KeyPosition {
            node: found.unwrap_or(self.node),
            is_given: found.is_some(),
            ..self
        }
    }

    fn given(self) -> Option<&'n Node> {
        self.is_given.then_some(self.node)
    }

    /// Whether it is a list without an entry.
    pub fn is_empty_list(self) -> bool {
        self.given().is_some_and(|node| node.items().is_empty())
    }

    pub fn is_given(self) -> bool {
        self.is_given
    }

    pub fn text(self) -> Option<&'n str> {
        self.given().and_then(Node::text)
    }

    pub fn fault(self, message: impl Into<String>) -> Fault {
        Fault::new(message).at(self.node.place.clone())
    }

    /// Refuses the value of a key.
    pub fn refuse(self, key: &str, message: impl Into<String>) -> Result<(), Fault> {
        Err(self.key(key).fault(message))
    }

    pub fn http_url(self, text: &str) -> Result<(), Fault> {
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
        let hint = if is_address {
            format!(
                "give it a name, `hosts: {{ web-01: {{ address: {name} }} }}`, and write that one"
            )
        } else {
            format!("add `{what}s: {{ {name}: {{ {example}: … }} }}`")
        };
        Err(fault.hint(hint).guess(name, known))
    }

    pub fn known_host(self, name: &str) -> Result<(), Fault> {
        if self.defined.has_more_hosts {
            return Ok(());
        }
        let known: Vec<&str> = self.defined.hosts.iter().map(String::as_str).collect();
        self.known("host", name, &known, "address")
    }

    /// The state of a section that may leave it to `rollback:`; `hint` says why there is one only.
    pub fn own_state(
        self,
        own: Option<&StateAddress>,
        of_rollback: Option<&StateAddress>,
        hint: &str,
    ) -> Result<(), Fault> {
        let spot = self.key("state");
        match own {
            Some(own) if of_rollback.is_some_and(|state| state != own) => {
                let fault = spot.fault("it is another state than `rollback.state`");
                Err(fault.hint(hint))
            }
            Some(StateAddress::Host { host, path: _ }) => spot.known_host(host),
            Some(_) | None => Ok(()),
        }
    }

    /// A file without `environments:` may be used for any.
    pub fn known_environment(self, name: &str) -> Result<(), Fault> {
        self.some_text(name)?;
        let known = &self.defined.environments;
        if known.is_empty() || known.contains(&name) {
            return Ok(());
        }
        let fault = self.fault(format!("no environment `{name}` under `environments:`"));
        let hint = format!("the file has: {}", known.join(", "));
        Err(fault.hint(hint).guess(name, known))
    }

    pub fn known_runner(self, name: &str) -> Result<(), Fault> {
        match &self.defined.runners {
            Some(known) => self.known("runner", name, known, "host"),
            None => Ok(()),
        }
    }

    /// Whether a selector is known to name no host.
    pub fn fits_none(self, selector: &str) -> bool {
        !self.defined.has_more_hosts && self.hosts_named(selector).is_empty()
    }

    /// The hosts that a selector names: one, those of a group or a pattern, or `all`.
    pub fn hosts_named(self, selector: &str) -> Vec<&'n str> {
        let names = self.defined.hosts.iter().map(String::as_str);
        selected(names, self.defined.groups, selector)
    }

    /// Names within a list must differ and must not be empty: they become outcome ids.
    pub fn unique(self, key: &str) -> Result<(), Fault> {
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
                .hint("outcomes need different names: give each one its own"));
        }
        Ok(())
    }

    /// At most one of some keys.
    pub fn exclusive(self, keys: &[(&str, bool)]) -> Result<(), Fault> {
        let mut given = keys.iter().filter(|(_, given)| *given);
        match (given.next(), given.next()) {
            (Some((one, _)), Some((other, _))) => {
                self.refuse(other, format!("`{one}` and `{other}` exclude each other"))
            }
            _ => Ok(()),
        }
    }

    pub fn not_zero(self, is_zero: bool) -> Result<(), Fault> {
        if is_zero {
            return Err(self.fault("must be more than zero"));
        }
        Ok(())
    }

    pub fn some_time(self, time: Option<Span>) -> Result<(), Fault> {
        self.not_zero(time.is_some_and(|time| time.get().is_zero()))
    }

    pub fn some_text(self, text: &str) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Err(self.fault("it is empty"));
        }
        Ok(())
    }

    pub fn a_word(self, text: &str) -> Result<(), Fault> {
        if !is_word(text) {
            return Err(self.fault(format!("`{text}` is not a name")));
        }
        Ok(())
    }

    /// The name of an environment variable. What it may be instead, such as the secret itself, is not
    /// repeated.
    pub fn a_variable(self, name: &str) -> Result<(), Fault> {
        if is_variable(name) {
            return Ok(());
        }
        let fault = self.fault("it is not the name of an environment variable");
        Err(fault.hint(
            "set a variable in the step's `env:`, and write its name here, such as `SLACK_WEBHOOK`",
        ))
    }

    /// Letters, digits and a few others, and no dash at the front.
    pub fn plain(self, text: &str, others: &str) -> Result<(), Fault> {
        let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(good) {
            return Err(self.fault(format!("`{text}` is not a name")));
        }
        Ok(())
    }

    /// A file as a program's argument. Some programs split a list of them at commas.
    pub fn a_file(self, file: &Path, may_have_comma: bool) -> Result<(), Fault> {
        let text = file.display().to_string();
        if text.is_empty() || text.starts_with('-') || !may_have_comma && text.contains(',') {
            return Err(self.fault(format!("`{text}` is not a file's name")));
        }
        Ok(())
    }
}

/// A text that a program would take for an option, or a shell for two words, is not a word.
pub fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    !text.is_empty() && !text.starts_with('-') && !text.contains(odd)
}

//! A command line as options and operands.

/// A command line as options and operands.
pub struct Arguments<'w> {
    pub words: &'w [String],
    /// Options that take a value, with blanks between them.
    pub valued: &'static str,
}

impl<'w> Arguments<'w> {
    /// The values of an option, by any of its names: `-f x`, `-fx`, `--file x`, `--file=x`.
    pub fn all(&self, names: &[&str]) -> Vec<&'w str> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            at += 1;
            for name in names {
                if word == name {
                    found.extend(self.words.get(at).map(String::as_str));
                } else if let Some(value) = word.strip_prefix(name) {
                    let long = name.starts_with("--");
                    match value.strip_prefix('=') {
                        Some(value) => found.push(value),
                        None if !long && !word.starts_with("--") => found.push(value),
                        None => {}
                    }
                }
            }
        }
        found
    }

    pub fn one(&self, names: &[&str]) -> Option<&'w str> {
        self.all(names).last().copied()
    }

    pub fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// The words that are neither options nor their values.
    pub fn operands(&self) -> Vec<&'w str> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            at += 1;
            if word.starts_with('-') && word.len() > 1 {
                if self.valued.split_whitespace().any(|one| one == word) {
                    at += 1;
                }
            } else {
                found.push(word.as_str());
            }
        }
        found
    }
}

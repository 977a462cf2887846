//! Where an app answers, by the file of the tool that deploys it.

use workflow::{Line, Value};

#[derive(Clone, Debug)]
pub struct Address {
    pub url: Value,
    /// The lines that it is put together from.
    pub at: Vec<Line>,
    /// Whether the tool asks there by itself, so that a good answer is one of 200 to 299.
    pub is_checked: bool,
}

//! One change at one place, and what a place answers.

use std::pin::Pin;

use crate::error::Error;
use crate::place::Place;

/// What a place answers, once it has.
pub type StepFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// What is switched as a whole at one place: a release on a host, or the colour behind a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `command/web-01`, `nginx/localhost`: stable, the journal knows it by this.
    pub name: String,
    /// In words, for a plan.
    pub does: String,
    pub place: Place,
}

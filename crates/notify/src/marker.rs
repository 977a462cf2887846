//! Hidden comments by which an issue and its comments are found again.

use crate::digest;

/// What marks the issue of a thread. A digest: the thread's own text might end the comment.
pub(crate) fn of_thread(thread: &str) -> String {
    format!("<!-- deploy-guard incident {} -->", digest::of(thread))
}

/// What marks the comment of an event.
pub(crate) fn of_event(id: &str) -> String {
    format!("<!-- deploy-guard event {} -->", digest::of(id))
}

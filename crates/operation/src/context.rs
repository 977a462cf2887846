//! What a router or a target may know of the job that uses it.

use std::rc::Rc;

use cli::Job;
use place::{Context, PlaceAccess};
use state::Entry;

/// `known` is what the state contains about each release.
pub fn context<'c>(job: &'c Job, places: &'c PlaceAccess, known: Vec<Entry>) -> Context<'c> {
    Context {
        config: &job.config,
        env: &job.env,
        redactor: &job.redactor,
        places,
        release: job.release.as_deref(),
        repository: job.actions.repository.as_deref(),
        known,
        github: Rc::new(|token_env, timeout, until| job.github(token_env, timeout, until)),
        say: Rc::new(|text| job.progress.show(text)),
    }
}

//! The release that is compared with: the variable, else what the state of `rollback` has.

use cli::{Failure, Job};

const VARIABLE: &str = "LAST_KNOWN_GOOD";

pub(crate) async fn of(job: &Job) -> Result<String, Failure> {
    if let Some(release) = job.env.non_empty(VARIABLE) {
        return Ok(release.trim().to_owned());
    }
    let unknown = |why: String| {
        Failure::usage(format!(
            "the release to compare with is not known: the variable `{VARIABLE}` is not set, and {why}"
        ))
    };
    let set = "set the variable `LAST_KNOWN_GOOD` to the release that serves beside the new one";
    let Some(section) = job.config.rollback()? else {
        return Err(
            unknown("no `rollback` is configured, whose state has it".to_owned()).hint(set),
        );
    };
    let store = job.store(&section.state)?;
    let place = store.place();
    let document = store.read().await?;
    match document.and_then(|document| document.last_known_good) {
        Some(release) => Ok(release),
        None => Err(
            unknown(format!("the state {place} has no good release")).hint(format!(
                "{set}, or record it: `rollback record --release RELEASE`"
            )),
        ),
    }
}

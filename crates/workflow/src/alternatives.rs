//! Steps of a job of which one runs where another does not: production from one branch, staging from another.

use crate::document::Job;
use crate::expression;
use crate::rank::rank_of_step;

/// Whether one of two steps never runs where the other does.
pub fn are_apart(job: &Job, one: usize, other: usize) -> bool {
    let condition = |nth: usize| job.steps.get(nth)?.condition.as_deref();
    match (condition(one), condition(other)) {
        (Some(one), Some(other)) => expression::excludes(one, other),
        _ => false,
    }
}

/// Of deploying steps, one for each deployment that the job chooses from, that for production first.
pub fn leads(job: &Job, steps: &[usize]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for step in steps {
        let is_another = |nth: &usize| are_apart(job, *nth, *step);
        let is_choice = steps.iter().any(is_another);
        if is_choice && found.iter().all(is_another) {
            found.push(*step);
        }
    }
    found.sort_by_key(|nth| job.steps.get(*nth).map(rank_of_step));
    match steps.first() {
        Some(first) if found.is_empty() => vec![*first],
        _ => found,
    }
}

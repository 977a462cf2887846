//! A deployment into one environment, as one job makes it.

use survey::{Deployment, JobId, Rank, Survey};

use crate::tools;

/// A job's deployment into one environment: the rows of a matrix that call one tool at one line are one.
#[derive(Clone, Debug)]
pub struct Group<'s> {
    pub lead: &'s Deployment,
    /// All of them, the first first.
    pub rows: Vec<&'s Deployment>,
}

impl<'s> Group<'s> {
    pub fn job(&self) -> JobId {
        self.lead.job
    }

    pub fn environment(&self) -> Option<&'s str> {
        let environment = self.lead.environment.as_ref()?;
        Some(environment.name.value.as_str())
    }

    /// The machines that its rows log in to, each once.
    pub fn addresses(&self) -> Vec<&'s str> {
        let mut all: Vec<&str> = Vec::new();
        for login in self.rows.iter().filter_map(|row| row.login.as_ref()) {
            let address = login.address.value.text();
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// The lowest is guarded first.
    pub fn rank(&self) -> Rank {
        self.lead
            .environment
            .as_ref()
            .map_or(Rank::Unknown, |environment| environment.rank)
    }
}

pub fn groups(survey: &Survey) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in &survey.deployments {
        let same = groups.iter_mut().find(|group| {
            group.lead.job == one.job && group.lead.at == one.at && group.environment() == name(one)
        });
        match same {
            Some(group) => group.rows.push(one),
            None => groups.push(Group {
                lead: one,
                rows: vec![one],
            }),
        }
    }
    groups
}

fn name(deployment: &Deployment) -> Option<&str> {
    let environment = deployment.environment.as_ref()?;
    Some(environment.name.value.as_str())
}

/// Whether another environment is deployed by the same lines of the same job.
pub fn shares_job(group: &Group<'_>, other: &Group<'_>) -> bool {
    group.job() == other.job() && group.environment() != other.environment()
}

/// One line for a person: where to, by what, and the line that tells.
pub fn shown(group: &Group<'_>) -> String {
    let by = tools::by(&group.lead.tool);
    match group.environment() {
        Some(name) => format!("{name} by {by}: {}", group.lead.at),
        None => format!("by {by}: {}", group.lead.at),
    }
}

//! Where a project lies, and what a service is called.

use crate::init::insist::plan::{Cluster, Plan, Project, TODO};
use yaml_edit::text::scalar;

pub(super) fn compose_folder(plan: &Plan, project: &Project) -> String {
    match plan.is_local() {
        true if project.folder.is_empty() => ".".to_owned(),
        true => project.folder.clone(),
        false => format!("/{TODO}"),
    }
}

pub(super) fn ecs_names(cluster: &Cluster) -> (String, String) {
    if cluster.of.is_empty() {
        return (
            "\"${ECS_CLUSTER}\"".to_owned(),
            "\"${ECS_SERVICE}\"".to_owned(),
        );
    }
    (scalar(&cluster.of), scalar(&cluster.service))
}

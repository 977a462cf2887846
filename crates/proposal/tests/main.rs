//! What is written into the workflows of small repositories.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod again;
mod harmless;
mod known;
mod named;
mod origin;
mod places;
mod projects;
mod seen;
mod steps;

use proposal::additions::{Change, Means, changes};
use proposal::group::groups;
use proposal::proposal::{Proposal, ProposalInput};
use proposal::words;

const FLOW: &str = ".github/workflows/ship.yml";

/// The proposal for the first deployment of a repository with this workflow, and its changes.
fn with_proposal<T>(
    flow: &str,
    files: &[(&str, &str)],
    url: Option<&str>,
    told: impl Fn(&Proposal<'_>, &[Change<'_>]) -> T,
) -> T {
    let folder = testkit::repository(&[files, &[(FLOW, flow)]].concat());
    let mut survey = survey::look(folder.path()).unwrap();
    if survey.deployments.is_empty() {
        survey.trust_names();
    }
    let mut all = groups(&survey);
    assert!(!all.is_empty(), "nothing deploys in\n{flow}");
    let others = all.split_off(1);
    let asks = ProposalInput {
        service: "shop".to_owned(),
        url,
        ..ProposalInput::default()
    };
    let proposal = Proposal::make(&survey, all, others, &asks);
    let means = Means {
        action: "org/deploy-guard@v1".to_owned(),
        bin_dir: None,
        config: None,
    };
    told(&proposal, &changes(&proposal, &means))
}

/// What a person is told, and the lines that the workflow gets.
fn proposed(flow: &str, files: &[(&str, &str)], url: Option<&str>) -> String {
    with_proposal(flow, files, url, |proposal, changes| {
        let shown = words::shown(changes);
        let added = shown.lines().filter_map(|line| line.strip_prefix('+'));
        let added: Vec<&str> = added.filter(|line| !line.starts_with("++")).collect();
        let decided = words::decided(proposal, "deploy-guard.yml");
        format!("{decided}\n{}\n", added.join("\n"))
    })
}

/// The workflow with our steps.
fn patched(flow: &str, files: &[(&str, &str)], url: Option<&str>) -> String {
    with_proposal(flow, files, url, |_, changes| {
        changes[0].new.as_ref().unwrap().clone()
    })
}

/// The configuration, without an address that a flag names.
fn configuration(flow: &str, files: &[(&str, &str)]) -> String {
    with_proposal(flow, files, None, |proposal, _| {
        proposal.parts[0].map.yaml()
    })
}

/// The sentence about the way back.
fn back(flow: &str, files: &[(&str, &str)]) -> String {
    let told = proposed(flow, files, Some("https://shop.example.com/up"));
    let line = told.lines().find(|line| line.contains("way back  "));
    line.unwrap_or_default().trim().to_owned()
}

/// What a person is told of the repository.
fn looked(flow: &str, files: &[(&str, &str)]) -> String {
    let folder = testkit::repository(&[files, &[(FLOW, flow)]].concat());
    words::told(&survey::look(folder.path()).unwrap())
}

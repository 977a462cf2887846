//! The figures for people and for programs.

use measures::{Conclusion, Kind, Measures, TargetStanding, v1};
use serde_json::json;

use crate::series::history;
use crate::support::{at, bare, incident, labels, november};

fn view(measures: &Measures) -> serde_json::Value {
    let value = serde_json::to_value(v1::Measures::new(&labels(), measures)).unwrap();
    let schema = serde_json::from_str(v1::JSON_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&value)
        .map(|it| it.to_string())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    value
}

#[test]
fn the_json_fits_its_schema_and_is_read_back() {
    let value = view(&history());
    let read: v1::Measures = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(read, v1::Measures::new(&labels(), &history()));
    assert_eq!(value["schema"], v1::SCHEMA);
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn a_figure_of_nothing_is_unknown_and_meets_nothing() {
    let measures = Measures::of(&[], &[], november());
    let value = view(&measures);
    for kind in Kind::ALL {
        let figure = &value["figures"][kind.as_str()];
        assert_eq!(figure["met"], json!(null), "{kind:?}");
        if kind != Kind::DeploymentFrequency {
            assert_eq!(figure["value"], json!(null), "{kind:?}");
        }
    }
    // No deployments in thirty days is a number.
    assert_eq!(value["figures"]["deployment_frequency"]["value"], json!(0));
    insta::assert_snapshot!(measures.table());
}

/// `> 95%` is not met by 95 %, and `< 5m` not by 5 minutes.
#[test]
fn a_limit_itself_is_outside_of_a_target_and_of_a_warning() {
    let rate = |good: usize, bad: usize, unknown: usize| {
        let of = |count, conclusion| vec![bare(november().from, conclusion); count];
        let history = [
            of(good, Conclusion::Succeeded),
            of(bad, Conclusion::Failed),
            of(unknown, Conclusion::Undecided),
        ]
        .concat();
        let measures = Measures::of(&history, &[], november());
        measures
            .figure(Kind::SuccessRate)
            .unwrap()
            .standing
            .unwrap()
    };
    assert_eq!(rate(96, 4, 0), TargetStanding::Met);
    assert_eq!(rate(95, 5, 0), TargetStanding::Missed);
    assert_eq!(rate(90, 10, 0), TargetStanding::Missed);
    assert_eq!(rate(89, 11, 0), TargetStanding::Warning);
    // 96 of 101 is more than 95 %, and 96 of 102 is not.
    assert_eq!(rate(96, 4, 1), TargetStanding::Met);
    assert_eq!(rate(96, 4, 2), TargetStanding::Open);
    assert_eq!(rate(0, 0, 3), TargetStanding::Open);

    let recovery = |resolved: &str| {
        let incident = incident("2026-11-02T10:00:00Z", Some(resolved), "critical");
        let measures = Measures::of(&[], &[incident], november());
        measures.figure(Kind::MeanTimeToRecovery).unwrap().is_met()
    };
    assert_eq!(recovery("2026-11-02T10:29:59.999Z"), Some(true));
    assert_eq!(recovery("2026-11-02T10:30:00Z"), Some(false));
}

#[test]
fn the_goals_are_those_of_the_runbooks() {
    let goals = Kind::ALL.into_iter().filter_map(|kind| {
        let goal = kind.goal()?;
        let warning = goal.warning.map(|warning| warning.to_string());
        Some((kind.title(), goal.target.to_string(), warning))
    });
    let goals: Vec<_> = goals.collect();
    let row = |name, target: &str, warning: Option<&str>| {
        (name, target.to_owned(), warning.map(str::to_owned))
    };
    assert_eq!(
        goals,
        [
            // Runbooks 000 and 002.
            row("Deployment success rate", "> 95%", Some("< 90%")),
            // Runbook 002.
            row("Rollback rate", "< 5%", None),
            // Runbook 000.
            row("Rollback time", "< 5m", Some("> 10m")),
            row("Deployment duration", "< 15m", Some("> 30m")),
            // Runbook 002.
            row("Mean time to recovery", "< 30m", None),
            // Runbook 000.
            row("Post-deployment errors", "0", Some("> 0")),
        ]
    );
}

#[test]
fn a_window_without_length_has_no_frequency() {
    let from = at("2026-11-01T00:00:00Z");
    let window = measures::Window { from, until: from };
    let measures = Measures::of(&[bare(from, Conclusion::Succeeded)], &[], window);
    let figure = measures.figure(Kind::DeploymentFrequency).unwrap();
    assert_eq!((figure.value, measures.tally.started), (None, 0));
}

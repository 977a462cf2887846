//! The deployments of a history.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{StageName, Verdict};
use sections::incident::{Impact, Severity};

use crate::{
    Conclusion, Event, Exposure, Happening, History, Incident, IncidentId, RolledBack, Subject,
    incidents,
};

/// A deployment by `deploy-guard run`, as the log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    pub id: String,
    pub subject: Subject,
    pub started: Timestamp,
    pub previous: Option<String>,
    pub committed: Option<Timestamp>,
    /// `None` while it goes on, or where it was killed.
    pub conclusion: Option<Conclusion>,
    pub ended: Option<Timestamp>,
    pub failed_stage: Option<String>,
    /// The first evidence that it was bad.
    pub failed_at: Option<Timestamp>,
    /// When a gate found by itself that it was bad, whatever became of the run then.
    pub gate_failed_at: Option<Timestamp>,
    /// When a good release served again, by proof.
    pub restored_at: Option<Timestamp>,
    pub rollback: Option<RolledBack>,
    /// When an incident was first opened about its release.
    pub reported_at: Option<Timestamp>,
    /// The newest rollback that took it back, by hand or in a later job, and when the log was told.
    pub taken_back: Option<(RolledBack, Timestamp)>,
    /// The others that took it back or put it back, the oldest first.
    pub other_rollbacks: Vec<RolledBack>,
    /// When an incident about its release was opened, where another release was deployed while that was open, and ended
    /// well: it was fixed forward.
    pub fixed_forward: Option<Timestamp>,
    /// When a later rollback put its release back: since then it serves again.
    pub put_back: Option<Timestamp>,
    /// When it made room for a newer release that was put back, which is no finding against it.
    pub made_room: Option<Timestamp>,
    /// Measurements of its gate that failed, where a gate was there.
    pub retries: Option<u64>,
    /// What it served, as far as it is known.
    pub exposure: Option<Exposure>,
    /// The incident that it caused.
    pub incident: Option<IncidentId>,
    /// Whether users may have it, as far as its own run tells.
    may_serve: bool,
    /// The incidents about releases of before it that were open when it began.
    began_in: Vec<IncidentId>,
}

impl Deployment {
    /// Where an event tells that it began; `began_in` are the incidents that were open then.
    fn begun(id: &str, event: &Event, began_in: Vec<IncidentId>) -> Deployment {
        Deployment {
            id: id.to_owned(),
            subject: event.subject.clone(),
            started: event.at,
            previous: None,
            committed: None,
            conclusion: None,
            ended: None,
            failed_stage: None,
            failed_at: None,
            gate_failed_at: None,
            restored_at: None,
            rollback: None,
            reported_at: None,
            taken_back: None,
            other_rollbacks: Vec::new(),
            fixed_forward: None,
            put_back: None,
            made_room: None,
            retries: None,
            exposure: None,
            incident: None,
            may_serve: true,
            began_in,
        }
    }

    /// Whether its release was taken back, by hand or in a later job, and not put back since.
    pub fn is_taken_back(&self) -> bool {
        self.taken_back.is_some() && self.put_back.is_none()
    }

    /// Whether a rollback, of its own run or later, put back what was before it.
    pub fn is_rolled_back(&self) -> bool {
        self.is_taken_back() || self.conclusion == Some(Conclusion::RolledBack)
    }

    /// When the newest rollback that took it back proved that another release serves.
    pub fn taken_back_at(&self) -> Option<Timestamp> {
        self.taken_back
            .map(|(rollback, told)| rollback.ended().unwrap_or(told))
    }

    fn is_of(&self, release: &str) -> bool {
        self.subject.release.as_deref() == Some(release)
    }

    /// Whether users had it, and a rollback took it away.
    fn was_left(&self) -> bool {
        self.taken_back.is_some() || self.conclusion == Some(Conclusion::RolledBack)
    }
}

/// All deployments, the oldest first.
pub fn deployments(history: &History) -> Vec<Deployment> {
    let mut found: Vec<Deployment> = Vec::new();
    let mut reports = Reports::of(history);
    for event in history.events() {
        later(&mut found, &mut reports, event);
        let Some(id) = &event.subject.deployment else {
            continue;
        };
        if let Happening::DeploymentStarted {
            previous,
            committed_at,
        } = &event.what
        {
            let open = reports.open.keys().cloned().collect();
            let begun = Deployment {
                previous: previous.clone(),
                committed: *committed_at,
                ..Deployment::begun(id, event, open)
            };
            found.push(begun);
            continue;
        }
        let Some(nth) = found.iter().rposition(|one| one.id == *id) else {
            continue;
        };
        let (before, rest) = found.split_at_mut(nth);
        let deployment = &mut rest[0];
        match &event.what {
            Happening::DeploymentEnded {
                conclusion,
                failed_stage,
                failed_at,
                rollback,
                exposure,
                serving,
                ..
            } => {
                deployment.may_serve = match conclusion {
                    Conclusion::Refused | Conclusion::RolledBack => false,
                    // It tells what serves where nothing was deployed.
                    Conclusion::Cancelled => serving.is_none(),
                    Conclusion::Succeeded | Conclusion::Failed | Conclusion::Undecided => true,
                };
                deployment.conclusion = Some(*conclusion);
                deployment.ended = Some(event.at);
                deployment.failed_stage.clone_from(failed_stage);
                deployment.failed_at = *failed_at;
                deployment.rollback = *rollback;
                deployment.exposure.clone_from(exposure);
                if *conclusion == Conclusion::RolledBack {
                    let proved = deployment.taken_back_at();
                    let passed = rollback.filter(|one| one.verdict == Verdict::Pass);
                    let proved = proved.or(passed.and_then(|one| one.ended()));
                    deployment.restored_at = proved.or(Some(event.at));
                }
                if *conclusion == Conclusion::Succeeded {
                    reports.fixed_by(deployment, before, event.at);
                }
            }
            Happening::StageEnded {
                stage,
                verdict,
                cancelled,
                retries,
                ..
            } => {
                deployment.retries = retries.or(deployment.retries);
                if is_gate(stage) && *verdict == Verdict::Fail && !cancelled {
                    deployment.gate_failed_at.get_or_insert(event.at);
                }
            }
            Happening::ExposureMeasured {
                exposure: Some(exposure),
                ..
            } => {
                let known = deployment.exposure.as_ref();
                let better = known.map(|known| known.or_later(exposure));
                deployment.exposure = Some(better.unwrap_or_else(|| exposure.clone()));
            }
            Happening::IncidentOpened { .. } => {
                deployment.incident.clone_from(&event.subject.incident);
            }
            Happening::IncidentResolved { .. } if deployment.restored_at.is_none() => {
                deployment.restored_at = Some(event.at);
            }
            _ => {}
        }
    }
    found
}

fn is_gate(stage: &str) -> bool {
    matches!(
        StageName::of(stage),
        Some(StageName::Healthgate | StageName::Traffic)
    )
}

/// The newest deployment of a release that users may have.
pub fn served(history: &History, release: &str) -> Option<Deployment> {
    let newest = deployments(history).into_iter().rev();
    let mut of_release = newest.filter(|one| one.is_of(release));
    of_release.find(|one| one.may_serve)
}

/// What happens to a deployment whether or not an event names it: an incident about its release, and a rollback from
/// it or to it.
fn later(found: &mut [Deployment], reports: &mut Reports, event: &Event) {
    match &event.what {
        Happening::IncidentOpened { .. } => {
            let Some(release) = &event.subject.release else {
                return;
            };
            let is_served = |one: &Deployment| one.may_serve && one.is_of(release);
            if let Some(nth) = found.iter().rposition(is_served) {
                found[nth].reported_at.get_or_insert(event.at);
                reports.open(event, nth);
            }
        }
        Happening::IncidentResolved { .. } => {
            if let Some(id) = &event.subject.incident {
                reports.open.remove(id);
            }
        }
        Happening::StageEnded {
            verdict: Verdict::Pass,
            restored: Some(restored),
            started_at,
            duration_ms,
            resumed,
            ..
        } => {
            let rollback = RolledBack {
                started_at: *started_at,
                duration_ms: *duration_ms,
                verdict: Verdict::Pass,
            };
            put_back(found, restored, rollback, *resumed, event.at);
        }
        _ => {}
    }
}

/// A rollback put a release back. It took back what users had, unless it only brought a newer release back that had been
/// taken back itself. Nothing is left by a rollback to the release that users have. One that was resumed is the rollback
/// that the run of the deployment had begun.
fn put_back(
    found: &mut [Deployment],
    release: &str,
    rollback: RolledBack,
    is_resumed: bool,
    at: Timestamp,
) {
    let served = found.iter().rposition(|one| one.may_serve);
    if served.is_some_and(|nth| found[nth].is_of(release)) {
        return;
    }
    let had = |one: &Deployment| one.is_of(release) && (one.may_serve || one.was_left());
    let restored = found.iter().rposition(had);
    if let Some(left) = served {
        let deployment = &mut found[left];
        if restored > served {
            deployment.made_room = Some(at);
            if let Some(restored) = restored {
                found[restored].other_rollbacks.push(rollback);
            }
        } else {
            deployment.may_serve = false;
            let begun = deployment.rollback;
            let begun = begun.filter(|own| is_resumed && own.verdict != Verdict::Pass);
            let rollback = begun.map_or(rollback, |own| own.finished_by(rollback));
            let before = deployment.taken_back.replace((rollback, at));
            deployment
                .other_rollbacks
                .extend(before.map(|(rollback, _)| rollback));
            deployment.put_back = None;
        }
    }
    if let Some(deployment) = restored.map(|nth| &mut found[nth])
        && !deployment.may_serve
    {
        deployment.may_serve = true;
        deployment.put_back = Some(at);
    }
}

/// What was reported against releases that users have.
struct Reports {
    /// When each incident was opened that users notice and that is worth an intervention.
    bad: BTreeMap<IncidentId, Timestamp>,
    /// Those that are open: the place of the deployment that each is about.
    open: BTreeMap<IncidentId, usize>,
    /// The same of all.
    about: BTreeMap<IncidentId, usize>,
}

impl Reports {
    fn of(history: &History) -> Reports {
        let is_bad = |one: &Incident| one.worst > Severity::Low && one.impact != Impact::None;
        let all = incidents(history).into_iter().filter(is_bad);
        Reports {
            bad: all.map(|one| (one.id, one.opened)).collect(),
            open: BTreeMap::new(),
            about: BTreeMap::new(),
        }
    }

    fn open(&mut self, event: &Event, nth: usize) {
        if let Some(id) = &event.subject.incident
            && self.bad.contains_key(id)
        {
            self.open.insert(id.clone(), nth);
            self.about.insert(id.clone(), nth);
        }
    }

    /// A release that ended well serves, after those `before` it that did not, and in the place of those that were
    /// reported.
    fn fixed_by(&self, good: &Deployment, before: &mut [Deployment], at: Timestamp) {
        for id in &good.began_in {
            let reported = self.about.get(id).and_then(|nth| before.get_mut(*nth));
            let reported = reported.filter(|one| one.subject.release != good.subject.release);
            if let Some((one, opened)) = reported.zip(self.bad.get(id)) {
                one.fixed_forward.get_or_insert(*opened);
                one.restored_at.get_or_insert(at);
            }
        }
        for one in before {
            if one.conclusion == Some(Conclusion::Failed) {
                one.restored_at.get_or_insert(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sections::incident::Severity;

    use super::*;
    use crate::sample::{SampleHistory, ended, note, resolved, second, started};

    #[test]
    fn a_deployment_goes_on_until_its_end() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(note("meanwhile"));
        let all = deployments(&past.history());
        assert_eq!(
            (all.len(), all[0].conclusion, all[0].ended),
            (1, None, None)
        );
        assert_eq!(all[0].previous.as_deref(), Some("v1"));
        assert_eq!(all[0].committed, Some(second(-100)));
        past.add(ended(Conclusion::Succeeded));
        let all = deployments(&past.history());
        assert_eq!(all[0].conclusion, Some(Conclusion::Succeeded));
        assert_eq!(all[0].ended, Some(second(2)));
        assert_eq!((all[0].restored_at, all[0].incident.as_ref()), (None, None));
    }

    #[test]
    fn what_was_before_is_restored_by_the_rollback_else_by_the_resolution() {
        for (conclusion, restored) in [(Conclusion::RolledBack, 2), (Conclusion::Failed, 3)] {
            let mut past = SampleHistory::new();
            past.about(Some("d1"), None);
            past.add(started());
            let id = past.open(Severity::High);
            past.add(ended(conclusion));
            past.add(resolved("back"));
            let all = deployments(&past.history());
            assert_eq!(all[0].restored_at, Some(second(restored)), "{conclusion:?}");
            assert_eq!(all[0].incident, Some(id));
        }
    }

    #[test]
    fn a_rollback_within_the_run_restores_at_its_own_end_and_not_at_that_of_the_run() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(note("meanwhile"));
        let mut end = ended(Conclusion::RolledBack);
        if let Happening::DeploymentEnded { rollback, .. } = &mut end {
            *rollback = Some(RolledBack {
                started_at: second(0),
                duration_ms: 1500,
                verdict: Verdict::Pass,
            });
        }
        past.add(end);
        let all = deployments(&past.history());
        let restored = all[0].restored_at.map(|at| at.duration_since(second(0)));
        assert_eq!(restored, Some(jiff::SignedDuration::from_millis(1500)));
    }

    #[test]
    fn each_deployment_that_failed_in_one_incident_is_restored_by_the_next_good_one() {
        let mut past = SampleHistory::new();
        let mut incident = None;
        for (release, conclusion) in [
            ("v2", Conclusion::Failed),
            ("v3", Conclusion::Failed),
            ("v4", Conclusion::Succeeded),
        ] {
            past.about(Some(release), None);
            past.release(release);
            past.add(started());
            if release == "v2" {
                incident = Some(past.open(Severity::High));
                past.about(Some(release), None);
            }
            past.add(ended(conclusion));
        }
        past.about(Some("v2"), incident.as_ref());
        past.add(resolved("v4 is good"));
        let all = deployments(&past.history());
        let restored: Vec<_> = all.iter().map(|one| one.restored_at).collect();
        // Also the one whose incident is resolved a moment later.
        assert_eq!(restored, [Some(second(6)), Some(second(6)), None]);
    }

    #[test]
    fn the_same_run_deploys_twice_and_the_later_one_learns() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(started());
        past.add(ended(Conclusion::Cancelled));
        let all = deployments(&past.history());
        let conclusions: Vec<_> = all.iter().map(|one| one.conclusion).collect();
        assert_eq!(conclusions, [None, Some(Conclusion::Cancelled)]);
    }

    #[test]
    fn what_is_of_no_deployment_or_of_one_that_never_started_is_none() {
        let mut past = SampleHistory::new();
        past.add(started());
        past.about(Some("d1"), None);
        past.add(ended(Conclusion::Failed));
        assert_eq!(deployments(&past.history()), []);
    }

    fn restored(release: &str) -> Happening {
        Happening::StageEnded {
            stage: "rollback".to_owned(),
            verdict: Verdict::Pass,
            reason: "rolled back".to_owned(),
            hint: None,
            impact: None,
            started_at: second(0),
            duration_ms: 500,
            counted: None,
            hosts: None,
            retries: None,
            restored: Some(release.to_owned()),
            cancelled: false,
            resumed: false,
        }
    }

    /// Deployments of these releases, each with its end, by which a rollback to `to` follows; those that it took back.
    fn taken_back(all: &[(&str, Option<Conclusion>)], to: &str) -> Vec<String> {
        let mut past = SampleHistory::new();
        for (release, conclusion) in all {
            past.about(Some(release), None);
            past.release(release);
            past.add(started());
            if let Some(conclusion) = conclusion {
                past.add(ended(*conclusion));
            }
        }
        past.about(None, None);
        past.add(restored(to));
        let all = deployments(&past.history()).into_iter();
        all.filter(|one| one.taken_back.is_some())
            .map(|one| one.id)
            .collect()
    }

    #[test]
    fn a_rollback_by_hand_takes_back_what_users_have() {
        use Conclusion::{Cancelled, Failed, Refused, RolledBack, Succeeded, Undecided};
        for conclusion in [Some(Succeeded), Some(Failed), Some(Undecided), None] {
            let all = [("v1", Some(Succeeded)), ("v2", conclusion)];
            assert_eq!(taken_back(&all, "v1"), ["v2"], "{conclusion:?}");
        }
        // A later one that never reached users is not what was taken back.
        for conclusion in [Refused, RolledBack] {
            let all = [("v2", Some(Succeeded)), ("v3", Some(conclusion))];
            assert_eq!(taken_back(&all, "v1"), ["v2"], "{conclusion:?}");
        }
        // It went on with what a run had begun.
        let all = [("v1", Some(Succeeded)), ("v2", Some(RolledBack))];
        assert_eq!(taken_back(&all, "v1"), [""; 0]);
        let all = [("v1", Some(Succeeded)), ("v2", Some(Cancelled))];
        assert_eq!(taken_back(&all, "v1").len(), 1);
    }

    /// What became of `v1` and `v2`, which succeeded, after rollbacks to these, one after the other.
    fn after_rollbacks(to: &[&str]) -> [Deployment; 2] {
        let mut past = SampleHistory::new();
        for release in ["v1", "v2"] {
            past.about(Some(release), None);
            past.release(release);
            past.add(started());
            past.add(ended(Conclusion::Succeeded));
        }
        past.about(None, None);
        for release in to {
            past.add(restored(release));
        }
        let all = deployments(&past.history());
        all.try_into().expect("there are two")
    }

    #[test]
    fn a_release_that_was_put_back_serves_again_and_the_one_that_made_room_did_not_fail() {
        let taken = |all: &[Deployment; 2]| [all[0].is_taken_back(), all[1].is_taken_back()];
        let all = after_rollbacks(&["v1"]);
        assert_eq!(taken(&all), [false, true]);
        let all = after_rollbacks(&["v1", "v2"]);
        assert_eq!(taken(&all), [false, false]);
        assert_eq!(all[1].put_back, Some(second(5)));
        assert_eq!(all[0].made_room, Some(second(5)));
        let (_, at) = all[1].taken_back.expect("it was, once");
        assert_eq!(at, second(4));
        // It can be taken back once more, and that is the newest time.
        let all = after_rollbacks(&["v1", "v2", "v1"]);
        assert_eq!(taken(&all), [false, true]);
        let (_, at) = all[1].taken_back.expect("it was");
        assert_eq!(at, second(6));
        // Both were bad, one after the other.
        let all = after_rollbacks(&["v1", "v0"]);
        assert_eq!(taken(&all), [true, true]);
        let all = after_rollbacks(&["v1", "v0", "v1"]);
        assert_eq!(taken(&all), [false, true]);
    }

    #[test]
    fn a_release_that_its_own_run_took_back_serves_where_it_is_put_back_by_hand() {
        let mut past = SampleHistory::new();
        for (release, conclusion) in [
            ("v1", Conclusion::Succeeded),
            ("v2", Conclusion::RolledBack),
        ] {
            past.about(Some(release), None);
            past.release(release);
            past.add(started());
            past.add(ended(conclusion));
        }
        past.about(None, None);
        past.add(restored("v2"));
        let all = deployments(&past.history());
        assert_eq!(
            (all[0].is_taken_back(), all[1].put_back),
            (false, Some(second(4)))
        );
        past.add(restored("v1"));
        let all = deployments(&past.history());
        assert!(all[1].is_taken_back() && !all[0].is_taken_back());
    }

    #[test]
    fn the_deployment_that_serves_is_the_newest_of_its_release_that_users_may_have() {
        let mut past = SampleHistory::new();
        for (id, conclusion) in [
            ("d1", Conclusion::Succeeded),
            ("d2", Conclusion::Succeeded),
            ("d3", Conclusion::Refused),
        ] {
            past.about(Some(id), None);
            past.add(started());
            past.add(ended(conclusion));
        }
        let id = |release| served(&past.history(), release).map(|one| one.id);
        assert_eq!((id("v2").as_deref(), id("v3")), (Some("d2"), None));
    }

    #[test]
    fn an_incident_about_a_release_is_of_its_newest_deployment() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(ended(Conclusion::Succeeded));
        past.about(None, None);
        past.open(Severity::High);
        past.open(Severity::High);
        let all = deployments(&past.history());
        assert_eq!(all[0].reported_at, Some(second(2)));
        assert_eq!(all[0].incident, None);
    }
}

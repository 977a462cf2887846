//! Which release serves users, as far as the stages proved it.

use model::{StageName, Verdict};

use crate::{Conclusion, Happening, History};

/// The release that serves at the end of a history: what a deployment or a rollback that ended proved last. `None` while
/// one goes on, after a rollback that failed, and where a stage has dealt with another release since.
pub fn serving(history: &History) -> Option<&str> {
    let mut refused = Vec::new();
    // What stages outside of `deploy-guard run` dealt with since.
    let mut since: Vec<&str> = Vec::new();
    for event in history.events().rev() {
        let subject = &event.subject;
        let proved = match &event.what {
            Happening::DeploymentEnded {
                conclusion: Conclusion::Refused,
                ..
            } => {
                refused.push(&subject.deployment);
                continue;
            }
            Happening::DeploymentEnded { serving, .. } => serving.as_deref(),
            Happening::StageEnded {
                restored: Some(restored),
                ..
            } => Some(restored.as_str()),
            _ if refused.contains(&&subject.deployment) => continue,
            Happening::DeploymentStarted { .. } => None,
            Happening::StageEnded {
                stage,
                verdict,
                impact,
                ..
            } => match (StageName::of(stage), verdict) {
                (Some(StageName::Rollback), Verdict::Pass | Verdict::Refused) => continue,
                // `rollback decide` tells of an impact, and changes nothing.
                (Some(StageName::Rollback), _) if impact.is_some() => continue,
                (Some(StageName::Rollback), _) => None,
                (Some(StageName::Traffic), verdict) if *verdict != Verdict::Refused => {
                    since.extend(subject.release.as_deref());
                    continue;
                }
                (Some(StageName::Healthgate | StageName::Record), Verdict::Pass) => {
                    since.extend(subject.release.as_deref());
                    continue;
                }
                _ => continue,
            },
            _ => continue,
        };
        return proved.filter(|proved| since.iter().all(|release| release == proved));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SampleHistory, ended, note, started};

    /// A deployment of `v2` that ended, with what serves then.
    fn deployed(conclusion: Conclusion, release: Option<&str>) -> SampleHistory {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.add(started());
        let mut end = ended(conclusion);
        if let Happening::DeploymentEnded { serving, .. } = &mut end {
            *serving = release.map(str::to_owned);
        }
        past.add(end);
        past
    }

    fn stage(name: &str, verdict: Verdict, restored: Option<&str>) -> Happening {
        Happening::StageEnded {
            stage: name.to_owned(),
            verdict,
            reason: String::new(),
            hint: None,
            impact: None,
            restored: restored.map(str::to_owned),
            cancelled: false,
            resumed: false,
            started_at: crate::sample::second(0),
            duration_ms: 1,
            counted: None,
            hosts: None,
            retries: None,
        }
    }

    fn now(past: &SampleHistory) -> Option<String> {
        serving(&past.history()).map(str::to_owned)
    }

    #[test]
    fn what_serves_is_what_was_proved_last_and_nothing_while_a_deployment_goes_on() {
        assert_eq!(now(&SampleHistory::new()), None);
        let mut past = deployed(Conclusion::Succeeded, Some("v2"));
        past.add(note("meanwhile"));
        assert_eq!(now(&past).as_deref(), Some("v2"));
        past.about(Some("d2"), None);
        past.release("v3");
        past.add(started());
        assert_eq!(now(&past), None);
        past.add(ended(Conclusion::Refused));
        assert_eq!(now(&past).as_deref(), Some("v2"), "nothing was changed");
        assert_eq!(now(&deployed(Conclusion::Failed, None)), None);
    }

    #[test]
    fn what_a_stage_put_back_serves_and_what_another_stage_deals_with_since_makes_it_unknown() {
        let mut past = deployed(Conclusion::Succeeded, Some("v2"));
        past.about(None, None);
        past.add(stage("rollback", Verdict::Pass, Some("v1")));
        past.add(stage("preflight", Verdict::Fail, None));
        assert_eq!(now(&past).as_deref(), Some("v1"));
        for (name, verdict, release, serves) in [
            ("rollback", Verdict::Fail, "v1", None),
            ("rollback", Verdict::Partial, "v1", None),
            ("rollback", Verdict::Refused, "v1", Some("v1")),
            ("healthgate", Verdict::Pass, "v1", Some("v1")),
            ("healthgate", Verdict::Pass, "v3", None),
            ("healthgate", Verdict::Fail, "v3", Some("v1")),
            ("traffic", Verdict::Fail, "v3", None),
        ] {
            let mut past = past.clone();
            past.release(release);
            past.add(stage(name, verdict, None));
            assert_eq!(now(&past).as_deref(), serves, "{name} {verdict} {release}");
        }
    }
}

//! An event without secrets, and of a bounded size.

use model::Redactor;
use model::text::cut;

use crate::{Event, Evidence, Happening, Subject, Undelivered, Writer};

/// The most that one text of an event may have, in characters. A log is read whole.
pub const MAX_TEXT: usize = 8_000;
/// The most that a name may have, in characters.
const MAX_NAME: usize = 300;
/// The most pieces of evidence that an event keeps.
const MAX_EVIDENCE: usize = 20;

impl Event {
    /// The event with every secret in every text replaced, and each text cut after that.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Event {
        // No `..` in this file: a new field must be thought of here.
        let Event {
            schema,
            id,
            at,
            subject,
            by,
            evidence,
            sinks,
            what,
        } = self;
        let clean = Clean(redactor);
        let shown = evidence.into_iter().take(MAX_EVIDENCE);
        Event {
            schema,
            id,
            at,
            subject: clean.subject(subject),
            by: clean.writer(by),
            evidence: shown.map(|one| clean.evidence(one)).collect(),
            sinks,
            what: clean.happening(what),
        }
    }
}

struct Clean<'a>(&'a Redactor);

impl Clean<'_> {
    fn text(&self, text: &str) -> String {
        cut(&self.0.redact(text), MAX_TEXT)
    }

    fn name(&self, text: &str) -> String {
        cut(&self.0.redact(text), MAX_NAME)
    }

    fn some_text(&self, text: Option<String>) -> Option<String> {
        text.map(|text| self.text(&text))
    }

    fn some_name(&self, text: Option<String>) -> Option<String> {
        text.map(|text| self.name(&text))
    }

    fn subject(&self, subject: Subject) -> Subject {
        let Subject {
            service,
            environment,
            release,
            deployment,
            incident,
            apart,
        } = subject;
        Subject {
            // The configuration's own names: by them the log is read again.
            service: service.map(|name| cut(&name, MAX_NAME)),
            environment: environment.map(|name| cut(&name, MAX_NAME)),
            release: self.some_name(release),
            deployment: self.some_name(deployment),
            incident,
            apart,
        }
    }

    fn writer(&self, writer: Writer) -> Writer {
        let Writer {
            actor,
            run,
            automatic,
        } = writer;
        Writer {
            actor: self.name(&actor),
            run: self.some_name(run),
            automatic,
        }
    }

    fn evidence(&self, evidence: Evidence) -> Evidence {
        match evidence {
            Evidence::Report(place) => Evidence::Report(self.name(&place)),
            Evidence::Journal(place) => Evidence::Journal(self.name(&place)),
            Evidence::Url(url) => Evidence::Url(self.text(&url)),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn happening(&self, what: Happening) -> Happening {
        match what {
            Happening::DeploymentStarted {
                previous,
                committed_at,
            } => Happening::DeploymentStarted {
                previous: self.some_name(previous),
                committed_at,
            },
            Happening::StageEnded {
                stage,
                verdict,
                reason,
                hint,
                impact,
                restored,
                cancelled,
                resumed,
                started_at,
                duration_ms,
                counted,
                hosts,
                retries,
            } => Happening::StageEnded {
                stage: self.name(&stage),
                verdict,
                reason: self.text(&reason),
                hint: self.some_text(hint),
                impact,
                restored: self.some_name(restored),
                cancelled,
                resumed,
                started_at,
                duration_ms,
                counted,
                hosts,
                retries,
            },
            Happening::DeploymentEnded {
                conclusion,
                reason,
                started_at,
                duration_ms,
                failed_stage,
                failed_at,
                serving,
                rollback,
                exposure,
            } => Happening::DeploymentEnded {
                conclusion,
                reason: self.text(&reason),
                started_at,
                duration_ms,
                failed_stage: self.some_name(failed_stage),
                failed_at,
                serving: self.some_name(serving),
                rollback,
                exposure,
            },
            Happening::ExposureMeasured { exposure, unknown } => Happening::ExposureMeasured {
                exposure,
                unknown: self.some_text(unknown),
            },
            Happening::IncidentOpened {
                severity,
                why,
                by_hand,
                text,
                impact,
                hosts,
                failed_stage,
                action,
                eta_ms,
                eta_by,
            } => Happening::IncidentOpened {
                severity,
                why: self.text(&why),
                by_hand,
                text: self.text(&text),
                impact,
                hosts,
                failed_stage: self.some_name(failed_stage),
                action: self.some_text(action),
                eta_ms,
                eta_by,
            },
            Happening::IncidentUpdated {
                text,
                phase,
                impact,
                hosts,
                action,
            } => Happening::IncidentUpdated {
                text: self.text(&text),
                phase,
                impact,
                hosts,
                action: self.some_text(action),
            },
            Happening::Note { text } => Happening::Note {
                text: self.text(&text),
            },
            Happening::SeverityChanged { from, to, why } => Happening::SeverityChanged {
                from,
                to,
                why: self.text(&why),
            },
            Happening::Escalated {
                rule,
                applied,
                text,
            } => Happening::Escalated {
                rule,
                applied,
                text: self.text(&text),
            },
            Happening::IncidentResolved {
                text,
                serving,
                fix,
                redeployment,
            } => Happening::IncidentResolved {
                text: self.text(&text),
                serving: self.some_name(serving),
                fix: self.some_text(fix),
                redeployment: self.some_text(redeployment),
            },
            // They hold no text but names of ours.
            names @ (Happening::Claimed { .. }
            | Happening::Released { .. }
            | Happening::GivenUp { .. }
            | Happening::Delivered { .. }) => names,
            Happening::Undelivered {
                delivery,
                claim,
                how,
            } => Happening::Undelivered {
                delivery,
                claim,
                how: self.undelivered(how),
            },
        }
    }

    fn undelivered(&self, how: Undelivered) -> Undelivered {
        let Undelivered {
            reason,
            hint,
            unsure,
            refused,
            not_before,
            reference,
        } = how;
        Undelivered {
            reason: self.text(&reason),
            hint: self.some_text(hint),
            unsure,
            refused,
            not_before,
            reference,
        }
    }
}

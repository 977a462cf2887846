//! From what a gate counted while it compared the release with the one before it, where nothing else tells it: only
//! the requests of the time in which it judged.

use chronicle::{CountBound, Exposure, Happening, History, Source};

use crate::stay::ExposureWindow;

/// What the stages of the release's deployment counted; `None` where none did.
pub fn of_gate(history: &History, stay: &ExposureWindow) -> Option<Exposure> {
    let counted = history.events().filter_map(|event| {
        let is_of = event.subject.release.as_deref() == Some(&stay.release)
            && (stay.from..=stay.until).contains(&event.at);
        match &event.what {
            Happening::StageEnded { counted, .. } if is_of => *counted,
            _ => None,
        }
    });
    let all: Vec<_> = counted.collect();
    (!all.is_empty()).then(|| Exposure {
        failed: all.iter().map(|counts| counts.failed).sum(),
        total: all.iter().map(|counts| counts.total).sum(),
        bound: CountBound::AtLeast,
        source: Source::Gate,
        from: Some(stay.from),
        until: Some(stay.until),
        over_time: Vec::new(),
    })
}

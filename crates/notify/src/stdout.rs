//! A line in the log of the job.

use std::time::Instant;

use sections::incident::StdoutSink;

use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext};
use crate::sinks::Kind;
use crate::{DeliveryError, Notice, outside};

const LINE: usize = 500;

impl Kind for StdoutSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        Ok(Box::new(Log { say: around.say }))
    }
}

struct Log<'a> {
    say: &'a dyn Fn(&str),
}

impl Sink for Log<'_> {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        _: Instant,
    ) -> Delivering<'a> {
        (self.say)(&line(notice));
        Box::pin(std::future::ready(Ok(Delivered::default())))
    }
}

/// `2026-11-21T02:45:49Z shop/production: incident-opened (high): the title`.
fn line(notice: &Notice) -> String {
    let severity = notice.severity.map(|severity| format!(" ({severity})"));
    let line = format!(
        "{} {}: {}{}: {} {}",
        notice.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        notice.place(),
        notice.kind,
        severity.unwrap_or_default(),
        notice.phase.emoji(),
        notice.title
    );
    // The runner takes this for a command wherever it stands.
    outside::line(&line.replace("##[", "# #["), LINE)
}

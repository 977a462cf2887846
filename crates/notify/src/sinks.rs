//! The sinks of a configuration.

use std::time::Instant;

use model::Redactor;
use sections::incident::{Filter, Incident, SinkConfig as _, key};

use crate::{Delivered, DeliveryError, Notice, PreviousDelivery, Proof, Sink, SinkContext};

/// How the sink of a kind is made.
pub(crate) trait Kind {
    /// Sends nothing. What is wrong with a sink's variables and files is told here.
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError>;
}

/// A sink of the configuration.
pub struct Recipient<'a> {
    /// The key of its kind, such as `github-issue`.
    pub kind: String,
    pub name: &'a str,
    filter: Filter<'a>,
    redactor: &'a Redactor,
    sink: Result<Box<dyn Sink + 'a>, DeliveryError>,
}

impl Recipient<'_> {
    /// Whether it is told of it.
    pub fn hears(&self, notice: &Notice) -> bool {
        self.filter.hears(notice.heard())
    }

    /// What is wrong with its variables and files, as this process has them. Another one may have what is missing.
    pub fn unusable(&self) -> Option<&DeliveryError> {
        self.sink.as_ref().err()
    }

    /// How `incident notify --test` proves it.
    ///
    /// # Errors
    /// Returns what is wrong with its variables and files.
    pub fn proof(&self) -> Result<Proof<'_>, DeliveryError> {
        match &self.sink {
            Ok(sink) => Ok(sink.proof()),
            Err(unusable) => Err(unusable.clone()),
        }
    }

    /// Makes one attempt, which ends by the deadline. Secrets are redacted first.
    pub async fn deliver(
        &self,
        notice: &Notice,
        earlier: PreviousDelivery<'_>,
        deadline: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let notices = std::slice::from_ref(notice);
        self.deliver_together(notices, earlier, deadline).await
    }

    /// Makes what shows a thread show the notice, where the sink has such a thing: the reference is of it.
    pub async fn show(
        &self,
        notice: &Notice,
        earlier: PreviousDelivery<'_>,
        deadline: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let sink = self.sink.as_ref().map_err(Clone::clone)?;
        let Some(view) = sink.thread_view() else {
            return Ok(Delivered::default());
        };
        let notice = notice.redacted(self.redactor);
        view.show(&notice, earlier, deadline).await
    }

    /// Makes one attempt at several notices of a thread, the oldest first, that [fit](Self::fits).
    pub async fn deliver_together(
        &self,
        notices: &[Notice],
        earlier: PreviousDelivery<'_>,
        deadline: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let sink = self.sink.as_ref().map_err(Clone::clone)?;
        let redacted = |notice: &Notice| notice.redacted(self.redactor);
        let notices: Vec<Notice> = notices.iter().map(redacted).collect();
        match (sink.thread_view(), &notices[..]) {
            (Some(view), _) => view.deliver_together(&notices, earlier, deadline).await,
            (None, [notice]) => sink.deliver(notice, earlier, deadline).await,
            (None, _) => Err(DeliveryError::later("more than one at once", None)),
        }
    }

    /// Whether notices of a thread, the oldest first, can be told together: one always can.
    pub fn fits(&self, notices: &[Notice]) -> bool {
        let view = self.sink.as_ref().ok().and_then(|sink| sink.thread_view());
        notices.len() < 2 || view.is_some_and(|view| view.fits(notices))
    }

    /// Whether there is anything that [`show`](Self::show) changes.
    pub fn shows_threads(&self) -> bool {
        self.sink
            .as_ref()
            .is_ok_and(|sink| sink.thread_view().is_some())
    }
}

macro_rules! all {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// Every sink of the section, in the order of the kinds.
        pub fn recipients<'a>(section: &'a Incident, around: SinkContext<'a>) -> Vec<Recipient<'a>> {
            let mut all = Vec::new();
            $(all.extend(section.$kind.iter().map(|config| Recipient {
                kind: key(stringify!($kind)),
                name: config.name(),
                filter: config.filter(),
                redactor: around.redactor,
                sink: config.make(around),
            }));)*
            all
        }
    };
}
sections::sink_kinds!(all);

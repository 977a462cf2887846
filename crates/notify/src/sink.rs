//! What a sink can do.

use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use model::{Env, Redactor};

use sections::incident::EventKind;

use crate::{DeliveryError, Notice, Reference};

/// One place where people are told.
pub trait Sink {
    /// Makes one attempt, which ends by the deadline.
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a>;

    /// What shows a thread as it is now, where the sink has such a thing.
    fn thread_view(&self) -> Option<&dyn ThreadView> {
        None
    }

    /// How `incident notify --test` proves it.
    fn proof(&self) -> Proof<'_> {
        Proof::Message(EventKind::Note)
    }
}

/// Shows a thread as it is now.
pub trait ThreadView {
    /// Makes it show the notice, and tells no one of it.
    fn show<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a>;

    /// Whether these notices of a thread, the oldest first, can be told together.
    fn fits(&self, notices: &[Notice]) -> bool;

    /// Tells them together: in one attempt, which takes all or none.
    fn deliver_together<'a>(
        &'a self,
        notices: &'a [Notice],
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a>;
}

/// How it is proved that a sink can be reached.
pub enum Proof<'a> {
    /// It gets a test message of this kind: one that calls no one.
    Message(EventKind),
    /// It is asked by the deadline whether it would take one: a message would leave something that a person has to remove.
    Permission(Box<dyn Fn(Instant) -> Delivering<'a> + 'a>),
}

/// An attempt under way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<Delivered, DeliveryError>> + 'a>>;

/// Facts of earlier deliveries to this sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreviousDelivery<'a> {
    /// Of the last delivery of the same thread to the same sink.
    pub reference: Option<&'a Reference>,
    /// An attempt with this very notice began, and how it ended is not known: it was [`DeliveryFailure::Unsure`], or the program
    /// was killed. Sinks that can look whether it has arrived do so.
    ///
    /// [`DeliveryFailure::Unsure`]: crate::DeliveryFailure::Unsure
    pub unsure: bool,
    /// The sink was told a later event of the same thread: what shows how the thread is now stays as it is.
    pub is_overtaken: bool,
}

/// It has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// For the next notice of the thread.
    pub reference: Option<Reference>,
}

/// A client of GitHub as a sink's `token-env` says, with a time for each question and the end of all.
pub type GithubClient<'a> =
    dyn Fn(Option<&str>, Duration, Instant) -> Result<github::Client, github::Error> + 'a;

/// What sinks need of the program.
#[derive(Clone, Copy)]
pub struct SinkContext<'a> {
    pub env: &'a Env,
    /// What is taken out of every notice before it is sent.
    pub redactor: &'a Redactor,
    /// Where the paths of templates begin.
    pub folder: &'a Path,
    pub github: &'a GithubClient<'a>,
    /// `owner/name` where a sink names none.
    pub repository: Option<&'a str>,
    /// Writes a line into the log of the job: on stderr, redacted.
    pub say: &'a dyn Fn(&str),
    /// The commit of the run, for a deployment of GitHub.
    pub commit: Option<&'a str>,
}

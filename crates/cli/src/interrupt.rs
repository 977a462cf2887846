//! SIGINT, SIGTERM and SIGHUP, as something a stage can look at and wait for.

use std::time::Duration;

use model::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// A signal that asks us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    /// Or the terminal is gone: a laptop is closed, or act cancels a step.
    Terminate,
}

impl Signal {
    pub fn exit_code(self) -> ExitCode {
        match self {
            Signal::Interrupt => ExitCode::Interrupted,
            Signal::Terminate => ExitCode::Terminated,
        }
    }
}

/// Whether who started us wants us to outlive the terminal, as `nohup` does. Where that cannot be seen, too: a
/// hang-up is left to do what it does.
fn is_ignored_hangup() -> bool {
    const HANGUP: u64 = 1;
    let status = files::read_text("/proc/self/status".as_ref(), 1 << 16).unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_none_or(|mask| mask & HANGUP != 0)
}

/// Reports whether we were asked to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<Option<(Signal, Instant)>>);

impl Interrupt {
    /// Starts to listen. Must be called within the runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = watch::channel(None);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = if is_ignored_hangup() {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        tokio::spawn(async move {
            loop {
                let hung_up = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                };
                let caught = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                    _ = hung_up => Signal::Terminate,
                };
                // The first signal decides the exit code; later ones change nothing.
                sender.send_if_modified(|state| match state {
                    None => {
                        *state = Some((caught, Instant::now()));
                        true
                    }
                    Some(_) => false,
                });
            }
        });
        Ok(Interrupt(receiver))
    }

    /// One that never comes, for work that must not be stopped half-way and for tests.
    pub fn never() -> Self {
        Interrupt(watch::channel(None).1)
    }

    /// The signal, if one has come.
    pub fn caught(&self) -> Option<Signal> {
        self.0.borrow().map(|(signal, _)| signal)
    }

    /// What is left of this time after the signal; `None` if none has come.
    pub fn time_left(&self, of: Duration) -> Option<Duration> {
        let come = *self.0.borrow();
        come.map(|(_, at)| of.saturating_sub(at.elapsed()))
    }

    /// Waits for a signal.
    pub async fn wait(&self) -> Signal {
        self.wait_for_signal().await.0
    }

    /// Waits until a signal came so long ago.
    pub async fn and(&self, grace: Duration) {
        let (_, at) = self.wait_for_signal().await;
        tokio::time::sleep_until(at + grace).await;
    }

    async fn wait_for_signal(&self) -> (Signal, Instant) {
        let mut receiver = self.0.clone();
        loop {
            if let Some(come) = *receiver.borrow_and_update() {
                return come;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

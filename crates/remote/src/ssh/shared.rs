//! One login at a host for everything that is asked there: made when it is first needed, and made again
//! when it broke.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Error, Limits, Output, Session, Target, Tunnel, Work};

/// A login is not given up with the question that first needed it: a slow host would never be
/// asked anything.
const LOGIN: Duration = Duration::from_secs(15);
/// How often one question is put.
const MAX_ATTEMPTS: u32 = 3;

/// A host that is asked many things, one after another and side by side, over one connection.
#[derive(Debug)]
pub struct Shared {
    target: Target,
    login: Mutex<Option<Login>>,
}

/// One question, and how often it was put.
struct QueryAttempts {
    timeout: Duration,
    until: Instant,
    tries: u32,
}

impl QueryAttempts {
    fn new(timeout: Duration) -> QueryAttempts {
        QueryAttempts {
            timeout,
            until: Instant::now() + timeout,
            tries: 0,
        }
    }

    fn time_left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Whether to put it again. Nothing was begun: the connection had taken its last order just
    /// before this one.
    fn may_retry(&mut self) -> bool {
        self.tries += 1;
        self.tries < MAX_ATTEMPTS
    }
}

/// A login that is open, failed, or in progress.
#[derive(Debug)]
struct Login {
    result: watch::Receiver<Option<Result<Session, Error>>>,
    task: JoinHandle<()>,
}

impl Login {
    /// Whether it is worth waiting for.
    fn is_good(&self) -> bool {
        match &*self.result.borrow() {
            Some(Ok(session)) => session.is_open(),
            Some(Err(_)) => false,
            None => !self.task.is_finished(),
        }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    pub fn new(target: Target) -> Shared {
        Shared {
            target,
            login: Mutex::new(None),
        }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// As [`Session::run`]; the time limit includes the login, if it has not happened yet.
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Command(command), limits).await
    }

    /// As [`Session::script`], likewise.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Script(text), limits).await
    }

    /// The same for a script that only reads: where the connection is cut under it, it is made
    /// again and the script run once more, in what is left of the time.
    pub async fn read(&self, text: &str, limits: Limits) -> Result<Output, Error> {
        let since = Instant::now();
        match self.script(text, limits).await {
            Err(Error::Lost { .. } | Error::Closed) => {
                let timeout = limits.timeout.saturating_sub(since.elapsed());
                self.script(text, Limits { timeout, ..limits }).await
            }
            ended => ended,
        }
    }

    async fn exec(&self, work: Work<'_>, limits: Limits) -> Result<Output, Error> {
        let mut asking = QueryAttempts::new(limits.timeout);
        loop {
            let session = self.session(&asking).await?;
            let timeout = asking.time_left();
            let limits = Limits { timeout, ..limits };
            match session.exec(work, limits).await {
                Err(Error::Closed) if asking.may_retry() => {}
                result => return result,
            }
        }
    }

    /// As [`Session::open`], likewise.
    pub async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Tunnel, Error> {
        let mut asking = QueryAttempts::new(timeout);
        loop {
            let session = self.session(&asking).await?;
            match session.open(host, port, asking.time_left()).await {
                Err(Error::Closed) if asking.may_retry() => {}
                result => return result,
            }
        }
    }

    /// Logs in, if there is no login yet.
    pub async fn log_in(&self, timeout: Duration) -> Result<(), Error> {
        self.session(&QueryAttempts::new(timeout)).await.map(drop)
    }

    /// The login itself, made if there is none yet.
    pub(super) async fn session_within(&self, timeout: Duration) -> Result<Session, Error> {
        self.session(&QueryAttempts::new(timeout)).await
    }

    /// Whether the host answers: as [`Session::pulse`] on the connection that there is, else by
    /// letting us log in again.
    pub async fn pulse(&self, timeout: Duration) -> Result<(), Error> {
        let mut asking = QueryAttempts::new(timeout);
        loop {
            let session = self.session(&asking).await?;
            match session.pulse(asking.time_left()).await {
                Err(Error::Closed) if asking.may_retry() => {}
                result => return result,
            }
        }
    }

    /// The login, made once more where the host cut it off before any of it: nothing was begun.
    async fn session(&self, asking: &QueryAttempts) -> Result<Session, Error> {
        match self.logged_in(asking).await {
            Err(Error::Handshake { .. }) => self.logged_in(asking).await,
            result => result,
        }
    }

    async fn logged_in(&self, asking: &QueryAttempts) -> Result<Session, Error> {
        let mut result = self.login();
        let waiting = result.wait_for(Option::is_some);
        match tokio::time::timeout_at(asking.until.into(), waiting).await {
            Ok(Ok(result)) => result.clone().unwrap_or(Err(Error::Closed)),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::TimedOut(asking.timeout)),
        }
    }

    /// The login that there is, or a new one.
    fn login(&self) -> watch::Receiver<Option<Result<Session, Error>>> {
        let mut slot = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = slot.as_ref().filter(|login| login.is_good()) {
            return login.result.clone();
        }
        let (done, result) = watch::channel(None);
        let target = self.target.clone();
        let task = tokio::spawn(async move {
            let session = target.connect(LOGIN).await;
            done.send_replace(Some(session));
        });
        *slot = Some(Login {
            result: result.clone(),
            task,
        });
        result
    }
}

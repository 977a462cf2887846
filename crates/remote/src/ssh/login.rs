//! A login, by whichever client the host has.

use std::time::Duration;

use super::{Error, Session, Target, openssh};

impl Target {
    /// Logs in. The first step that fails is the error; all of them together end in time.
    pub async fn connect(self, timeout: Duration) -> Result<Session, Error> {
        match self {
            Target::Ssh2(target) => target.connect(timeout).await,
            Target::Openssh(target) => openssh::login::connect(&target, timeout).await,
        }
    }
}

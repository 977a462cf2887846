//! What the pending migrations do to the releases that ran before, by their SQL.

use migrations::Reading;
use migrator::Session;

use crate::guard::Effect;
use crate::pending;

/// Reads the pending SQL and tells what it does.
pub(crate) async fn of_pending(session: &Session<'_>, reading: &Reading) -> Effect {
    if reading.pending.is_empty() {
        return Effect::Compatible;
    }
    match pending::sql(session, reading).await {
        Ok(_) => Effect::Unknown("its SQL is not understood".to_owned()),
        Err(reason) => Effect::Unknown(reason),
    }
}

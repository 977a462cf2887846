//! What a store is reached by.

use config::file::Hosts;
use model::{Env, Redactor};

/// What a store on a host or in a bucket is reached by.
#[derive(Clone, Debug, Default)]
pub struct StoreContext {
    pub env: Env,
    pub hosts: Hosts,
    /// Receives every secret that is created on the way.
    pub redactor: Redactor,
}

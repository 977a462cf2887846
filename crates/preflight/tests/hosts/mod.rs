//! Hosts as a user meets them: real logins, real facts, and hosts that misbehave.

mod bed;
mod facts;
mod hostile;
mod inventories;
mod logins;
mod program;

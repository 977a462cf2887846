//! A Prometheus server, or what speaks like one: what is asked, what the answer is, and how old
//! its samples are. A small client of our own, because a gate must see what libraries smooth over:
//! warnings, the number of series, NaN, the age of samples.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod age;
pub mod answer;
mod client;
mod display_url;
mod error;
pub mod matchers;
pub mod query;
pub mod raw;
pub mod scrape;
pub mod slo;

pub use client::{Client, Sample};
pub use display_url::without_credentials;
pub use error::Error;

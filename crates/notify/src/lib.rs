//! Telling people what happened: one file per kind of sink.
//!
//! A sink gets a [`Notice`] and makes one attempt to deliver it, within a deadline. It keeps no log and does not
//! repeat: what was delivered, and when to try again, is the caller's. Everything in a notice is text from outside;
//! each sink makes it harmless in one place.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod body;
mod delivery_error;
mod digest;
mod email;
mod facts;
mod github_access;
mod github_deployment;
mod github_issue;
mod marker;
mod notice;
mod outside;
mod pagerduty;
mod reference;
mod secret;
mod sink;
mod sinks;
mod slack;
mod stdout;
mod teams;
mod template;
mod texts;
mod web;
mod webhook;

pub use body::default_body;
pub use delivery_error::{DeliveryError, DeliveryFailure};
pub use facts::Facts;
pub use notice::{Link, Notice, Phase};
pub use reference::Reference;
pub use sink::{Delivered, Delivering, GithubClient, PreviousDelivery, Proof, Sink, SinkContext};
pub use sinks::{Recipient, recipients};
pub use template::Error as TemplateError;
pub use texts::Texts;

//! YAML as a tree in which every node has its position in the text, and its decoding into types.
//!
//! The text may be hostile: its size, depth and aliases are bounded.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod decode;
mod fault;
mod json;
mod node;
mod outdent;
mod place;
mod scan;
mod verbatim;

pub use fault::{Fault, UnknownKey, did_you_mean, listed, nearest};
pub use json::read;
pub use node::{ENTRY, Key, Kind, Node, Scalar, leaves};
pub use place::Place;
pub use verbatim::Verbatim;

//! nginx.

pub mod upstream;

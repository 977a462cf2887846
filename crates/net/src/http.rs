//! HTTP as a new user of a service would speak it: a fresh connection for each request, through
//! the proxy that is named, with redirects and cookies where they are wanted.

mod connection;
pub mod cookies;
mod proxy;
pub mod redirect;
pub mod reply;
pub mod request;
pub mod transport;

//! Two sides behind a router, as the files of a repository have them: an upstream of nginx, a backend of
//! HAProxy, or two services of Compose.
//!
//! Two servers alone are a pool, and not two sides: something must say that one of them has the
//! requests and the other one waits, by a name (blue and green, stable and canary) or by a mark (`down`,
//! `disabled`, a weight). What is not in a file is not told.
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")
)]

mod compose;
mod found;
mod haproxy;
mod nginx;
mod pair;
mod script;

use repository::{Repository, ends_in};

pub use found::{Container, OnMachine, RouterFile, Sides};

/// The first two sides that the repository has: those of a router before those of Compose alone.
pub fn look(repository: &Repository) -> Option<Sides> {
    let scripts = script::all(repository);
    let files = || repository.files.iter();
    let of_nginx = files()
        .filter(|path| ends_in(path, &["conf"]))
        .find_map(|path| nginx::read(repository, path, &scripts));
    let of_haproxy = || {
        files()
            .filter(|path| ends_in(path, &["cfg"]))
            .find_map(|path| haproxy::read(path, &repository.text(path)?))
    };
    of_nginx
        .or_else(of_haproxy)
        .or_else(|| compose::pair(repository))
}

//! A release of `deploy-guard` has no tables for unwinding: nothing unwinds, and they are a tenth of the binary.
#![allow(clippy::disallowed_methods, reason = "cargo tells here what it builds")]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=without-unwind-tables.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // The linkers that are there by default, LLVM's and GNU's, read the script. One that was chosen may not.
    let chosen = var("RUSTC_LINKER").is_ok()
        || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !chosen {
        let folder = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/without-unwind-tables.ld");
    }
}

//! `rollback`: put the last-known-good release back.

fn main() -> std::process::ExitCode {
    cli::run::<rollback::Stage>()
}

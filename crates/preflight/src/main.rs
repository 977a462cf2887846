//! `preflight`: may we deploy now?

fn main() -> std::process::ExitCode {
    cli::run::<preflight::Stage>()
}

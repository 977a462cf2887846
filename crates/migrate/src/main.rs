//! `migrate`: may the schema change, did it, and can we still go back?

fn main() -> std::process::ExitCode {
    cli::run::<migrate::Stage>()
}

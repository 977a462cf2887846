//! `traffic`: which side gets which share.

fn main() -> std::process::ExitCode {
    cli::run::<traffic::Stage>()
}

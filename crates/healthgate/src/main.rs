//! `healthgate`: is what we deployed healthy, and is it the release we deployed?

fn main() -> std::process::ExitCode {
    cli::run::<healthgate::Stage>()
}

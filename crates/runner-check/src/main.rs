//! `runner-check`: will a runner take the job, and which labels should it ask for?

fn main() -> std::process::ExitCode {
    cli::run::<runner_check::Stage>()
}

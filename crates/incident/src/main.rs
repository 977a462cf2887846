//! `incident`: what happened, who must know, how are we doing over time?

fn main() -> std::process::ExitCode {
    cli::run::<incident::Stage>()
}

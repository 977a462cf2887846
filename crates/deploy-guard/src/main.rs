//! `deploy-guard`: all stages in one file, and `run`, `demo`, `schema`.

fn main() -> std::process::ExitCode {
    deploy_guard::main()
}

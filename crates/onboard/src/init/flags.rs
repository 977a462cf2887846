//! The command line of `init`.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::problem::InitError;
use super::wishes::{InitFlags, KindFlag};

const EXAMPLES: &str = "Examples:
  deploy-guard init                  # shows what it proposes; prompts on a terminal
  deploy-guard init --patch          # adds the steps to the workflow that deploys
  deploy-guard init --kind gate --url https://shop.example.com/health --patch
  deploy-guard init --workflow .github/workflows/release.yml --environment staging
  deploy-guard init --kind systemd --host deploy@10.0.0.11:2222
  deploy-guard init --check          # whether the configuration is still true

Exit codes: 0 shown or written, 1 differs (with --check), 2 usage, 3 nothing here is deployed,
4 not written, 5 refused: it is there or guarded already, or cannot be changed";

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

pub(super) fn command() -> Command {
    Command::new("init")
        .about("Read how this repository deploys, and propose what guards it")
        .arg(
            text(
                "kind",
                "KIND",
                "`gate` for that step alone, or how it is deployed [default: by the workflows]",
            )
            .value_parser(value_parser!(KindFlag)),
        )
        .arg(text(
            "service",
            "NAME",
            "What is deployed [default: the repository's name]",
        ))
        .arg(text(
            "environment",
            "NAME",
            "The environment to guard [default: production, and the service's others]",
        ))
        .arg(text(
            "url",
            "URL",
            "What answers with a status from 200 to 299 when all is well",
        ))
        .arg(
            text(
                "host",
                "USER@ADDRESS[:PORT]",
                "A machine that is reached by SSH; repeatable",
            )
            .action(ArgAction::Append),
        )
        .arg(
            text(
                "port",
                "PORT",
                "The SSH port of every `--host` that names none",
            )
            .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(
            text(
                "file",
                "FILE",
                "A Compose file of the deployment; repeatable",
            )
            .action(ArgAction::Append),
        )
        .arg(
            text("config", "FILE", "The configuration to write")
                .default_value(".github/deploy-guard.yml"),
        )
        .arg(text(
            "workflow",
            "FILE",
            "The workflow that deploys; with `--new-workflow` also the one to write",
        ))
        .arg(text(
            "job",
            "JOB",
            "The job that deploys, by its id, where several do",
        ))
        .arg(switch(
            "patch",
            "Add the steps to the workflow that deploys",
        ))
        .arg(
            switch(
                "new-workflow",
                "Write a workflow of its own, with the steps of the job that deploys",
            )
            .conflicts_with("patch"),
        )
        .arg(
            switch(
                "check",
                "Compare the configuration with the repository as it is now",
            )
            .conflicts_with_all(["patch", "new-workflow", "dry-run"]),
        )
        .arg(text(
            "action",
            "OWNER/NAME@REF",
            "The Action that the workflow uses [default: this version's]",
        ))
        .arg(text(
            "bin-dir",
            "FOLDER",
            "Where the runner has the binaries, for one without internet",
        ))
        .arg(switch("yes", "Do not prompt, even on a terminal").short('y'))
        .arg(switch(
            "dry-run",
            "Show what would be written, write nothing",
        ))
        .after_help(EXAMPLES)
}

pub(super) fn wishes(matches: &ArgMatches) -> Result<InitFlags, InitError> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let several = |name: &str| {
        let all = matches.get_many::<String>(name).into_iter().flatten();
        all.cloned().collect::<Vec<_>>()
    };
    let wishes = InitFlags {
        kind: matches.get_one::<KindFlag>("kind").copied(),
        service: text("service"),
        environment: text("environment"),
        url: text("url"),
        hosts: several("host"),
        port: matches.get_one::<u16>("port").copied(),
        files: several("file"),
        config: text("config").unwrap_or_default().into(),
        workflow: text("workflow").map(Into::into),
        job: text("job"),
        patch: matches.get_flag("patch"),
        new_workflow: matches.get_flag("new-workflow"),
        action: text("action"),
        bin_dir: text("bin-dir"),
    };
    if wishes.port.is_some() && wishes.hosts.is_empty() {
        return Err(InitError::usage(
            "`--port` is that of a machine, and none is given",
            "add `--host USER@ADDRESS`",
        ));
    }
    Ok(wishes)
}

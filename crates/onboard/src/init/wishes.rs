//! What the flags of `init` ask for.

use std::path::PathBuf;

use survey::Tool;

/// What `--kind` asks for: the gate alone, or how it is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum KindFlag {
    Gate,
    Compose,
    Nginx,
    Systemd,
    Ecs,
    Command,
}

impl KindFlag {
    /// As the command line has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            KindFlag::Gate => "gate",
            KindFlag::Compose => "compose",
            KindFlag::Nginx => "nginx",
            KindFlag::Systemd => "systemd",
            KindFlag::Ecs => "ecs",
            KindFlag::Command => "command",
        }
    }

    /// By what deploys; `None` where no kind stands for it.
    pub(super) fn of(tool: &Tool) -> Option<KindFlag> {
        match tool {
            Tool::Compose(_) => Some(KindFlag::Compose),
            Tool::Systemd { .. } => Some(KindFlag::Systemd),
            Tool::Ecs(_) => Some(KindFlag::Ecs),
            Tool::Script { .. } | Tool::Kamal(_) => Some(KindFlag::Command),
            _ => None,
        }
    }
}

/// What the command line said.
#[derive(Clone, Debug, Default)]
pub(crate) struct InitFlags {
    pub(super) kind: Option<KindFlag>,
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) url: Option<String>,
    pub(super) hosts: Vec<String>,
    /// The port of every host that does not name its own.
    pub(super) port: Option<u16>,
    /// Compose files, in their order.
    pub(super) files: Vec<String>,
    pub(super) config: PathBuf,
    /// The workflow to change, or the new one to write.
    pub(super) workflow: Option<PathBuf>,
    /// The job that deploys, by its id.
    pub(super) job: Option<String>,
    /// Add the steps to the workflow.
    pub(super) patch: bool,
    /// Write a workflow of its own.
    pub(super) new_workflow: bool,
    pub(super) action: Option<String>,
    pub(super) bin_dir: Option<String>,
}

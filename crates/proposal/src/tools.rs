//! What a tool is called, and how much it says of a deployment.

use survey::Tool;

/// For a person: `by Compose`.
pub fn by(tool: &Tool) -> String {
    match tool {
        Tool::Compose(_) => "Compose".to_owned(),
        Tool::Swarm { .. } => "Docker Swarm".to_owned(),
        Tool::Container { .. } => "docker run".to_owned(),
        Tool::Kamal(_) => "Kamal".to_owned(),
        Tool::Kubectl(_) => "kubectl".to_owned(),
        Tool::Helm(_) => "Helm".to_owned(),
        Tool::Ecs(_) => "Amazon ECS".to_owned(),
        Tool::CodeDeploy { .. } => "CodeDeploy".to_owned(),
        Tool::Systemd { .. } => "systemd".to_owned(),
        Tool::Pm2 { .. } => "PM2".to_owned(),
        Tool::Supervisor { .. } => "Supervisor".to_owned(),
        Tool::Deployer { .. } => "PHP Deployer".to_owned(),
        Tool::Capistrano { .. } => "Capistrano".to_owned(),
        Tool::Ansible { .. } => "Ansible".to_owned(),
        Tool::Copy { with, .. } => format!("{with}, which copies files"),
        Tool::Commands => "commands on the machine".to_owned(),
        Tool::Script { path } => path.clone(),
        Tool::Platform(call) => call.name.to_owned(),
        Tool::Site { host } => format!("{host}, a static site"),
        Tool::Other { name } => name.clone(),
        Tool::Called { name } => format!("what is called `{name}`"),
        Tool::Hook { .. } => "a request that starts it elsewhere".to_owned(),
    }
}

/// Of two deployments into one environment, the one that says more is guarded first.
pub fn weight(tool: &Tool) -> u8 {
    match tool {
        Tool::Compose(_)
        | Tool::Swarm { .. }
        | Tool::Container { .. }
        | Tool::Kamal(_)
        | Tool::Kubectl(_)
        | Tool::Helm(_)
        | Tool::Ecs(_)
        | Tool::CodeDeploy { .. }
        | Tool::Deployer { .. }
        | Tool::Capistrano { .. }
        | Tool::Ansible { .. } => 0,
        Tool::Systemd { .. }
        | Tool::Pm2 { .. }
        | Tool::Supervisor { .. }
        | Tool::Commands
        | Tool::Script { .. }
        | Tool::Platform(_)
        | Tool::Other { .. }
        | Tool::Called { .. } => 1,
        Tool::Copy { .. } | Tool::Hook { .. } => 2,
        Tool::Site { .. } => 3,
    }
}

//! The programs that other people's actions run on a machine.

/// The input of an action, by its name, that is a shell program for a machine. `has` tells which inputs are given.
pub(crate) fn input(action: &str, has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let name = action.split('@').next().unwrap_or(action);
    match &*name.to_ascii_lowercase() {
        "appleboy/ssh-action"
        | "appleboy-ssh-action"
        | "cross-the-world/ssh-pipeline"
        | "cross-the-world/ssh-scp-ssh-pipelines"
        | "kostya-ten/ssh-server-deploy" => Some("script"),
        "fifsky/ssh-action"
        | "garygrossgarten/github-action-ssh"
        | "jumptest/ssh-action"
        | "d3rhase/ssh-command-action"
        | "antonyurchenko/ssh-action"
        | "matheusvanzan/sshpass-action"
        | "tiyee/action-ssh"
        | "nightmodealways/ssh-action" => Some(if has("run") { "run" } else { "command" }),
        "easingthemes/ssh-deploy" => Some("script_after"),
        _ => None,
    }
}

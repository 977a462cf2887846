//! What an action leaves for the steps after it.

use crate::deployment::Need;
use crate::scope::Scope;
use tools::With;
use workflow::Fact;

/// What an action leaves for the steps after it: keys, and outputs that a workflow alone tells.
pub(crate) fn left_behind(
    name: &str,
    with: &With,
    id: Option<&str>,
    step: usize,
    scope: &mut Scope,
) {
    let input = |key: &str| with.get(key).cloned();
    match name {
        "actions/checkout" => {
            scope.checked_out = input("ref").map(|fact| fact.value.text().to_owned());
        }
        "webfactory/ssh-agent" => {
            let Some(key) = input("ssh-private-key") else {
                return;
            };
            // Several keys in one agent: which of them logs in is not known.
            if key.value.expression().is_some() {
                scope.keys.push((None, key));
            } else {
                scope.agent = Some((Fact::new(Need::Agent, key.at), step));
            }
        }
        "shimataro/ssh-key-action" | "kielabokkie/ssh-key-and-known-hosts-action" => {
            let key = input("key").or_else(|| input("ssh-private-key"));
            scope.known_hosts = input("known_hosts").or_else(|| scope.known_hosts.take());
            if let Some(key) = key {
                let file = input("name").map(|name| name.value.text().to_owned());
                scope.keys.push((file, key));
            }
        }
        // Its output is the same file with another image.
        "aws-actions/amazon-ecs-render-task-definition" => {
            if let (Some(id), Some(file)) = (id, input("task-definition")) {
                let key = (id.to_owned(), "task-definition".to_owned());
                scope.output(key, file.value.text());
            }
        }
        "docker/metadata-action" => {
            let (Some(id), Some(images)) = (id, input("images")) else {
                return;
            };
            let tags = with.get("tags").map_or("", |tags| tags.value.text());
            let version = tools::metadata_tag(tags);
            let names = images.value.text().split([',', '\n']).map(str::trim);
            let names = names.map(|name| {
                name.trim_start_matches("name=")
                    .split(',')
                    .next()
                    .unwrap_or_default()
            });
            let tagged: Vec<String> = names
                .filter(|name| !name.is_empty())
                .map(|name| format!("{name}:{version}"))
                .collect();
            let mut set = |key: &str, value: String| {
                scope.outputs.insert((id.to_owned(), key.to_owned()), value);
            };
            set("tags", tagged.join("\n"));
            set("version", version);
        }
        _ => {}
    }
}

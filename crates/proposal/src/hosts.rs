//! The machines of `hosts:`, as the workflow logs in to them.

use survey::{Deployment, Fact, Job, Tool, Value};

use crate::handed::Handed;
use crate::machine::Machine;
use crate::tree::{Map, Tree};

/// Where keys of machines stand, which a person fetches.
pub const KNOWN_HOSTS: &str = ".github/known_hosts";

/// A machine of `hosts:`.
#[derive(Clone, Debug)]
pub struct Reached {
    pub name: String,
    pub entry: Map,
    /// The variable with the private key.
    pub key_env: String,
    /// For `ssh-keyscan`: what a person puts there, and the port.
    pub address: Value,
    pub port: Option<Value>,
    /// A secret of the workflow that holds its key already.
    pub known: Option<Fact<Value>>,
    /// Whether a person has to fetch its key.
    pub to_fetch: bool,
}

/// Why a machine cannot be reached by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error("the job logs in with a password, and deploy-guard logs in by keys")]
    Password,
    #[error(
        "the secret with the key of the login is encoded (base64), and deploy-guard reads a key as it is"
    )]
    Encoded,
    #[error("the machine is reached by way of another one")]
    Jump,
    #[error("no secret with the key of the login is seen in the job")]
    NoKey,
    #[error("only the shell of the workflow knows the login's {0}")]
    Unknown(&'static str),
}

/// The machines that the deployment logs in to; none where it runs on the runner.
pub fn reached(
    deployment: &Deployment,
    job: Option<&Job>,
    machines: &[Machine],
    handed: &mut Handed,
) -> Result<Vec<Reached>, Unreachable> {
    let login = deployment.login.as_ref();
    let key = login
        .and_then(|login| login.key.as_ref())
        .map(|key| key.value.clone())
        .or_else(|| job.and_then(agent_key));
    let (addresses, user, port) = if !machines.is_empty() {
        return named(machines, key.as_ref(), handed);
    } else if let Some(login) = login {
        let address = &login.address.value;
        // Actions take several machines in one input.
        let addresses = match address.literal() {
            Some(all) if all.contains(',') => {
                all.split(',').map(str::trim).map(Value::new).collect()
            }
            _ => vec![address.clone()],
        };
        let value = |fact: &Option<Fact<Value>>| fact.as_ref().map(|fact| fact.value.clone());
        (addresses, value(&login.user), value(&login.port))
    } else if let Tool::Kamal(call) = &deployment.tool {
        let hosts = call.hosts.iter().map(|host| Value::new(&*host.value));
        let user = call.user.as_ref().map(|user| Value::new(&*user.value));
        (hosts.collect(), user, None)
    } else {
        return Ok(Vec::new());
    };
    let has_password = login.is_some_and(|login| login.password.is_some());
    let key = match key {
        Some(key) => key,
        None if has_password => return Err(Unreachable::Password),
        None => return Err(Unreachable::NoKey),
    };
    if job.is_some_and(decodes_a_key) {
        return Err(Unreachable::Encoded);
    }
    if login.is_some_and(|login| login.jump.is_some()) {
        return Err(Unreachable::Jump);
    }
    let key_env = variable(&key, "DEPLOY_SSH_KEY", handed).ok_or(Unreachable::NoKey)?;
    let passphrase = passphrase(deployment, job)
        .and_then(|value| variable(&value, "DEPLOY_SSH_PASSPHRASE", handed));
    let several = addresses.len() > 1;
    let mut all = Vec::new();
    for (nth, address) in addresses.into_iter().enumerate() {
        let name = if several {
            format!("server-{}", nth + 1)
        } else {
            "server".to_owned()
        };
        let text = handed
            .filled(&address, "DEPLOY_HOST")
            .ok_or(Unreachable::Unknown("address"))?;
        let mut entry = Map::default().with("address", Tree::filled(&text));
        if let Some(user) = &user {
            let text = handed
                .filled(user, "DEPLOY_USER")
                .ok_or(Unreachable::Unknown("user"))?;
            entry.add("user", Tree::filled(&text));
        }
        if let Some(port) = port.as_ref().filter(|port| port.literal() != Some("22")) {
            let text = handed
                .filled(port, "DEPLOY_PORT")
                .ok_or(Unreachable::Unknown("port"))?;
            entry.add("port", number(&text));
        }
        entry.add("key-env", Tree::text(&key_env));
        if let Some(passphrase) = &passphrase {
            entry.add("passphrase-env", Tree::text(passphrase));
        }
        // Else the job itself writes the usual file, before our steps.
        let to_fetch = !job.is_some_and(writes_known_hosts);
        if to_fetch {
            entry.add("known-hosts", Tree::text(KNOWN_HOSTS));
        }
        all.push(Reached {
            to_fetch,
            name,
            entry,
            key_env: key_env.clone(),
            address,
            port: port.clone(),
            known: login.and_then(|login| login.known_hosts.clone()),
        });
    }
    Ok(all)
}

/// Those of `--host`, with the key that the workflow has.
fn named(
    machines: &[Machine],
    key: Option<&Value>,
    handed: &mut Handed,
) -> Result<Vec<Reached>, Unreachable> {
    let key = key.ok_or(Unreachable::NoKey)?;
    let key_env = variable(key, "DEPLOY_SSH_KEY", handed).ok_or(Unreachable::NoKey)?;
    let each = machines.iter().map(|machine| {
        let mut entry = Map::default()
            .with("address", Tree::text(&machine.address))
            .with("user", Tree::text(&machine.user));
        if let Some(port) = machine.port {
            entry.add("port", Tree::plain(&port.to_string()));
        }
        entry.add("key-env", Tree::text(&key_env));
        entry.add("known-hosts", Tree::text(KNOWN_HOSTS));
        Reached {
            name: machine.name.clone(),
            entry,
            key_env: key_env.clone(),
            address: Value::new(&*machine.address),
            port: machine.port.map(|port| Value::new(port.to_string())),
            known: None,
            to_fetch: true,
        }
    });
    Ok(each.collect())
}

/// A number stays one; a variable is text.
fn number(text: &str) -> Tree {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        Tree::plain(text)
    } else {
        Tree::filled(text)
    }
}

/// The variable that is handed over with the whole value.
fn variable(value: &Value, usual: &str, handed: &mut Handed) -> Option<String> {
    value.expression()?;
    Some(handed.name(value.text(), usual))
}

/// The key that an earlier step of the job gives to the agent.
fn agent_key(job: &Job) -> Option<Value> {
    let inputs = job.steps.iter().flat_map(|step| &step.with);
    let mut keys = inputs.filter(|(name, _)| name == "ssh-private-key");
    keys.next().map(|(_, text)| text.value.clone())
}

/// The key's passphrase, as a deploying step has it.
fn passphrase(deployment: &Deployment, job: Option<&Job>) -> Option<Value> {
    let steps = deployment
        .steps
        .iter()
        .filter_map(|nth| job?.steps.get(*nth));
    let mut inputs = steps.flat_map(|step| &step.with);
    let found = inputs.find(|(name, _)| matches!(name.as_str(), "passphrase" | "ssh_passphrase"));
    found.map(|(_, text)| text.value.clone())
}

/// Whether a step writes a key that it decodes first.
fn decodes_a_key(job: &Job) -> bool {
    let decodes = |text: &str| {
        text.lines().any(|line| {
            let decodes = ["base64 -d", "base64 --decode", "base64 -D", "base64 -di"]
                .iter()
                .any(|call| line.contains(call));
            decodes
                && (line.contains("ssh")
                    || line.contains("id_")
                    || line.to_ascii_lowercase().contains("key"))
        })
    };
    let runs = job.steps.iter().filter_map(|step| step.run.as_ref());
    runs.into_iter().any(|run| decodes(run.value.text()))
}

/// Whether a step of the job fills `~/.ssh/known_hosts`.
fn writes_known_hosts(job: &Job) -> bool {
    job.steps.iter().any(|step| {
        let writes = |text: &str| {
            text.lines().any(|line| {
                line.contains(".ssh/known_hosts") && (line.contains('>') || line.contains("tee "))
            })
        };
        let by_action = |text: &str| text.starts_with("shimataro/ssh-key-action@");
        step.run
            .as_ref()
            .is_some_and(|run| writes(run.value.text()))
            || step
                .uses
                .as_ref()
                .is_some_and(|uses| by_action(uses.value.text()))
    })
}

/// `ssh-keyscan`, for a person: what only a secret holds is in capitals.
pub fn keyscan(all: &[Reached]) -> String {
    let word = |value: &Value| match value.literal() {
        Some(literal) => remote::quote(literal),
        None => value
            .secrets()
            .into_iter()
            .chain(value.variables())
            .next()
            .unwrap_or_else(|| "ADDRESS".to_owned()),
    };
    let port = all
        .iter()
        .find_map(|one| one.port.as_ref())
        .filter(|port| port.literal() != Some("22"))
        .map(|port| format!("-p {} ", word(port)));
    let addresses: Vec<String> = all.iter().map(|one| word(&one.address)).collect();
    format!(
        "ssh-keyscan {}{} >{KNOWN_HOSTS}",
        port.unwrap_or_default(),
        addresses.join(" ")
    )
}

//! The machines of `hosts:`, as the workflow logs in to them.

use survey::{Client, Deployment, Fact, Job, Login, Need, SetUp, Value};

use crate::handed::StepEnv;
use crate::machine::Machine;
use yaml_edit::tree::{Map, Tree};

/// Where keys of machines stand, which a person fetches.
pub const KNOWN_HOSTS: &str = ".github/known_hosts";

/// A machine of `hosts:`.
#[derive(Clone, Debug)]
pub struct Reached {
    pub name: String,
    pub entry: Map,
    /// The variable with the private key, unless the `ssh` program finds one by itself.
    pub key_env: Option<String>,
    /// The machines by way of which it is reached, the first first.
    pub between: Vec<Reached>,
    /// For a person who fetches its key: what the program is called with, and the port.
    pub address: Value,
    pub user: Option<Value>,
    pub port: Option<Value>,
    pub by_program: bool,
    /// A secret of the workflow that holds its key already.
    pub known: Option<Fact<Value>>,
    /// Whether a person has to fetch its key.
    pub to_fetch: bool,
}

/// Why a machine cannot be reached by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginObstacle {
    #[error("the job logs in with a password, and deploy-guard logs in by keys")]
    Password,
    #[error(
        "the secret with the key of the login is encoded (base64), and deploy-guard reads a key as it is"
    )]
    Encoded,
    #[error("no secret with the key of the login is seen in the job")]
    NoKey,
    #[error("no secret with the key of the machine in between is seen in the job")]
    NoKeyBetween,
    #[error("only the shell of the workflow knows the login's {0}")]
    Unknown(&'static str),
    #[error("each run of the job goes to a machine of its own ({0})")]
    OneEach(String),
    #[error(
        "the `ssh` program gets its route from an option ({0}); in `~/.ssh/config`, or in a file that `ssh-config` names, `ssh: openssh` \
         would go the same way"
    )]
    Options(Need),
    #[error(
        "the step that deploys gives the `ssh` program the way ({0}), and a check before that step would not know it; in a step of its \
         own before, `ssh: openssh` would go the same way"
    )]
    Late(Need),
}

/// The machines that the deployment logs in to; none where it runs on the runner.
pub fn reached(
    deployment: &Deployment,
    job: Option<&Job>,
    machines: &[Machine],
    handed: &mut StepEnv,
) -> Result<Vec<Reached>, LoginObstacle> {
    let login = deployment.login.as_ref();
    let key = login
        .and_then(|login| login.key.as_ref())
        .map(|key| key.value.clone())
        .or_else(|| job.and_then(agent_key));
    if !machines.is_empty() {
        return named(machines, key.as_ref(), handed);
    }
    let Some(login) = login else {
        return Ok(Vec::new());
    };
    let first = deployment.steps.iter().min().copied().unwrap_or_default();
    let means = Means {
        client: login.client.as_ref(),
        to_fetch: !job.is_some_and(writes_known_hosts),
    };
    means.can_be_told(first)?;
    if key.is_none() && login.password.is_some() {
        return Err(LoginObstacle::Password);
    }
    if means.client.is_none() && job.is_some_and(decodes_a_key) {
        return Err(LoginObstacle::Encoded);
    }
    let between = between(login, &means, handed)?;
    // Actions take several machines in one input.
    let addresses = match login.address.value.literal() {
        Some(all) if all.contains(',') => all.split(',').map(str::trim).map(Value::new).collect(),
        _ => vec![login.address.value.clone()],
    };
    let several = addresses.len() > 1;
    let key = key.filter(|_| means.takes_key());
    if key.is_none() && means.client.is_none() {
        return Err(LoginObstacle::NoKey);
    }
    let mut all = Vec::new();
    for (nth, address) in addresses.into_iter().enumerate() {
        let name = if several {
            format!("server-{}", nth + 1)
        } else {
            "server".to_owned()
        };
        let known = login.known_hosts.clone();
        let one = means.machine(name, login, address, key.as_ref(), handed)?;
        all.push(one.behind(between.clone(), known));
    }
    Ok(all)
}

/// The machines in between, the first first.
fn between(
    login: &Login,
    means: &Means<'_>,
    handed: &mut StepEnv,
) -> Result<Vec<Reached>, LoginObstacle> {
    let mut chain: Vec<&Login> =
        std::iter::successors(login.jump.as_deref(), |jump| jump.jump.as_deref()).collect();
    chain.reverse();
    let several = chain.len() > 1;
    let mut all: Vec<Reached> = Vec::new();
    for (nth, jump) in chain.into_iter().enumerate() {
        let key = jump.key.as_ref().map(|key| &key.value);
        if key.is_none() && jump.password.is_some() {
            return Err(LoginObstacle::Password);
        }
        if key.is_none() && means.client.is_none() {
            return Err(LoginObstacle::NoKeyBetween);
        }
        let name = if several {
            format!("bastion-{}", nth + 1)
        } else {
            "bastion".to_owned()
        };
        let key = key.filter(|_| means.takes_key());
        let one = means.machine(name, jump, jump.address.value.clone(), key, handed)?;
        all.push(one.behind(all.clone(), None));
    }
    Ok(all)
}

impl Reached {
    /// The same by way of others.
    fn behind(mut self, between: Vec<Reached>, known: Option<Fact<Value>>) -> Reached {
        if let Some(last) = between.last() {
            self.entry.add("jump", Tree::text(&last.name));
        }
        Reached {
            between,
            known,
            ..self
        }
    }
}

/// How all machines of a deployment are reached.
struct Means<'d> {
    /// Where only the `ssh` program gets there.
    client: Option<&'d Client>,
    to_fetch: bool,
}

impl Means<'_> {
    /// Whether what the program is told is there before the first step that deploys.
    fn can_be_told(&self, first: usize) -> Result<(), LoginObstacle> {
        let Some(client) = self.client else {
            return Ok(());
        };
        let need = || client.need.value.clone();
        match client.set_up {
            SetUp::Options => Err(LoginObstacle::Options(need())),
            SetUp::Step(step) if step >= first => Err(LoginObstacle::Late(need())),
            SetUp::Step(_) | SetUp::File(_) => Ok(()),
        }
    }

    /// Whether a key of a variable logs in: one that has a certificate needs its file.
    fn takes_key(&self) -> bool {
        self.client.is_none_or(|client| {
            !matches!(
                client.need.value,
                Need::Certificate(_) | Need::Agent | Need::File(_)
            )
        })
    }

    fn machine(
        &self,
        name: String,
        login: &Login,
        address: Value,
        key: Option<&Value>,
        handed: &mut StepEnv,
    ) -> Result<Reached, LoginObstacle> {
        let value = |fact: &Option<Fact<Value>>| fact.as_ref().map(|fact| fact.value.clone());
        let (user, port) = (value(&login.user), value(&login.port));
        let (address, own_port) = without_port(address);
        let port = own_port.or(port);
        let text = handed
            .filled(&address, "DEPLOY_HOST")
            .ok_or(LoginObstacle::Unknown("address"))?;
        let mut entry = Map::default().with("address", Tree::filled(&text));
        if let Some(user) = &user {
            let text = handed
                .filled(user, "DEPLOY_USER")
                .ok_or(LoginObstacle::Unknown("user"))?;
            entry.add("user", Tree::filled(&text));
        }
        if let Some(port) = port.as_ref().filter(|port| port.literal() != Some("22")) {
            let text = handed
                .filled(port, "DEPLOY_PORT")
                .ok_or(LoginObstacle::Unknown("port"))?;
            entry.add("port", number(&or_usual(&text, port)));
        }
        if let Some(client) = self.client {
            let note = format!("For {} ({}).", client.need.value, client.need.at);
            entry.add_noted(&note, "ssh", Tree::plain("openssh"));
            if let SetUp::File(file) = &client.set_up {
                let file = at_home(file).ok_or(LoginObstacle::Unknown("configuration"))?;
                entry.add("ssh-config", Tree::filled(&file));
            }
        }
        let key_env = match key {
            Some(key) => Some(variable(key, "DEPLOY_SSH_KEY", handed).ok_or(LoginObstacle::NoKey)?),
            None => None,
        };
        if let Some(key_env) = &key_env {
            entry.add("key-env", Tree::text(key_env));
            let passphrase = login.passphrase.as_ref();
            let passphrase =
                passphrase.and_then(|fact| variable(&fact.value, "DEPLOY_SSH_PASSPHRASE", handed));
            if let Some(passphrase) = &passphrase {
                entry.add("passphrase-env", Tree::text(passphrase));
            }
        } else if let Some(file) = self.client.and_then(|client| client.key_file.as_ref())
            && login.client.is_some()
        {
            let file = at_home(file).ok_or(LoginObstacle::Unknown("key"))?;
            entry.add("key-file", Tree::filled(&file));
        }
        // Else the job itself writes the usual file, before our steps.
        if self.to_fetch {
            entry.add("known-hosts", Tree::text(KNOWN_HOSTS));
        }
        Ok(Reached {
            name,
            entry,
            key_env,
            between: Vec::new(),
            address,
            user,
            port,
            by_program: self.client.is_some(),
            known: None,
            to_fetch: self.to_fetch,
        })
    }
}

/// An address of an action may have its port: `web1.example.com:2222`, `[2001:db8::1]:2222`.
fn without_port(address: Value) -> (Value, Option<Value>) {
    let split = address.text().rsplit_once(':').and_then(|(host, port)| {
        let inside = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_host = inside.is_some() || !host.is_empty() && !host.contains(':');
        (is_port && is_host).then(|| (Value::new(inside.unwrap_or(host)), Value::new(port)))
    });
    match split {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    }
}

/// A path as the configuration has it: a shell's `~` is no folder there.
fn at_home(path: &str) -> Option<String> {
    match path.strip_prefix("~/") {
        Some(rest) => (!rest.contains('$')).then(|| format!("${{HOME}}/{rest}")),
        None => (!path.contains(['$', '~', '`'])).then(|| path.to_owned()),
    }
}

/// Those of `--host`, with the key that the workflow has.
fn named(
    machines: &[Machine],
    key: Option<&Value>,
    handed: &mut StepEnv,
) -> Result<Vec<Reached>, LoginObstacle> {
    let key = key.ok_or(LoginObstacle::NoKey)?;
    let key_env = variable(key, "DEPLOY_SSH_KEY", handed).ok_or(LoginObstacle::NoKey)?;
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
            key_env: Some(key_env.clone()),
            between: Vec::new(),
            address: Value::new(&*machine.address),
            user: Some(Value::new(&*machine.user)),
            port: machine.port.map(|port| Value::new(port.to_string())),
            by_program: false,
            known: None,
            to_fetch: true,
        }
    });
    Ok(each.collect())
}

/// A number stays one; a variable is text.
/// Without its secret or variable a port is empty, which programs and actions take for the usual one.
fn or_usual(text: &str, port: &Value) -> String {
    match text.strip_suffix('}') {
        Some(name) if !port.text().contains("||") => format!("{name}:-22}}"),
        _ => text.to_owned(),
    }
}

fn number(text: &str) -> Tree {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        Tree::plain(text)
    } else {
        Tree::filled(text)
    }
}

/// The variable that is handed over with the whole value.
fn variable(value: &Value, usual: &str, handed: &mut StepEnv) -> Option<String> {
    value.expression()?;
    Some(handed.name(value.text(), usual))
}

/// The key that an earlier step of the job gives to the agent.
fn agent_key(job: &Job) -> Option<Value> {
    let inputs = job.steps.iter().flat_map(|step| &step.with);
    let mut keys = inputs.filter(|(name, _)| name == "ssh-private-key");
    keys.next().map(|(_, text)| text.value.clone())
}

/// Whether a step writes a key that it decodes first.
fn decodes_a_key(job: &Job) -> bool {
    let decodes = |text: &str| {
        text.lines().any(|line| {
            let mut calls = ["base64 -d", "base64 --decode", "base64 -D"].iter();
            let rest = calls.find_map(|call| line.split_once(call));
            // Into a file, or the agent.
            let keeps = |(_, rest): (&str, &str)| {
                [">", "tee ", "ssh-add"]
                    .iter()
                    .any(|kept| rest.contains(kept))
            };
            rest.is_some_and(keeps)
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

/// Commands with which a person fetches the keys: what only a secret holds is in capitals. What was fetched for others
/// before stays in the file.
pub fn keyscan(all: &[Reached], is_first: bool) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    // Those of one port are asked in one call.
    let mut calls: Vec<(&Reached, String)> = Vec::new();
    for one in all {
        match calls.iter_mut().find(|(there, _)| there.port == one.port) {
            Some((_, addresses)) => addresses.push_str(&format!(" {}", word(&one.address))),
            None => calls.push((one, word(&one.address))),
        }
    }
    let addresses: Vec<String> = all.iter().map(|one| word(&one.address)).collect();
    let addresses = addresses.join(" ");
    // By way of others, only the program itself gets there.
    if first.by_program {
        let hops = first.between.iter().map(|jump| {
            let port = jump.port.as_ref();
            let port = port.map_or(String::new(), |port| format!(":{}", word(port)));
            format!("{}{}{port}", user_at(jump), word(&jump.address))
        });
        let hops = hops.collect::<Vec<_>>().join(",");
        let way = if hops.is_empty() {
            String::new()
        } else {
            format!("-J {hops} ")
        };
        let (user, port) = (user_at(first), port_option(first));
        return format!(
            "ssh -o UserKnownHostsFile={KNOWN_HOSTS} {way}{port}{user}{addresses} true"
        );
    }
    let mut commands: Vec<String> = Vec::new();
    let machines = first.between.iter().map(|one| (one, word(&one.address)));
    for (nth, (one, addresses)) in machines.chain(calls).enumerate() {
        let way = first.between.iter().take(nth).map(|jump| {
            let (user, port) = (user_at(jump), port_option(jump));
            format!("ssh {port}{user}{} ", word(&jump.address))
        });
        let into = if nth == 0 && is_first { ">" } else { ">>" };
        let (way, port) = (way.collect::<String>(), port_option(one));
        commands.push(format!(
            "{way}ssh-keyscan {port}{addresses} {into}{KNOWN_HOSTS}"
        ));
    }
    commands.join(" && ")
}

fn word(value: &Value) -> String {
    match value.literal() {
        Some(literal) => remote::quote(literal),
        None => value
            .secrets()
            .into_iter()
            .chain(value.variables())
            .next()
            .unwrap_or_else(|| "ADDRESS".to_owned()),
    }
}

fn user_at(one: &Reached) -> String {
    let user = one.user.as_ref();
    user.map_or_else(String::new, |user| format!("{}@", word(user)))
}

fn port_option(one: &Reached) -> String {
    let port = one
        .port
        .as_ref()
        .filter(|port| port.literal() != Some("22"));
    port.map_or_else(String::new, |port| format!("-p {} ", word(port)))
}

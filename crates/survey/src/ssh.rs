//! The machines that `ssh`, `scp` and `rsync` go to: as whom, with which key, and by way of which others.

use openssh::{Copy, HostRoute, Options, Program, Settings};

use crate::deployment::{Client, Login, Need, SetUp};
use crate::scope::Scope;
use workflow::Value;
use workflow::{Fact, Line};

/// More machines in a row than any network has.
const MAX_HOPS: usize = 8;

/// What the job's configurations say of a machine by its name.
#[derive(Debug, Default)]
struct SshConfigFacts {
    host_name: Option<Fact<Value>>,
    user: Option<Fact<Value>>,
    port: Option<Fact<Value>>,
    identity: Option<String>,
    way: Option<Fact<HostRoute>>,
    /// What only the `ssh` program can do.
    own: Option<(Fact<Need>, usize)>,
}

/// `ssh OPTIONS DESTINATION COMMAND…`: the machine, and the command's words.
pub(crate) fn ssh(words: &[String], at: &Line, scope: &Scope) -> Option<(Login, Vec<String>)> {
    let mut options = Options::default();
    let mut words = words.get(1..)?.to_vec();
    // `ssh $OPTIONS user@host`, where only the shell knows the options.
    let is_unknown = |word: &String| {
        word.starts_with('$') && !word.starts_with("${{") && !word.contains(['@', '.'])
    };
    let unknown = words
        .iter()
        .position(is_unknown)
        .filter(|nth| words.get(nth + 1).is_some_and(|word| word.contains('@')))
        .map(|nth| words.remove(nth));
    let rest = options.read(&words, Program::Ssh);
    let (destination, behind) = rest.split_first()?;
    // `ssh user@host -p 2222 COMMAND`: the program reads options behind the machine, too.
    let command = options.read(behind, Program::Ssh);
    let mut login = login(options, destination, at, scope)?;
    if let Some(unknown) = unknown {
        login.client = Some(Client {
            need: Fact::new(Need::Condition(unknown), at.clone()),
            set_up: SetUp::Options,
            key_file: None,
        });
    }
    Some((login, command))
}

/// `scp` or `rsync`: the machine and the path that files go to.
pub(crate) fn copy(words: &[String], at: &Line, scope: &Scope) -> Option<(Login, String)> {
    let Copy {
        options,
        destination,
        path,
    } = Copy::read(words)?;
    Some((login(options, &destination, at, scope)?, path))
}

fn login(options: Options, destination: &str, at: &Line, scope: &Scope) -> Option<Login> {
    let destination = destination.strip_prefix("ssh://").unwrap_or(destination);
    let (user, name) = match destination.rsplit_once('@') {
        Some((user, name)) => (Some(user.to_owned()), name),
        None => (None, destination),
    };
    if name.is_empty() || name.starts_with('-') {
        return None;
    }
    let fact = |text: String| Fact::new(Value::new(text), at.clone());
    let (user, port) = (user.or(options.user).map(fact), options.port.map(fact));
    let file = options.config.filter(|file| !file.ends_with(".ssh/config"));
    let known = match &file {
        None => known(name, scope),
        Some(_) => SshConfigFacts::default(),
    };
    // A name that no server of names knows, and of which the configuration that is read has nothing.
    let is_told = known.host_name.is_some() || known.way.is_some() || known.user.is_some();
    let is_alias = !is_told && !name.contains(['.', '$', ':']) && name != "localhost";
    let key = scope.key(options.identity.as_deref().or(known.identity.as_deref()));
    let named = options.way.map(|way| Fact::new(way, at.clone()));
    let by_options = |need: Need| (Fact::new(need, at.clone()), SetUp::Options);
    let in_step = |(need, step): (Fact<Need>, usize)| (need, SetUp::Step(step));
    let is_named = named.is_some();
    let own_name = (!is_named).then_some(name);
    let (jump, own) = match named
        .or(known.way)
        .map(|way| by_way(own_name, &way, scope, 0))
    {
        None => (None, None),
        Some(Ok(jump)) => (jump, None),
        Some(Err((need, _))) if is_named => (None, Some(by_options(need.value))),
        Some(Err(own)) => (None, Some(in_step(own))),
    };
    let own = match file {
        Some(file) if matches!(file.as_str(), "none" | "/dev/null") => own,
        Some(file) => {
            let need = Fact::new(Need::File(file.clone()), at.clone());
            Some((need, SetUp::File(file)))
        }
        None => own,
    };
    let own = own
        .or_else(|| {
            let unclear = || Need::Condition("ProxyJump".to_owned());
            let way = options.is_unclear.then(unclear);
            way.or(options.certificate.map(Need::Certificate))
                .map(by_options)
        })
        .or_else(|| known.own.map(in_step))
        .or_else(|| scope.by_program.clone().map(in_step))
        .or_else(|| {
            let written = scope.client.last().filter(|_| is_alias)?;
            let need = Need::Condition(format!("Host {name}"));
            Some(in_step((Fact::new(need, written.at.clone()), written.step)))
        })
        .or_else(|| scope.agent.clone().filter(|_| key.is_none()).map(in_step));
    let client = own.map(|(need, set_up)| Client {
        need,
        set_up,
        key_file: options.identity,
    });
    // What its own configuration says, the program reads by itself.
    let by_name = client.is_some();
    let told = |fact: Option<Fact<Value>>| fact.filter(|_| !by_name);
    Some(Login {
        address: told(known.host_name).unwrap_or_else(|| fact(name.to_owned())),
        user: user.or_else(|| told(known.user)),
        port: port.or_else(|| told(known.port)),
        key,
        passphrase: None,
        known_hosts: scope.known_hosts.clone(),
        password: None,
        jump: jump.filter(|_| !by_name || is_named),
        client,
    })
}

/// The last machine on a way. What only the `ssh` program can do is the error.
fn by_way(
    name: Option<&str>,
    way: &Fact<HostRoute>,
    scope: &Scope,
    depth: usize,
) -> Result<Option<Box<Login>>, (Fact<Need>, usize)> {
    let hops = match &way.value {
        HostRoute::Command(text) => {
            return Err((
                Fact::new(Need::Command(text.clone()), way.at.clone()),
                step_of(&way.at, scope),
            ));
        }
        HostRoute::Through(hops) => hops,
    };
    // As the program does: what a pattern says of all hosts leads no host through itself.
    let mut before = None;
    for (nth, hop) in hops.iter().take(MAX_HOPS).enumerate() {
        if name == Some(&*hop.host) {
            continue;
        }
        let known = known(&hop.host, scope);
        if let Some(own) = known.own {
            return Err(own);
        }
        if nth == 0
            && depth < MAX_HOPS
            && let Some(way) = &known.way
        {
            before = by_way(Some(&hop.host), way, scope, depth + 1)?;
        }
        let fact = |text: &String| Fact::new(Value::new(&**text), way.at.clone());
        let identity = hop.key.as_deref().or(known.identity.as_deref());
        before = Some(Box::new(Login {
            address: known.host_name.unwrap_or_else(|| fact(&hop.host)),
            user: hop.user.as_ref().map(fact).or(known.user),
            port: hop.port.as_ref().map(fact).or(known.port),
            key: match identity {
                Some(file) => scope.key(Some(file)),
                None => scope.usual_key(),
            },
            passphrase: None,
            known_hosts: scope.known_hosts.clone(),
            password: None,
            jump: before,
            client: None,
        }));
    }
    Ok(before)
}

/// The machine in between that Kamal's own file names: as root, where it names no user.
pub(crate) fn proxy(proxy: &Fact<String>, scope: &Scope) -> Option<Box<Login>> {
    let way = Fact::new(HostRoute::jump(&proxy.value)?, proxy.at.clone());
    by_way(None, &way, scope, 0).ok()?
}

/// The step that writes the configuration at a line.
fn step_of(at: &Line, scope: &Scope) -> usize {
    let written = scope.client.iter().find(|written| written.at == *at);
    written.map_or(0, |written| written.step)
}

fn known(name: &str, scope: &Scope) -> SshConfigFacts {
    let mut all = SshConfigFacts::default();
    for written in &scope.client {
        let at = &written.at;
        let fact = |text: Option<String>| text.map(|text| Fact::new(Value::new(text), at.clone()));
        let Settings {
            host_name,
            user,
            port,
            identity,
            certificate,
            way,
            unclear,
        } = written.config.of(name);
        all.host_name = all.host_name.or_else(|| fact(host_name));
        all.user = all.user.or_else(|| fact(user));
        all.port = all.port.or_else(|| fact(port));
        all.identity = all.identity.or(identity);
        all.way = all
            .way
            .or_else(|| way.map(|way| Fact::new(way, at.clone())));
        let own = unclear.map(Need::Condition);
        let own = own.or(certificate.map(Need::Certificate));
        all.own = all
            .own
            .or_else(|| own.map(|need| (Fact::new(need, at.clone()), written.step)));
    }
    all
}

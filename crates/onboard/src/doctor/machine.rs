//! What the configured stages start, read and reach from this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::Job;
use config::file::{Healthgate, Rollback};
use config::value::StateAddress;
use inventory::{Client, Host};
use model::text::duration;
use model::{Outcome, StageName};
use remote::local::Script;
use remote::ssh::{Shared, Target};
use yaml::Node;

use super::finding::{Finding, USERS_OF_HOSTS};

/// A service that takes longer to answer would also delay a stage.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// A login takes several steps, at each host on the way.
const LOGIN: Duration = Duration::from_secs(15);

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (what, script, stops, hint) in programs(job) {
        findings.push(program(what, &script, &stops, hint).await);
    }
    for path in keys_of_hosts(job) {
        let hint = format!(
            "ssh-keyscan ADDRESS >{}, and compare the keys with the machine's own",
            remote::quote(&path.display().to_string())
        );
        findings.push(file(&path, &USERS_OF_HOSTS, Some(hint)));
    }
    for (path, stops) in files(job) {
        findings.push(file(&path, &stops, None));
    }
    for (name, host) in job.config.hosts.iter() {
        let is_direct = host.jump_host.is_none() && host.ssh == Client::Ssh2;
        findings.push(match host.port().filter(|_| is_direct) {
            Some(port) => reached(name, &host.address, port).await,
            None => logged_in(job, name, host).await,
        });
    }
    findings.extend(aws(job).await);
    findings
}

type Wanted = (&'static str, String, Vec<StageName>, &'static str);

/// Programs that a stage starts here, and a script that proves that each can be.
fn programs(job: &Job) -> Vec<Wanted> {
    let empty = Healthgate::default();
    let gate = job.config.healthgate().ok().flatten().unwrap_or(&empty);
    let back = job.config.rollback().ok().flatten();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut want = |what, script: &str, by: &[(bool, StageName)], hint| {
        let stops: Vec<StageName> = by
            .iter()
            .filter(|(used, _)| *used)
            .map(|(_, who)| *who)
            .collect();
        if !stops.is_empty() {
            wanted.push((what, script.to_owned(), stops, hint));
        }
    };
    let composed = gate
        .compose
        .iter()
        .any(|one| one.host.is_none() && one.hosts.is_none());
    let target = |is: fn(&Rollback) -> bool| back.is_some_and(is);
    let compose_back = target(|back| back.compose.as_ref().is_some_and(|one| one.hosts.is_none()));
    let docker = composed
        || gate
            .docker
            .iter()
            .any(|one| one.host.is_none() && one.hosts.is_none());
    want(
        "docker",
        "docker version --format '{{.Server.Version}}'",
        &[
            (docker, StageName::Healthgate),
            (compose_back, StageName::Rollback),
        ],
        "is Docker running, and may this user speak to it? `docker version`",
    );
    want(
        "compose",
        "docker compose version 2>/dev/null || docker-compose version",
        &[
            (composed, StageName::Healthgate),
            (compose_back, StageName::Rollback),
        ],
        "install the Compose plugin of Docker: `docker compose version`",
    );
    want(
        "nginx",
        "command -v nginx || PATH=$PATH:/usr/sbin:/sbin command -v nginx",
        &[(
            target(|back| {
                back.nginx
                    .as_ref()
                    .is_some_and(|one| one.hosts.is_none() && one.test.starts_with("nginx"))
            }),
            StageName::Rollback,
        )],
        "install nginx here, or name the machines where it is: `rollback.nginx.hosts`",
    );
    want(
        "systemctl",
        "command -v systemctl",
        &[
            (
                gate.systemd
                    .iter()
                    .any(|one| one.host.is_none() && one.hosts.is_none()),
                StageName::Healthgate,
            ),
            (
                target(|back| back.systemd.as_ref().is_some_and(|one| one.hosts.is_none())),
                StageName::Rollback,
            ),
        ],
        "this machine has no systemd: name those that have with `hosts`",
    );
    want(
        "hurl",
        "command -v hurl",
        &[(
            gate.smoke.iter().any(|one| one.hurl.is_some()),
            StageName::Healthgate,
        )],
        "install it: https://hurl.dev",
    );
    wanted
}

async fn program(what: &str, text: &str, stops: &[StageName], hint: &str) -> Finding {
    let script = Script {
        text,
        env: Vec::new(),
        timeout: QUERY_TIMEOUT,
    };
    let ran = remote::local::run(&script, &mut |_, _| ()).await;
    let id = format!("programs/{what}");
    let expected = "it runs here";
    let outcome = match ran {
        Ok(ran) if ran.success() => Outcome::pass(id, what)
            .expected(expected)
            .actual(ran.stdout.lines().next().unwrap_or("it does").to_owned()),
        Ok(ran) => Outcome::fail(id, what)
            .expected(expected)
            .actual(format!("{}: {}", ran.exit, ran.tail()))
            .reason(format!("{what} cannot be used here: {}", ran.exit))
            .hint(hint),
        Err(error) => Outcome::error(id, what)
            .expected(expected)
            .actual("not known")
            .reason(format!("{what} could not be checked: {error}"))
            .hint(hint),
    };
    Finding::new(outcome, stops)
}

/// The files with the keys of the hosts, each once. The text of the configuration tells, too: while a variable of a host
/// is not set, the host is not known.
fn keys_of_hosts(job: &Job) -> BTreeSet<PathBuf> {
    const MAX_FILE: u64 = 1 << 20;
    let usual = || Some(PathBuf::from(job.env.non_empty("HOME")?).join(".ssh/known_hosts"));
    let hosts = job.config.hosts.values();
    let mut all: BTreeSet<PathBuf> = hosts
        .filter_map(|host| host.known_hosts.clone().or_else(usual))
        .collect();
    let path = job.config_path.as_ref();
    let text = path.and_then(|path| files::read_text(path, MAX_FILE).ok());
    let Some(tree) = text.and_then(|text| Node::parse(&text).ok()) else {
        return all;
    };
    let chosen = job.environment.as_deref();
    let environments = tree.get("environments").map_or(&[][..], Node::entries);
    let environments = environments
        .iter()
        .filter(|(key, _)| chosen.is_none_or(|name| name == key.name))
        .map(|(_, own)| own);
    let hosts = std::iter::once(&tree)
        .chain(environments)
        .filter_map(|own| own.get("hosts"));
    let written = hosts
        .flat_map(Node::entries)
        .filter_map(|(_, host)| host.get("known-hosts")?.text());
    let plain = written.filter(|path| !path.starts_with('~') && !path.contains("${"));
    all.extend(plain.map(PathBuf::from));
    all
}

/// Files that the configuration names, by the stages that read them.
fn files(job: &Job) -> Vec<(PathBuf, Vec<StageName>)> {
    let config = &job.config;
    let everywhere = USERS_OF_HOSTS.to_vec();
    let mut files: Vec<(PathBuf, Vec<StageName>)> = Vec::new();
    for host in config.hosts.values() {
        files.extend(host.key_file.clone().map(|path| (path, everywhere.clone())));
    }
    if let Some(gate) = config.healthgate().ok().flatten() {
        let http = gate
            .http
            .iter()
            .flat_map(|one| [&one.targets_file, &one.body_file, &one.ca_file]);
        files.extend(
            http.flatten()
                .map(|path| (path.clone(), vec![StageName::Healthgate])),
        );
    }
    let deploy = config
        .deploy()
        .ok()
        .flatten()
        .into_iter()
        .map(|deploy| (&*deploy.command, StageName::Run));
    let target = config
        .rollback()
        .ok()
        .flatten()
        .and_then(|back| back.command.as_ref());
    let back = target.into_iter().flat_map(|target| {
        [
            Some(&target.run),
            target.current.as_ref(),
            target.check.as_ref(),
        ]
    });
    let commands = deploy.chain(back.flatten().map(|text| (&**text, StageName::Rollback)));
    for (command, who) in commands {
        files.extend(scripts(command).map(|path| (path, vec![who])));
    }
    let mut all: Vec<(PathBuf, Vec<StageName>)> = Vec::new();
    for (path, stops) in files {
        match all.iter_mut().find(|(other, _)| *other == path) {
            Some((_, known)) => known.extend(stops),
            None => all.push((path, stops)),
        }
    }
    all
}

/// The programs of the repository that a command starts: `./deploy.sh`.
fn scripts(command: &str) -> impl Iterator<Item = PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let words = command
        .split_whitespace()
        .map(|word| word.trim_end_matches(';'));
    words
        .filter(move |word| word.starts_with("./") && word.chars().all(plain))
        .map(PathBuf::from)
}

fn file(path: &Path, stops: &[StageName], hint: Option<String>) -> Finding {
    let shown = path.display().to_string();
    let id = format!("files/{}", shown.trim_start_matches("./"));
    let opened = files::open(path).map(drop);
    let outcome = match opened {
        Ok(()) => Outcome::pass(id, &shown)
            .expected("it can be read")
            .actual("it can"),
        Err(error) => Outcome::fail(id, &shown)
            .expected("it can be read")
            .actual(error.to_string())
            .reason(format!("{shown} cannot be read from here: {error}"))
            .hint(hint.unwrap_or_else(|| format!("ls -l {}", remote::quote(&shown)))),
    };
    Finding::new(outcome, stops)
}

/// Whether the SSH port is open; that the key is taken is preflight's question.
async fn reached(name: &str, address: &str, port: u16) -> Finding {
    let subject = format!("{address}:{port}");
    let connecting = tokio::net::TcpStream::connect((address.trim_matches(['[', ']']), port));
    let failed = match tokio::time::timeout(QUERY_TIMEOUT, connecting).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {}", duration(QUERY_TIMEOUT))),
    };
    let id = format!("hosts/{name}");
    let outcome = match failed {
        None => Outcome::pass(id, subject)
            .expected("it takes connections from here")
            .actual("it does"),
        Some(why) => Outcome::fail(id, &subject)
            .expected("it takes connections from here")
            .actual(why.clone())
            .reason(format!(
                "{name} at {subject} is not reached from here: {why}"
            ))
            .hint(format!("ssh -v -p {port} {}", remote::quote(address))),
    };
    Finding::new(outcome, &USERS_OF_HOSTS)
}

/// Whether the login works through the jump host, or by the `ssh` program, as a stage makes it: a port alone
/// tells nothing of the way.
async fn logged_in(job: &Job, name: &str, host: &Host) -> Finding {
    let (id, subject) = (format!("hosts/{name}"), host.subject());
    let jumps = std::iter::successors(host.jump_host.as_deref(), |jump| jump.jump_host.as_deref());
    let mut keys = std::iter::once(host)
        .chain(jumps)
        .flat_map(|host| [&host.key_env, &host.passphrase_env])
        .flatten();
    let outcome = if let Some(unset) = keys.find(|name| job.env.non_empty(name).is_none()) {
        Outcome::skipped(id, subject, format!("{unset} is not set here"))
    } else {
        let expected = "it takes our login from here";
        let failed = match Target::of(host, None, &job.env) {
            Err(unready) => Some((unready.reason, unready.hint)),
            Ok(target) => {
                let login = Shared::new(target.clone());
                let failed = login.log_in(LOGIN).await.err();
                failed.map(|error| (error.to_string(), target.hint(&error)))
            }
        };
        match failed {
            None => Outcome::pass(id, subject)
                .expected(expected)
                .actual("it does"),
            Some((why, hint)) => Outcome::fail(id, &subject)
                .expected(expected)
                .actual(why.clone())
                .reason(format!(
                    "{name} at {subject} is not reached from here: {why}"
                ))
                .hint(hint),
        }
    };
    Finding::new(outcome, &USERS_OF_HOSTS)
}

/// Credentials of AWS, where something is asked there. Those of a machine or a web identity are
/// known only once they were asked for.
async fn aws(job: &Job) -> Option<Finding> {
    let gate = job
        .config
        .healthgate()
        .ok()
        .flatten()
        .is_some_and(|gate| !gate.ecs.is_empty());
    let back = job.config.rollback().ok().flatten();
    let target = back.is_some_and(|back| {
        back.ecs.is_some() || matches!(back.state, StateAddress::Bucket { .. })
    });
    let stops: Vec<StageName> = [
        (gate, StageName::Healthgate),
        (target, StageName::Rollback),
        (target, StageName::Preflight),
    ]
    .into_iter()
    .filter_map(|(used, who)| used.then_some(who))
    .collect();
    if stops.is_empty() {
        return None;
    }
    let asking = async {
        let source = aws::Source::find(&job.env)?;
        job.redactor.add(source.secrets());
        let client = aws::Client::connect(&job.env, &source, None).await?;
        job.redactor.add(client.secrets());
        Ok::<_, aws::Error>(())
    };
    let outcome = match asking.await {
        Ok(()) => Outcome::pass("token/aws", "AWS")
            .expected("credentials")
            .actual("found"),
        Err(error) => Outcome::fail("token/aws", "AWS")
            .expected("credentials")
            .actual("none")
            .reason(format!("there are no credentials for AWS: {error}"))
            .hint(error.hint()),
    };
    Some(Finding::new(outcome, &stops))
}

//! Hosts that must take a login and be fit for a deployment.
//!
//! A host is visited once: one login, one script, whatever is asked. Every fact is an outcome of
//! its own, so that the one that is bad has a name.

mod facts;
mod script;
mod visit;

use std::rc::Rc;
use std::time::Duration;

use config::file::{Host, HostCheck};
use futures_util::FutureExt as _;
use model::text::bytes;
use model::{Outcome, Secret, Verdict};
use remote::quote;
use remote::ssh::{Exit, Target, command_for};

use super::space::Builder;
use super::{Check, CheckError, Context, Planned};
use facts::Fact;
use visit::HostReport;

const EXPECTED: &str = "the host takes our login and runs a command";

impl Check for HostCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// The login and every fact of each host that the check names.
fn plan<'a>(check: &'a HostCheck, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let names = scene.job.config.hosts_named(&check.host);
    names
        .into_iter()
        .flat_map(|name| plan_host(name, check, scene))
        .collect()
}

fn plan_host<'a>(name: &'a str, check: &'a HostCheck, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let timeout = check
        .timeout
        .map_or(scene.timeout, config::value::Span::get);
    let facts = facts::of(check);
    let login_id = format!("hosts/{name}/login");
    // If `--only` excludes the login, every fact reports why it fails.
    let told = scene.job.only.selects(&login_id);
    let visit = async move { Rc::new(visit(name, None, Some(check), scene, timeout).await) };
    let visit = visit.boxed_local().shared();
    let planned = |id: String, asks: String, ask| Planned {
        id,
        subject: name.to_owned(),
        severity: check.severity,
        weight: check.weight.split(facts.len() + 1),
        asks,
        needs: Some("the host's SSH key".to_owned()),
        // A host waits for its turn; its own time begins then.
        timeout: scene.patient(),
        wait: Duration::ZERO,
        ask,
    };
    let going = visit.clone();
    let login = planned(
        login_id.clone(),
        format!("log in at {name}"),
        Box::pin(async move { going.await.login(login_id) }),
    );
    let mut all = vec![login];
    for fact in &facts {
        let (fact, going) = (*fact, visit.clone());
        let id = format!("hosts/{name}/{}", fact.id());
        all.push(planned(
            id.clone(),
            format!("{} at {name}", fact.describe_action()),
            Box::pin(async move { going.await.fact(id, fact, told) }),
        ));
    }
    all
}

/// A key that is tried instead of a host's own.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) text: &'a Secret,
    /// The variable with its passphrase. Default: the host's.
    pub(crate) passphrase_env: Option<&'a String>,
}

/// Logs in at a host of the configuration, with `key` instead of the host's own.
pub(crate) async fn log_in(
    id: String,
    name: &str,
    key: Option<Key<'_>>,
    scene: &Context<'_>,
) -> Outcome {
    visit(name, key, None, scene, scene.timeout).await.login(id)
}

/// How a visit went.
struct Visited {
    name: String,
    subject: String,
    /// How a person gets there.
    ssh: String,
    result: Result<HostReport, CheckError>,
}

async fn visit(
    name: &str,
    key: Option<Key<'_>>,
    check: Option<&HostCheck>,
    scene: &Context<'_>,
    timeout: Duration,
) -> Visited {
    let Some(host) = scene.job.config.hosts.get(name) else {
        return Visited {
            name: name.to_owned(),
            subject: name.to_owned(),
            ssh: format!("ssh {}", quote(name)),
            result: Err(CheckError::error(
                format!("no host `{name}` under `hosts:`"),
                format!("add `hosts: {{ {name}: {{ address: … }} }}`"),
            )),
        };
    };
    // We never close the semaphore.
    let _turn = scene.hosts.acquire().await;
    Visited {
        name: name.to_owned(),
        subject: host.subject(),
        ssh: command_for(host),
        result: enter(host, key, check, scene, timeout).await,
    }
}

async fn enter(
    host: &Host,
    key: Option<Key<'_>>,
    check: Option<&HostCheck>,
    scene: &Context<'_>,
    timeout: Duration,
) -> Result<HostReport, CheckError> {
    let mut host = host.clone();
    if let Some(name) = key.and_then(|key| key.passphrase_env) {
        host.passphrase_env = Some(name.clone());
    }
    let key = key.map(|key| key.text);
    let target = Target::of(&host, key, &scene.job.env).map_err(|unready| CheckError {
        verdict: Verdict::Fail,
        reason: unready.reason,
        hint: unready.hint,
    })?;
    let hints = target.clone();
    let asking = check.filter(|check| !facts::of(check).is_empty());
    visit::visit(target, asking, timeout)
        .await
        .map_err(|error| CheckError {
            // Without the file of known keys we could not ask; all else is the host's own answer.
            verdict: if error.is_ours() {
                Verdict::Error
            } else {
                Verdict::Fail
            },
            reason: error.to_string(),
            hint: hints.hint(&error),
        })
}

impl Visited {
    fn login(&self, id: String) -> Outcome {
        let (subject, name) = (&self.subject, &self.name);
        let visit = match &self.result {
            Ok(visit) => visit,
            Err(unreachable) => {
                return Outcome::new(id, subject, unreachable.verdict)
                    .expected(EXPECTED)
                    .actual(&unreachable.reason)
                    .reason(format!("host `{name}`: {}", unreachable.reason))
                    .hint(&unreachable.hint);
            }
        };
        if visit.answers.get("begin").is_some() && visit.exit != Exit::Flood {
            return Outcome::pass(id, subject)
                .expected(EXPECTED)
                .actual("logged in, a command ran");
        }
        let printed = bytes(visit.printed);
        let actual = match visit.exit {
            Exit::Flood => format!("the login prints without end: cut off after {printed}"),
            Exit::TimedOut => format!("logged in, but no command ran in time ({printed} printed)"),
            _ if visit.tail.is_empty() => {
                format!("logged in, but no command ran ({})", visit.exit)
            }
            _ => format!(
                "logged in, but no command ran ({}): {}",
                visit.exit, visit.tail
            ),
        };
        Outcome::fail(id, subject)
            .expected(EXPECTED)
            .reason(format!("host `{name}`: {actual}"))
            .actual(actual)
            .hint(format!(
                "see what the login does: `{} true | head -c 300`; look at the user's shell, ~/.bashrc, and `command=` in authorized_keys",
                self.ssh
            ))
    }

    /// `told` if the login has its own outcome.
    fn fact(&self, id: String, fact: Fact<'_>, told: bool) -> Outcome {
        let subject = self.subject.clone();
        let visit = match &self.result {
            Ok(visit) if visit.answers.get("begin").is_some() => visit,
            _ if !told => return self.login(id).expected(fact.expected()),
            _ => {
                let login = format!("hosts/{}/login", self.name);
                return Outcome::skipped(id, subject, format!("not checked: see {login}"))
                    .expected(fact.expected())
                    .actual("not checked: there is no login")
                    .hint(format!("when the login works: `preflight --only {login}`"));
            }
        };
        let head = Builder {
            id,
            subject,
            what: format!("host `{}`", self.name),
        };
        fact.judge(head, visit, &self.ssh)
    }
}

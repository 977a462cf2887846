//! The machines that actions log in to and copy files to.

use std::collections::BTreeMap;

use crate::deployment::Login;
use crate::scope::Scope;
use tools::With;
use workflow::Value;
use workflow::{Fact, Line};

/// The machine that an action logs in to.
pub(crate) fn remote_login(name: &str, with: &With, at: &Line, scope: &Scope) -> Option<Login> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| with.get(*key)).cloned();
    let of_env = |key: &str| {
        let value = scope.env.get(key)?;
        Some(Fact::new(Value::new(&**value), at.clone()))
    };
    login(&first, &of_env, name)
}

fn login(
    first: &dyn Fn(&[&str]) -> Option<Fact<Value>>,
    of_env: &dyn Fn(&str) -> Option<Fact<Value>>,
    name: &str,
) -> Option<Login> {
    let env = |key: &str| of_env(key).filter(|_| name == "easingthemes/ssh-deploy");
    let address = first(&["host", "remote_host", "hostname", "server", "ssh_host"])
        .or_else(|| env("REMOTE_HOST"))?;
    Some(Login {
        address,
        user: first(&["username", "user", "remote_user", "ssh_user"])
            .or_else(|| env("REMOTE_USER")),
        port: first(&["port", "remote_port", "ssh_port"]).or_else(|| env("REMOTE_PORT")),
        key: first(&[
            "key",
            "privatekey",
            "private_key",
            "private-key",
            "ssh_private_key",
            "remote_key",
            "ssh_key",
            "host_key",
        ])
        .or_else(|| env("SSH_PRIVATE_KEY")),
        known_hosts: first(&["known_hosts"]),
        passphrase: first(&["passphrase", "ssh_passphrase"]),
        password: first(&["password", "pass"]),
        jump: first(&["proxy_host"]).map(|address| {
            Box::new(Login {
                address,
                user: first(&["proxy_username"]),
                port: first(&["proxy_port"]),
                key: first(&["proxy_key"]),
                passphrase: first(&["proxy_passphrase"]),
                known_hosts: None,
                password: first(&["proxy_password"]),
                jump: None,
                client: None,
            })
        }),
        client: None,
    })
}

/// The machine that an action copies files to.
pub(crate) fn copy_login(
    name: &str,
    with: &With,
    at: &Line,
    env: &BTreeMap<String, String>,
) -> Option<Login> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| with.get(*key)).cloned();
    let of_env = |key: &str| {
        let value = env.get(key)?;
        Some(Fact::new(Value::new(&**value), at.clone()))
    };
    login(&first, &of_env, name).or_else(|| {
        // `dest: user@host:/path`.
        let target = first(&["dest", "target"])?;
        let (destination, _) = openssh::split_target(target.value.text())?;
        let part = |text: &str| Fact::new(Value::new(text), target.at.clone());
        let (user, address) = match destination.rsplit_once('@') {
            Some((user, address)) => (Some(part(user)), part(address)),
            None => (None, part(destination)),
        };
        Some(Login {
            address,
            user,
            port: None,
            key: of_env("DEPLOY_KEY"),
            passphrase: None,
            known_hosts: None,
            password: None,
            jump: None,
            client: None,
        })
    })
}

//! Rules about the machines under `hosts:`.

use yaml::Fault;

use crate::file::Host;
use sections::KeyPosition;

/// An address is one word: user and port are keys of their own.
pub(super) fn host(host: &Host, spot: KeyPosition<'_>) -> Result<(), Fault> {
    for (key, name) in [
        ("key-env", &host.key_env),
        ("passphrase-env", &host.passphrase_env),
    ] {
        if let Some(name) = name {
            spot.key(key).a_variable(name)?;
        }
    }
    let address = spot.key("address");
    let text = host.address.trim();
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (rest, None),
    };
    if text.contains("://") || text.contains(char::is_whitespace) {
        let fault = address.fault(format!("`{text}` is not a name or an IP address"));
        return Err(fault.hint("write the name alone, such as `web-01.example.com`"));
    }
    if user.is_none() && port.is_none() {
        return Ok(());
    }
    let mut keys = vec![format!("address: {name}")];
    keys.extend(port.map(|port| format!("port: {port}")));
    keys.extend(user.map(|user| format!("user: {user}")));
    let fault = address.fault("user and port are keys of their own");
    Err(fault.hint(format!("write `{{ {} }}`", keys.join(", "))))
}

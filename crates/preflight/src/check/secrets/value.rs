//! Whether a secret's value matches its kind. No part of the value is shown, only what is wrong
//! with it; for a certificate, which is public, also the day on which it expires.

use config::file::{SecretCheck, SecretKind};
use config::value::service_address;
use jiff::Timestamp;
use model::{Outcome, Secret};
use net::certificate;
use remote::key;

/// Enough to renew a certificate by hand.
const MIN_DAYS: u32 = 14;

/// What is expected of a value.
pub(super) fn expected_value(check: &SecretCheck, passphrase: Option<&String>) -> String {
    let min_days = check.min_days;
    match check.kind {
        SecretKind::Text => "a value that is not empty".into(),
        SecretKind::SshPrivateKey => match passphrase {
            Some(passphrase) => format!("an SSH private key that `{passphrase}` opens"),
            None => "an SSH private key without passphrase".into(),
        },
        SecretKind::PemCertificate => format!(
            "a certificate chain that holds for {} more days",
            min_days.unwrap_or(MIN_DAYS)
        ),
        SecretKind::Token => "a token in one line".into(),
        SecretKind::Json => "a JSON document".into(),
        SecretKind::Url => "a URL with a host".into(),
    }
}

/// Judges a value that is there. The caller adds what was expected.
pub(super) fn judge(id: &str, check: &SecretCheck, value: &Secret) -> Outcome {
    let SecretCheck { name, kind, .. } = check;
    let value = value.expose();
    match kind {
        SecretKind::Text => Outcome::pass(id, name).actual(text(value)),
        SecretKind::SshPrivateKey => match key(check, value) {
            Ok(()) => Outcome::pass(id, name).actual("a private key"),
            Err(problem @ key::Error::Passphrase) => {
                let hint = "name the variable with its passphrase as `passphrase-env` of the secret or of the host, or store a deploy key of its own, made with `ssh-keygen -N ''`";
                unusable(id, name, &problem.to_string(), hint)
            }
            Err(problem) => unusable(id, name, &problem.to_string(), problem.hint()),
        },
        SecretKind::PemCertificate => {
            let min_days = check.min_days.unwrap_or(MIN_DAYS);
            pem_certificate(id, name, value, min_days)
        }
        // GitHub is asked for the rest.
        SecretKind::Token => {
            if value.trim().chars().all(|c| c.is_ascii_graphic()) {
                return Outcome::pass(id, name).actual("one line");
            }
            let hint = format!("set it again, the token alone: `gh secret set {name}`");
            unusable(id, name, "a token has no spaces and no line breaks", &hint)
        }
        SecretKind::Json => match serde_json::from_str::<serde_json::Value>(value) {
            Ok(_) => Outcome::pass(id, name).actual("a JSON document"),
            // jq passes over it, and most programs do not.
            Err(_) if value.starts_with('\u{feff}') => {
                let problem = "not JSON: a byte order mark (BOM) precedes it";
                let hint = format!(
                    "set it again without: `sed '1s/^\\xEF\\xBB\\xBF//' FILE | gh secret set {name}`"
                );
                unusable(id, name, problem, &hint)
            }
            Err(error) => {
                let problem = format!(
                    "not JSON, at line {} column {}",
                    error.line(),
                    error.column()
                );
                let hint = format!(
                    "check the file and set it again, whole: `jq . FILE && gh secret set {name} < FILE`"
                );
                unusable(id, name, &problem, &hint)
            }
        },
        SecretKind::Url => match service_address::read(value) {
            Ok(form) => Outcome::pass(id, name).actual(form),
            Err(problem) => {
                let hint = format!(
                    "set it again as `scheme://user:password@host/…`, special characters percent-encoded: `gh secret set {name}`"
                );
                unusable(id, name, &problem.to_string(), &hint)
            }
        },
    }
}

/// A key for `hosts` is read by our own login, any other one by the ssh that gets it as a file.
fn key(check: &SecretCheck, value: &str) -> Result<(), key::Error> {
    if check.hosts.is_empty() {
        remote::key::inspect(value)
    } else {
        remote::key::inspect_for_login(value)
    }
}

/// Judges a key whose passphrase is in the variable `passphrase`, and whether that is `set`. Only
/// a login proves that it opens the key.
pub(super) fn protected_key(
    id: &str,
    check: &SecretCheck,
    key: &Secret,
    passphrase: &str,
    set: bool,
) -> Outcome {
    let name = &check.name;
    match self::key(check, key.expose()) {
        Ok(()) => Outcome::pass(id, name).actual("a private key, which needs no passphrase"),
        Err(key::Error::Passphrase) if !set => {
            let problem = format!("it is protected by a passphrase, and `{passphrase}` is not set");
            let hint = format!(
                "map it in the step: `env: {{ {passphrase}: ${{{{ secrets.{passphrase} }}}} }}`"
            );
            unusable(id, name, &problem, &hint)
        }
        Err(key::Error::Passphrase) if check.hosts.is_empty() => Outcome::inconclusive(id, name)
            .actual("a private key with a passphrase")
            .reason(format!("whether `{passphrase}` opens the key in `{name}` was not tried"))
            .hint("name the `hosts` at which it must log in; by hand, `ssh-keygen -y -f KEY` prompts for it"),
        Err(key::Error::Passphrase) => Outcome::pass(id, name).actual(format!(
            "a private key with a passphrase; the login at {} tries it",
            check.hosts.join(", ")
        )),
        Err(problem) => unusable(id, name, &problem.to_string(), problem.hint()),
    }
}

fn unusable(id: &str, name: &str, problem: &str, hint: &str) -> Outcome {
    Outcome::fail(id, name)
        .actual(problem)
        .reason(format!("the value of `{name}` cannot be used: {problem}"))
        .hint(hint)
}

/// A line break at the end comes from `echo` or a file, and breaks headers and passwords.
fn text(value: &str) -> &'static str {
    if value.ends_with(['\n', '\r']) {
        "set; it ends with a line break, which many programs do not expect"
    } else {
        "set"
    }
}

fn pem_certificate(id: &str, name: &str, value: &str, min_days: u32) -> Outcome {
    let hint = format!(
        "renew it, then store the whole chain, the leaf first: `gh secret set {name} < fullchain.pem`"
    );
    // OpenSSL, and so nginx and curl, pass over it.
    let value = value.trim_start_matches('\u{feff}');
    let chain = match certificate::read_chain(value.as_bytes()) {
        Ok(chain) => chain,
        Err(problem) => return unusable(id, name, &problem.to_string(), &hint),
    };
    let now = Timestamp::now();
    let left = chain.days_left(now);
    let when = if now < chain.not_before {
        format!("not valid before {:.0}", chain.not_before)
    } else if now >= chain.not_after {
        format!("expired at {:.0}", chain.not_after)
    } else {
        format!("{left} days left, until {:.0}", chain.not_after)
    };
    let which = match chain.length {
        1 => when,
        length => format!("{when} (certificate {} of {length})", chain.first_to_end),
    };
    let valid = now >= chain.not_before && now < chain.not_after;
    if valid && left >= min_days {
        return Outcome::pass(id, name).actual(which);
    }
    let reason = if valid {
        format!("the certificate in `{name}` has {left} days left, fewer than {min_days}")
    } else {
        format!("the certificate in `{name}` is {which}")
    };
    Outcome::fail(id, name)
        .actual(which)
        .reason(reason)
        .hint(hint)
}

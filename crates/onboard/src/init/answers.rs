//! Answers and flags: only plain words get into the files.

use super::ask::{AnswerError, Prompter};
use super::problem::InitError;
use super::wishes::InitFlags;
use proposal::machine::Machine;

pub(super) fn machines(wishes: &InitFlags, ask: &mut Prompter) -> Result<Vec<Machine>, InitError> {
    let all = if wishes.hosts.is_empty() {
        let question = "Machines that are reached by SSH, such as deploy@10.0.0.11? Without any, the runner is on the machine";
        ask.text(question, "", |answer| {
            answer
                .split([' ', ','])
                .filter(|one| !one.is_empty())
                .map(machine)
                .collect::<Result<Vec<_>, _>>()
        })?
    } else {
        let each = wishes.hosts.iter().map(|one| machine(one));
        each.collect::<Result<Vec<_>, _>>().map_err(|why| {
            InitError::usage(
                format!("`--host`: {why}"),
                "such as `--host deploy@10.0.0.11` or `--host deploy@10.0.0.11:2222`",
            )
        })?
    };
    let numbered = all.into_iter().enumerate();
    Ok(numbered
        .map(|(at, (user, address, port))| Machine {
            name: format!("host-{:02}", at + 1),
            user,
            address,
            port: port.or(wishes.port),
        })
        .collect())
}

/// `USER@ADDRESS`, `USER@ADDRESS:PORT`, `USER@[IPV6]:PORT`.
fn machine(text: &str) -> Result<(String, String, Option<u16>), AnswerError> {
    let unfit = || AnswerError::Machine(text.to_owned());
    let (user, rest) = text.split_once('@').unwrap_or(("root", text));
    let (address, port) = match rest.strip_prefix('[') {
        Some(inside) => {
            let (address, after) = inside.split_once(']').ok_or_else(unfit)?;
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(unfit());
            }
            (address, port)
        }
        None if rest.matches(':').count() == 1 => {
            let (address, port) = rest.split_once(':').unwrap_or((rest, ""));
            (address, Some(port))
        }
        None => (rest, None),
    };
    let port = match port {
        Some(digits) => Some(
            digits
                .parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(unfit)?,
        ),
        None => None,
    };
    let plain = |text: &str, others: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let is_address = plain(address, ".-") || address.parse::<std::net::Ipv6Addr>().is_ok();
    if !plain(user, "_-.") || !is_address {
        return Err(unfit());
    }
    Ok((user.to_owned(), address.to_owned(), port))
}

pub(super) fn wished<T>(
    text: Option<&String>,
    flag: &str,
    fits: impl Fn(&str) -> Result<T, AnswerError>,
) -> Result<Option<T>, InitError> {
    let one = |text: &String| {
        fits(text).map_err(|why| {
            InitError::usage(format!("`{flag}`: {why}"), "see `deploy-guard init --help`")
        })
    };
    text.map(one).transpose()
}

pub(super) fn service_name(text: &str) -> Result<String, AnswerError> {
    word(text, "._-", AnswerError::ServiceName)
}

pub(super) fn environment_name(text: &str) -> Result<String, AnswerError> {
    word(text, "._-/", AnswerError::EnvironmentName)
}

fn word(text: &str, others: &str, unfit: AnswerError) -> Result<String, AnswerError> {
    let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 60 && text.chars().all(good) {
        Ok(text.to_owned())
    } else {
        Err(unfit)
    }
}

pub(super) fn url(text: &str) -> Result<Option<String>, AnswerError> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = reqwest::Url::parse(text)?;
    if matches!(url.scheme(), "http" | "https") && url.password().is_none() {
        Ok(Some(text.to_owned()))
    } else {
        Err(AnswerError::NoPlainUrl)
    }
}

pub(super) fn action(text: &str) -> Result<String, AnswerError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/@".contains(c);
    let (name, at) = text.split_once('@').unwrap_or((text, ""));
    if name.split('/').filter(|part| !part.is_empty()).count() >= 2
        && !at.is_empty()
        && !at.contains('@')
        && text.chars().all(good)
    {
        Ok(text.to_owned())
    } else {
        Err(AnswerError::Action)
    }
}

pub(super) fn folder(text: &str) -> Result<String, AnswerError> {
    if text.is_empty() || text.contains("${{") || text.chars().any(char::is_control) {
        return Err(AnswerError::Folder);
    }
    Ok(text.to_owned())
}

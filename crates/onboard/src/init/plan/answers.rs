//! Answers and flags: only plain words get into the files.

use super::machine::Machine;
use crate::init::ask::{Ask, Unfit};
use crate::init::{Problem, Wishes};

pub(super) fn machines(wishes: &Wishes, ask: &mut Ask) -> Result<Vec<Machine>, Problem> {
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
            Problem::usage(
                format!("`--host`: {why}"),
                "such as `--host deploy@10.0.0.11`",
            )
        })?
    };
    let numbered = all.into_iter().enumerate();
    Ok(numbered
        .map(|(at, (user, address))| Machine {
            name: format!("host-{:02}", at + 1),
            user,
            address,
        })
        .collect())
}

fn machine(text: &str) -> Result<(String, String), Unfit> {
    let (user, address) = text.split_once('@').unwrap_or(("root", text));
    let plain = |text: &str, others: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let is_address = plain(address, ".-") || address.parse::<std::net::Ipv6Addr>().is_ok();
    if !plain(user, "_-.") || !is_address {
        return Err(Unfit::Machine(text.to_owned()));
    }
    Ok((user.to_owned(), address.to_owned()))
}

pub(super) fn wished<T>(
    text: Option<&String>,
    flag: &str,
    fits: impl Fn(&str) -> Result<T, Unfit>,
) -> Result<Option<T>, Problem> {
    let one = |text: &String| {
        fits(text).map_err(|why| {
            Problem::usage(format!("`{flag}`: {why}"), "see `deploy-guard init --help`")
        })
    };
    text.map(one).transpose()
}

pub(super) fn service_name(text: &str) -> Result<String, Unfit> {
    word(text, "._-", Unfit::ServiceName)
}

pub(super) fn environment_name(text: &str) -> Result<String, Unfit> {
    word(text, "._-/", Unfit::EnvironmentName)
}

fn word(text: &str, others: &str, unfit: Unfit) -> Result<String, Unfit> {
    let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 60 && text.chars().all(good) {
        Ok(text.to_owned())
    } else {
        Err(unfit)
    }
}

pub(super) fn url(text: &str) -> Result<Option<String>, Unfit> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = reqwest::Url::parse(text)?;
    if matches!(url.scheme(), "http" | "https") && url.password().is_none() {
        Ok(Some(text.to_owned()))
    } else {
        Err(Unfit::NoPlainUrl)
    }
}

pub(super) fn action(text: &str) -> Result<String, Unfit> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/@".contains(c);
    let (name, at) = text.split_once('@').unwrap_or((text, ""));
    if name.split('/').filter(|part| !part.is_empty()).count() >= 2
        && !at.is_empty()
        && !at.contains('@')
        && text.chars().all(good)
    {
        Ok(text.to_owned())
    } else {
        Err(Unfit::Action)
    }
}

pub(super) fn folder(text: &str) -> Result<String, Unfit> {
    if text.is_empty() || text.contains("${{") || text.chars().any(char::is_control) {
        return Err(Unfit::Folder);
    }
    Ok(text.to_owned())
}

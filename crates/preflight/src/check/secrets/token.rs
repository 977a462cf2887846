//! A GitHub token that arrived: whose it is, how long it lasts, what it may do.
//!
//! The token is the thing under test, so one that GitHub does not know is a failure, and a GitHub
//! that does not answer is an error.

use config::file::{SecretCheck, TokenWish};
use github::token::{Expiry, Identity, MayRead, includes};
use github::{Error, Repository};
use jiff::Timestamp;
use model::Outcome;

use super::super::github_query::{Github, QueryError, some};
use super::super::{Context, Planned};

/// Days that a token must still hold, as for certificates.
const MIN_DAYS: u32 = 14;
const DAY: i64 = 24 * 60 * 60;

pub(super) fn plan<'a>(check: &'a SecretCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let name = &check.name;
    let id = format!("secrets/{name}/token");
    let min_days = check.min_days.unwrap_or(MIN_DAYS);
    let asked = check.min_days.is_some();
    let wish = check.token.clone().unwrap_or_default();
    Planned {
        id: id.clone(),
        subject: name.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!(
            "query GitHub for the owner, the expiry and the permissions of the token {name}"
        ),
        needs: Some(format!("the token in {name} itself")),
        timeout: scene.patient(),
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move {
            let expected = expected(&wish, min_days);
            match inspect(name, &wish, scene).await {
                Ok(known) => known
                    .judge(&id, name, &wish, min_days, asked)
                    .expected(expected),
                Err(Problem::Refused) => Outcome::fail(&id, name)
                    .expected(expected)
                    .actual("GitHub does not know the token (status 401)")
                    .reason(format!(
                        "the token in `{name}` expired or was revoked (status 401)"
                    ))
                    .hint(format!("make a new one, then `gh secret set {name}`")),
                Err(Problem::Unknown(unknown)) => unknown.outcome(&id, name, &expected),
            }
        }),
    }
}

fn expected(wish: &TokenWish, min_days: u32) -> String {
    let TokenWish {
        login,
        scopes,
        permissions,
        repository: _,
    } = wish;
    let mut text = "a token".to_owned();
    if let Some(login) = login {
        text.push_str(&format!(" of {login}"));
    }
    text.push_str(&format!(" that lasts {min_days} days"));
    if !scopes.is_empty() {
        text.push_str(&format!(", with {}", scopes.join(", ")));
    }
    if !permissions.is_empty() {
        let words: Vec<&str> = permissions.iter().map(|one| one.word()).collect();
        text.push_str(&format!(", that may read {}", words.join(", ")));
    }
    text
}

/// What GitHub reports about the token.
struct TokenFacts {
    identity: Identity,
    /// Of those that were asked for.
    missing: Vec<String>,
}

enum Problem {
    /// The token itself is not valid.
    Refused,
    Unknown(QueryError),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::BadToken => Problem::Refused,
            other => Problem::Unknown(other.into()),
        }
    }
}

async fn inspect(name: &str, wish: &TokenWish, scene: &Context<'_>) -> Result<TokenFacts, Problem> {
    let client = scene.github(Some(name))?;
    let identity = client.identity().await?;
    let mut missing = Vec::new();
    if !wish.permissions.is_empty() {
        let asked = Github::new(scene, wish.repository.as_deref(), Some(name));
        let repository: Repository = asked.map_err(Problem::Unknown)?.repository;
        for permission in &wish.permissions {
            let word = permission.word();
            match client.may_read(&repository, word).await? {
                MayRead::Yes => {}
                MayRead::No { says: Some(says) } => missing.push(format!("{word} ({says})")),
                MayRead::No { says: None } | MayRead::Unasked => missing.push(word.to_owned()),
            }
        }
    }
    Ok(TokenFacts { identity, missing })
}

impl TokenFacts {
    /// `asked`: whether the check itself names how long it must last.
    fn judge(self, id: &str, name: &str, wish: &TokenWish, min_days: u32, asked: bool) -> Outcome {
        let TokenFacts { identity, missing } = self;
        let Identity {
            login,
            expires,
            scopes,
        } = identity;
        let mut actual = match &login {
            Some(login) => format!("of {login}"),
            None => "of an app or a workflow run".to_owned(),
        };
        let mut left = None;
        match expires {
            Expiry::At(at) => {
                let days = (at.as_second() - Timestamp::now().as_second()) / DAY;
                actual.push_str(&format!(", {days} days left (until {at})"));
                left = Some(days);
            }
            // An app's token ends within hours, and GitHub does not tell when.
            Expiry::Untold if login.is_none() => actual.push_str(", which ends at an untold time"),
            Expiry::Untold => actual.push_str(", without an expiry"),
            Expiry::Unreadable => actual.push_str(", with an expiry that cannot be read"),
        }
        let unknown = match expires {
            Expiry::Unreadable => true,
            Expiry::Untold => login.is_none() && asked,
            Expiry::At(_) => false,
        };
        if let Some(scopes) = &scopes {
            let shown = if scopes.is_empty() {
                "none".to_owned()
            } else {
                scopes.join(", ")
            };
            actual.push_str(&format!(", scopes: {shown}"));
        }
        let not = |outcome: Outcome, reason: String, hint: String| {
            outcome.actual(actual.clone()).reason(reason).hint(hint)
        };
        let renew = format!("make a new one, then `gh secret set {name}`");
        if wish.login.is_some() && wish.login != login {
            let whose = login.unwrap_or_else(|| "no user: it is an app's".to_owned());
            let reason = format!("the token belongs to {whose}");
            return not(Outcome::fail(id, name), reason, renew);
        }
        if let Some(left) = left.filter(|left| *left < i64::from(min_days)) {
            let reason = format!("{left} days left, less than min-days ({min_days})");
            return not(Outcome::fail(id, name), reason, renew);
        }
        if !missing.is_empty() {
            let reason = format!("the token may not read {}", some(&missing));
            let hint = "give it these permissions on its settings page, for this repository";
            return not(Outcome::fail(id, name), reason, hint.to_owned());
        }
        if unknown {
            let reason = format!(
                "whether it lasts {min_days} days is not known: GitHub's answer does not include when it expires"
            );
            let hint = "see its expiry on its settings page (github.com/settings/tokens); an app's token is made anew for each run and needs no `min-days`";
            return not(Outcome::inconclusive(id, name), reason, hint.to_owned());
        }
        let Some(scopes) = scopes else {
            if wish.scopes.is_empty() {
                return Outcome::pass(id, name).actual(actual);
            }
            let reason = "it is not a classic token and has no scopes".to_owned();
            let hint = "name `permissions` instead of `scopes`".to_owned();
            return not(Outcome::inconclusive(id, name), reason, hint);
        };
        let lacking: Vec<&String> = wish
            .scopes
            .iter()
            .filter(|wanted| !includes(&scopes, wanted))
            .collect();
        if lacking.is_empty() {
            return Outcome::pass(id, name).actual(actual);
        }
        let reason = format!("the token lacks the scopes {}", some(&lacking));
        not(
            Outcome::fail(id, name),
            reason,
            "tick them on its settings page (github.com/settings/tokens)".to_owned(),
        )
    }
}

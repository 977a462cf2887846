//! How a tool gets the database's URL, so that no password is among its arguments.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// Where a tool reads the database's address.
#[derive(Clone, Debug)]
pub enum Handover {
    /// A variable of its environment with the URL, by this name.
    Variable(String),
    /// Variables in a form of the tool's own.
    Own(fn(url: &str) -> Result<HandedOver, HandoverError>),
    /// An argument behind this flag; the password is in `PGPASSWORD`.
    Argument(&'static str),
}

/// What a tool gets beside its command.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HandedOver {
    pub env: Vec<(String, String)>,
    /// Before the other words.
    pub words: Vec<String>,
}

impl HandedOver {
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

/// Without the values: they may be secret.
impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Given")
            .field("env", &names)
            .field("words", &self.words)
            .finish()
    }
}

/// Why it cannot be given; never the URL itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    #[error("the database's URL is not understood")]
    Url,
    #[error(
        "the tool takes the password of this system as an argument alone, which every user of the machine can read"
    )]
    Exposed,
}

impl Handover {
    /// What the tool gets for a URL, with further parameters of it.
    ///
    /// # Errors
    /// Returns an error if it is no URL, or the password would be readable by others.
    pub fn hand_over(
        &self,
        url: &str,
        parameters: &[(String, String)],
    ) -> Result<HandedOver, HandoverError> {
        let url = &with_parameters(url, parameters)?;
        let mut given = HandedOver::default();
        match self {
            Handover::Variable(name) => given.set(name, url),
            Handover::Own(hand_over) => return hand_over(url),
            Handover::Argument(flag) => {
                let (url, _, password) = without_password(url)?;
                if let Some(password) = password {
                    if !is_postgres(url.scheme()) {
                        return Err(HandoverError::Exposed);
                    }
                    given.set("PGPASSWORD", &password);
                }
                given.words = vec![(*flag).to_owned(), url.to_string()];
            }
        }
        Ok(given)
    }
}

pub(crate) fn is_postgres(scheme: &str) -> bool {
    scheme.starts_with("postgres") || scheme == "pgsql" || scheme == "pgx5" || scheme == "pgx"
}

/// A space is `%20`: not every driver reads `+` as one.
fn with_parameters(url: &str, parameters: &[(String, String)]) -> Result<String, HandoverError> {
    let mut url = url.trim().to_owned();
    if !url.contains("://") {
        return Err(HandoverError::Url);
    }
    for (name, value) in parameters {
        let sign = if url.contains('?') { '&' } else { '?' };
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        url.push_str(&format!("{sign}{name}={value}"));
    }
    Ok(url)
}

/// The URL, its user and its password, which may also be among the parameters.
pub(crate) fn without_password(
    url: &str,
) -> Result<(Url, Option<String>, Option<String>), HandoverError> {
    let mut url = Url::parse(url).map_err(|_| HandoverError::Url)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
    let mut password = url.password().map(decoded);
    url.set_password(None).map_err(|()| HandoverError::Url)?;
    let is_password = |name: &str| matches!(name, "password" | "pass");
    if let Some(query) = url.query().map(str::to_owned) {
        let mut kept = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some((name, value)) if is_password(name) => password = Some(decoded(value)),
                _ => kept.push(pair),
            }
        }
        url.set_query(
            Some(kept.join("&"))
                .filter(|query| !query.is_empty())
                .as_deref(),
        );
    }
    Ok((url, user, password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{flyway, sqitch};

    const URL: &str = "postgresql://app:p%40ss@db:6432/shop?sslmode=require";

    fn given(handover: &Handover, url: &str) -> Vec<String> {
        let own = [("lock_timeout".to_owned(), "1 s".to_owned())];
        let given = handover.hand_over(url, &own).unwrap();
        let env = given
            .env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        env.chain(given.words).collect()
    }

    #[test]
    fn each_tool_gets_the_same_address_and_no_argument_a_password() {
        let variable = Handover::Variable("DB".to_owned());
        assert_eq!(
            given(&variable, URL),
            [format!("DB={URL}&lock_timeout=1%20s")]
        );
        assert_eq!(
            given(&Handover::Own(sqitch::hand_over), URL),
            [
                "SQITCH_TARGET=db:pg://app@db:6432/shop?sslmode=require&lock_timeout=1%20s",
                "SQITCH_PASSWORD=p@ss"
            ]
        );
        assert_eq!(
            given(&Handover::Own(flyway::hand_over), URL),
            [
                "FLYWAY_URL=jdbc:postgresql://db:6432/shop?sslmode=require&lock_timeout=1%20s",
                "FLYWAY_USER=app",
                "FLYWAY_PASSWORD=p@ss"
            ]
        );
        assert_eq!(
            given(&Handover::Argument("-database"), URL),
            [
                "PGPASSWORD=p@ss",
                "-database",
                "postgresql://app@db:6432/shop?sslmode=require&lock_timeout=1%20s"
            ]
        );
    }

    #[test]
    fn what_would_expose_a_password_is_refused() {
        let argument = Handover::Argument("-database");
        let refused = argument.hand_over("mysql://app:hunter2@db/shop", &[]);
        assert_eq!(refused, Err(HandoverError::Exposed));
        let in_query = argument
            .hand_over("postgres://db/shop?user=app&password=hunter2", &[])
            .unwrap();
        assert_eq!(in_query.words[1], "postgres://db/shop?user=app");
        assert!(!format!("{in_query:?}").contains("hunter2"));
        assert_eq!(argument.hand_over("hunter2", &[]), Err(HandoverError::Url));
    }
}

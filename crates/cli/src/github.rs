//! Who asks GitHub, as the configuration and the environment say.

use std::time::{Duration, Instant};

use github::{Access, Client, Credentials, Error};
use model::Secret;

use crate::Job;

/// The token that every workflow has.
const DEFAULT: &str = "GITHUB_TOKEN";

impl Job {
    /// A client that asks as `token_env`, a check's own variable, says; else as `github:` does;
    /// else with GITHUB_TOKEN. `timeout` bounds each question, and rate limits are waited for
    /// until `until`.
    ///
    /// Make one for all questions of an identity: an app makes a token for each client.
    pub fn github(
        &self,
        token_env: Option<&str>,
        timeout: Duration,
        until: Instant,
    ) -> Result<Client, Error> {
        let section = self.config.github().map_err(|error| Error::NoVariable {
            variable: error.unset().join("`, `"),
        })?;
        let section = section.cloned().unwrap_or_default();
        let config::file::Github {
            token_env: common,
            app,
            api_url,
        } = section;
        let credentials = match (token_env, app) {
            (Some(name), _) => Credentials::Token(self.variable(name)?),
            (None, Some(app)) => self.app(&app)?,
            (None, None) => match common {
                Some(name) => Credentials::Token(self.variable(&name)?),
                None => match self.env.secret(DEFAULT) {
                    Some(token) => Credentials::Token(token),
                    None => Credentials::None,
                },
            },
        };
        Client::new(Access {
            api_url: api_url.unwrap_or_else(|| self.actions.api_url.clone()),
            credentials,
            timeout,
            until,
            redactor: self.redactor.clone(),
        })
    }

    fn app(&self, app: &config::file::GithubApp) -> Result<Credentials, Error> {
        let config::file::GithubApp {
            id_env,
            id,
            key_env,
            installation,
        } = app;
        let id = match (id, id_env) {
            (Some(id), _) => id.get().to_owned(),
            (None, Some(name)) => {
                let text = self.variable(name)?;
                let id = config::value::AppId::parse(text.expose()).ok_or_else(|| Error::App {
                    reason: format!(
                        "`{name}` holds neither an app's id, a number, nor a client id such as `Iv23…`"
                    ),
                })?;
                id.get().to_owned()
            }
            (None, None) => {
                return Err(Error::App {
                    reason: "it has no id".into(),
                });
            }
        };
        Ok(Credentials::App {
            id,
            key: self.variable(key_env)?,
            installation: *installation,
        })
    }

    /// A variable that is named must be set: anonymous access would answer another question.
    fn variable(&self, name: &str) -> Result<Secret, Error> {
        self.env.secret(name).ok_or_else(|| Error::NoVariable {
            variable: name.to_owned(),
        })
    }
}

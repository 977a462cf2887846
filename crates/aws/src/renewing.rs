//! A client for a long operation: its session is begun anew before it is over.

use std::time::{Duration, Instant};

use model::{Env, Redactor};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::elb::ElbAnswer;
use crate::{Client, Error, Source};

/// For so long keys are used before they are asked for again. A machine gives out keys that are
/// good for five minutes more.
const FRESH: Duration = Duration::from_mins(4);

/// Makes a client when one is first needed, and makes it again where its keys may soon be over.
#[derive(Debug)]
pub struct Renewing {
    env: Env,
    region: Option<String>,
    /// Receives every key.
    redactor: Redactor,
    fresh: Duration,
    known: Mutex<Option<(Client, Instant)>>,
}

impl Renewing {
    /// `region`, if the caller knows it; nothing is requested yet.
    pub fn new(env: &Env, region: Option<&str>, redactor: &Redactor) -> Renewing {
        Renewing {
            env: env.clone(),
            region: region.map(str::to_owned),
            redactor: redactor.clone(),
            fresh: FRESH,
            known: Mutex::new(None),
        }
    }

    /// A client whose keys are good for the next question.
    pub async fn client(&self) -> Result<Client, Error> {
        let mut known = self.known.lock().await;
        if let Some((client, since)) = &*known
            && since.elapsed() < self.fresh
        {
            return Ok(client.clone());
        }
        let made = self.connect().await;
        match (made, known.as_mut()) {
            (Ok(client), _) => {
                *known = Some((client.clone(), Instant::now()));
                Ok(client)
            }
            // The proof of a web identity may be over before the session that it began: that one
            // is used on, and if it is over too the service tells.
            (Err(_), Some((client, since))) => {
                *since = Instant::now();
                Ok(client.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Asks ECS; where the session turns out to be over, once more with a new one.
    pub async fn ecs(&self, action: &str, question: &Value) -> Result<Value, Error> {
        self.call_with_renewal(async |client: Client| client.ecs(action, question).await)
            .await
    }

    /// The same of Elastic Load Balancing.
    pub async fn elb(&self, action: &str, fields: &[(String, String)]) -> Result<ElbAnswer, Error> {
        self.call_with_renewal(async |client: Client| client.elb(action, fields).await)
            .await
    }

    async fn call_with_renewal<T>(
        &self,
        ask: impl AsyncFn(Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match ask(self.client().await?).await {
            Err(error) if error.is_expired() => {
                *self.known.lock().await = None;
                ask(self.client().await?).await
            }
            answer => answer,
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let source = Source::find(&self.env)?;
        self.redactor.add(source.secrets());
        let client = Client::connect(&self.env, &source, self.region.as_deref()).await?;
        self.redactor.add(client.secrets());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use model::Secret;
    use wiremock::matchers::body_string_contains;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn session(key: &str) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_string(format!(
            "<R><C><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s-{key}</SecretAccessKey>\
             <SessionToken>t-{key}</SessionToken></C></R>"
        ))
    }

    #[tokio::test]
    async fn a_long_operation_gets_new_keys_and_keeps_the_old_ones_where_there_are_none() {
        let sts = MockServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "proof").unwrap();
        let env = Env::from_iter([
            ("AWS_ENDPOINT_URL_STS", sts.uri()),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/deploy".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
            (
                "AWS_CONFIG_FILE",
                folder.path().join("none").display().to_string(),
            ),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                folder.path().join("none").display().to_string(),
            ),
        ]);
        for key in ["ONE", "TWO"] {
            Mock::given(body_string_contains("AssumeRoleWithWebIdentity"))
                .respond_with(session(key))
                .up_to_n_times(1)
                .mount(&sts)
                .await;
        }
        let mut renewing = Renewing::new(&env, None, &Redactor::default());
        let secret = |client: &Client| {
            let all = client.secrets();
            all.iter().map(Secret::expose).collect::<String>()
        };
        assert!(secret(&renewing.client().await.unwrap()).contains("s-ONE"));
        assert!(
            secret(&renewing.client().await.unwrap()).contains("s-ONE"),
            "still fresh"
        );
        renewing.fresh = Duration::ZERO;
        assert!(secret(&renewing.client().await.unwrap()).contains("s-TWO"));
        // No further answer: the existing session may still be valid.
        assert!(secret(&renewing.client().await.unwrap()).contains("s-TWO"));
    }
}

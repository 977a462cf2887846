//! A deployment of GitHub per deployment of ours, with its statuses.

use std::time::Instant;

use github::Client;
use github::deployments::{NewStatus, OwnDeployment};
use sections::incident::GithubDeploymentSink;

use crate::github_access::Access;
use crate::sink::{Delivered, Delivering, PreviousDelivery, Proof, Sink, SinkContext};
use crate::sinks::Kind;
use crate::{DeliveryError, Notice, Phase, Reference, digest, github_access, outside};

const DESCRIPTION: usize = 140;
/// Of an environment.
const NAME: usize = 255;
/// Where nothing says which environment it is.
const ENVIRONMENT: &str = "production";

impl Kind for GithubDeploymentSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let (repository, token) = (self.repository.as_deref(), self.token_env.as_deref());
        Ok(Box::new(Deployment {
            github: Access::new(repository, token, around)?,
            commit: around.commit,
        }))
    }
}

struct Deployment<'a> {
    github: Access<'a>,
    /// Of the run.
    commit: Option<&'a str>,
}

impl Sink for Deployment<'_> {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        let delivery = async move |client: &Client| {
            let id = match earlier.reference {
                Some(Reference::GithubDeployment { id }) => *id,
                _ => self.found_or_made(client, notice).await?,
            };
            let reference = Some(Reference::GithubDeployment { id });
            match self.set(client, notice, id, earlier.unsure).await {
                Ok(()) => Ok(Delivered { reference }),
                Err(error) => Err(error.leaving(reference)),
            }
        };
        Box::pin(self.github.within(deadline, delivery))
    }
    fn proof(&self) -> Proof<'_> {
        Proof::Permission(Box::new(|deadline| {
            let asking = async |client: &Client| {
                let may = client.may_make_deployments(&self.github.repository).await;
                may.map_err(|error| github_access::read(&error))?;
                Ok(Delivered::default())
            };
            Box::pin(self.github.within(deadline, asking))
        }))
    }
}

impl Deployment<'_> {
    async fn found_or_made(&self, client: &Client, notice: &Notice) -> Result<u64, DeliveryError> {
        let environment = notice.environment.as_deref().unwrap_or(ENVIRONMENT);
        let environment = outside::line(environment, NAME);
        let mark = digest::of(&notice.thread);
        let found = client.deployment_with(&self.github.repository, &environment, &mark);
        if let Some(id) = found.await.map_err(|error| github_access::read(&error))? {
            return Ok(id);
        }
        let Some(reference) = self.commit.or(notice.release.as_deref()) else {
            let hint =
                "a deployment of GitHub is of a commit: run it in a workflow, or with `--release`";
            return Err(DeliveryError::refused("no commit is known", hint));
        };
        let description = outside::line(&notice.title, DESCRIPTION);
        let made = OwnDeployment {
            reference,
            environment: &environment,
            description: &description,
            mark: &mark,
        };
        let made = client.make_deployment(&self.github.repository, made).await;
        made.map_err(|error| github_access::written(&error))
    }

    async fn set(
        &self,
        client: &Client,
        notice: &Notice,
        id: u64,
        unsure: bool,
    ) -> Result<(), DeliveryError> {
        let description = outside::line(&notice.title, DESCRIPTION);
        let page = notice.web_links(1).next().map(|(_, url)| url);
        let status = NewStatus {
            state: state(notice.phase),
            description: &description,
            log_url: page.as_ref().map(url::Url::as_str),
        };
        if unsure {
            let has = client.has_status(&self.github.repository, id, status).await;
            if has.map_err(|error| github_access::read(&error))? {
                return Ok(());
            }
        }
        let set = client.set_status(&self.github.repository, id, status).await;
        set.map_err(|error| github_access::written(&error))
    }
}

/// GitHub has no word for a deployment that was refused or cancelled: one that changed nothing is `inactive`.
fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Deploying | Phase::Investigating | Phase::Identified | Phase::Monitoring => {
            "in_progress"
        }
        Phase::Deployed | Phase::Resolved => "success",
        Phase::Failed | Phase::RolledBack => "failure",
        Phase::Refused | Phase::Cancelled => "inactive",
        Phase::Unknown => "error",
    }
}

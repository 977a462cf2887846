//! A service of Amazon ECS: the running deployment is ours, it is rolled out, and its tasks are
//! healthy and stay healthy.
//!
//! A stable service is not proof: after a circuit breaker has rolled back, the old release is
//! stable. AWS only reports on the service: if AWS does not answer, that is an error.

mod judge;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::Renewing;
use aws::ecs::{Definition, Service, TASKS_PER_PAGE, Task};
use config::file::EcsProbe;
use futures_util::future::try_join3;
use model::{HintedError, Verdict, evidence};
use serde_json::{Value, json};

use self::judge::{PAGES, Watch, judge};
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// One service.
pub(crate) struct Ecs {
    probe: EcsProbe,
    client: Renewing,
    seen: Mutex<EcsMemory>,
}

/// What stays from one measurement to the next.
#[derive(Default)]
struct EcsMemory {
    /// A task definition never changes.
    definition: Option<(String, Definition)>,
    watch: Watch,
    hint: Option<String>,
}

/// Whether a task definition, as `DescribeTaskDefinition` answers it, is of this release: by the
/// image that names it for the probe.
pub fn names(probe: &EcsProbe, answer: &Value, release: &str) -> bool {
    let definition = Definition::of(answer);
    let image = judge::image(probe, &definition);
    image.is_ok_and(|image| judge::named(probe, image, release).is_some())
}

impl Ecs {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "other kinds cannot always be made"
    )]
    pub(crate) fn new(probe: EcsProbe, around: &ProbeContext) -> Result<Self, Error> {
        let region = probe.region.as_deref();
        Ok(Ecs {
            client: Renewing::new(&around.env, region, &around.redactor),
            probe,
            seen: Mutex::default(),
        })
    }

    async fn measure_service(&self, release: Option<&str>) -> Result<Reading, HintedError> {
        let EcsProbe {
            cluster, service, ..
        } = &self.probe;
        let question = json!({"cluster": cluster, "services": [service]});
        let answer = self.call_api("DescribeServices", &question).await?;
        listed(&answer, "services")?;
        let found = Service::read(&answer["services"][0]);
        let primary = found.as_ref().and_then(Service::primary);
        let (definition, running, stopped) = match primary {
            Some(primary) => {
                try_join3(
                    self.definition(&primary.task_definition),
                    self.tasks("RUNNING", PAGES),
                    self.tasks("STOPPED", 1),
                )
                .await?
            }
            None => Default::default(),
        };
        let mut seen = self.lock_memory();
        let mut reading = judge(
            &self.probe,
            found.as_ref(),
            &definition,
            &running,
            &stopped,
            release,
            &mut seen.watch,
        );
        let head = serde_json::to_string_pretty(&answer["services"][0]["deployments"]);
        reading.evidence = head.ok().map(|head| evidence::head(head.as_bytes()));
        Ok(reading)
    }

    async fn call_api(&self, action: &str, question: &Value) -> Result<Value, HintedError> {
        self.client.ecs(action, question).await.map_err(|error| {
            let cluster = &self.probe.cluster;
            // By the names that AWS gives its errors.
            let is = |code: &str, names: &[&str]| names.iter().any(|name| code.contains(name));
            let hint = match &error {
                aws::Error::Denied { .. } => {
                    format!("allow `ecs:{action}`; `aws sts get-caller-identity` shows to whom")
                }
                aws::Error::Status { code, .. } if is(code, &["Throttling", "TooManyRequests"]) => {
                    "measure less often: `policy: { interval: 10s }`".to_owned()
                }
                aws::Error::Status { code, .. } | aws::Error::Absent { code, .. }
                    if is(code, &["ClusterNotFound"]) =>
                {
                    format!(
                        "there is no cluster `{cluster}` in this region: `aws ecs list-clusters`"
                    )
                }
                error => error.hint(),
            };
            HintedError {
                reason: format!("{action}: {error}"),
                hint,
            }
        })
    }

    async fn definition(&self, arn: &str) -> Result<Definition, HintedError> {
        if let Some((known, definition)) = &self.lock_memory().definition
            && known == arn
        {
            return Ok(definition.clone());
        }
        let question = json!({"taskDefinition": arn});
        let answer = self.call_api("DescribeTaskDefinition", &question).await?;
        let definition = Definition::of(&answer);
        self.lock_memory().definition = Some((arn.to_owned(), definition.clone()));
        Ok(definition)
    }

    async fn tasks(&self, status: &str, pages: usize) -> Result<Vec<Task>, HintedError> {
        let EcsProbe {
            cluster, service, ..
        } = &self.probe;
        let mut names = BTreeSet::new();
        let mut next = Value::Null;
        for _ in 0..pages {
            let mut question = json!({
                "cluster": cluster, "serviceName": service, "desiredStatus": status,
                "maxResults": TASKS_PER_PAGE,
            });
            if next.is_string() {
                question["nextToken"] = next;
            }
            let answer = self.call_api("ListTasks", &question).await?;
            let page = listed(&answer, "taskArns")?.iter();
            names.extend(page.filter_map(Value::as_str).map(str::to_owned));
            next = answer["nextToken"].clone();
            if !next.is_string() {
                break;
            }
        }
        let names: Vec<_> = names.into_iter().collect();
        let mut tasks = Vec::new();
        for some in names.chunks(TASKS_PER_PAGE) {
            let question = json!({"cluster": cluster, "tasks": some});
            let answer = self.call_api("DescribeTasks", &question).await?;
            listed(&answer, "tasks")?;
            tasks.extend(Task::read_all(&answer));
        }
        Ok(tasks)
    }

    fn lock_memory(&self) -> MutexGuard<'_, EcsMemory> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind for EcsProbe {
    fn subject(&self) -> String {
        self.service.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Ecs::new(self, around)?))
    }
}

impl Probe for Ecs {
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let looked = tokio::time::timeout(timeout, self.measure_service(release)).await;
            let (reading, hint) = match looked {
                Ok(Ok(reading)) => (reading, None),
                Ok(Err(HintedError { reason, hint })) => (error(reason), Some(hint)),
                Err(_) => {
                    let reason = format!(
                        "no complete answer within {}",
                        model::text::duration(timeout)
                    );
                    (error(reason), None)
                }
            };
            self.lock_memory().hint = hint;
            reading
        })
    }

    fn hint(&self) -> String {
        let EcsProbe {
            cluster, service, ..
        } = &self.probe;
        self.lock_memory().hint.clone().unwrap_or_else(|| {
            format!(
                "see its deployments and events: `aws ecs describe-services --cluster {cluster} \
                 --services {service} --query 'services[0].[deployments,events[:5]]'`"
            )
        })
    }
}

/// The list of an answer. An answer without the list is not an empty list.
fn listed<'a>(answer: &'a Value, key: &str) -> Result<&'a [Value], HintedError> {
    let list = answer[key].as_array().map(Vec::as_slice);
    list.ok_or_else(|| HintedError {
        reason: format!("the answer has no list of results (`{key}`)"),
        hint: "check what answers in the place of ECS: a proxy, or `AWS_ENDPOINT_URL`".to_owned(),
    })
}

fn error(reason: String) -> Reading {
    Reading::unmet(Verdict::Error, judge::EXPECTED, reason.clone(), reason).value("error")
}

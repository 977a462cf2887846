//! How a workflow deploys: the tool, the place, the release, and the line that tells each.

use std::collections::BTreeMap;
use std::fmt;

use tools::Tool;
use workflow::Value;
use workflow::expression;
use workflow::rank::Rank;
use workflow::{Fact, Known, Line};

/// Where a deployment is one of several that its job can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What chooses, as the job itself writes it: `inputs.target || 'staging'`.
    pub expression: Fact<String>,
    /// Its value for this deployment.
    pub value: String,
}

impl Choice {
    /// The condition of a step that is for this deployment alone.
    pub fn condition(&self) -> String {
        expression::equals(&self.expression.value, &self.value)
    }
}

/// The folder that a shell has gone to, where nothing but that shell knows it.
pub const UNKNOWN_FOLDER: &str = "$PWD";

/// One job that makes a release live in one environment.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub tool: Tool,
    /// Where the tool is called.
    pub at: Line,
    /// What leads there, the first first: the script that the workflow runs, the workflow that calls this one.
    pub by: Vec<Line>,
    /// The job, by its place among the survey's workflows.
    pub job: JobId,
    /// The steps that deploy, by their places among the job's; never empty. Those of a script are the step
    /// that calls it.
    pub steps: Vec<usize>,
    /// The step that makes it live: where this one is skipped, nothing is deployed.
    pub live_step: usize,
    /// The step after which the release is live and the workflow's own questions are answered.
    pub last_step: usize,
    pub environment: Option<Environment>,
    /// Where the job deploys into another environment, too: what chooses this one.
    pub choice: Option<Choice>,
    /// The machine that is reached by SSH, for Kamal its first server; `None` where the tool runs on the job's
    /// runner.
    pub login: Option<Login>,
    /// Where the tool is called there: `/opt/shop`, `~/orders`.
    pub folder: Option<Fact<String>>,
    /// How the job itself can name the release: `${{ github.sha }}`, `${{ inputs.version }}`.
    pub release: Option<Fact<Value>>,
    /// The images that this repository builds or pushes and that the tool starts, without the tag.
    pub images: Vec<OwnImage>,
    /// Where it answers, the best first.
    pub health: Vec<Health>,
    /// The program of the repository that deploys, where there is one.
    pub script: Option<Script>,
    /// Where a link is set to the folder of the release: those of before stay.
    pub links: Option<Line>,
    /// A migration that is made before, which no way back takes back.
    pub migration: Option<Fact<String>>,
    /// Variables that the job or its step hands to the tool and that name the release: `SHOP_TAG`.
    pub release_variables: Vec<String>,
    /// What else goes live in the job, by another call than the tool's: another chart, another app.
    pub besides: Vec<Fact<String>>,
    /// The line where the workflow goes back by itself after a failure: a step of the job, or a job after it.
    pub own_back: Option<Line>,
    /// Where the job keeps a copy of what was there: `cp -r app app.backup`.
    pub copies: Option<Line>,
    /// Where the job goes on though a call that deploys did not: then the release before may be live as it was.
    pub passed_over: Option<Line>,
    /// Whether the job waits until the release runs: else it is started elsewhere, and the one before answers until then.
    pub waits: Known,
    pub origin: Origin,
    /// The rest of what the job hands to its deploying steps: names and values of `env:`, without those
    /// above.
    pub env: Vec<(String, Value)>,
}

/// Where what is deployed comes from, and so whether a run that is made again deploys the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The run brings it: files that it has checked out, an image that it builds of them, or the commit by its name.
    Carried,
    /// Whatever is the newest then, whichever commit the run is for.
    FetchedNewest(Fetched),
    /// By something else than the run's commit: a payload, a label, a setting.
    Named(Value),
    NotKnown,
}

/// What is taken as it is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A branch of this repository: `git pull`.
    Branch,
    /// What a service takes by itself when it is asked.
    ByRequest,
    /// Another repository, or an image that something else pushes.
    Elsewhere,
}

/// A job, by its places: `survey.workflows[workflow].jobs[job]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId {
    pub workflow: usize,
    pub job: usize,
}

/// An environment of GitHub.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: Fact<String>,
    /// Where the job itself names it: `${{ inputs.environment }}` or the name.
    pub written: Value,
    pub url: Option<Fact<Value>>,
    pub rank: Rank,
}

/// How a machine is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub address: Fact<Value>,
    pub user: Option<Fact<Value>>,
    pub port: Option<Fact<Value>>,
    /// The secret with the private key: `${{ secrets.VPS_SSH_KEY }}`.
    pub key: Option<Fact<Value>>,
    pub passphrase: Option<Fact<Value>>,
    /// The secret or text with the host's key, where the workflow has one.
    pub known_hosts: Option<Fact<Value>>,
    /// The secret with a password, where there is no key: we log in by keys alone.
    pub password: Option<Fact<Value>>,
    /// The machine in between, which may be behind another one.
    pub jump: Option<Box<Login>>,
    /// Where only the `ssh` program gets there: the address is then the name that it is called with.
    pub client: Option<Client>,
}

/// What only the `ssh` program of the job can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub need: Fact<Need>,
    pub set_up: SetUp,
    /// The file with the key that its options name.
    pub key_file: Option<String>,
}

/// For what the `ssh` program is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The keys of its agent: which of them logs in is not known.
    Agent,
    /// The certificate of a key, in a file beside it.
    Certificate(String),
    /// Hosts that present a certificate.
    Authority,
    /// `ProxyCommand`.
    Command(String),
    /// `Match exec …`: only the program can tell whether it holds.
    Condition(String),
    /// A configuration of its own, which `-F` names.
    File(String),
}

impl fmt::Display for Need {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Agent => out.write_str("the keys of its agent"),
            Need::Certificate(file) => write!(out, "the certificate {file}"),
            Need::Authority => out.write_str("@cert-authority in known_hosts"),
            Need::Command(text) => write!(out, "ProxyCommand {text}"),
            Need::Condition(text) => out.write_str(text),
            Need::File(file) => write!(out, "-F {file}"),
        }
    }
}

/// Where the job tells the `ssh` program the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// In options of its command line.
    Options,
    /// In a file that `-F` names.
    File(String),
    /// In its usual places, which a step of the job fills.
    Step(usize),
}

/// An image that a release changes.
#[derive(Clone, Debug)]
pub struct OwnImage {
    /// The service of Compose, the container of the task or deployment; empty where there is only one.
    pub service: String,
    /// Without its tag: `ghcr.io/acme/shop`, `${{ secrets.REGISTRY_USER }}/orders-api`.
    pub image: Value,
    /// What comes before and after the release in its tag: both empty where the tag is the release.
    pub before: String,
    pub after: String,
    /// The tag that nothing can go back by: the same for every release, such as `latest`, or one that only a shell knows.
    pub fixed_tag: Option<String>,
    /// Where the workflow pushes it, or where it is started if it is only there.
    pub at: Line,
    /// Whether a registry has it: it is pushed, not only built where it runs.
    pub pushed: bool,
}

impl OwnImage {
    /// The tag that each release overwrites; `None` where another one comes each time, if only a shell knows which.
    pub fn overwritten(&self) -> Option<&str> {
        self.fixed_tag.as_deref().filter(|tag| !is_of_shell(tag))
    }
}

/// Whether only a shell that runs knows the text: it prints it, or cuts it out of another.
pub(crate) fn is_of_shell(text: &str) -> bool {
    text.replace("${{", "").contains(['$', '`'])
}

/// An address that tells whether the release is healthy.
#[derive(Clone, Debug)]
pub struct Health {
    /// `https://shop.example.com/healthz`, `http://127.0.0.1:8080/actuator/health`.
    pub url: Value,
    /// The lines that it is put together from; more than one makes it a guess.
    pub at: Vec<Line>,
    pub from: HealthSource,
    /// Whether only the machine itself can ask: an address such as 127.0.0.1 of a machine reached by SSH.
    pub on_host: bool,
    /// The values of the job's run that it is asked in, by what the workflow calls them: `matrix.host`, `inputs.host`.
    pub row: BTreeMap<String, String>,
}

/// What told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthSource {
    /// The workflow asks it itself after the deployment.
    Workflow,
    /// The same, and where it does not answer, the job goes on: `curl … || echo …`.
    Warning,
    /// The configuration of the tool (Kamal's proxy, Fly's checks, a health check of Compose, a Dockerfile).
    Tool,
    /// The platform gives it to the app: that it answers says something, which answer is a good one it does not.
    Platform,
    /// Put together from several files, such as an ingress's host and a readiness probe's path.
    Guess,
    /// `environment.url`: that it answers says something, that it is healthy it may not.
    Environment,
}

/// A program of the repository that deploys.
#[derive(Clone, Debug)]
pub struct Script {
    /// From the repository's root.
    pub path: String,
    /// By its first line: `bash`, `sh`, `python3`.
    pub interpreter: Option<String>,
    /// As the workflow gives them.
    pub arguments: Vec<Value>,
    pub called_at: Line,
    /// Whether an argument or a variable names the release, so that it can go to an earlier one.
    pub takes_release: Known,
    /// The files that it uses or writes, and that tell a reader what it does.
    pub files: Vec<Fact<String>>,
}

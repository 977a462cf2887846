//! Who we are to a registry: the variables that the check names, else what `docker login` left.

use std::path::PathBuf;
use std::time::Duration;

use crate::Job;
use config::file::RegistryLogin;
use model::HintedError;
use registry::docker::{self, Source};
use registry::{Credentials, Reference};
use remote::local::{Exit, Script};

/// GitHub's registry.
pub const GHCR: &str = "ghcr.io";
/// Docker's configuration is a few kilobytes.
const MAX_CONFIG: u64 = 1 << 20;

/// What a check reports about the login.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub kind: RegistryLogin,
    pub username_env: Option<&'a str>,
    pub password_env: Option<&'a str>,
}

/// What came of looking for credentials.
#[derive(Debug)]
pub struct ImageLogin {
    pub credentials: Option<Credentials>,
    /// Whose they are, for a person: `an anonymous user`, `` `REGISTRY_PASS` ``, `docker-credential-pass`.
    pub whose: String,
    /// Nothing named them: without them a public image may be seen all the same.
    pub implied: bool,
    /// Why they are missing although a login is stored: reported if the registry asks for credentials.
    pub trouble: Option<HintedError>,
}

/// Finds the credentials for the image's registry; what is secret in them is redacted from then
/// on. A variable that is named and not set is an error; trouble with Docker's own is not one yet,
/// because a public image needs none.
pub async fn find(
    login: Login<'_>,
    image: &Reference,
    job: &Job,
    timeout: Duration,
) -> Result<ImageLogin, HintedError> {
    let found = match login.kind {
        RegistryLogin::Anonymous => anonymous(),
        RegistryLogin::Ecr => ecr(None, job, timeout).await?,
        RegistryLogin::Auto => match login.password_env {
            Some(password) => variables(password, login.username_env, job)?,
            None => by_habit(image, job, timeout)
                .await
                .unwrap_or_else(|trouble| ImageLogin {
                    trouble: Some(trouble),
                    ..anonymous()
                }),
        },
    };
    if let Some(credentials) = &found.credentials {
        job.redactor.add([credentials.secret()]);
    }
    Ok(found)
}

fn anonymous() -> ImageLogin {
    ImageLogin {
        credentials: None,
        whose: "an anonymous user".to_owned(),
        implied: false,
        trouble: None,
    }
}

fn with_credentials(credentials: Credentials, whose: String) -> ImageLogin {
    ImageLogin {
        credentials: Some(credentials),
        whose,
        implied: false,
        trouble: None,
    }
}

fn variables(password: &str, username: Option<&str>, job: &Job) -> Result<ImageLogin, HintedError> {
    let unset = |name: &str| HintedError {
        reason: format!("the credentials' variable `{name}` is not set"),
        hint: model::env::mapping_hint(name),
    };
    // GHCR and others take any user name with a token.
    let user = match username {
        Some(name) => job.env.non_empty(name).ok_or_else(|| unset(name))?,
        None => "token",
    };
    let secret = job.env.secret(password).ok_or_else(|| unset(password))?;
    let credentials = Credentials::new(user, secret);
    Ok(with_credentials(
        credentials,
        format!("the login in `{password}`"),
    ))
}

/// What `docker login` left; else ECR's own way, for its own hosts, and the workflow's token for
/// GitHub's registry.
async fn by_habit(
    image: &Reference,
    job: &Job,
    timeout: Duration,
) -> Result<ImageLogin, HintedError> {
    let left = docker(image, job, timeout).await?;
    match aws::Login::region(image.registry()) {
        Some(region) if left.credentials.is_none() => ecr(Some(region), job, timeout).await,
        None if left.credentials.is_none() && image.registry() == GHCR => {
            Ok(workflow(job).unwrap_or(left))
        }
        _ => Ok(left),
    }
}

/// The token that a workflow has: with `packages: read` it opens the repository's images.
fn workflow(job: &Job) -> Option<ImageLogin> {
    let token = job.env.secret("GITHUB_TOKEN")?;
    // Any user name does.
    let user = job.env.non_empty("GITHUB_ACTOR").unwrap_or("token");
    Some(ImageLogin {
        implied: true,
        ..with_credentials(Credentials::new(user, token), "`GITHUB_TOKEN`".to_owned())
    })
}

/// A token that ECR's registry takes as a password.
async fn ecr(
    region: Option<&str>,
    job: &Job,
    timeout: Duration,
) -> Result<ImageLogin, HintedError> {
    let trouble = |error: aws::Error| HintedError {
        reason: format!("ECR gives no login: {error}"),
        hint: match error {
            aws::Error::Denied { .. } => {
                "the role needs `ecr:GetAuthorizationToken`: see `aws sts get-caller-identity`"
                    .to_owned()
            }
            other => other.hint(),
        },
    };
    let asking = async {
        let source = aws::Source::find(&job.env)?;
        job.redactor.add(source.secrets());
        let client = aws::Client::connect(&job.env, &source, region).await?;
        job.redactor.add(client.secrets());
        client.ecr_login().await
    };
    let login = tokio::time::timeout(timeout, asking)
        .await
        .map_err(|_| HintedError {
            reason: format!(
                "ECR gives no login within {}",
                model::text::duration(timeout)
            ),
            hint: "check the network, AWS_REGION and AWS_ENDPOINT_URL".to_owned(),
        })?
        .map_err(trouble)?;
    let credentials = Credentials::Password {
        username: login.username,
        password: login.password,
    };
    Ok(with_credentials(
        credentials,
        "the login from ECR".to_owned(),
    ))
}

async fn docker(
    image: &Reference,
    job: &Job,
    timeout: Duration,
) -> Result<ImageLogin, HintedError> {
    let folder = job.env.non_empty("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(job.env.non_empty("HOME")?).join(".docker"));
    let Some(path) = folder
        .or_else(home)
        .map(|folder| folder.join("config.json"))
    else {
        return Ok(anonymous());
    };
    let unusable = |reason: String| HintedError {
        reason: format!(
            "Docker's configuration {} cannot be used: {reason}",
            path.display()
        ),
        hint: format!("look at it: `jq . {}`", path.display()),
    };
    let text = match files::read_text(&path, MAX_CONFIG) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(anonymous()),
        read => read.map_err(|error| unusable(error.to_string()))?,
    };
    match docker::login(&text, image).map_err(|problem| unusable(problem.to_string()))? {
        Source::Anonymous => Ok(anonymous()),
        Source::Credentials(credentials) => Ok(with_credentials(
            credentials,
            format!("the login in {}", path.display()),
        )),
        Source::Helper { name, server } => helper(&name, &server, job, timeout).await,
    }
}

/// Docker's credential helper protocol: the server's name on its input, JSON on its output.
async fn helper(
    name: &str,
    server: &str,
    job: &Job,
    timeout: Duration,
) -> Result<ImageLogin, HintedError> {
    let program = format!("docker-credential-{name}");
    let trouble = |reason: String| HintedError {
        reason: format!("the credential helper `{program}` {reason}"),
        hint: format!("try it: `echo {server} | {program} get`"),
    };
    let folder = std::env::current_dir().unwrap_or_default();
    let path = which::which_in(&program, job.env.get("PATH"), folder)
        .map_err(|_| trouble("is not on PATH".to_owned()))?;
    let script = Script {
        text: "printf '%s\\n' \"$DEPLOY_GUARD_SERVER\" | \"$DEPLOY_GUARD_HELPER\" get",
        env: vec![
            ("DEPLOY_GUARD_SERVER".to_owned(), server.to_owned()),
            ("DEPLOY_GUARD_HELPER".to_owned(), path.display().to_string()),
        ],
        timeout,
    };
    // Its output is a secret: no line of it is shown.
    let ran = remote::local::run(&script, &mut |_, _| ())
        .await
        .map_err(|error| trouble(format!("cannot be started: {error}")))?;
    if ran.exit == Exit::TimedOut {
        return Err(trouble(format!(
            "does not answer within {}",
            model::text::duration(timeout)
        )));
    }
    match docker::helper_answer(ran.success(), &ran.stdout) {
        Ok(Some(credentials)) => Ok(with_credentials(
            credentials,
            format!("the login from `{program}`"),
        )),
        Ok(None) => Ok(anonymous()),
        Err(_) if !ran.success() => Err(trouble(format!("failed: {}", ran.exit))),
        Err(problem) => Err(trouble(format!("cannot be understood: {problem}"))),
    }
}

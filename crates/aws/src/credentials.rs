//! Who we are to AWS: variables, a web identity (GitHub's OIDC, IAM roles for service accounts),
//! a profile of the shared files, or what the machine hands out; in the order of the SDKs.

use jiff::Timestamp;
use model::Env;
use model::Secret;

use crate::Error;
use crate::keys::Keys;
use crate::metadata::Metadata;
use crate::profile::Profile;

/// Where the keys come from.
#[derive(Clone, Debug)]
pub struct Source(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Keys(Keys),
    WebIdentity {
        role: String,
        session: String,
        /// A file that holds the identity's token.
        file: String,
    },
    /// Asked when we connect.
    Metadata(Metadata),
}

impl Source {
    /// What the environment and its files name.
    pub fn find(env: &Env) -> Result<Source, Error> {
        Ok(Source(find(env, &Profile::load(env)?)?))
    }

    /// What must not be shown; a session of a web identity adds its own later.
    pub fn secrets(&self) -> Vec<Secret> {
        let Kind::Keys(keys) = &self.0 else {
            return Vec::new();
        };
        [&keys.secret]
            .into_iter()
            .chain(&keys.token)
            .cloned()
            .collect()
    }
}

fn find(env: &Env, profile: &Profile) -> Result<Kind, Error> {
    if let (Some(access), Some(key)) = (
        env.non_empty("AWS_ACCESS_KEY_ID"),
        env.secret("AWS_SECRET_ACCESS_KEY"),
    ) {
        return Ok(Kind::Keys(Keys {
            access: access.to_owned(),
            secret: key,
            token: env.secret("AWS_SESSION_TOKEN"),
        }));
    }
    let identity = |file: &str, role: &str, session: Option<&str>| Kind::WebIdentity {
        role: role.to_owned(),
        session: session.map_or_else(
            || format!("deploy-guard-{}", Timestamp::now().as_second()),
            str::to_owned,
        ),
        file: file.to_owned(),
    };
    if let (Some(file), Some(role)) = (
        env.non_empty("AWS_WEB_IDENTITY_TOKEN_FILE"),
        env.non_empty("AWS_ROLE_ARN"),
    ) {
        return Ok(identity(file, role, env.non_empty("AWS_ROLE_SESSION_NAME")));
    }
    if let (Some(access), Some(key)) = (
        profile.get("aws_access_key_id"),
        profile.secret("aws_secret_access_key"),
    ) {
        return Ok(Kind::Keys(Keys {
            access: access.to_owned(),
            secret: key.clone(),
            token: profile.secret("aws_session_token").cloned(),
        }));
    }
    if let (Some(file), Some(role)) = (
        profile.get("web_identity_token_file"),
        profile.get("role_arn"),
    ) {
        return Ok(identity(file, role, profile.get("role_session_name")));
    }
    if let Some(container) = Metadata::of_container(env)? {
        return Ok(Kind::Metadata(container));
    }
    if other_way(profile).is_none()
        && let Some(instance) = Metadata::of_instance(env)?
    {
        return Ok(Kind::Metadata(instance));
    }
    Err(nothing(profile))
}

/// A profile may name ways that are not gone here.
fn other_way(profile: &Profile) -> Option<&'static str> {
    let ways = [
        "sso_session",
        "sso_start_url",
        "credential_process",
        "source_profile",
    ];
    ways.into_iter().find(|key| profile.get(key).is_some())
}

/// No source has credentials.
pub(crate) fn nothing(profile: &Profile) -> Error {
    let name = &profile.name;
    match other_way(profile) {
        Some(key) => Error::NoCredentials {
            reason: format!("the profile `{name}` uses `{key}`, which is not read here"),
            hint: format!(
                "`eval \"$(aws configure export-credentials --profile {name} --format env)\"`"
            ),
        },
        None => Error::NoCredentials {
            reason: format!(
                "neither variables, nor a web identity, nor keys in the profile `{name}`, nor a role of this machine"
            ),
            hint:
                "in a workflow: `aws-actions/configure-aws-credentials` before this step; else set \
                   AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                    .to_owned(),
        },
    }
}

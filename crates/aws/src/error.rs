//! Why AWS could not be asked, or does not answer as hoped.

/// A question that got no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("find AWS credentials: {reason}")]
    NoCredentials { reason: String, hint: String },
    #[error("read {path}: {reason}")]
    Profile { path: String, reason: String },
    #[error("reach {host}: {reason}")]
    Transport { host: String, reason: String },
    /// 401 or 403, and what else says that we may not.
    #[error("query {service}: not allowed ({code}){}", message_suffix(message))]
    Denied {
        service: &'static str,
        code: String,
        message: String,
    },
    /// 404.
    #[error("query {service}: not found ({code})")]
    Absent { service: &'static str, code: String },
    #[error("query {service}: status {status} ({code}){}", message_suffix(message))]
    Status {
        service: &'static str,
        status: u16,
        code: String,
        message: String,
    },
    /// A conditional write whose condition does not hold.
    #[error("write: another writer was first ({code})")]
    Conflict { code: String },
    #[error("read the answer of {service}: {reason}")]
    Malformed {
        service: &'static str,
        reason: String,
    },
    #[error("set up the request: {reason}")]
    Setup { reason: String },
}

impl Error {
    /// Whether the session's time is over: with a new one the same question may be answered.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Error::Denied { code, .. } | Error::Status { code, .. } if code.contains("Expired"))
    }

    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::NoCredentials { hint, .. } => hint.clone(),
            Error::Profile { path, .. } => format!("look at {path}, or set AWS_ACCESS_KEY_ID"),
            Error::Transport { .. } => {
                "check the network, HTTPS_PROXY, AWS_REGION and AWS_ENDPOINT_URL".to_owned()
            }
            Error::Denied { .. } => {
                "see the identity with `aws sts get-caller-identity`, and check the permissions of its role"
                    .to_owned()
            }
            Error::Absent { .. } => "check the name, and the region with AWS_REGION".to_owned(),
            Error::Status { .. } | Error::Malformed { .. } => {
                "try again; see https://health.aws.amazon.com/health/status".to_owned()
            }
            Error::Conflict { .. } => "read it again and repeat".to_owned(),
            Error::Setup { .. } => "check AWS_ENDPOINT_URL and the region's name".to_owned(),
        }
    }
}

fn message_suffix(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

//! ECR: a login for its registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Secret;
use reqwest::Method;

use crate::Error;
use crate::answer::read_success;
use crate::client::{Client, Request, Service};

/// A user name and a password that its registry takes for twelve hours.
#[derive(Clone, Debug)]
pub struct Login {
    pub username: String,
    pub password: Secret,
}

impl Login {
    /// The region in the name of an ECR registry,
    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com`; `None` for every other host.
    pub fn region(host: &str) -> Option<&str> {
        let name = host
            .strip_suffix(".amazonaws.com")
            .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
        let (account, rest) = name.split_once(".dkr.ecr")?;
        let region = rest
            .strip_prefix("-fips")
            .unwrap_or(rest)
            .strip_prefix('.')?;
        let good = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (good && !region.is_empty() && !region.contains('.')).then_some(region)
    }
}

impl Client {
    /// `ecr:GetAuthorizationToken`.
    pub async fn ecr_login(&self) -> Result<Login, Error> {
        let (mut url, _) = self.base(Service::Ecr)?;
        url.set_path("/");
        let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        let request = Request {
            service: Service::Ecr,
            method: Method::POST,
            url,
            headers: &[
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", target.to_owned()),
            ],
            body: b"{}".to_vec(),
        };
        let text = read_success("ECR", self.send(&request).await?).await?;
        let malformed = || Error::Malformed {
            service: "ECR",
            reason: "it holds no authorization token".to_owned(),
        };
        let answer: serde_json::Value = serde_json::from_str(&text).map_err(|_| malformed())?;
        let token = answer["authorizationData"][0]["authorizationToken"].as_str();
        let pair = STANDARD.decode(token.ok_or_else(malformed)?).ok();
        let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
        let (username, password) = pair.ok_or_else(malformed)?;
        Ok(Login {
            username: username.to_owned(),
            password: Secret::from(password),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_hosts_name() {
        for (host, region) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some("cn-north-1"),
            ),
            ("public.ecr.aws", None),
            ("ghcr.io", None),
            ("evil.dkr.ecr.eu-west-1.amazonaws.com", None),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
                None,
            ),
        ] {
            assert_eq!(Login::region(host), region, "{host}");
        }
    }
}

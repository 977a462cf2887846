//! An Application Load Balancer of AWS divides the requests.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::rollback::TargetConfig;
use crate::file::{Match, ReleaseSource};
use crate::value::Span;
use sections::KeyPosition;

/// Two target groups behind a listener, or behind one of its rules, of an Application Load Balancer of
/// AWS.
///
/// Who we are is found as by the AWS tools; allowed must be `elasticloadbalancing:DescribeTargetHealth`
/// and `elasticloadbalancing:DescribeTargetGroupAttributes`, and with `rule`
/// `elasticloadbalancing:DescribeRules` and `elasticloadbalancing:ModifyRule`, else
/// `elasticloadbalancing:DescribeListeners` and `elasticloadbalancing:ModifyListener`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlbRouter {
    /// The ARN of the rule that forwards to the two groups.
    pub rule: Option<String>,
    /// The listener's ARN, where its default action forwards to the two groups.
    pub listener: Option<String>,
    /// The blue target group's ARN.
    pub blue: String,
    /// The green target group's ARN.
    pub green: String,
    /// The region. Default: that of the ARNs.
    pub region: Option<String>,
    /// A URL that only the blue side answers, such as that of a test listener. Default: each of its
    /// healthy targets is probed at its address, which needs a group of addresses and a way to them.
    pub blue_url: Option<String>,
    /// The same of the green side.
    pub green_url: Option<String>,
    /// How long after a change the load balancer may still use the old weights. Default 10s.
    #[serde(default = "propagation_time")]
    pub propagation_time: Span,
    /// A URL through the load balancer, and where the release is in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// How long each question, and the proof through the load balancer, may take. Default 1m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn propagation_time() -> Span {
    Span::from_secs(10)
}

fn timeout() -> Span {
    Span::from_secs(60)
}

impl AlbRouter {
    /// The region that its ARNs name: `arn:aws:elasticloadbalancing:REGION:…`.
    pub fn region(&self) -> Option<&str> {
        let of_arn = || {
            self.blue
                .split(':')
                .nth(3)
                .filter(|region| !region.is_empty())
        };
        self.region.as_deref().or_else(of_arn)
    }
}

impl TargetConfig for AlbRouter {
    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let keys = [
            ("rule", self.rule.is_some()),
            ("listener", self.listener.is_some()),
        ];
        spot.exclusive(&keys)?;
        if self.rule.is_none() && self.listener.is_none() {
            let fault = spot.fault("neither `rule` nor `listener` is given");
            return Err(fault.hint("`aws elbv2 describe-rules --listener-arn ARN` shows the rules"));
        }
        for (key, arn, kind) in [
            ("rule", self.rule.as_ref(), ":listener-rule/app/"),
            ("listener", self.listener.as_ref(), ":listener/app/"),
            ("blue", Some(&self.blue), ":targetgroup/"),
            ("green", Some(&self.green), ":targetgroup/"),
        ] {
            let Some(arn) = arn else { continue };
            spot.key(key).plain(arn, ":/_-.")?;
            if !arn.starts_with("arn:") || !arn.contains(kind) {
                let fault = spot
                    .key(key)
                    .fault(format!("`{arn}` is not the ARN that is meant"));
                return Err(fault.hint(format!(
                    "it looks like `arn:aws:elasticloadbalancing:REGION:ACCOUNT{kind}…`"
                )));
            }
        }
        if self.blue == self.green {
            return spot.refuse("green", "both sides are the same target group");
        }
        for (key, url) in [("blue-url", &self.blue_url), ("green-url", &self.green_url)] {
            if let Some(url) = url {
                spot.key(key).http_url(url)?;
            }
        }
        Ok(())
    }
}

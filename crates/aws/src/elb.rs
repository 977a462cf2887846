//! Elastic Load Balancing: which target groups get the requests of a listener or a rule, and which of
//! their targets are healthy.
//!
//! AWS replaces a list of actions as a whole. So actions are kept as they were read, with what this
//! program does not know, and only the weights in them are changed.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use url::form_urlencoded::Serializer;

use crate::answer::read_success;
use crate::client::{Client, Request, Service};
use crate::xml::Element;
use crate::{Error, xml};

const SERVICE: &str = "Elastic Load Balancing";
const VERSION: &str = "2015-12-01";
const MAX_ATTEMPTS: u32 = 4;
/// Its limit of requests in a second is one for the whole account.
const THROTTLED: Duration = Duration::from_millis(500);

impl Client {
    /// One request, such as `DescribeRules`; the permission for it is
    /// `elasticloadbalancing:DescribeRules`. `fields` are its parameters: `RuleArns.member.1`.
    pub async fn elb(&self, action: &str, fields: &[(String, String)]) -> Result<ElbAnswer, Error> {
        let (mut url, _) = self.base(Service::Elb)?;
        url.set_path("/");
        let body = Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", VERSION)
            .extend_pairs(fields)
            .finish();
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let request = Request {
            service: Service::Elb,
            method: Method::POST,
            url,
            headers: &[("content-type", kind.to_owned())],
            body: body.into_bytes(),
        };
        let mut tries = 1;
        loop {
            match read_success(SERVICE, self.send(&request).await?).await {
                Err(Error::Status { code, .. }) if code == "Throttling" && tries < MAX_ATTEMPTS => {
                    let pause = THROTTLED * tries;
                    tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
                    tries += 1;
                }
                answer => return xml::element(SERVICE, &answer?).map(ElbAnswer),
            }
        }
    }
}

/// What Elastic Load Balancing answered.
#[derive(Clone, Debug)]
pub struct ElbAnswer(Element);

/// What a listener or a rule does with a request, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions(Vec<Element>);

/// A target group, and its part of the requests: its weight among all weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its ARN.
    pub arn: String,
    /// 0 to 999.
    pub weight: u32,
}

/// A target of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An instance's id, an address, or the ARN of a function or a load balancer.
    pub id: String,
    /// `None` of a function.
    pub port: Option<u16>,
    /// `healthy`, `unhealthy`, `initial`, `draining`, `unused`, `unavailable`, `unhealthy.draining`.
    pub state: String,
    /// Such as `Target.ResponseCodeMismatch`; empty of a healthy one.
    pub reason: String,
}

impl Target {
    pub fn is_healthy(&self) -> bool {
        self.state == "healthy"
    }
}

impl ElbAnswer {
    /// Those of the first rule; `None` where there is no rule.
    pub fn rule_actions(&self) -> Option<Actions> {
        self.actions("Rules", "Actions")
    }

    /// The default ones of the first listener; `None` where there is no listener.
    pub fn listener_actions(&self) -> Option<Actions> {
        self.actions("Listeners", "DefaultActions")
    }

    fn actions(&self, of: &str, name: &str) -> Option<Actions> {
        let one = self.0.below(of)?.children.first()?;
        let actions = one.child(name)?;
        Some(Actions(actions.children.clone()))
    }

    pub fn targets(&self) -> Vec<Target> {
        let target = |one: &Element| {
            let target = one.child("Target");
            let health = one.child("TargetHealth");
            let text = |of: Option<&Element>, name: &str| {
                let text = of.and_then(|of| of.text_of(name));
                text.unwrap_or_default().to_owned()
            };
            Target {
                id: text(target, "Id"),
                port: text(target, "Port").parse().ok(),
                state: text(health, "State"),
                reason: text(health, "Reason"),
            }
        };
        let all = self.0.below("TargetHealthDescriptions");
        all.into_iter()
            .flat_map(|all| &all.children)
            .map(target)
            .collect()
    }

    /// The attributes of a target group, by key.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let all = self.0.below("Attributes");
        let pair = |one: &Element| {
            let value = one.text_of("Value").unwrap_or_default();
            Some((one.text_of("Key")?.to_owned(), value.to_owned()))
        };
        all.into_iter()
            .flat_map(|all| &all.children)
            .filter_map(pair)
            .collect()
    }
}

impl Actions {
    /// The groups that requests are forwarded to; empty where none is.
    pub fn groups(&self) -> Vec<Group> {
        let Some(action) = self.forward().and_then(|nth| self.0.get(nth)) else {
            return Vec::new();
        };
        let weight = |of: &Element| of.text_of("Weight").and_then(|text| text.parse().ok());
        let group = |of: &Element| {
            Some(Group {
                arn: of.text_of("TargetGroupArn")?.to_owned(),
                // AWS may leave it out where there is one group.
                weight: weight(of).unwrap_or(1),
            })
        };
        match listed(action) {
            [] => group(action).into_iter().collect(),
            all => all.iter().filter_map(group).collect(),
        }
    }

    /// For how long a user stays with a group, where that is so.
    pub fn stickiness(&self) -> Option<Duration> {
        let action = self.forward().and_then(|nth| self.0.get(nth))?;
        let config = action.child("ForwardConfig")?;
        let sticky = config.child("TargetGroupStickinessConfig")?;
        let seconds = || sticky.text_of("DurationSeconds")?.parse().ok();
        (sticky.text_of("Enabled") == Some("true"))
            .then(|| Duration::from_secs(seconds().unwrap_or(0)))
    }

    /// The same with these groups in the place of those that requests are forwarded to; `None` where
    /// nothing is forwarded.
    #[must_use]
    pub fn forwarding_to(&self, groups: &[Group]) -> Option<Actions> {
        let group = |group: &Group| {
            Element::with(
                "member",
                vec![
                    Element::leaf("TargetGroupArn", &group.arn),
                    Element::leaf("Weight", &group.weight.to_string()),
                ],
            )
        };
        let list = Element::with("TargetGroups", groups.iter().map(group).collect());
        let mut all = self.clone();
        let action = all.0.get_mut(self.forward()?)?;
        // The short form of the list: with several groups it is refused beside the list.
        action.remove("TargetGroupArn");
        match action.child_mut("ForwardConfig") {
            Some(config) => config.put(list),
            None => action.put(Element::with("ForwardConfig", vec![list])),
        }
        Some(all)
    }

    fn forward(&self) -> Option<usize> {
        let mut kinds = self.0.iter().map(|action| action.text_of("Type"));
        kinds.position(|kind| kind == Some("forward"))
    }

    /// As parameters of a request: `Actions.member.1.Type`.
    pub fn fields(&self, name: &str) -> Vec<(String, String)> {
        let mut actions = self.0.clone();
        for config in actions
            .iter_mut()
            .filter_map(|action| action.child_mut("AuthenticateOidcConfig"))
        {
            // AWS never shows the secret: so it is told to keep the one that it has.
            config.put(Element::leaf("UseExistingClientSecret", "true"));
        }
        let mut fields = Vec::new();
        Element::with(name, actions).fields(name, &mut fields);
        fields
    }
}

/// The members of an action's list of groups.
fn listed(action: &Element) -> &[Element] {
    let list = action
        .child("ForwardConfig")
        .and_then(|config| config.child("TargetGroups"));
    list.map_or(&[], |list| &list.children)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Actions {
        let text = format!("<R><Rules><member><Actions>{text}</Actions></member></Rules></R>");
        ElbAnswer(xml::element(SERVICE, &text).unwrap())
            .rule_actions()
            .unwrap()
    }

    fn group(arn: &str, weight: u32) -> Group {
        Group {
            arn: arn.to_owned(),
            weight,
        }
    }

    /// Shapes from the API reference of `DescribeRules`.
    #[test]
    fn only_the_groups_of_an_action_change_and_all_else_is_sent_back() {
        let read = actions(
            "<member><Type>authenticate-oidc</Type><Order>1</Order><AuthenticateOidcConfig>\
             <Issuer>https://id.example/?a=1&amp;b</Issuer><ClientId>shop</ClientId>\
             <AuthenticationRequestExtraParams><entry><key>prompt</key><value>login</value></entry>\
             </AuthenticationRequestExtraParams></AuthenticateOidcConfig></member>\
             <member><Type>forward</Type><Order>2</Order><ForwardConfig><TargetGroups>\
             <member><TargetGroupArn>b</TargetGroupArn><Weight>9</Weight></member>\
             <member><TargetGroupArn>g</TargetGroupArn><Weight>1</Weight></member></TargetGroups>\
             <TargetGroupStickinessConfig><Enabled>true</Enabled><DurationSeconds>60</DurationSeconds>\
             </TargetGroupStickinessConfig></ForwardConfig></member>",
        );
        assert_eq!(read.groups(), [group("b", 9), group("g", 1)]);
        assert_eq!(read.stickiness(), Some(Duration::from_mins(1)));
        let changed = read.forwarding_to(&[group("b", 0), group("g", 1)]).unwrap();
        let fields: Vec<String> = (changed.fields("Actions").iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let oidc = "Actions.member.1.AuthenticateOidcConfig";
        let forward = "Actions.member.2.ForwardConfig";
        assert_eq!(
            fields,
            [
                "Actions.member.1.Type=authenticate-oidc".to_owned(),
                "Actions.member.1.Order=1".to_owned(),
                format!("{oidc}.Issuer=https://id.example/?a=1&b"),
                format!("{oidc}.ClientId=shop"),
                format!("{oidc}.AuthenticationRequestExtraParams.entry.1.key=prompt"),
                format!("{oidc}.AuthenticationRequestExtraParams.entry.1.value=login"),
                format!("{oidc}.UseExistingClientSecret=true"),
                "Actions.member.2.Type=forward".to_owned(),
                "Actions.member.2.Order=2".to_owned(),
                format!("{forward}.TargetGroupStickinessConfig.Enabled=true"),
                format!("{forward}.TargetGroupStickinessConfig.DurationSeconds=60"),
                format!("{forward}.TargetGroups.member.1.TargetGroupArn=b"),
                format!("{forward}.TargetGroups.member.1.Weight=0"),
                format!("{forward}.TargetGroups.member.2.TargetGroupArn=g"),
                format!("{forward}.TargetGroups.member.2.Weight=1"),
            ]
        );
    }

    #[test]
    fn the_short_form_of_one_group_is_read_and_becomes_a_list() {
        let read = actions(
            "<member><Type>forward</Type><TargetGroupArn>b</TargetGroupArn><Order>1</Order></member>",
        );
        assert_eq!(read.groups(), [group("b", 1)]);
        let changed = read.forwarding_to(&[group("b", 9), group("g", 1)]).unwrap();
        assert_eq!(changed.groups(), [group("b", 9), group("g", 1)]);
        let fields = changed.fields("Actions");
        let short = |(name, _): &(String, String)| name == "Actions.member.1.TargetGroupArn";
        assert!(!fields.iter().any(short), "{fields:?}");
    }

    #[test]
    fn what_forwards_nothing_has_no_groups() {
        let read = actions("<member><Type>fixed-response</Type></member>");
        assert_eq!((read.groups(), read.stickiness()), (Vec::new(), None));
        assert_eq!(read.forwarding_to(&[group("b", 1)]), None);
    }
}

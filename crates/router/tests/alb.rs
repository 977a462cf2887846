//! An Application Load Balancer, played by moto: its control plane alone, so answers through it are
//! those of a shop.

use model::Env;
use place::{Error, Place};
use router::{Health, Side};
use testkit::{Balancer, ELB, Shop, xml_text};
use wiremock::matchers::body_string_contains;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{World, green, refused};

const HERE: Place = Place::Here;

/// A listener and a rule, blue with all requests.
struct Alb {
    balancer: Balancer,
    rule: String,
}

impl Alb {
    fn start() -> Alb {
        let balancer = Balancer::start();
        let forward = "Actions.member.1.ForwardConfig";
        let key = |key: &str| format!("{forward}.{key}");
        let rule = balancer.moto.query(
            ELB,
            &[
                ("Action", "CreateRule"),
                ("ListenerArn", &balancer.listener),
                ("Priority", "10"),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.Values.member.1", "/shop/*"),
                ("Actions.member.1.Type", "forward"),
                (&key("TargetGroups.member.1.TargetGroupArn"), &balancer.blue),
                (&key("TargetGroups.member.1.Weight"), "1"),
                (
                    &key("TargetGroups.member.2.TargetGroupArn"),
                    &balancer.green,
                ),
                (&key("TargetGroups.member.2.Weight"), "0"),
                (&key("TargetGroupStickinessConfig.Enabled"), "true"),
                (&key("TargetGroupStickinessConfig.DurationSeconds"), "600"),
            ],
        );
        Alb {
            balancer,
            rule: xml_text(&rule, "RuleArn"),
        }
    }

    fn register(&self, group: &str, shop: &Shop) {
        self.balancer.register(group, "127.0.0.1", shop.port());
    }

    fn world(&self, at: &str, through: &Shop) -> World {
        let (blue, green, url) = (
            &self.balancer.blue,
            &self.balancer.green,
            through.url("/api/v1/version"),
        );
        let section = format!(
            "alb: {{ {at}, blue: '{blue}', green: '{green}', release: {{ url: '{url}', jq: .version }} }}"
        );
        World::new(&section, "", Env::from_iter(self.balancer.moto.variables()))
    }

    fn by_rule(&self) -> String {
        format!("rule: '{}'", self.rule)
    }

    /// The rule as AWS shows it, from its conditions on.
    fn shown_rule(&self) -> String {
        let fields = [
            ("Action", "DescribeRules"),
            ("RuleArns.member.1", &self.rule),
        ];
        let shown = self.balancer.moto.query(ELB, &fields);
        let begin = shown.find("<Conditions>").unwrap();
        let end = shown.find("<IsDefault>").unwrap();
        let shown = shown[begin..end].replace(&self.balancer.blue, "BLUE");
        shown.replace(&self.balancer.green, "GREEN")
    }
}

#[tokio::test]
async fn a_rule_gets_weights_and_keeps_all_else() {
    let (blue, new) = (Shop::start("v1"), Shop::start("v2"));
    let alb = Alb::start();
    alb.register(&alb.balancer.blue, &blue);
    alb.register(&alb.balancer.green, &new);
    let world = alb.world(&alb.by_rule(), &blue);
    let router = world.router();
    assert_eq!(router.configured(&HERE).await.unwrap(), green("0%"));
    assert_eq!(router.loaded(&HERE).await.unwrap(), None);
    let (first, before) = (router.snapshot(&HERE).await.unwrap(), alb.shown_rule());
    let change = router.check(&HERE, green("10%")).await.unwrap();
    let told = (change.does.as_str(), change.writes.as_slice());
    assert_eq!(
        told,
        (
            "give blue 90%, green 10% in listener-rule/app/shop; a user who has a target group keeps it for 10m",
            &[
                "targetgroup/blue: weight 1 → 9".to_owned(),
                "targetgroup/green: weight 0 → 1".to_owned()
            ][..]
        )
    );
    for share in ["10%", "12.5%", "33.3%", "0.1%", "100%"] {
        let split = green(share);
        assert_eq!(router.check(&HERE, split).await.unwrap().split, split);
        router.set(&HERE, split).await.unwrap();
        assert_eq!(router.configured(&HERE).await.unwrap(), split);
    }
    let near = router.check(&HERE, green("33.33%")).await.unwrap();
    assert_eq!(near.split, green("33.3%"));
    assert!(near.does.contains("keeps it for 10m"), "{}", near.does);
    let whole = router.check(&HERE, green("0%")).await.unwrap();
    assert!(
        whole
            .does
            .ends_with("; green's targets have 300s for their requests once they are deregistered"),
        "{}",
        whole.does
    );
    assert_eq!(
        alb.shown_rule(),
        before
            .replace("<Weight>1</Weight>", "<Weight>x</Weight>")
            .replace("<Weight>0</Weight>", "<Weight>1</Weight>")
            .replace("<Weight>x</Weight>", "<Weight>0</Weight>")
    );
    for _twice in 0..2 {
        let told = router.restore(&HERE, &first).await.unwrap();
        assert_eq!(told, "blue 100%, green 0% again");
        assert_eq!(alb.shown_rule(), before);
    }
}

#[tokio::test]
async fn a_listener_whose_default_action_names_one_group_gets_both() {
    let (blue, new) = (Shop::start("v1"), Shop::start("v2"));
    let alb = Alb::start();
    alb.register(&alb.balancer.blue, &blue);
    alb.register(&alb.balancer.green, &new);
    let world = alb.world(&format!("listener: '{}'", alb.balancer.listener), &blue);
    let router = world.router();
    assert_eq!(router.configured(&HERE).await.unwrap(), green("0%"));
    router.set(&HERE, green("25%")).await.unwrap();
    assert_eq!(router.configured(&HERE).await.unwrap(), green("25%"));
    // The rule has actions of its own.
    let rule = alb.world(&alb.by_rule(), &blue);
    let split = rule.router().configured(&HERE).await.unwrap();
    assert_eq!(split, green("0%"));
}

/// 503 for every request that goes there.
#[tokio::test]
async fn a_group_without_a_healthy_target_gets_no_weight() {
    let blue = Shop::start("v1");
    let alb = Alb::start();
    alb.register(&alb.balancer.blue, &blue);
    let world = alb.world(&alb.by_rule(), &blue);
    let router = world.router();
    let health = async |side| router.health(&HERE, side).await.unwrap();
    assert_eq!(health(Side::Blue).await, Some(Health::Up));
    let why = "targetgroup/green has no target";
    assert_eq!(
        health(Side::Green).await,
        Some(Health::Down(why.to_owned()))
    );
    let refused = format!("{why}; with weight, its requests would be answered with 503");
    for error in [
        router.check(&HERE, green("10%")).await.unwrap_err(),
        router.set(&HERE, green("10%")).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), refused);
    }
    assert_eq!(router.explain(&HERE).await.unwrap(), None);
    assert_eq!(router.configured(&HERE).await.unwrap(), green("0%"));
    // Its targets went away while it had requests.
    alb.register(&alb.balancer.green, &blue);
    router.set(&HERE, green("10%")).await.unwrap();
    let port = blue.port().to_string();
    alb.balancer.moto.query(
        ELB,
        &[
            ("Action", "DeregisterTargets"),
            ("TargetGroupArn", &alb.balancer.green),
            ("Targets.member.1.Id", "127.0.0.1"),
            ("Targets.member.1.Port", &port),
        ],
    );
    assert_ne!(router.explain(&HERE).await.unwrap(), None);
    router.set(&HERE, green("0%")).await.unwrap();
}

#[tokio::test]
async fn each_healthy_target_of_a_side_is_asked_for_its_release() {
    let (blue, new, newer) = (Shop::start("v1"), Shop::start("v2"), Shop::start("v2"));
    let alb = Alb::start();
    alb.register(&alb.balancer.blue, &blue);
    alb.register(&alb.balancer.green, &new);
    // moto knows a target by its address alone, so the second one has another name for it.
    alb.balancer
        .register(&alb.balancer.green, "::ffff:127.0.0.1", newer.port());
    let world = alb.world(&alb.by_rule(), &blue);
    let router = world.router();
    let told = async |side| router.side_release(&HERE, side, "v2").await;
    assert_eq!(told(Side::Blue).await.unwrap(), "v1");
    assert_eq!(told(Side::Green).await.unwrap(), "v2");
    let standby = router.standby(&HERE, Side::Green).await.unwrap();
    assert_eq!(standby.at, new.address());
    newer.set_release("v3");
    let error = told(Side::Green).await.unwrap_err();
    assert!(matches!(error, Error::Contradicts(_)), "{error}");
    assert!(
        error.to_string().contains("v2") && error.to_string().contains("v3"),
        "{error}"
    );
    assert_eq!(router.sample_release(&HERE, "v1").await.unwrap(), "v1");

    let (url, at) = (newer.url("/api/v1/version"), alb.by_rule());
    let world = alb.world(&format!("{at}, green-url: '{url}'"), &blue);
    let router = world.router();
    assert_eq!(
        router.side_release(&HERE, Side::Green, "v3").await.unwrap(),
        "v3"
    );
    let standby = router.standby(&HERE, Side::Green).await.unwrap();
    assert_eq!(standby.at, newer.address());
}

/// As infrastructure code does that knows nothing of a ramp.
#[tokio::test]
async fn weights_that_another_puts_back_are_seen_and_a_third_group_is_not_thrown_out() {
    let blue = Shop::start("v1");
    let alb = Alb::start();
    alb.register(&alb.balancer.blue, &blue);
    alb.register(&alb.balancer.green, &blue);
    let world = alb.world(&alb.by_rule(), &blue);
    let router = world.router();
    router.set(&HERE, green("50%")).await.unwrap();
    let note = router.snapshot(&HERE).await.unwrap();
    let modify = |groups: &[&str]| {
        let mut fields = vec![
            ("Action".to_owned(), "ModifyRule".to_owned()),
            ("RuleArn".to_owned(), alb.rule.clone()),
            ("Actions.member.1.Type".to_owned(), "forward".to_owned()),
        ];
        for (nth, group) in groups.iter().enumerate() {
            let key = format!(
                "Actions.member.1.ForwardConfig.TargetGroups.member.{}",
                nth + 1
            );
            fields.push((format!("{key}.TargetGroupArn"), (*group).to_owned()));
            fields.push((format!("{key}.Weight"), "5".to_owned()));
        }
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        alb.balancer.moto.query(ELB, &fields);
    };
    modify(&[&alb.balancer.blue]);
    assert_eq!(router.configured(&HERE).await.unwrap(), green("0%"));
    let third = alb.balancer.blue.replace("/blue/", "/third/");
    let made = alb.balancer.moto.query(
        ELB,
        &[
            ("Action", "CreateTargetGroup"),
            ("Name", "third"),
            ("TargetType", "lambda"),
        ],
    );
    let third = if made.contains("TargetGroupArn") {
        xml_text(&made, "TargetGroupArn")
    } else {
        third
    };
    modify(&[&alb.balancer.blue, &third]);
    for error in [
        router.configured(&HERE).await.unwrap_err(),
        router.set(&HERE, green("10%")).await.unwrap_err(),
        router.restore(&HERE, &note).await.unwrap_err(),
    ] {
        let told = "requests are forwarded to targetgroup/third too, which is neither side";
        assert_eq!(error.to_string(), told);
    }
}

#[tokio::test]
async fn what_aws_does_not_answer_is_told_with_its_action() {
    let elb = MockServer::start().await;
    let error = |code: &str| {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>because</Message></Error></ErrorResponse>"
        )
    };
    let fails = ResponseTemplate::new(403).set_body_string(error("AccessDenied"));
    Mock::given(body_string_contains("Action=DescribeRules&"))
        .respond_with(fails)
        .mount(&elb)
        .await;
    // Too many questions: asked again.
    let busy = ResponseTemplate::new(400).set_body_string(error("Throttling"));
    Mock::given(body_string_contains("Action=DescribeListeners&"))
        .respond_with(busy)
        .up_to_n_times(2)
        .mount(&elb)
        .await;
    let missing = ResponseTemplate::new(400).set_body_string(error("ListenerNotFound"));
    Mock::given(body_string_contains("Action=DescribeListeners&"))
        .respond_with(missing)
        .expect(1)
        .mount(&elb)
        .await;
    let arn = |what: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:{what}");
    let mut said = Vec::new();
    for at in [
        format!("rule: '{}'", arn("listener-rule/app/shop/1/2/3")),
        format!("listener: '{}'", arn("listener/app/shop/1/2")),
    ] {
        let (blue, green) = (arn("targetgroup/blue/1"), arn("targetgroup/green/2"));
        let section = format!(
            "alb: {{ {at}, blue: '{blue}', green: '{green}', release: {{ url: 'http://127.0.0.1:1/' }} }}"
        );
        let env = Env::from_iter([
            ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", elb.uri()),
            ("AWS_ACCESS_KEY_ID", "testkit".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testkit-secret-key".to_owned()),
        ]);
        let world = World::new(&section, "", env);
        let error = world.router().configured(&HERE).await.unwrap_err();
        said.push(error.to_string());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    DescribeRules: query Elastic Load Balancing: not allowed (AccessDenied): because; allow `elasticloadbalancing:DescribeRules`; `aws sts get-caller-identity` shows to whom
    DescribeListeners: query Elastic Load Balancing: not found (ListenerNotFound); check the name, and the region with AWS_REGION
    ");
}

#[test]
fn a_section_that_cannot_be_right_is_refused() {
    let arn = |what: &str| format!("'arn:aws:elasticloadbalancing:eu-west-1:1:{what}'");
    let (blue, green) = (arn("targetgroup/blue/1"), arn("targetgroup/green/2"));
    let rule = arn("listener-rule/app/shop/1/2/3");
    let sections = [
        format!("alb: {{ blue: {blue}, green: {green} }}"),
        format!("alb: {{ rule: {rule}, listener: {rule}, blue: {blue}, green: {green} }}"),
        format!(
            "alb: {{ rule: {}, blue: {blue}, green: {green} }}",
            arn("listener/app/shop/1/2")
        ),
        format!("alb: {{ rule: {rule}, blue: {blue}, green: {blue} }}"),
        format!("alb: {{ rule: {rule}, blue: blue, green: {green} }}"),
    ];
    let said = sections.map(|section| refused(&section)).join("\n---\n");
    insta::assert_snapshot!(said, @r"
    failed to understand deploy-guard.yml:5:8: neither `rule` nor `listener` is given
    ---
    failed to understand deploy-guard.yml:5:99: `rule` and `listener` exclude each other
    ---
    failed to understand deploy-guard.yml:5:16: `arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/shop/1/2` is not the ARN that is meant
    ---
    failed to understand deploy-guard.yml:5:165: both sides are the same target group
    ---
    failed to understand deploy-guard.yml:5:95: `blue` is not the ARN that is meant
    ");
}

//! An Application Load Balancer that moto plays: its control plane, which forwards nothing.

use crate::Moto;

/// The service and the version of its query protocol, for [`Moto::query`].
pub const ELB: (&str, &str) = ("elasticloadbalancing", "2015-12-01");

/// A listener that sends all requests to blue, and two groups of addresses without any target.
#[derive(Debug)]
pub struct Balancer {
    pub moto: Moto,
    /// ARNs.
    pub listener: String,
    pub blue: String,
    pub green: String,
}

impl Balancer {
    pub fn start() -> Balancer {
        let moto = Moto::start();
        let ec2 = ("ec2", "2016-11-15");
        let vpc = xml_text(&moto.query(ec2, &[("Action", "DescribeVpcs")]), "vpcId");
        let subnets = moto.query(ec2, &[("Action", "DescribeSubnets")]);
        let subnets: Vec<String> = subnets
            .split_inclusive("</subnetId>")
            .filter(|text| text.contains("<subnetId>"))
            .map(|text| xml_text(text, "subnetId"))
            .collect();
        let balancer = moto.query(
            ELB,
            &[
                ("Action", "CreateLoadBalancer"),
                ("Name", "shop"),
                ("Subnets.member.1", &subnets[0]),
                ("Subnets.member.2", &subnets[1]),
            ],
        );
        let group = |name: &str| {
            let made = moto.query(
                ELB,
                &[
                    ("Action", "CreateTargetGroup"),
                    ("Name", name),
                    ("Protocol", "HTTP"),
                    ("Port", "8001"),
                    ("VpcId", &vpc),
                    ("TargetType", "ip"),
                ],
            );
            xml_text(&made, "TargetGroupArn")
        };
        let (blue, green) = (group("blue"), group("green"));
        let listener = moto.query(
            ELB,
            &[
                ("Action", "CreateListener"),
                ("LoadBalancerArn", &xml_text(&balancer, "LoadBalancerArn")),
                ("Protocol", "HTTP"),
                ("Port", "80"),
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", &blue),
            ],
        );
        Balancer {
            listener: xml_text(&listener, "ListenerArn"),
            blue,
            green,
            moto,
        }
    }

    /// Makes this address a target of a group.
    pub fn register(&self, group: &str, address: &str, port: u16) {
        self.moto.query(
            ELB,
            &[
                ("Action", "RegisterTargets"),
                ("TargetGroupArn", group),
                ("Targets.member.1.Id", address),
                ("Targets.member.1.Port", &port.to_string()),
            ],
        );
    }
}

/// The text of the first element of this name.
///
/// # Panics
/// Panics where there is no such element.
pub fn xml_text(xml: &str, name: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let text = xml
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end));
    text.unwrap_or_else(|| panic!("no {name} in {xml}"))
        .0
        .to_owned()
}

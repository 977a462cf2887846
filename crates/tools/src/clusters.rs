//! The command lines of Kubernetes, Helm and AWS.

use crate::deed::CommandEffect;
use crate::migrations::migrates;
use crate::tool::{ByHand, EcsCall, HelmCall, KubectlCall, LAMBDA_BACK, PlatformCall, Tool};
use shell::Arguments;
use workflow::Value;
use workflow::{Fact, Line};

pub(crate) fn kubectl(words: &[String], at: &Line) -> Vec<CommandEffect> {
    let arguments = Arguments {
        words,
        valued: "-n --namespace -f --filename -k --kustomize --context --kubeconfig --timeout -l \
            --selector -p --patch --type -o --output -s --server --token",
    };
    let operands = arguments.operands();
    let fact = |text: &str| Fact::new(Value::new(text), at.clone());
    let mut call = KubectlCall {
        namespace: arguments.one(&["-n", "--namespace"]).map(Value::new),
        workloads: Vec::new(),
        context: arguments.one(&["--context"]).map(Value::new),
        kubeconfig: arguments.one(&["--kubeconfig"]).map(Value::new),
        ..KubectlCall::default()
    };
    let workload = |words: &[&str]| -> Option<Fact<Value>> {
        let first = words.first()?;
        let kind = |text: &str| {
            matches!(
                text,
                "deployment"
                    | "deploy"
                    | "deployments"
                    | "statefulset"
                    | "sts"
                    | "daemonset"
                    | "ds"
                    | "deployment.apps"
            )
        };
        if let Some((of, _)) = first.split_once('/') {
            return kind(of).then(|| fact(first));
        }
        kind(first).then(|| words.get(1).map(|name| fact(&format!("deployment/{name}"))))?
    };
    let mut deeds = Vec::new();
    match operands.first().copied() {
        // `kubectl exec POD -- sh -c "python manage.py migrate"`
        Some("exec") if migrates(words) => return vec![CommandEffect::Migrates],
        Some("apply" | "replace" | "create" | "patch") => {
            if operands.first() == Some(&"create")
                && operands.get(1).is_some_and(|word| {
                    matches!(*word, "secret" | "namespace" | "ns" | "configmap" | "token")
                })
            {
                return Vec::new();
            }
            if operands.first() == Some(&"create") && arguments.one(&["-f", "--filename"]).is_none()
            {
                return Vec::new();
            }
            call.workloads
                .extend(workload(operands.get(1..).unwrap_or_default()));
            let files = arguments.all(&["-f", "--filename"]).into_iter();
            call.files.extend(files.map(Value::new));
        }
        Some("set") if operands.get(1) == Some(&"image") => {
            call.workloads
                .extend(workload(operands.get(2..).unwrap_or_default()));
            let images = operands
                .iter()
                .skip(3)
                .filter_map(|pair| pair.split_once('='));
            deeds.extend(images.map(|(_, image)| CommandEffect::Image {
                name: Value::new(image),
                pushed: false,
                at: None,
            }));
        }
        Some("rollout") if matches!(operands.get(1), Some(&"restart" | &"status")) => {
            call.restarts = true;
            call.workloads
                .extend(workload(operands.get(2..).unwrap_or_default()));
        }
        _ => return Vec::new(),
    }
    deeds.push(CommandEffect::Deploys(Box::new(Tool::Kubectl(call))));
    deeds
}

pub(crate) fn helm(words: &[String], at: &Line) -> Vec<CommandEffect> {
    let arguments = Arguments {
        words,
        valued: "-n --namespace -f --values --set --set-string --timeout --version --kube-context \
            --kubeconfig --repo --history-max --set-file --set-json --description",
    };
    let operands = arguments.operands();
    if operands.first() == Some(&"push") {
        return vec![CommandEffect::Publishes { what: "a chart" }];
    }
    if !matches!(operands.first(), Some(&"upgrade" | &"install"))
        || operands.len() < 2
        || arguments.has("--dry-run")
    {
        return Vec::new();
    }
    let mut deeds = vec![CommandEffect::Deploys(Box::new(Tool::Helm(HelmCall {
        release: Value::new(operands[1]),
        chart: operands
            .get(2)
            .map(|chart| Value::new(*chart))
            .unwrap_or_default(),
        namespace: arguments
            .one(&["-n", "--namespace"])
            .map(|name| Fact::new(Value::new(name), at.clone())),
        values: arguments
            .all(&["-f", "--values"])
            .into_iter()
            .map(Value::new)
            .collect(),
        context: arguments.one(&["--kube-context"]).map(Value::new),
        kubeconfig: arguments.one(&["--kubeconfig"]).map(Value::new),
    })))];
    let sets = arguments.all(&["--set", "--set-string"]);
    let pairs = sets
        .iter()
        .flat_map(|set| set.split(','))
        .filter_map(|pair| pair.split_once('='));
    // The tag of a chart's image: the release.
    for (_, tag) in pairs.filter(|(key, _)| key.to_ascii_lowercase().ends_with("tag")) {
        deeds.push(CommandEffect::Image {
            name: Value::new(format!(":{tag}")),
            pushed: false,
            at: None,
        });
    }
    deeds
}

pub(crate) fn aws(words: &[String], at: &Line) -> Vec<CommandEffect> {
    let arguments = Arguments { words, valued: "" };
    let fact = |names: &[&str]| {
        arguments
            .one(names)
            .map(|text| Fact::new(Value::new(text), at.clone()))
    };
    let value = |names: &[&str]| arguments.one(names).map(Value::new).unwrap_or_default();
    let service = words
        .iter()
        .find(|word| !word.starts_with('-'))
        .map(String::as_str)
        .unwrap_or_default();
    let has = |verb: &str| arguments.has(verb);
    let deploys = |tool: Tool| vec![CommandEffect::Deploys(Box::new(tool))];
    let platform = |name, app, back| {
        deploys(Tool::Platform(PlatformCall {
            name,
            app,
            back,
            ..PlatformCall::default()
        }))
    };
    match service {
        "ecs" if has("update-service") => deploys(Tool::Ecs(EcsCall {
            cluster: fact(&["--cluster"]),
            service: fact(&["--service"]),
            region: fact(&["--region"]),
            task_definition: fact(&["--task-definition"]),
            ..EcsCall::default()
        })),
        "deploy" if has("create-deployment") => deploys(Tool::CodeDeploy {
            application: value(&["--application-name"]),
            group: value(&["--deployment-group-name"]),
        }),
        "ssm" if has("send-command") => deploys(Tool::Commands),
        "s3" if has("sync") || has("cp") && has("--recursive") => {
            deploys(Tool::Site { host: "a bucket" })
        }
        "lambda" if has("update-function-code") => {
            platform("AWS Lambda", fact(&["--function-name"]), LAMBDA_BACK)
        }
        "lightsail" if has("create-container-service-deployment") => {
            platform("Amazon Lightsail", fact(&["--service-name"]), ByHand::Again)
        }
        "apprunner" if has("start-deployment") => {
            platform("AWS App Runner", fact(&["--service-arn"]), ByHand::Again)
        }
        "elasticbeanstalk" if has("update-environment") => platform(
            "Elastic Beanstalk",
            fact(&["--environment-name"]),
            ByHand::Command("aws elasticbeanstalk update-environment --version-label VERSION"),
        ),
        _ => Vec::new(),
    }
}

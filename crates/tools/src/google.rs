//! Cloud Run, App Engine and machines at Google: their command lines and their actions.

use crate::deed::{CommandEffect, With};
use crate::tool::{APP_ENGINE_BACK, CLOUD_RUN_BACK, Live, PlatformCall, Tool};
use shell::Arguments;
use workflow::Value;
use workflow::{Fact, Line};

/// Options of `gcloud` with a value behind a blank.
const VALUED: &str = "--image --region --project --platform --port --memory --cpu --min-instances --max-instances --timeout \
    --service-account --set-env-vars --update-env-vars --set-secrets --update-secrets --concurrency --vpc-connector \
    --ingress --source --tag --add-cloudsql-instances --set-cloudsql-instances --labels --env-vars-file \
    --revision-suffix --execution-environment --vpc-egress --network --subnet --command --args --format --account \
    --version -v --bucket --image-url --stop-previous-version --cluster --namespace --zone --ssh-key-file";

/// The region of the action where none is named.
const REGION: &str = "us-central1";

/// `gcloud …`: what it deploys, without the program's name.
pub(crate) fn gcloud(words: &[String], at: &Line) -> Vec<CommandEffect> {
    let words = match words.first().map(String::as_str) {
        Some("beta" | "alpha") => &words[1..],
        _ => words,
    };
    let arguments = Arguments {
        words,
        valued: VALUED,
    };
    let operands = arguments.operands();
    let has = |name: &str| arguments.has(name) || arguments.has(&format!("{name}=true"));
    let app = |nth: usize| {
        operands
            .get(nth)
            .map(|word| Fact::new(Value::new(*word), at.clone()))
    };
    let place = ["--region", "--project"].into_iter();
    let place = place.filter_map(|name| Some((name, Value::new(arguments.one(&[name])?))));
    let call = PlatformCall {
        place: place.collect(),
        ..PlatformCall::default()
    };
    let deploys = |call: PlatformCall| vec![CommandEffect::Deploys(Box::new(Tool::Platform(call)))];
    match operands[..] {
        ["run", "deploy", ..] => deploys(PlatformCall {
            open: has("--allow-unauthenticated"),
            live: if has("--no-traffic") {
                Live::HeldBack
            } else {
                Live::New
            },
            ..cloud_run(call, app(2))
        }),
        ["run", "services", "update", ..] => deploys(PlatformCall {
            live: if has("--no-traffic") {
                Live::HeldBack
            } else {
                Live::New
            },
            ..cloud_run(call, app(3))
        }),
        ["run", "services", "replace", ..] => deploys(cloud_run(call, None)),
        ["app", "deploy", ..] => {
            let version = arguments.one(&["--version", "-v"]).map(Value::new);
            let files: Vec<&str> = operands[2..].to_vec();
            deploys(PlatformCall {
                live: app_engine_live(has("--no-promote"), version.as_ref()),
                ..app_engine(call, &files)
            })
        }
        // What it runs on the machine is quoted once more than by `ssh`, and by a login of Google's.
        ["compute", "ssh", ..] if arguments.one(&["--command"]).is_some() => {
            vec![CommandEffect::Deploys(Box::new(Tool::Commands))]
        }
        ["functions", "deploy", ..] => deploys(PlatformCall {
            name: "Cloud Functions",
            app: app(2),
            ..PlatformCall::default()
        }),
        _ => Vec::new(),
    }
}

/// `google-github-actions/deploy-cloudrun`; `None` where it starts a job, which serves no requests.
pub(crate) fn deploy_cloudrun(with: &With) -> Option<PlatformCall> {
    let input = |key: &str| with.get(key).cloned();
    if with.contains_key("job") {
        return None;
    }
    let text = |key: &str| {
        input(key)
            .map(|fact| fact.value.text().to_owned())
            .unwrap_or_default()
    };
    let region = input("region").map_or_else(|| Value::new(REGION), |fact| fact.value);
    let mut call = cloud_run(PlatformCall::default(), input("service"));
    call.place.push(("--region", region));
    call.place
        .extend(input("project_id").map(|fact| ("--project", fact.value)));
    call.open = text("flags").contains("--allow-unauthenticated");
    let held = text("no_traffic") == "true" || text("flags").contains("--no-traffic");
    // Another step, or this one, says which share of the requests it gets.
    if held || with.contains_key("revision_traffic") || with.contains_key("tag_traffic") {
        call.live = Live::HeldBack;
    }
    Some(call)
}

/// `google-github-actions/deploy-appengine`.
pub(crate) fn deploy_appengine(with: &With) -> PlatformCall {
    let input = |key: &str| with.get(key).map(|fact| fact.value.clone());
    let text = |key: &str| {
        input(key)
            .map(|value| value.text().to_owned())
            .unwrap_or_default()
    };
    let deliverables = text("deliverables");
    let files: Vec<&str> = deliverables.split_whitespace().collect();
    let mut call = app_engine(PlatformCall::default(), &files);
    call.place
        .extend(input("project_id").map(|project| ("--project", project)));
    let held = text("promote") == "false" || text("flags").contains("--no-promote");
    call.live = app_engine_live(held, input("version").as_ref());
    call
}

fn cloud_run(call: PlatformCall, app: Option<Fact<Value>>) -> PlatformCall {
    PlatformCall {
        name: "Cloud Run",
        app: app.filter(|app| !app.value.is_empty()),
        back: CLOUD_RUN_BACK,
        ..call
    }
}

fn app_engine(call: PlatformCall, files: &[&str]) -> PlatformCall {
    let config = match files {
        [] => Some("app.yaml"),
        [only] => Some(*only),
        // Of several files each may be a service of its own.
        _ => None,
    };
    PlatformCall {
        name: "App Engine",
        config: config.map(str::to_owned),
        back: APP_ENGINE_BACK,
        // Anyone may ask an app, unless another product stands before it.
        open: true,
        ..call
    }
}

fn app_engine_live(held: bool, version: Option<&Value>) -> Live {
    match version {
        _ if held => Live::HeldBack,
        Some(version) if version.literal().is_some() => Live::Overwrites,
        _ => Live::New,
    }
}

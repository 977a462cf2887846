//! Actions: what those of the marketplace do, by their names.

use std::collections::BTreeMap;

use crate::deed::{CommandEffect, With};
use crate::tool::{
    APP_SERVICE_BACK, ByHand, DOKKU_BACK, EcsCall, HEROKU_BACK, HelmCall, KubectlCall, LAMBDA_BACK,
    PlatformCall, SERVERLESS_BACK, Tool, VERCEL_BACK,
};
use workflow::Value;
use workflow::{Fact, Line};

/// The calls of a program that an input has, a line for each: `deploy --env production`.
fn calls(program: &str, input: &str) -> Vec<Vec<String>> {
    let mut read = shell::Program::new(input);
    std::iter::from_fn(|| read.next(&|_| None))
        .map(|command| {
            let words = command.words.into_iter().map(|word| word.text);
            [program.to_owned()].into_iter().chain(words).collect()
        })
        .collect()
}

/// A request with an action's own inputs, as `curl` would make it.
fn request(with: &With, method: &str) -> Vec<CommandEffect> {
    let first = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| with.get(*key));
        found.map(|fact| fact.value.text().to_owned())
    };
    let url = first(&["url", "webhook_url", "webhook-url", "webhook", "hook_url"]);
    let method = first(&["method"]).unwrap_or_else(|| method.to_owned());
    let mut words = vec!["-X".to_owned(), method];
    let header = first(&["headers", "customheaders", "custom-headers"]);
    words.extend(header.into_iter().flat_map(|text| ["-H".to_owned(), text]));
    words.extend(url);
    crate::web::web(&words)
}

/// The command lines that an action makes of its inputs, where that is all that it does.
pub fn calls_of(name: &str, with: &With) -> Vec<Vec<String>> {
    let text = |key: &str| with.get(key).map_or("", |fact| fact.value.text());
    let program = match name {
        "superfly/flyctl-actions" | "superfly/flyctl-actions/1.5" => "flyctl".to_owned(),
        "kodermax/kubectl-aws-eks" | "actions-hub/kubectl" | "steebchen/kubectl" => {
            "kubectl".to_owned()
        }
        // An image's own program: `docker://bitnami/kubectl:latest`.
        _ => match name.strip_prefix("docker://") {
            Some(image) => program_of_image(image, text("entrypoint")),
            None => return Vec::new(),
        },
    };
    calls(&program, text("args"))
}

fn program_of_image(image: &str, entrypoint: &str) -> String {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let of_image = name(image);
    match (entrypoint, of_image.split(':').next()) {
        ("", Some("aws-cli")) => "aws".to_owned(),
        ("", program) => program.unwrap_or_default().to_owned(),
        (entry, _) => name(entry),
    }
}

/// What an action does.
#[expect(clippy::too_many_lines, reason = "a table: a row for each program")]
pub fn deeds(
    name: &str,
    with: &With,
    env: &BTreeMap<String, String>,
    at: &Line,
) -> Vec<CommandEffect> {
    let input = |key: &str| with.get(key).cloned();
    let text = |key: &str| {
        with.get(key)
            .map(|fact| fact.value.text().to_owned())
            .unwrap_or_default()
    };
    let deploys = |tool: Tool| vec![CommandEffect::Deploys(Box::new(tool))];
    let platform = |name: &'static str, app: &[&str], back: ByHand| {
        let app = app.iter().find_map(|key| with.get(*key)).cloned();
        deploys(Tool::Platform(PlatformCall {
            name,
            app,
            back,
            ..PlatformCall::default()
        }))
    };
    let fetching = |name: &'static str, app: Option<Fact<Value>>| {
        deploys(Tool::Platform(PlatformCall {
            name,
            app,
            back: ByHand::Console,
            fetches: true,
            ..PlatformCall::default()
        }))
    };
    match name {
        "actions/checkout" => vec![CommandEffect::ChecksOut],
        "docker/build-push-action" => {
            let pushed = text("push") == "true"
                || text("push").starts_with("${{")
                || text("outputs").contains("type=registry");
            let tags = text("tags");
            let names = tags
                .split([',', '\n'])
                .map(str::trim)
                .filter(|name| !name.is_empty());
            let at = with.get("tags").map(|fact| fact.at.clone());
            names
                .map(|name| CommandEffect::Image {
                    name: Value::new(name),
                    pushed,
                    at: at.clone(),
                })
                .collect()
        }
        "aws-actions/configure-aws-credentials" => {
            let pair = input("aws-access-key-id").zip(input("aws-secret-access-key"));
            vec![CommandEffect::LogsInToAws {
                role: input("role-to-assume"),
                key_pair: pair,
                region: input("aws-region"),
            }]
        }
        "aws-actions/amazon-ecs-render-task-definition" => vec![CommandEffect::RendersTask {
            file: input("task-definition"),
            container: input("container-name"),
            image: input("image"),
        }],
        "aws-actions/amazon-ecs-deploy-task-definition" => deploys(Tool::Ecs(EcsCall {
            cluster: input("cluster"),
            service: input("service"),
            task_definition: input("task-definition"),
            ..EcsCall::default()
        })),
        "easingthemes/ssh-deploy"
        | "burnett01/rsync-deployments"
        | "pendect/action-rsyncer"
        | "appleboy/scp-action"
        | "contention/rsync-deployments" => {
            let target = ["target", "remote_path", "remote-path", "dest"]
                .iter()
                .find_map(|key| with.get(*key));
            let target = target.map(|fact| fact.value.clone());
            let target = target.or_else(|| env.get("TARGET").map(|text| Value::new(&**text)));
            deploys(Tool::Copy {
                with: if name.contains("scp") { "scp" } else { "rsync" },
                target: target.unwrap_or_default(),
            })
        }
        "samkirkland/ftp-deploy-action" => deploys(Tool::Copy {
            with: "FTP",
            target: input("server").map(|fact| fact.value).unwrap_or_default(),
        }),
        // A publish profile deploys, and can swap nothing.
        "azure/webapps-deploy" if with.contains_key("publish-profile") => {
            platform("Azure App Service", &["app-name"], ByHand::Again)
        }
        "azure/webapps-deploy" => platform("Azure App Service", &["app-name"], APP_SERVICE_BACK),
        "azure/functions-action" => platform("Azure Functions", &["app-name"], ByHand::Again),
        "azure/container-apps-deploy-action" => platform(
            "Azure Container Apps",
            &["containerappname"],
            ByHand::Command("az containerapp revision activate --revision REVISION"),
        ),
        "azure/static-web-apps-deploy" => deploys(Tool::Site {
            host: "Azure Static Web Apps",
        }),
        "azure/k8s-deploy" => {
            let namespace = input("namespace").map(|fact| fact.value);
            let all = |key: &str| -> Vec<Value> {
                let text = text(key);
                let each = text.split(['\n', ',']).map(str::trim);
                each.filter(|one| !one.is_empty()).map(Value::new).collect()
            };
            let names = all("images");
            let mut deeds = deploys(Tool::Kubectl(KubectlCall {
                namespace,
                files: all("manifests"),
                images: names.clone(),
                ..KubectlCall::default()
            }));
            deeds.extend(names.into_iter().map(|name| CommandEffect::Image {
                name,
                pushed: false,
                at: None,
            }));
            deeds
        }
        "google-github-actions/deploy-cloudrun" => {
            let call = crate::google::deploy_cloudrun(with);
            call.into_iter()
                .flat_map(|call| deploys(Tool::Platform(call)))
                .collect()
        }
        "google-github-actions/deploy-appengine" => {
            deploys(Tool::Platform(crate::google::deploy_appengine(with)))
        }
        "google-github-actions/deploy-cloud-functions" => {
            platform("Cloud Functions", &["name"], ByHand::Again)
        }
        "akhileshns/heroku-deploy" => {
            let mut all = platform("Heroku", &["heroku_app_name"], HEROKU_BACK);
            all.extend(input("healthcheck").map(|fact| CommandEffect::Asks { url: fact.value }));
            all
        }
        // Without `--prod` it is a preview, which another address may lead to.
        "amondnet/vercel-action" if text("vercel-args").contains("--prod") => {
            platform("Vercel", &[], VERCEL_BACK)
        }
        "amondnet/vercel-action" if with.contains_key("alias-domains") => deploys(Tool::Other {
            name: name.to_owned(),
        }),
        "vercel/action" => platform("Vercel", &[], VERCEL_BACK),
        "digitalocean/app_action" | "digitalocean/app_action/deploy" => {
            fetching("DigitalOcean App Platform", input("app_name"))
        }
        "johnbeynon/render-deploy-action" | "bounceapp/render-action" => fetching("Render", None),
        "dokku/github-action" => platform("Dokku", &["git_remote_url"], DOKKU_BACK),
        "caprover/deploy-from-github" => platform("CapRover", &["app"], ByHand::Console),
        "einaregilsson/beanstalk-deploy" => platform(
            "Elastic Beanstalk",
            &["application_name"],
            ByHand::Command("aws elasticbeanstalk update-environment --version-label VERSION"),
        ),
        "serverless/github-action" if text("args").contains("deploy") => {
            platform("Serverless Framework", &[], SERVERLESS_BACK)
        }
        "appleboy/lambda-action" | "aws-actions/aws-lambda-deploy" => platform(
            "AWS Lambda",
            &["function_name", "function-name"],
            LAMBDA_BACK,
        ),
        "cloudflare/wrangler-action" => {
            let command = with
                .get("command")
                .map_or("deploy", |fact| fact.value.text());
            let calls = calls("wrangler", command);
            let mut deeds: Vec<CommandEffect> = (calls.iter())
                .flat_map(|words| crate::commands::deeds(words, &words[0], env, at))
                .collect();
            match (deeds.len(), command.contains("deploy")) {
                // Of several Workers none is the one that goes back.
                (2.., _) | (0, true) => platform(
                    "Cloudflare Workers",
                    &[],
                    ByHand::Command("wrangler rollback"),
                ),
                _ => std::mem::take(&mut deeds),
            }
        }
        "cloudflare/pages-action" => deploys(Tool::Site {
            host: "Cloudflare Pages",
        }),
        "nwtgck/actions-netlify" | "netlify/actions/cli" => deploys(Tool::Site { host: "Netlify" }),
        // Any other channel is a preview.
        "firebaseextended/action-hosting-deploy" if text("channelid") == "live" => {
            deploys(Tool::Site {
                host: "Firebase Hosting",
            })
        }
        "firebaseextended/action-hosting-deploy" | "amondnet/vercel-action" => Vec::new(),
        "actions/deploy-pages"
        | "peaceiris/actions-gh-pages"
        | "jamesives/github-pages-deploy-action"
        | "crazy-max/ghaction-github-pages"
        | "shalzz/zola-deploy-action" => deploys(Tool::Site {
            host: "GitHub Pages",
        }),
        "jakejarvis/s3-sync-action" | "reggionick/s3-deploy" => {
            deploys(Tool::Site { host: "a bucket" })
        }
        "deployphp/action" => {
            let stage = text("dep");
            let stage = stage
                .strip_prefix("deploy")
                .map(|rest| rest.trim().to_owned());
            match stage {
                Some(stage) => {
                    let stage = (!stage.is_empty()).then(|| Value::new(stage));
                    deploys(Tool::Deployer {
                        program: String::new(),
                        stage,
                    })
                }
                None => Vec::new(),
            }
        }
        "bitovi/github-actions-deploy-docker-to-ec2" => {
            platform("an EC2 instance by bitovi", &[], ByHand::Again)
        }
        "deliverybot/helm" | "bitovi/github-actions-deploy-eks-helm" | "vimeda/helm" => {
            let namespace = input("namespace");
            deploys(Tool::Helm(HelmCall {
                release: ["release", "name"]
                    .iter()
                    .find_map(|key| with.get(*key))
                    .map(|fact| fact.value.clone())
                    .unwrap_or_default(),
                chart: input("chart").map(|fact| fact.value).unwrap_or_default(),
                namespace,
                values: Vec::new(),
                context: None,
                kubeconfig: None,
            }))
        }
        _ if name.contains("ansible-playbook") => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| with.get(*key)).cloned();
            let playbook = first(&["playbook", "playbookname", "playbook_name"]);
            deploys(Tool::Ansible {
                playbook: playbook.map(|fact| fact.value).unwrap_or_default(),
                inventory: first(&["inventory", "inventoryfile", "inventory_file"])
                    .map(|fact| fact.value),
            })
        }
        "hashicorp/tfc-workflows-github" => platform("Terraform Cloud", &[], ByHand::Again),
        // Without files it writes the notes of a release alone.
        "softprops/action-gh-release" if !with.contains_key("files") => Vec::new(),
        "softprops/action-gh-release"
        | "ncipollo/release-action"
        | "goreleaser/goreleaser-action"
        | "actions/create-release" => {
            vec![CommandEffect::Publishes {
                what: "the files of a release",
            }]
        }
        "pypa/gh-action-pypi-publish" => vec![CommandEffect::Publishes {
            what: "a Python package",
        }],
        "js-devtools/npm-publish" | "changesets/action" => vec![CommandEffect::Publishes {
            what: "an npm package",
        }],
        "rubygems/release-gem" => vec![CommandEffect::Publishes { what: "a gem" }],
        "distributhor/workflow-webhook"
        | "joelwmale/webhook-action"
        | "jbrooksuk/laravel-forge-action" => deploys(Tool::Hook {
            url: ["webhook_url", "url", "trigger_url"]
                .iter()
                .find_map(|key| with.get(*key))
                .map(|fact| fact.value.clone())
                .unwrap_or_default(),
        }),
        "jtalk/url-health-check-action"
        | "cygnetdigital/wait_for_response"
        | "emilioschepis/wait-for-endpoint" => {
            vec![CommandEffect::Asks {
                url: input("url").map(|fact| fact.value).unwrap_or_default(),
            }]
        }
        "satak/webrequest-action" | "tyrrrz/action-http-request" => request(with, "GET"),
        "fjogeleit/http-request-action" => request(with, "POST"),
        _ => {
            let calls = calls_of(name, with);
            if calls.is_empty() {
                return other(name, with);
            }
            (calls.iter())
                .flat_map(|words| crate::commands::deeds(words, &words[0], env, at))
                .collect()
        }
    }
}

/// An action of another name that says what it does: `acme/actions/deploy-ecs`.
fn other(name: &str, with: &With) -> Vec<CommandEffect> {
    const TELLS: [&str; 13] = [
        "download",
        "status",
        "notify",
        "notification",
        "slack",
        "discord",
        "wait",
        "delete",
        "comment",
        "marker",
        "tracker",
        "preview",
        "sentry",
    ];
    let Some((_, of_repository)) = name.split_once('/') else {
        return Vec::new();
    };
    let words = of_repository.split(|c: char| !c.is_ascii_alphanumeric());
    let has = |all: &[&str]| words.clone().any(|word| all.contains(&word));
    if has(&TELLS) {
        return Vec::new();
    }
    if has(&["webhook", "webhooks"]) {
        let asked = request(with, "POST");
        if !asked.is_empty() {
            return asked;
        }
    }
    let says = has(&["deploy", "deployer"]);
    let is_ftp = has(&["ftp", "sftp", "ftps", "lftp"]);
    let uploads = is_ftp && has(&["deployment", "upload", "mirror", "sync", "push"]);
    if !says && !uploads {
        return Vec::new();
    }
    let tool = if has(&["pages"]) {
        Tool::Site {
            host: "GitHub Pages",
        }
    } else if is_ftp {
        Tool::Copy {
            with: "FTP",
            target: Value::default(),
        }
    } else {
        Tool::Other {
            name: name.to_owned(),
        }
    };
    vec![CommandEffect::Deploys(Box::new(tool))]
}

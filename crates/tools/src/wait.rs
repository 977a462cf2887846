//! Whether a call ends before the release runs: what is known of each tool, and nothing of the others.

use crate::deed::With;
use crate::tool::KUBECTL_CHANGES;

/// How a call that deploys ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Once the release runs, or with what ran before taken away.
    Running,
    /// As soon as the release is asked for: it starts elsewhere.
    Early,
    Unknown,
}

/// Programs that end once what they start runs: they wait for it, or take its place.
const RUNNING: &str = "docker podman nerdctl docker-compose podman-compose kamal mrsk systemctl service supervisorctl pm2 \
    wrangler firebase netlify netlify-cli serverless sls sam cdk copilot dep deployer cap php rsync scp lftp ncftpput git composer \
    unzip tar ln passenger-config";

/// How a command ends; its first word is the program's name.
pub fn ends(words: &[String]) -> Ends {
    let words: Vec<&str> = words.iter().map(|word| word.trim_matches('"')).collect();
    let Some((name, rest)) = words.split_first() else {
        return Ends::Unknown;
    };
    // `vercel@latest`.
    let name = name.split('@').next().unwrap_or_default();
    let has = |options: &[&str]| rest.iter().any(|word| options.contains(word));
    // What a variable adds may be the option that waits.
    let early = if rest.iter().any(|word| may_be_options(word)) {
        Ends::Unknown
    } else {
        Ends::Early
    };
    let unless = |options: &[&str]| if has(options) { early } else { Ends::Running };
    let only_with = |options: &[&str]| if has(options) { Ends::Running } else { early };
    let first = rest.first().copied().unwrap_or_default();
    let second = rest.get(1).copied().unwrap_or_default();
    let object = || {
        let all = ["compose", "stack", "service", "run", "start", "restart"];
        rest.iter().find(|word| all.contains(word)).copied()
    };
    match name {
        "docker" if object() == Some("stack") => only_with(&["--detach=false"]),
        "docker" if object() == Some("service") => unless(&["-d", "--detach", "--detach=true"]),
        "kubectl" | "oc" if KUBECTL_CHANGES.iter().any(|verb| has(&[verb])) => early,
        "helm" => only_with(&[
            "--wait",
            "--wait=true",
            "--wait=watcher",
            "--atomic",
            "--rollback-on-failure",
        ]),
        "aws" => match (first, second) {
            ("ecs", "update-service" | "create-deployment")
            | ("deploy", "create-deployment")
            | ("elasticbeanstalk", "update-environment")
            | ("lambda", "update-function-code")
            | ("apprunner", "start-deployment" | "update-service")
            | ("ssm", "send-command")
            | ("amplify", "start-job" | "start-deployment") => early,
            ("ecs" | "cloudformation", "deploy") | ("s3" | "s3api", _) => Ends::Running,
            _ => Ends::Unknown,
        },
        "gcloud" if has(&["deploy", "update", "update-traffic"]) => unless(&["--async"]),
        "gcloud" if has(&["ssh"]) => Ends::Running,
        "flyctl" | "fly" if first == "deploy" => unless(&["--detach"]),
        "vercel" => unless(&["--no-wait"]),
        "railway" if has(&["-d", "--detach"]) => Ends::Early,
        "doctl" => only_with(&["--wait", "--wait=true"]),
        "eb" => unless(&["--nohang", "-nh"]),
        "az" if has(&["swap", "run-command"]) => unless(&["--no-wait"]),
        "nomad" => unless(&["-detach", "--detach"]),
        // It ends with what Git has being applied.
        "argocd" if second == "sync" => early,
        "curl" | "wget" | "http" | "Invoke-WebRequest" | "Invoke-RestMethod" | "iwr" | "irm" => {
            early
        }
        _ if RUNNING.split_whitespace().any(|one| one == name)
            || crate::commands::is_program_of_machine(name) =>
        {
            Ends::Running
        }
        _ => Ends::Unknown,
    }
}

/// How an action ends, by its name in small letters.
pub fn action_ends(name: &str, with: &With) -> Ends {
    let given = |key: &str| with.get(key).map(|fact| fact.value.text());
    let option = |key: &str, default: &'static str| match given(key).unwrap_or(default) {
        "true" => Ends::Running,
        "false" => Ends::Early,
        _ => Ends::Unknown,
    };
    let calls = crate::uses::calls_of(name, with);
    if let Some(last) = calls.last() {
        return ends(last);
    }
    match name {
        "aws-actions/amazon-ecs-deploy-task-definition" => {
            option("wait-for-service-stability", "false")
        }
        "einaregilsson/beanstalk-deploy" => option("wait_for_deployment", "true"),
        "johnbeynon/render-deploy-action" => option("wait-for-success", "false"),
        "azure/k8s-deploy"
        | "azure/static-web-apps-deploy"
        | "google-github-actions/deploy-cloudrun"
        | "google-github-actions/deploy-appengine"
        | "google-github-actions/deploy-cloud-functions"
        | "akhileshns/heroku-deploy"
        | "dokku/github-action"
        | "amondnet/vercel-action"
        | "cloudflare/wrangler-action"
        | "cloudflare/pages-action"
        | "nwtgck/actions-netlify"
        | "firebaseextended/action-hosting-deploy"
        | "serverless/github-action"
        | "actions/deploy-pages"
        | "jakejarvis/s3-sync-action"
        | "reggionick/s3-deploy"
        | "deployphp/action"
        | "easingthemes/ssh-deploy"
        | "burnett01/rsync-deployments"
        | "pendect/action-rsyncer"
        | "appleboy/scp-action"
        | "contention/rsync-deployments"
        | "samkirkland/ftp-deploy-action" => Ends::Running,
        // They push a branch, which GitHub publishes then.
        "peaceiris/actions-gh-pages"
        | "jamesives/github-pages-deploy-action"
        | "crazy-max/ghaction-github-pages"
        | "shalzz/zola-deploy-action"
        | "distributhor/workflow-webhook"
        | "joelwmale/webhook-action"
        | "jbrooksuk/laravel-forge-action"
        | "satak/webrequest-action"
        | "tyrrrz/action-http-request"
        | "fjogeleit/http-request-action" => Ends::Early,
        _ if name.contains("dispatch") && !name.contains("wait") => Ends::Early,
        _ => Ends::Unknown,
    }
}

/// Whether a command waits until a platform runs what it was given.
pub fn waits(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["aws", _, "wait", ..] | ["kubectl" | "oc", "wait", ..] | ["argocd", "app", "wait", ..] => {
            true
        }
        ["kubectl" | "oc", ref rest @ ..] => {
            rest.windows(2).any(|pair| pair == ["rollout", "status"])
        }
        _ => false,
    }
}

/// Whether a word may be options that only the shell knows: `$HELM_ARGS`, `"${ARGS[@]}"`.
fn may_be_options(word: &str) -> bool {
    let Some(name) = word.strip_prefix('$') else {
        return false;
    };
    let upper = name.to_ascii_uppercase();
    ["ARG", "OPT", "FLAG", "EXTRA", "PARAM", "[@]", "[*]"]
        .iter()
        .any(|part| upper.contains(part))
        || matches!(word, "$@" | "$*")
}

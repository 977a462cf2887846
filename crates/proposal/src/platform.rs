//! Platforms and tools that go back by a command or an action of their own: what is noted before the deployment, what
//! goes back after a gate that failed, and the address that a platform gives an app.

use survey::{Job, Live, PlatformCall, Step, Text, Value};

use crate::handed::StepEnv;
use crate::steps::{Act, free_id};

/// Whether the job runs on Windows, where deploy-guard has no binary.
pub fn is_windows(job: &Job) -> bool {
    let says = |label: &Value| label.text().to_ascii_lowercase().contains("windows");
    job.labels.iter().any(says)
}

/// A step of ours beside the one that deploys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    pub id: Option<String>,
    pub note: &'static str,
    pub name: &'static str,
    /// Besides that of the step that deploys.
    pub condition: Option<String>,
    pub run: String,
    pub handed: StepEnv,
}

/// The way back in a step of its own, after a gate that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStep {
    pub name: String,
    pub act: Act,
    pub folder: Option<String>,
    pub handed: StepEnv,
    /// What is noted before the deployment, because the step needs it.
    pub before: Option<Extra>,
    /// What the deployment needs after an earlier way back.
    pub after: Option<Extra>,
    /// Whether something was noted: `steps.before.outputs.revision != ''`.
    pub condition: Option<String>,
}

/// What is known of the step that deploys.
pub struct Place<'p> {
    pub job: &'p Job,
    pub nth: usize,
}

impl Place<'_> {
    pub fn step(&self) -> Option<&Step> {
        self.job.steps.get(self.nth)
    }

    fn action(&self) -> Option<&str> {
        Some(self.step()?.uses.as_ref()?.value.text())
    }

    /// Variables of the deploying step's own, which its tool may need.
    fn env(&self, mut handed: StepEnv) -> StepEnv {
        for (name, text) in self.step().iter().flat_map(|step| &step.env) {
            handed.set(name, text.value.text());
        }
        handed
    }

    /// Whether the job has what GitHub's runners for Linux and macOS have.
    fn has_jq(&self) -> bool {
        !self.job.container && !is_windows(self.job)
    }

    /// Whether `gcloud` has a login in a step of its own: another step gave it one, or it is called already.
    fn has_gcloud(&self) -> bool {
        let before = self.job.steps.iter().take(self.nth);
        let mut actions = before.filter_map(|step| step.uses.as_ref());
        self.action().is_none()
            || actions.any(|uses| uses.value.text().starts_with("google-github-actions/auth@"))
    }

    /// The deploying step's action again, with other words for what it does; `None` where it is no such action.
    fn again(&self, changes: &dyn Fn(&str, &Text) -> Option<String>) -> Option<Act> {
        let step = self.step()?;
        let with = step
            .with
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), changes(name, text)?)));
        Some(Act::Uses {
            action: self.action()?.to_owned(),
            with: with.collect(),
        })
    }
}

/// By the platform's own commands, where this job can call them.
pub fn back(call: &PlatformCall, place: &Place<'_>) -> Option<OwnStep> {
    match call.name {
        // The steps are programs for bash, and read JSON with `jq`.
        "Cloud Run" | "App Engine" | "Fly" if !place.has_jq() => None,
        "Cloud Run" => cloud_run(call, place),
        "App Engine" => app_engine(call, place),
        "Fly" => fly(call, place),
        "Cloudflare Workers" => wrangler(call, place),
        _ => None,
    }
}

/// `--region europe-west1 --project acme`, each with a blank before it.
fn options(call: &PlatformCall, handed: &mut StepEnv) -> Option<String> {
    let mut all = String::new();
    for (name, value) in &call.place {
        let usual = name.trim_start_matches('-').to_ascii_uppercase();
        all.push_str(&format!(" {name} {}", handed.shell_word(value, &usual)?));
    }
    Some(all)
}

/// What serves before the deployment, and the command that goes back to it.
struct Noted<'n> {
    /// What it is called, such as `revision`: the output of the step that notes it.
    what: &'n str,
    note: &'static str,
    /// Writes the output.
    run: String,
    /// The name of the step that goes back.
    name: &'n str,
    /// Goes back to what the variable of this name has.
    back: &'n dyn Fn(&str) -> String,
}

impl Noted<'_> {
    /// `handed` is what both commands need.
    fn step(self, place: &Place<'_>, handed: StepEnv) -> OwnStep {
        let id = free_id(place.job, "before");
        let handed = place.env(handed);
        let output = format!("steps.{id}.outputs.{}", self.what);
        let mut back = handed.clone();
        let variable = back.name(
            &format!("${{{{ {output} }}}}"),
            &self.what.to_ascii_uppercase(),
        );
        OwnStep {
            name: self.name.to_owned(),
            act: Act::Run((self.back)(&variable)),
            folder: None,
            handed: back,
            condition: Some(format!("{output} != ''")),
            after: None,
            before: Some(Extra {
                id: Some(id),
                note: self.note,
                name: "Note what serves before the deployment",
                condition: None,
                run: self.run,
                handed,
            }),
        }
    }
}

fn cloud_run(call: &PlatformCall, place: &Place<'_>) -> Option<OwnStep> {
    if call.live != Live::New || !place.has_gcloud() {
        return None;
    }
    let mut handed = StepEnv::default();
    let app = handed.shell_word(&call.app.as_ref()?.value, "SERVICE")?;
    let service = format!("{app}{}", options(call, &mut handed)?);
    let noted = Noted {
        what: "revision",
        note: "The revision that serves now is what a way back goes to.",
        run: format!(
            "service=$(gcloud run services describe {service} --format json || echo '{{}}')\n\
             {{\n\
             \x20 jq -r '\"revision=\" + ([.status.traffic[]? | select(.percent == 100)][0].revisionName // \"\")' <<<\"$service\"\n\
             \x20 jq -r '\"pinned=\" + ([.spec.traffic[]? | select(.percent == 100 and (.latestRevision | not))] | length > 0 | tostring)' <<<\"$service\"\n\
             }} >>\"$GITHUB_OUTPUT\"\n"
        ),
        name: "Send the requests to the revision before",
        back: &|revision| {
            format!(
                "gcloud run services update-traffic {service} --to-revisions \"${revision}=100\"\n"
            )
        },
    };
    let mut own = noted.step(place, handed);
    own.after = own.before.as_ref().and_then(|before| {
        let id = before.id.as_deref()?;
        Some(Extra {
            id: None,
            note: "After a way back the requests stay with one revision: the new one gets them again.",
            name: "Send the requests to the new revision",
            condition: Some(format!("steps.{id}.outputs.pinned == 'true'")),
            run: format!("gcloud run services update-traffic {service} --to-latest\n"),
            handed: before.handed.clone(),
        })
    });
    Some(own)
}

fn app_engine(call: &PlatformCall, place: &Place<'_>) -> Option<OwnStep> {
    if call.live != Live::New || !place.has_gcloud() {
        return None;
    }
    let mut handed = StepEnv::default();
    let app = handed.shell_word(&call.app.as_ref()?.value, "SERVICE")?;
    let service = format!("{app}{}", options(call, &mut handed)?);
    let noted = Noted {
        what: "version",
        note: "The version that serves now is what a way back goes to.",
        run: format!(
            "service=$(gcloud app services describe {service} --format json || echo '{{}}')\n\
             jq -r '\"version=\" + ([.split.allocations // {{}} | to_entries[] | select(.value == 1)][0].key // \"\")' <<<\"$service\" \\\n\
             \x20 >>\"$GITHUB_OUTPUT\"\n"
        ),
        name: "Send the requests to the version before",
        back: &|version| {
            format!("gcloud app services set-traffic {service} --splits \"${version}=1\" --quiet\n")
        },
    };
    Some(noted.step(place, handed))
}

fn fly(call: &PlatformCall, place: &Place<'_>) -> Option<OwnStep> {
    // Within an action the program is in a container of its own.
    if place.action().is_some() || call.program.is_empty() {
        return None;
    }
    let program = &call.program;
    let mut handed = StepEnv::default();
    let app = handed.shell_word(&call.app.as_ref()?.value, "FLY_APP")?;
    let config = match &call.config {
        Some(file) => {
            let word = handed.shell_word(&Value::new(&**file), "FLY_CONFIG")?;
            format!(" --config {word}")
        }
        None => String::new(),
    };
    let noted = Noted {
        what: "image",
        note: "The image of the last release that was completed is what a way back deploys.",
        run: format!(
            "releases=$({program} releases --app {app} --image --json || echo '[]')\n\
             jq -r '\"image=\" + ([.[] | select(.Status == \"complete\" or .Status == \"succeeded\")][0].ImageRef // \"\")' \\\n\
             \x20 <<<\"$releases\" >>\"$GITHUB_OUTPUT\"\n"
        ),
        name: "Deploy the image before again",
        back: &|image| format!("{program} deploy --app {app}{config} --image \"${image}\"\n"),
    };
    Some(noted.step(place, handed))
}

/// `cloudflare/wrangler-action` with the options of the deployment, by which the Worker that goes back is the one that
/// was deployed: `rollback --env production --yes`.
fn wrangler(call: &PlatformCall, place: &Place<'_>) -> Option<OwnStep> {
    const KEPT: [&str; 6] = [
        "apitoken",
        "accountid",
        "environment",
        "workingdirectory",
        "wranglerversion",
        "packagemanager",
    ];
    // 1.x takes no `command`, and publishes whatever it is given.
    let is_first = |action: &str| {
        let version = action.split_once('@').map_or("", |(_, version)| version);
        let version = version.trim_start_matches('v');
        version == "1" || version.starts_with("1.") || version.starts_with("0.")
    };
    if place.action().is_some_and(is_first) {
        return None;
    }
    let mut act = place.again(&|name, text| {
        let kept = KEPT.contains(&name.to_ascii_lowercase().as_str());
        kept.then(|| text.value.text().to_owned())
    })?;
    let mut command = "rollback".to_owned();
    for (option, value) in &call.undo.as_ref()?.options {
        let word = match value.literal() {
            Some(literal) => remote::quote(literal),
            None => value.expression().map(|_| value.text().to_owned())?,
        };
        command.push_str(&format!(" {option} {word}"));
    }
    command.push_str(" --yes");
    if let Act::Uses { with, .. } = &mut act {
        with.push(("command".to_owned(), command));
    }
    Some(plain(act, place))
}

/// `deployphp/action` with `dep: rollback STAGE`.
pub fn deployer(place: &Place<'_>) -> Option<OwnStep> {
    let is_it = place
        .action()
        .is_some_and(|action| action.starts_with("deployphp/action@"));
    let act = place.again(&|name, text| {
        let value = text.value.text();
        match name {
            "dep" => Some(value.replacen("deploy", "rollback", 1)),
            _ => Some(value.to_owned()),
        }
    });
    act.filter(|_| is_it).map(|act| plain(act, place))
}

/// An action that calls `kubectl` with a login of its own, for one workload.
pub fn kubectl(command: &str, place: &Place<'_>) -> Option<OwnStep> {
    let act = place.again(&|name, text| match name {
        "args" => Some(command.to_owned()),
        _ => Some(text.value.text().to_owned()),
    });
    act.map(|act| plain(act, place))
}

fn plain(act: Act, place: &Place<'_>) -> OwnStep {
    OwnStep {
        name: "Go back to the release before".to_owned(),
        act,
        folder: None,
        handed: place.env(StepEnv::default()),
        before: None,
        after: None,
        condition: None,
    }
}

/// The address that the platform gives the app, and the step that asks it for that.
pub fn address(call: &PlatformCall, place: &Place<'_>) -> Option<(String, Option<Extra>)> {
    if call.live != Live::New || !call.open {
        return None;
    }
    let id = place.step()?.id.as_deref();
    let output = match (call.name, place.action()) {
        ("Cloud Run", Some(_)) => Some("url"),
        // Its first versions had one address.
        ("App Engine", Some(action)) if action.contains("@v0") || action.contains("@v1") => {
            Some("url")
        }
        ("App Engine", Some(action)) if action.contains("@v") => Some("version_url"),
        _ => None,
    };
    if let (Some(id), Some(output)) = (id, output) {
        return Some((format!("${{{{ steps.{id}.outputs.{output} }}}}"), None));
    }
    if !place.has_gcloud() {
        return None;
    }
    let mut handed = StepEnv::default();
    let app = &call.app.as_ref()?.value;
    let url = match call.name {
        "Cloud Run" => {
            let app = handed.shell_word(app, "SERVICE")?;
            let options = options(call, &mut handed)?;
            format!("$(gcloud run services describe {app}{options} --format 'value(status.url)')")
        }
        "App Engine" if app.text() == "default" => {
            let options = options(call, &mut handed)?;
            format!("https://$(gcloud app describe{options} --format 'value(defaultHostname)')")
        }
        _ => return None,
    };
    let run = format!("echo \"url={url}\" >>\"$GITHUB_OUTPUT\"\n");
    // What was added before is used, and not added again.
    let there = place.job.steps.iter().find(|step| {
        let own = step.run.as_ref().map(|text| text.value.text());
        own.is_some_and(|own| own.trim() == run.trim())
    });
    if let Some(id) = there.and_then(|step| step.id.as_ref()) {
        return Some((format!("${{{{ steps.{id}.outputs.url }}}}"), None));
    }
    let id = free_id(place.job, "service");
    let step = Extra {
        id: Some(id.clone()),
        note: "The address that the platform gives the app.",
        name: "Find the address of the app",
        condition: None,
        run,
        handed: place.env(handed),
    };
    Some((format!("${{{{ steps.{id}.outputs.url }}}}"), Some(step)))
}

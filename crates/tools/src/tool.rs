//! What makes a release live.

use workflow::Value;
use workflow::{Fact, Line};

/// A tool as a workflow calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    Compose(ComposeCall),
    /// `docker stack deploy`, `docker service update`.
    Swarm {
        stack: Value,
    },
    /// `docker run` on the machine.
    Container {
        name: Option<Value>,
        image: Value,
        /// Called through `sudo`: the user may not speak to Docker.
        sudo: bool,
    },
    Kamal(KamalCall),
    Kubectl(KubectlCall),
    Helm(HelmCall),
    Ecs(EcsCall),
    CodeDeploy {
        application: Value,
        group: Value,
    },
    /// Units that are restarted.
    Systemd {
        units: Vec<Fact<String>>,
        sudo: bool,
        /// Of a user's own manager (`systemctl --user`), which the machine's does not know.
        of_user: bool,
    },
    Pm2 {
        app: Option<Value>,
    },
    Supervisor {
        program: Value,
    },
    /// PHP Deployer: `dep deploy STAGE`.
    Deployer {
        /// As the workflow calls it: `php vendor/bin/dep`; empty for an action.
        program: String,
        stage: Option<Value>,
    },
    Capistrano {
        /// As the workflow calls it: `bundle exec cap`.
        program: String,
        stage: Option<Value>,
    },
    Ansible {
        playbook: Value,
        inventory: Option<Value>,
    },
    /// Files that are copied to a machine, and nothing is restarted.
    Copy {
        with: &'static str,
        target: Value,
    },
    /// Commands on the machine that are none of these: `git pull`, `composer install`, `php artisan`.
    Commands,
    /// A program whose text says nothing more: `./deploy.sh`, or one that is only on the machine.
    Script {
        path: String,
    },
    /// A platform that runs the release: Fly, Heroku, Cloud Run, App Service, Vercel and others.
    Platform(PlatformCall),
    /// Files for browsers: GitHub Pages, a bucket, Netlify.
    Site {
        host: &'static str,
    },
    /// A program or an action that says that it deploys, and of which nothing more is known.
    Other {
        /// `supabase functions deploy`, `acme/deploy-action`.
        name: String,
    },
    /// A step or a job of which nothing but its name is known, and of which a person says that it deploys.
    Called {
        name: String,
    },
    /// A request to an address that starts a deployment elsewhere.
    Hook {
        url: Value,
    },
}

impl Tool {
    /// The name in a starter workflow that is still to be filled in: `MY_ECS_SERVICE`, `your-app-name`.
    pub fn placeholder(&self) -> Option<&Fact<Value>> {
        let is_one = |fact: &&Fact<Value>| {
            let text = fact.value.text();
            let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let loud = text.starts_with("MY_") || text.starts_with("YOUR_");
            loud && text.chars().all(capital)
                || text.starts_with("your-")
                || text.starts_with('<') && text.ends_with('>')
        };
        let named = match self {
            Tool::Ecs(call) => [call.cluster.as_ref(), call.service.as_ref()],
            Tool::Platform(call) => [call.app.as_ref(), None],
            _ => return None,
        };
        named.into_iter().flatten().find(is_one)
    }

    /// Whether it may start an image, and not only files.
    pub fn starts_images(&self) -> bool {
        !matches!(
            self,
            Tool::Copy { .. }
                | Tool::Site { .. }
                | Tool::Systemd { .. }
                | Tool::Pm2 { .. }
                | Tool::Supervisor { .. }
                | Tool::Deployer { .. }
                | Tool::Capistrano { .. }
        )
    }

    /// Whether only the machine knows its files or its project.
    pub fn depends(&self) -> bool {
        let Tool::Compose(call) = self else {
            return false;
        };
        let unknown = |text: &str| text.replace("${{", "").contains('$');
        call.files.iter().any(|file| unknown(&file.value))
            || call
                .project
                .as_ref()
                .is_some_and(|name| unknown(name.value.text()))
    }
}

/// `docker compose … up`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeCall {
    /// As `-f` names them, in order; empty where Compose reads its own. From `folder`.
    pub files: Vec<Fact<String>>,
    pub project: Option<Fact<Value>>,
    pub env_files: Vec<Fact<String>>,
    pub profiles: Vec<Fact<String>>,
    /// The services that are started; empty for all.
    pub services: Vec<Fact<String>>,
    pub no_deps: bool,
    /// It builds where it runs, with these build arguments.
    pub builds: Option<Line>,
    pub build_arguments: Vec<Fact<Value>>,
    /// The files of the repository that these are, and why one is not there.
    pub known_files: Vec<String>,
    /// Services that a release does not change, for the sentence that says so.
    pub standing: Vec<String>,
    /// The started services that go on running, where others of them do a thing and end; empty where none is seen to end.
    pub lasting: Vec<String>,
    /// Called through `sudo`: the user may not speak to Docker.
    pub sudo: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KamalCall {
    /// `config/deploy.yml`, and the one of a destination.
    pub config: Option<String>,
    pub destination: Option<Value>,
    pub service: Option<Fact<String>>,
    pub image: Option<Fact<String>>,
    pub registry: Option<Fact<String>>,
    pub hosts: Vec<Fact<String>>,
    pub user: Option<Fact<String>>,
    /// `user@host` of the machine in between.
    pub proxy: Option<Fact<String>>,
    /// `kamal`, `bundle exec kamal`, `bin/kamal`: as the workflow calls it.
    pub program: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubectlCall {
    pub namespace: Option<Value>,
    /// `deployment/web`, `statefulset/db`.
    pub workloads: Vec<Fact<Value>>,
    /// Manifests that are applied, into which these images are put, whatever stands there: files or folders.
    pub files: Vec<Value>,
    pub images: Vec<Value>,
    pub context: Option<Value>,
    pub kubeconfig: Option<Value>,
    /// It only starts workloads again, with the image that they have.
    pub restarts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmCall {
    pub release: Value,
    pub chart: Value,
    pub namespace: Option<Fact<Value>>,
    pub values: Vec<Value>,
    pub context: Option<Value>,
    pub kubeconfig: Option<Value>,
}

/// What `kubectl` changes a workload with: each may be a revision of its own.
pub const KUBECTL_CHANGES: [&str; 5] = ["apply", "set", "patch", "replace", "restart"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EcsCall {
    pub cluster: Option<Fact<Value>>,
    pub service: Option<Fact<Value>>,
    pub region: Option<Fact<Value>>,
    pub task_definition: Option<Fact<Value>>,
    pub container: Option<Fact<Value>>,
    pub family: Option<String>,
    /// The role that the job takes, or the key pair it has; never both.
    pub role: Option<Fact<Value>>,
    pub key_pair: Option<(Fact<Value>, Fact<Value>)>,
    /// Further services that the job deploys after this one.
    pub besides: Vec<EcsCall>,
}

/// A platform and the app on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformCall {
    pub name: &'static str,
    pub app: Option<Fact<Value>>,
    /// The program as the workflow calls it: `flyctl`.
    pub program: String,
    /// The file that the call reads: `fly.production.toml`, `app.yaml`; later from the root, where it is in the repository.
    pub config: Option<String>,
    /// Options that each call about the app needs: `--region`, `--project`.
    pub place: Vec<(&'static str, Value)>,
    /// Whether the call says that anyone may ask the app.
    pub open: bool,
    pub live: Live,
    /// How a person goes back there.
    pub back: ByHand,
    /// It takes the newest commit of a branch by itself, whichever the run is for.
    pub fetches: bool,
    /// The command that goes back to the release before and needs nothing more to be known, as this job can call it.
    pub undo: Option<Undo>,
}

/// What a call does with the requests of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Live {
    /// The new release gets them.
    #[default]
    New,
    /// Another call gives them to it: `--no-traffic`, `--no-promote`.
    HeldBack,
    /// It replaces the release of the same name, so that none is left to go back to.
    Overwrites,
}

/// How a person goes back on a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByHand {
    /// By a command, as the platform's documents name it, with `APP` in the place of the app.
    Command(&'static str),
    /// In the platform's own console.
    Console,
    /// By the earlier release, deployed again: nothing else is known.
    #[default]
    Again,
}

/// `heroku rollback --app APP`, `npx wrangler rollback --yes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    pub command: String,
    /// Options with their values, as the deploying call has them.
    pub options: Vec<(&'static str, Value)>,
}

pub(crate) const FLY_BACK: ByHand = ByHand::Command(
    "flyctl deploy --app APP --image IMAGE-OF-THE-EARLIER-RELEASE (`flyctl releases --image` lists them)",
);
pub(crate) const VERCEL_BACK: ByHand = ByHand::Command(
    "vercel rollback URL-OF-THE-EARLIER-DEPLOYMENT (`vercel list --prod` lists them)",
);
pub(crate) const CLOUD_RUN_BACK: ByHand = ByHand::Command(
    "gcloud run services update-traffic APP --to-revisions REVISION=100 (later deployments get no traffic until `--to-latest`)",
);
pub(crate) const APP_ENGINE_BACK: ByHand =
    ByHand::Command("gcloud app services set-traffic default --splits VERSION=1");
pub(crate) const APP_SERVICE_BACK: ByHand = ByHand::Command(
    "az webapp deployment slot swap --name APP --slot SLOT (where the slot that was swapped still has the release before)",
);
pub(crate) const DOKKU_BACK: ByHand =
    ByHand::Command("git push --force REMOTE EARLIER-COMMIT:main");
pub(crate) const SERVERLESS_BACK: ByHand = ByHand::Command(
    "serverless rollback --timestamp TIMESTAMP (`serverless deploy list` lists them)",
);
pub(crate) const HEROKU_BACK: ByHand = ByHand::Command("heroku rollback --app APP");
pub(crate) const LAMBDA_BACK: ByHand = ByHand::Command(
    "aws lambda update-alias --function-name APP --name ALIAS --function-version VERSION (where the requests come by an alias)",
);

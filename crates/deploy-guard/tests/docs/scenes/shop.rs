//! The service that the documents speak of: two colours behind nginx, v1 has the traffic.

use serde_json::Value;
use testkit::{Nginx, Shop};

use crate::docs::walk::World;
use crate::job::Job;

pub(crate) struct Live {
    pub(crate) world: World,
    pub(crate) nginx: Nginx,
    pub(crate) blue: Shop,
    pub(crate) green: Shop,
}

impl Live {
    pub(crate) fn new() -> Live {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let world = World::new();
        // The same release always has the same colour here. Five answers in a row, because an old
        // worker of nginx may still take a connection.
        let switch = |release: &str| {
            format!(
                "case {release} in v1) at={} ;; *) at={} ;; esac\n\
                 sed -i \"s/server [^;]*;/server $at;/\" {}\n{}\n\
                 n=0; good=0; while [ $good -lt 5 ] && [ $n -lt 100 ]; do n=$((n + 1)); good=$((good + 1))\n\
                 curl -fs {} | grep -q {release} || {{ good=0; sleep 0.1; }}; done",
                blue.address(),
                green.address(),
                nginx.upstream_file().display(),
                nginx.reload_command(),
                nginx.url("/api/v1/version"),
            )
        };
        world.script("deploy.sh", &switch("\"$1\""));
        world.script("switch.sh", &switch("\"$RELEASE\""));
        let ask = format!(
            "curl -fs {} | sed 's/.*:\"\\(.*\\)\".*/\\1/'",
            nginx.url("/api/v1/version")
        );
        world.script("live.sh", &ask);
        Live {
            world,
            nginx,
            blue,
            green,
        }
    }

    /// What users get.
    pub(crate) fn release(&self) -> String {
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        json["version"].as_str().unwrap().to_owned()
    }

    /// A step of the documents as the Action runs it, with the real binary; its exit code and log.
    pub(crate) fn step(&self, step: &Value, words: &[(&str, &str)]) -> (Option<i32>, String) {
        let job = Job::new();
        let program = testkit::bin_path("deploy-guard");
        let folder = program.parent().unwrap().display().to_string();
        let mut inputs = vec![("BIN_DIR".to_owned(), folder)];
        for (name, value) in step["with"].as_object().unwrap() {
            let mut value = value.as_str().unwrap().to_owned();
            for (from, to) in words {
                value = value.replace(from, to);
            }
            assert!(!value.contains("${{"), "{name}: {value}");
            inputs.push((name.to_uppercase().replace('-', "_"), value));
        }
        let inputs: Vec<_> = inputs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let output = job
            .command(&inputs)
            .current_dir(self.world.path(""))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", job.path("summary"))
            .output()
            .unwrap();
        let log = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&log).into_owned(),
        )
    }
}

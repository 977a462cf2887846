//! Services of a Compose project: their images stand in an override file of ours.

mod images;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::Job;
use config::file::{ComposeProbe, ComposeTarget};
use config::value::Span;
use model::Severity;
use probe::settle::{self, Settling};
use remote::quote;
use serde::{Deserialize, Serialize};
use state::Entry;

use super::machines::{Machines, alone, host, word};
use super::{Asking, Move, Place, Places, Proving, Step, Target};
use images::{is_image, more_than_images, override_text, release_of};

/// What is only looked at is there soon; an image may be asked of a registry.
const LOOK: Duration = Duration::from_mins(1);
/// docker-compose 1 puts the old container's id before its name while it recreates it, and can do
/// nothing with one that was left so. The new one, where it is there already, has its volumes.
const HALVES: &str = r#"for id in $(both ps -q "$@"); do
  name=$(docker inspect --type container --format '{{.Name}}' "$id")
  name=${name#/}
  short=$(printf %.12s "$id")
  case $name in
  "$short"_*)
    if docker inspect --type container -- "${name#*_}" >/dev/null 2>&1; then
      docker rm -f "$id" >/dev/null
    else
      docker rename "$id" "${name#*_}"
    fi ;;
  esac
done
"#;
/// The files that Compose reads where none is named. With one of ours beside them they have to be.
const FOUND: &str = r#"[ -z "${COMPOSE_FILE-}" ] && ! grep -qs '^COMPOSE_FILE=' .env ||
  no 'COMPOSE_FILE names the files of the project: write them into `rollback.compose.files`'
files=
for file in $first $second; do
  if [ -e "$file" ]; then files="-f $file"; break; fi
done
[ -n "$files" ] || no "there is neither of $first $second in $PWD"
for file in compose.override.yaml compose.override.yml docker-compose.override.yml docker-compose.override.yaml; do
  if [ -e "$file" ] && [ "$file" != "$ours" ]; then files="$files -f $file"; break; fi
done"#;
/// What Compose wrote down of the files that a container was made from.
const FILES: &str = "com.docker.compose.project.config_files";
/// The places in an image.
const RELEASE: &str = "{release}";
const DIGEST: &str = "{digest}";

pub(crate) struct Compose<'a> {
    config: &'a ComposeTarget,
    machines: Machines<'a>,
    /// What the state knows of each release.
    known: Vec<Entry>,
}

/// What is there before a step.
#[derive(Debug, Deserialize, Serialize)]
struct Before {
    /// Our file's text, if there is one.
    file: Option<String>,
    /// What each service runs.
    images: BTreeMap<String, String>,
    /// How often.
    #[serde(default)]
    counts: Counts,
}

type Counts = BTreeMap<String, usize>;

impl Before {
    fn read(text: &str) -> Result<Before, String> {
        serde_json::from_str(text).map_err(|error| format!("the pre-image: {error}"))
    }
}

impl<'a> Compose<'a> {
    pub(crate) fn new(
        config: &'a ComposeTarget,
        job: &Job,
        places: &'a Places,
        known: Vec<Entry>,
    ) -> Self {
        let machines = Machines::new(config.hosts.as_ref(), job, places);
        Compose {
            config,
            machines,
            known,
        }
    }

    fn does(&self, release: &str) -> String {
        let images = match self.images(release) {
            Ok(images) => images.into_values().collect::<Vec<_>>().join(", "),
            Err(_) => release.to_owned(),
        };
        let services: Vec<&str> = self.config.services.keys().map(String::as_str).collect();
        format!(
            "write {images} to {}, recreate {} and see it stay up for {}",
            self.file().display(),
            services.join(", "),
            self.config.settle
        )
    }

    fn file(&self) -> PathBuf {
        self.config.folder.join(&self.config.override_file)
    }

    /// The image of each service; what is no image's name is refused.
    fn images(&self, release: &str) -> Result<BTreeMap<String, String>, String> {
        // `shop:5000/other` would be another registry's.
        if release.contains(['/', '@']) {
            return Err(format!(
                "`{release}` is no tag: such an image is no image's name of this service"
            ));
        }
        let image = |(service, template): (&String, &String)| {
            let image = if template.contains(DIGEST) {
                template.replace(DIGEST, self.digest(release)?)
            } else {
                template.replace(RELEASE, release)
            };
            if !is_image(&image) {
                return Err(format!("`{image}` is no image's name"));
            }
            Ok((service.clone(), image))
        };
        self.config.services.iter().map(image).collect()
    }

    /// The digest that the state recorded for a release.
    fn digest(&self, release: &str) -> Result<&str, String> {
        let entry = self.known.iter().find(|entry| entry.release == release);
        let digest = entry.and_then(|entry| entry.digest.as_deref());
        digest.ok_or_else(|| {
            format!(
                "the state knows no digest of {release}: `rollback record --release {release} --digest sha256:…`"
            )
        })
    }

    /// The release whose image this is.
    fn release_of(&self, template: &str, image: &str) -> Option<String> {
        if !template.contains(DIGEST) {
            return release_of(template, image);
        }
        let of = |entry: &&Entry| {
            let digest = entry.digest.as_ref();
            digest.is_some_and(|digest| template.replace(DIGEST, digest) == image)
        };
        let entry = self.known.iter().find(of)?;
        Some(entry.release.clone())
    }

    /// What begins every script: which Compose there is, and in which folder.
    fn head(&self) -> String {
        let sudo = if self.config.sudo { "sudo -n " } else { "" };
        let files = self.words();
        let name = self.config.project.as_ref();
        let name = name.map_or(String::new(), |name| format!(" -p {}", quote(name)));
        format!(
            "cd -- {folder}
no() {{ printf '%s\\n' \"$*\" >&2; exit 1; }}
docker() {{ command {sudo}docker \"$@\" </dev/null; }}
if docker compose version >/dev/null 2>&1; then
  program() {{ docker compose \"$@\"; }}
  first='compose.yaml compose.yml' second='docker-compose.yml docker-compose.yaml'
elif command -v docker-compose >/dev/null; then
  program() {{ command {sudo}docker-compose \"$@\" </dev/null; }}
  first='docker-compose.yml docker-compose.yaml' second='compose.yml compose.yaml'
else no 'there is neither `docker compose` nor `docker-compose`'; fi
ours={ours}
{found}
theirs() {{ program{name} {files} \"$@\"; }}
both() {{ program{name} {files} -f \"$ours\" \"$@\"; }}
any() {{ if [ -e \"$ours\" ]; then both \"$@\"; else theirs \"$@\"; fi; }}
",
            folder = word(&self.config.folder),
            ours = word(&self.config.override_file),
            found = if self.config.files.is_empty() {
                FOUND
            } else {
                ""
            },
        )
    }

    /// The project's files as options.
    fn words(&self) -> String {
        if self.config.files.is_empty() {
            return "$files".to_owned();
        }
        let files = self.config.files.iter();
        let files = files.map(|file| format!("-f {}", word(file)));
        files.collect::<Vec<_>>().join(" ")
    }

    /// Our services as words. Named, those of a profile are there too.
    fn services(&self) -> String {
        let names = self.config.services.keys().map(|name| quote(name));
        names.collect::<Vec<_>>().join(" ")
    }

    /// The containers of our services: service, image, the release's label.
    async fn containers(&self, place: &Place) -> Result<Vec<Container>, String> {
        let label = self.config.release_label.as_deref().unwrap_or_default();
        // Between backquotes nothing is special to a template but the backquote, which no label has.
        let format = format!(
            "{{\"id\":{{{{json .Id}}}},\"name\":{{{{json .Name}}}},\"service\":{{{{json (index .Config.Labels \"com.docker.compose.service\")}}}},\
             \"one_off\":{{{{json (index .Config.Labels \"com.docker.compose.oneoff\")}}}},\
             \"image\":{{{{json .Config.Image}}}},\"label\":{{{{json (index .Config.Labels `{label}`)}}}}}}"
        );
        let text = format!(
            "{}ids=$(any ps -q {services})\n[ -z \"$ids\" ] || docker inspect --type container --format {} $ids",
            self.head(),
            quote(&format),
            services = self.services(),
        );
        let printed = self
            .machines
            .script(place, "docker inspect", &text, LOOK)
            .await?;
        let read = |line: &str| {
            serde_json::from_str(line).map_err(|error| format!("docker inspect: {error}"))
        };
        let all: Result<Vec<Container>, String> = printed.lines().map(read).collect();
        let mut all = all?;
        all.retain(|one| {
            !one.one_off.eq_ignore_ascii_case("true")
                && self.config.services.contains_key(&one.service)
        });
        Ok(all)
    }

    /// The release whose images our services run.
    async fn running(&self, place: &Place, likely: &str) -> Result<Option<String>, String> {
        let wanted = self.images(likely).ok();
        let containers = self.containers(place).await?;
        let mut found: Option<(String, String)> = None;
        for (service, template) in &self.config.services {
            let of_service = containers.iter().filter(|one| one.service == *service);
            let mut any = false;
            for container in of_service {
                any = true;
                let release = if self.config.release_label.is_some() {
                    container.label.clone().filter(|label| !label.is_empty())
                } else if wanted.as_ref().and_then(|all| all.get(service)) == Some(&container.image)
                {
                    Some(likely.to_owned())
                } else {
                    self.release_of(template, &container.image)
                };
                let release = release.ok_or_else(|| {
                    format!(
                        "`{service}` runs {}, which names no release",
                        container.image
                    )
                })?;
                match &found {
                    Some((other, known)) if *known != release => {
                        return Err(format!(
                            "`{other}` runs {known} and `{service}` runs {release}"
                        ));
                    }
                    _ => found = Some((service.clone(), release)),
                }
            }
            if !any {
                return Err(format!("`{service}` does not run"));
            }
        }
        Ok(found.map(|(_, release)| release))
    }

    /// Whether the release could be made live: the project has these services, and the images are
    /// here or can be had.
    async fn check(&self, place: &Place, release: &str) -> Result<(), String> {
        let images = self.images(release)?;
        let mut text = format!(
            "{}docker version --format x >/dev/null
all=$(theirs --profile '*' config --services)
folder=$(dirname -- \"$ours\")
[ -w \"$folder\" ] || no \"nothing may be written in $folder\"\n",
            self.head()
        );
        for (service, image) in images {
            text.push_str(&format!(
                "printf '%s\\n' \"$all\" | grep -qxF -e {service} || no the project has no service {service}
image={image}
docker image inspect -- \"$image\" >/dev/null 2>&1 || docker manifest inspect -- \"$image\" >/dev/null 2>&1 ||
  {{ case $image in localhost:*|127.*) docker manifest inspect --insecure -- \"$image\" >/dev/null 2>&1 ;; *) false ;; esac; }} ||
  no \"the image $image is neither here nor in its registry\"\n",
                service = quote(&service),
                image = quote(&image),
            ));
        }
        text.push_str(&self.same_files());
        self.check_ours(place).await?;
        self.machines
            .script(place, "the release", &text, LOOK)
            .await
            .map(drop)
    }

    /// Our file is written whole: whatever else stands in it would be lost.
    async fn check_ours(&self, place: &Place) -> Result<(), String> {
        let file = self.file();
        let text = self.machines.places().read(place, &file, LOOK).await?;
        match text.as_deref().and_then(more_than_images) {
            None => Ok(()),
            Some(more) => Err(format!(
                "{} says more than images (`{more}`) and would be written over: name a file of ours under `rollback.compose.override-file`, and this one under `files`",
                file.display()
            )),
        }
    }

    /// A service that was made from other files would lose what stands there, silently. They are
    /// compared by their last names: the folder of a release may have moved since.
    fn same_files(&self) -> String {
        format!(
            "known=$(set -- {words}; for file; do [ \"$file\" = -f ] || basename -- \"$file\"; done; basename -- \"$ours\")
ids=$(any ps -q {services})
[ -z \"$ids\" ] || docker inspect --type container --format {format} $ids | tr , '\\n' | sort -u | while IFS= read -r file; do
  if [ -z \"$file\" ] || [ ! -e \"$file\" ]; then continue; fi
  name=$(basename -- \"$file\")
  printf '%s\\n' \"$known\" | grep -qxF -e \"$name\" ||
    no \"the containers were made from $name too: name the same files under \\`rollback.compose.files\\`\"
done
",
            words = self.words(),
            services = self.services(),
            format = quote(&format!("{{{{index .Config.Labels \"{FILES}\"}}}}")),
        )
    }

    /// Our file and what runs, as JSON.
    async fn pre_image(&self, place: &Place) -> Result<String, String> {
        let places = self.machines.places();
        let file = places.read(place, &self.file(), LOOK).await?;
        let containers = self.containers(place).await?;
        let counts = counts(&containers);
        let images = containers
            .into_iter()
            .map(|one| (one.service, one.image))
            .collect();
        let before = Before {
            file,
            images,
            counts,
        };
        serde_json::to_string(&before).map_err(|error| error.to_string())
    }

    /// Makes the release live; safe to do twice.
    async fn switch(
        &self,
        place: &Place,
        release: &str,
        counts: &Counts,
    ) -> Result<String, String> {
        let images = self.images(release)?;
        self.pull(place, &images).await?;
        self.up(place, &images, counts).await?;
        let containers = self.containers(place).await?;
        for (service, image) in &images {
            let of_service: Vec<_> = containers
                .iter()
                .filter(|one| one.service == *service)
                .collect();
            if of_service.is_empty() {
                return Err(format!("`{service}` does not run"));
            }
            if let Some(other) = of_service.iter().find(|one| one.image != *image) {
                return Err(format!("`{service}` still runs {}", other.image));
            }
        }
        self.stays(place).await
    }

    /// Lets the services run what they ran, and puts our file back.
    async fn put_back(&self, place: &Place, before: &str) -> Result<String, String> {
        let before = Before::read(before)?;
        if !before.images.is_empty() {
            self.up(place, &before.images, &before.counts).await?;
        }
        if let Some(text) = &before.file {
            let places = self.machines.places();
            places.replace(place, &self.file(), text, LOOK).await?;
        } else {
            let text = format!("rm -f -- {}", word(&self.file()));
            let what = "putting it back";
            self.machines.script(place, what, &text, LOOK).await?;
        }
        let images: Vec<&str> = before.images.values().map(String::as_str).collect();
        Ok(format!("{} again", images.join(", ")))
    }

    async fn pull(&self, place: &Place, images: &BTreeMap<String, String>) -> Result<(), String> {
        let mut text = self.head();
        for image in images.values() {
            let image = quote(image);
            text.push_str(&format!(
                "docker image inspect -- {image} >/dev/null 2>&1 || docker pull -q -- {image} >/dev/null\n"
            ));
        }
        let within = self.config.timeout.get();
        self.machines
            .script(place, "docker pull", &text, within)
            .await
            .map(drop)
    }

    /// Compose recreates what its image has changed, and leaves the rest alone.
    async fn up(
        &self,
        place: &Place,
        images: &BTreeMap<String, String>,
        counts: &Counts,
    ) -> Result<(), String> {
        let services: Vec<String> = images.keys().map(|service| quote(service)).collect();
        let ours = override_text(images);
        self.machines
            .places()
            .replace(place, &self.file(), &ours, LOOK)
            .await?;
        let services = services.join(" ");
        // It would be one again, where the files do not say otherwise.
        let several = counts
            .iter()
            .filter(|(service, count)| **count > 1 && images.contains_key(*service));
        let scale: Vec<String> = several
            .map(|(service, count)| format!(" --scale {}={count}", quote(service)))
            .collect();
        let scale = scale.concat();
        let within = self.config.timeout.get();
        let text = format!(
            "{}{}set -- {services}\n{HALVES}both up -d --no-deps --no-build{scale} {services} >&2",
            self.head(),
            alone(Path::new("."), within),
        );
        self.machines
            .script(place, "compose up", &text, within)
            .await
            .map(drop)
    }

    /// Without any, Compose finds its own.
    fn files_to_watch(&self) -> Vec<PathBuf> {
        let mut files = self.config.files.clone();
        if !files.is_empty() {
            files.push(self.config.override_file.clone());
        }
        files
    }

    async fn stays(&self, place: &Place) -> Result<String, String> {
        let probe = ComposeProbe {
            name: "settle".to_owned(),
            folder: Some(self.config.folder.clone()),
            files: self.files_to_watch(),
            project: self.config.project.clone(),
            services: self.config.services.keys().cloned().collect(),
            completed: Vec::new(),
            host: host(place),
            hosts: None,
            require: None,
            sudo: self.config.sudo,
            max_restarts: 0,
            // `settle` says how long.
            min_uptime: Some(Span::ZERO),
            policy: None,
            severity: Severity::Required,
        };
        let settling = Settling {
            within: self.config.timeout.get(),
            stays: self.config.settle.get(),
        };
        settle::compose(probe, &self.machines.around, settling).await
    }
}

impl Target for Compose<'_> {
    fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        self.machines
            .steps("compose", &self.does(moving.destination))
    }

    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>> {
        Box::pin(self.running(&step.place, likely))
    }

    fn plan<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, String> {
        Box::pin(async move {
            self.check(&step.place, moving.destination).await?;
            Ok(step.does.clone())
        })
    }

    fn prepare<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Option<Asking<'a, ()>> {
        Some(Box::pin(async move {
            let images = self.images(moving.destination)?;
            self.pull(&step.place, &images).await
        }))
    }

    fn looks<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, Asking<'a, String>)> {
        let services: Vec<String> = self
            .config
            .services
            .keys()
            .map(|name| quote(name))
            .collect();
        let states = format!("{}any ps -a", self.head());
        let logs = format!(
            "{}any logs --no-color --timestamps --tail=500 {}",
            self.head(),
            services.join(" ")
        );
        vec![
            self.machines.look(&step.place, "containers", states),
            self.machines.look(&step.place, "logs", logs),
        ]
    }

    fn before<'a>(&'a self, step: &'a Step, _moving: Move<'a>) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.pre_image(&step.place).await.map(Some) })
    }

    fn act<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let counts = before.map(Before::read).transpose()?;
            let counts = counts.map(|before| before.counts).unwrap_or_default();
            self.switch(&step.place, moving.destination, &counts).await
        })
    }

    fn undo<'a>(
        &'a self,
        step: &'a Step,
        _moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let before = before.ok_or("what was there before is not known")?;
            self.put_back(&step.place, before).await
        })
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let running = |place| -> Asking<'a, _> { Box::pin(self.running(place, destination)) };
            let all = self.machines.all_run(destination, running).await;
            all.then(|| format!("every container of the services runs {destination}"))
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Container {
    id: String,
    name: String,
    #[serde(default, deserialize_with = "or_empty")]
    service: String,
    #[serde(default, deserialize_with = "or_empty")]
    one_off: String,
    image: String,
    label: Option<String>,
}

impl Container {
    /// Its name, without the id that docker-compose 1 puts before the name of one that it replaces.
    fn own_name(&self) -> &str {
        let name = self.name.trim_start_matches('/');
        let id = self.id.get(..12).unwrap_or(&self.id);
        let rest = name
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix('_'));
        rest.unwrap_or(name)
    }
}

/// How many containers each service has. One that was not yet replaced when a deployment failed
/// stands beside its successor: the two are one.
fn counts(containers: &[Container]) -> Counts {
    let mut names: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for one in containers {
        names
            .entry(&one.service)
            .or_default()
            .insert(one.own_name());
    }
    let count = |(service, names): (&String, BTreeSet<_>)| (service.clone(), names.len());
    names.into_iter().map(count).collect()
}

/// A label that is not there is `null` or empty.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

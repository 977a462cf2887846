//! Services of a Compose project: our own override file contains their images.

mod container;
mod deployment;
mod images;
mod program;
pub(crate) mod project_files;
mod same_deployment;
mod shell;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use config::file::{ComposeProbe, ComposeTarget};
use config::value::Span;
use futures_util::future::join;
use model::Severity;
use probe::settle::{self, Settling};
use remote::quote;
use serde::{Deserialize, Serialize};
use state::Entry;
use tools::compose_config::Project;

use crate::fit::CheckFit;
use crate::kinds::Kind;
use crate::target::{
    Applied, Capabilities, Observe, PlaceParts, Proving, Switch, Target, Transition,
};
use container::{Container, Counts, ProjectContainers};
pub(crate) use deployment::Compose;
use deployment::{AffectedServices, QUERY_TIMEOUT, RELEASE, Resolved};
use images::{is_image, release_of, repository};
use place::{Context, Effect, Error, Machines, Place, Step, StepFuture, alone, host, word};
use program::Program;
use project_files::{more_than_images, not_ours, override_text};

const DIGEST: &str = "{digest}";
/// Maximum age of the cached container list.
const LATELY: Duration = Duration::from_secs(5);
/// Between what a script prints and what Compose warned of meanwhile.
const WARNINGS: &str = "@warnings";

/// Whether a registry has the image: only its own answer is a no.
const REGISTRY: &str = r#"in_registry() {
  said=$(docker manifest inspect -- "$image" 2>&1 >/dev/null) && return
  case $image in localhost:*|127.*)
    said=$(docker manifest inspect --insecure -- "$image" 2>&1 >/dev/null) && return
  esac
  case $said in *'no such manifest'*|*'manifest unknown'*|*'name unknown'*)
    no "the image $image is neither here nor in its registry"
  esac
  no "the image $image is not here, and its registry could not be queried for it: $said"
}
"#;

/// Replaces the script's programs by `sudo -l` checks.
const MAY: &str = r#"may() { said=$(sudo -n -l -- "$@" 2>&1 >/dev/null) || no "sudo may not run \`$*\` without a password: $said"; }
docker() { may docker "$@"; }
"#;
const MAY_PROGRAM: &str = "program() { may docker-compose \"$@\"; }\n";

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

impl Before {
    fn read(text: &str) -> Result<Before, Error> {
        serde_json::from_str(text).map_err(|error| Error::from(error).at("the pre-image"))
    }
}

/// What our services run, beside a release that is likely.
#[derive(Debug, Default)]
struct RunningServices<'l> {
    /// The containers of the likely release.
    found: Vec<&'l Container>,
    /// The other releases that run.
    others: Vec<String>,
    /// What has an image that names no release.
    unnamed: Option<String>,
    /// What does not do its work, with its container.
    down: Vec<String>,
    /// What each service runs, in words.
    runs: Vec<String>,
}

impl<'a> Compose<'a> {
    pub(crate) fn new(config: &'a ComposeTarget, context: &Context<'a>) -> Self {
        let machines = Machines::new(config.hosts.as_ref(), context);
        Compose {
            config,
            machines,
            known: context.known.clone(),
            names: context.releases(),
            programs: RefCell::default(),
            resolved: RefCell::default(),
            looked: RefCell::default(),
            here: RefCell::default(),
        }
    }

    fn describe_switch(&self, release: &str) -> String {
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

    /// The image of each service; a text that is not an image's name is refused.
    fn images(&self, release: &str) -> Result<BTreeMap<String, String>, Error> {
        // `shop:5000/other` would be another registry's.
        if release.contains(['/', '@']) {
            return Err(Error::Unfit(format!(
                "`{release}` is not a tag, so it cannot name an image of this service"
            )));
        }
        let image = |(service, template): (&String, &String)| {
            let image = if template.contains(DIGEST) {
                template.replace(DIGEST, self.digest(release)?)
            } else {
                let image = template.replace(RELEASE, release);
                match self.pinned(template, release) {
                    Some(digest) => format!("{image}@{digest}"),
                    None => image,
                }
            };
            if !is_image(&image) {
                return Err(Error::Unfit(format!("`{image}` is not an image name")));
            }
            Ok((service.clone(), image))
        };
        self.config.services.iter().map(image).collect()
    }

    /// The digest that the state recorded for a release.
    fn digest(&self, release: &str) -> Result<&str, Error> {
        let entry = self.known.iter().find(|entry| entry.release == release);
        let digest = entry.and_then(|entry| entry.digest.as_deref());
        digest.ok_or_else(|| {
            Error::Missing(format!(
                "the state has no digest for {release}: `rollback record --release {release} --digest sha256:…`"
            ))
        })
    }

    /// The digest that was recorded of what a template names: a tag can be moved, and then names
    /// another image. Where the services have several images, the record names the one it is of.
    fn pinned(&self, template: &str, release: &str) -> Option<&str> {
        let entry = self.known.iter().find(|entry| entry.release == release)?;
        let digest = entry.digest.as_deref()?;
        let own = repository(template);
        let same = match &entry.image {
            Some(image) => repository(image) == own,
            None => (self.config.services.values()).all(|other| repository(other) == own),
        };
        same.then_some(digest)
    }

    /// The release whose image this is.
    fn release_of(&self, template: &str, image: &str) -> Option<String> {
        if !template.contains(DIGEST) {
            let tag = image.split_once('@').map_or(image, |(tag, _)| tag);
            return release_of(template, tag);
        }
        let of = |entry: &&Entry| {
            let digest = entry.digest.as_ref();
            digest.is_some_and(|digest| template.replace(DIGEST, digest) == image)
        };
        let entry = self.known.iter().find(of)?;
        Some(entry.release.clone())
    }

    /// The variables for Compose.
    fn env(&self, release: &str) -> Vec<(String, String)> {
        let all = self.config.env.iter();
        all.map(|(name, value)| (name.clone(), value.replace(RELEASE, release)))
            .collect()
    }

    fn program(&self, place: &Place) -> Option<Program> {
        self.programs.borrow().get(place).cloned()
    }

    fn head_at(&self, place: &Place) -> String {
        self.head(self.program(place).as_ref())
    }

    /// All containers of the project, those that do not run too.
    async fn inspect_containers(&self, place: &Place) -> Result<ProjectContainers, Error> {
        let known = self.program(place);
        let text = self.head(known.as_ref()) + &self.list(known.as_ref());
        let env = self.env("");
        let printed = self
            .full_output(place, "docker inspect", &text, &env)
            .await?;
        let mut lines = printed.lines();
        let mut program = match known {
            Some(program) => program,
            None => Program::read(lines.next().unwrap_or_default()),
        };
        let all: Result<Vec<Container>, Error> = lines.map(Container::read).collect();
        let mut all = all?;
        all.retain(|one| !one.one_off() && !one.service().is_empty());
        let ours = |one: &&Container| self.config.services.contains_key(one.service());
        // What was made last tells how a deployment is made now.
        let newest = all.iter().filter(ours).max_by_key(|one| &one.created);
        if let Some(newest) = newest
            && program.name.is_none()
        {
            program.name = Some(newest.project().to_owned());
            program.env_files = newest.env_files();
        }
        self.programs.borrow_mut().insert(place.clone(), program);
        let mut look = ProjectContainers {
            all,
            gone: BTreeSet::new(),
        };
        let elsewhere: Vec<String> = look.elsewhere().into_iter().map(quote).collect();
        if !elsewhere.is_empty() {
            let text = format!(
                "{}docker inspect --type container --format '{{{{.Id}}}}' {} 2>/dev/null || :",
                self.head_at(place),
                elsewhere.join(" ")
            );
            let there = self.read(place, "docker inspect", &text).await?;
            let gone = |id: &&str| !there.lines().any(|line| line == *id);
            let gone: BTreeSet<String> = (look.elsewhere().into_iter())
                .filter(gone)
                .map(str::to_owned)
                .collect();
            look.gone = gone;
        }
        let now = (Instant::now(), look.clone());
        self.looked.borrow_mut().insert(place.clone(), now);
        Ok(look)
    }

    /// The same, or the last look where that is a moment ago.
    async fn inspect_within_staleness(&self, place: &Place) -> Result<ProjectContainers, Error> {
        let last = self.looked.borrow().get(place).cloned();
        match last {
            Some((at, look)) if at.elapsed() < LATELY => Ok(look),
            _ => self.inspect_containers(place).await,
        }
    }

    /// What Compose makes of the project's files, for a release.
    async fn resolved(&self, place: &Place, release: &str) -> Result<Resolved, Error> {
        // Without variables it is the same for every release.
        let named = if self.config.env.is_empty() {
            ""
        } else {
            release
        };
        let key = (place.clone(), named.to_owned());
        if let Some(known) = self.resolved.borrow().get(&key) {
            return Ok(known.clone());
        }
        let text = format!(
            "{}exec 4>&1\nwarnings=$(any config 2>&1 >&4) || no \"$warnings\"\nprintf '\\n%s\\n%s\\n' {WARNINGS} \"$warnings\"",
            self.head_at(place)
        );
        let env = self.env(release);
        let printed = self.full_output(place, "compose config", &text, &env).await;
        let printed = printed.map_err(|error| match error.cause() {
            Error::Ended(ran) if same_deployment::is_missing_value(&ran.tail) => {
                error.then(same_deployment::NAME_THEM)
            }
            _ => error,
        })?;
        let mark = format!("\n{WARNINGS}\n");
        let (text, said) = printed.rsplit_once(&mark).unwrap_or((&printed, ""));
        let resolved = Resolved {
            project: Project::read(text)?,
            warnings: same_deployment::warnings(said),
        };
        self.resolved.borrow_mut().insert(key, resolved.clone());
        Ok(resolved)
    }

    fn is_one_shot(&self, service: &str, project: &Project) -> bool {
        project.is_one_shot(service) || self.config.completed.iter().any(|name| name == service)
    }

    /// The release of a container of a service; `None` where nothing names it.
    fn release_in(
        &self,
        service: &str,
        container: &Container,
        wanted: Option<&BTreeMap<String, String>>,
        likely: &str,
    ) -> Option<String> {
        if let Some(label) = &self.config.release_label {
            let told = container.label(label);
            return (!told.is_empty()).then(|| self.names.named(told, likely).to_owned());
        }
        if wanted.and_then(|all| all.get(service)) == Some(&container.image) {
            return Some(likely.to_owned());
        }
        let template = self.config.services.get(service)?;
        self.release_of(template, &container.image)
    }

    /// The release that our services run, all of them in all their containers; if one runs another
    /// release than `likely`, that one. A container that is not running does not count.
    async fn running(&self, place: &Place, likely: &str) -> Result<Option<String>, Error> {
        let look = self.inspect_containers(place).await?;
        let project = self.judging(place, &look, likely).await;
        let seen = self.running_services(&look, &project, likely);
        if let Some(unnamed) = seen.unnamed {
            return Err(Error::Contradicts(unnamed));
        }
        if let Some(other) = seen.others.into_iter().max() {
            return Ok(Some(other));
        }
        // A service in the namespace of one of ours names no release, but can be outdated.
        let left = look.all.iter().find_map(|one| {
            let why = look.left_behind(one)?;
            Some(format!("`{}` {why}", one.service()))
        });
        if let Some(trouble) = seen.down.into_iter().next().or(left) {
            return Err(Error::Down(trouble));
        }
        self.as_recorded(place, likely, &seen.found).await?;
        Ok((!seen.found.is_empty()).then(|| likely.to_owned()))
    }

    /// What each of our services runs, and what of them does not run.
    fn running_services<'l>(
        &self,
        look: &'l ProjectContainers,
        project: &Project,
        likely: &str,
    ) -> RunningServices<'l> {
        let wanted = self.images(likely).ok();
        let mut seen = RunningServices::default();
        for service in self.config.services.keys() {
            let mut any = project.wants_none(service);
            let mut runs: BTreeSet<String> = BTreeSet::new();
            for one in (look.all.iter()).filter(|one| one.service() == service) {
                any = true;
                let release = self.release_in(service, one, wanted.as_ref(), likely);
                runs.insert(release.clone().unwrap_or_else(|| one.image.clone()));
                match release {
                    Some(release) if release != likely => seen.others.push(release),
                    Some(_) => seen.found.push(one),
                    None => {
                        let told =
                            format!("`{service}` runs {}, which names no release", one.image);
                        seen.unnamed.get_or_insert(told);
                    }
                }
                let one_shot = self.is_one_shot(service, project);
                let why = look.trouble(one, one_shot);
                seen.down
                    .extend(why.map(|why| format!("`{service}` {why}")));
            }
            if !any {
                seen.down.push(format!("`{service}` does not run"));
            }
            let runs: Vec<String> = runs.into_iter().collect();
            if !runs.is_empty() {
                seen.runs
                    .push(format!("`{service}` runs {}", runs.join(" and ")));
            }
        }
        seen
    }

    /// The project, where a service can only be judged by what its files want of it.
    async fn judging(&self, place: &Place, look: &ProjectContainers, likely: &str) -> Project {
        let asks = |service: &String| {
            let mut all = look.of(service).peekable();
            all.peek().is_none() || all.any(Container::has_ended_well)
        };
        if !self.config.services.keys().any(asks) {
            return Project::default();
        }
        let resolved = self.resolved(place, likely).await;
        resolved.unwrap_or_default().project
    }

    /// What is called a release must be what was recorded of it: a tag can be moved.
    async fn as_recorded(
        &self,
        place: &Place,
        release: &str,
        containers: &[&Container],
    ) -> Result<(), Error> {
        let pinned = containers.iter().filter_map(|one| {
            let template = self.config.services.get(one.service())?;
            let by_digest = one.image.contains('@') || template.contains(DIGEST);
            let digest = self.pinned(template, release).filter(|_| !by_digest)?;
            Some((*one, digest))
        });
        let pinned: Vec<(&Container, &str)> = pinned.collect();
        if pinned.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<&str> = pinned
            .iter()
            .map(|(one, _)| one.image_id.as_str())
            .collect();
        let ids: Vec<String> = ids.into_iter().map(quote).collect();
        let text = format!(
            "{}docker image inspect --format '{{{{.Id}}}} {{{{range .RepoDigests}}}}{{{{.}}}} {{{{end}}}}' -- {}",
            self.head_at(place),
            ids.join(" ")
        );
        let printed = self.read(place, "docker inspect", &text).await?;
        for (one, digest) in pinned {
            let own = repository(&one.image);
            let line = printed.lines().find(|line| line.starts_with(&one.image_id));
            let words = line.unwrap_or_default().split_whitespace();
            let digests = words.filter_map(|word| word.split_once('@'));
            let all: Vec<&str> = digests
                .filter(|(name, _)| repository(name) == own)
                .map(|(_, digest)| digest)
                .collect();
            // An image that was never in a registry has no digest.
            if let Some(other) = all.first()
                && !all.contains(&digest)
            {
                return Err(Error::Contradicts(format!(
                    "`{}` runs {}, whose digest is {other}; recorded of {release} is {digest}: the tag was moved",
                    one.service(),
                    one.image
                )));
            }
        }
        Ok(())
    }

    /// Which services are touched where `images` are to run.
    fn changes(
        &self,
        look: &ProjectContainers,
        project: &Project,
        images: &BTreeMap<String, String>,
    ) -> AffectedServices {
        let needs = |(service, image): &(&String, &String)| {
            let mut all = look.of(service).peekable();
            if all.peek().is_none() {
                return !project.wants_none(service);
            }
            let one_shot = self.is_one_shot(service, project);
            all.any(|one| {
                one.image != **image || one.is_half_way() || look.trouble(one, one_shot).is_some()
            })
        };
        let touched = images.iter().filter(needs);
        let services: BTreeSet<String> = touched.map(|(service, _)| service.clone()).collect();
        let mut after = project.living_in(&services);
        // One that was left behind before is not left there.
        for one in &look.all {
            let service = one.service();
            let known = services.contains(service) || after.iter().any(|name| name == service);
            if !known && project.services.contains_key(service) && look.left_behind(one).is_some() {
                after.push(service.to_owned());
            }
        }
        AffectedServices { services, after }
    }

    /// Whether the release could be made live: the project has these services, the images are here or
    /// can be had, and what is recreated differs only in its image. What Compose warned of.
    async fn check(&self, place: &Place, transition: Transition<'_>) -> Result<Vec<String>, Error> {
        let images = self.images(transition.to)?;
        self.check_ours(place).await?;
        let look = self.inspect_within_staleness(place).await?;
        let resolved = self.resolved(place, transition.to).await?;
        let project = &resolved.project;
        let mut services = self.config.services.keys();
        if let Some(service) = services.find(|name| !project.services.contains_key(*name)) {
            return Err(Error::Missing(format!(
                "the project has no service {service}"
            )));
        }
        self.one_project(place, &look, project).await?;
        let mut text = format!(
            "{}folder=$(dirname -- \"$ours\")
[ -w \"$folder\" ] || no \"cannot write in $folder\"
",
            self.head_at(place)
        );
        text.push_str(&self.same_files(&look));
        let all: BTreeSet<String> = images.values().map(|image| quote(image)).collect();
        let all: Vec<String> = all.into_iter().collect();
        text.push_str(&format!(
            "if docker image inspect -- {all} >/dev/null 2>&1; then echo here; else
{REGISTRY}for image in {all}; do
  docker image inspect -- \"$image\" >/dev/null 2>&1 || in_registry
done; fi\n",
            all = all.join(" ")
        ));
        let changes = self.changes(&look, project, &images);
        // Side by side: each starts a Compose of its own, which takes its time.
        let (printed, same) = join(
            self.read(place, "the release", &text),
            self.refuse_other_changes(place, transition, &look, &changes),
        )
        .await;
        if printed?.trim() == "here" {
            let all = images.values().map(|image| (place.clone(), image.clone()));
            self.here.borrow_mut().extend(all);
        }
        same?;
        self.permitted(place, &look, &changes, &images).await?;
        Ok(resolved.warnings)
    }

    /// A project that nothing was made of, beside one of another name that has our services, is the
    /// wrong name: it would be a second project.
    async fn one_project(
        &self,
        place: &Place,
        look: &ProjectContainers,
        project: &Project,
    ) -> Result<(), Error> {
        let ours = |one: &Container| self.config.services.contains_key(one.service());
        if look.all.iter().any(ours) {
            return Ok(());
        }
        let text = format!(
            "{}ids=$(docker ps -aq --no-trunc --filter label={})\n[ -z \"$ids\" ] || docker inspect --type container --format {} $ids",
            self.head_at(place),
            container::PROJECT,
            quote(container::FORMAT)
        );
        let printed = self.full_output(place, "docker inspect", &text, &[]);
        for line in printed.await?.lines() {
            let other = Container::read(line)?;
            let template = self.config.services.get(other.service());
            let runs = template.and_then(|template| self.release_of(template, &other.image));
            if runs.is_some() && !other.one_off() {
                let own = self.config.project.as_ref().or(project.name.as_ref());
                let own = own.map_or("", String::as_str);
                return Err(Error::Unfit(format!(
                    "the project {own} has no container, and {} runs `{}` in the project {other}: a second project would be started; name it under `rollback.compose.project: {other}`",
                    other.image,
                    other.service(),
                    other = other.project()
                )));
            }
        }
        Ok(())
    }

    /// Our file is written whole: anything else in it would be lost.
    async fn check_ours(&self, place: &Place) -> Result<(), Error> {
        let file = self.file();
        let text = self
            .machines
            .places
            .read(place, &file, QUERY_TIMEOUT)
            .await?;
        match text.as_deref().and_then(more_than_images) {
            None => Ok(()),
            Some(more) => Err(Error::Unfit(not_ours(&file, &more))),
        }
    }

    /// A service that was created from other files would silently lose their contents. Files are
    /// compared by their base names: the folder of a release may have moved since.
    fn same_files(&self, look: &ProjectContainers) -> String {
        let ours = |one: &&Container| self.config.services.contains_key(one.service());
        let files: BTreeSet<&str> = look
            .all
            .iter()
            .filter(ours)
            .flat_map(Container::files)
            .collect();
        let files: Vec<String> = files.into_iter().map(quote).collect();
        format!(
            "known=$(set -- {words}; for file; do [ \"$file\" = -f ] || basename -- \"$file\"; done; basename -- \"$ours\")
for file in {files}; do
  if [ ! -e \"$file\" ]; then continue; fi
  name=$(basename -- \"$file\")
  printf '%s\\n' \"$known\" | grep -qxF -e \"$name\" ||
    no \"the containers were made from $name too: name the same files under \\`rollback.compose.files\\`\"
done
",
            words = self.file_options(),
            files = files.join(" "),
        )
    }

    /// Our file and what runs, as JSON.
    async fn pre_image(&self, place: &Place) -> Result<String, Error> {
        let places = self.machines.places;
        let file = places.read(place, &self.file(), QUERY_TIMEOUT).await?;
        let look = self.inspect_within_staleness(place).await?;
        let counts = look.counts();
        let ours = |one: &&Container| self.config.services.contains_key(one.service());
        // Of two that are one, the older is what ran.
        let mut all: Vec<&Container> = look.all.iter().filter(ours).collect();
        all.sort_by(|one, other| other.created.cmp(&one.created));
        let images = all
            .into_iter()
            .map(|one| (one.service().to_owned(), one.image.clone()))
            .collect();
        let before = Before {
            file,
            images,
            counts,
        };
        Ok(serde_json::to_string(&before)?)
    }

    /// Makes the release live; safe to do twice.
    async fn switch(&self, place: &Place, release: &str, counts: &Counts) -> Result<String, Error> {
        let images = self.images(release)?;
        self.recreate_services(place, release, &images, counts)
            .await?;
        let look = self.inspect_containers(place).await?;
        let resolved = self.resolved(place, release).await?;
        for (service, image) in &images {
            let mut of_service = look.of(service).peekable();
            if of_service.peek().is_none() && !resolved.project.wants_none(service) {
                return Err(Error::Down(format!("`{service}` does not run")));
            }
            if let Some(other) = of_service.find(|one| one.image != *image) {
                let still = format!("`{service}` still runs {}", other.image);
                return Err(Error::Contradicts(still));
            }
        }
        if let Some((one, why)) = look
            .all
            .iter()
            .find_map(|one| Some((one, look.left_behind(one)?)))
        {
            return Err(Error::Down(format!("`{}` {why}", one.service())));
        }
        let stays = self.stays(place, &resolved.project).await?;
        Ok(match resolved.warnings.as_slice() {
            [] => stays,
            warnings => format!("{stays}; Compose warns: {}", warnings.join(" ")),
        })
    }

    /// Lets the services run what they ran, and puts our file back.
    async fn put_back(&self, place: &Place, release: &str, before: &str) -> Result<String, Error> {
        let before = Before::read(before)?;
        if !before.images.is_empty() {
            self.recreate_services(place, release, &before.images, &before.counts)
                .await?;
        }
        if let Some(text) = &before.file {
            let places = self.machines.places;
            places
                .replace(place, &self.file(), text, QUERY_TIMEOUT)
                .await?;
        } else {
            let text = format!("rm -f -- {}", word(&self.file()));
            let what = "putting it back";
            self.machines
                .places
                .script(place, what, &text, Effect::Changes, QUERY_TIMEOUT)
                .await?;
        }
        let images: Vec<&str> = before.images.values().map(String::as_str).collect();
        Ok(format!("{} again", images.join(", ")))
    }

    async fn pull(&self, place: &Place, images: &BTreeMap<String, String>) -> Result<(), Error> {
        let within = self.config.timeout.get();
        let pulling = self.pulling(place, images);
        if pulling.is_empty() {
            return Ok(());
        }
        let text = self.head_at(place) + &pulling;
        let pulled =
            self.machines
                .places
                .script(place, "docker pull", &text, Effect::Changes, within);
        pulled.await?;
        let all = images.values().map(|image| (place.clone(), image.clone()));
        self.here.borrow_mut().extend(all);
        Ok(())
    }

    /// Fetches what is not known to be here.
    fn pulling(&self, place: &Place, images: &BTreeMap<String, String>) -> String {
        let here = self.here.borrow();
        let missing = images.values().filter(|image| {
            let key = (place.clone(), (*image).clone());
            !here.contains(&key)
        });
        let all: BTreeSet<String> = missing.map(|image| quote(image)).collect();
        if all.is_empty() {
            return String::new();
        }
        let all: Vec<String> = all.into_iter().collect();
        format!(
            "docker image inspect -- {all} >/dev/null 2>&1 || for image in {all}; do
  docker image inspect -- \"$image\" >/dev/null 2>&1 || docker pull -q -- \"$image\" >/dev/null
done\n",
            all = all.join(" ")
        )
    }

    /// Compose recreates what its image has changed, and what lives in it; the rest is left alone.
    async fn recreate_services(
        &self,
        place: &Place,
        release: &str,
        images: &BTreeMap<String, String>,
        counts: &Counts,
    ) -> Result<(), Error> {
        // What was begun before may still go on, and is waited for before it is looked at.
        let within = self.config.timeout.get();
        let head = self.head_at(place);
        let alone = alone(Path::new("."), within);
        let wait = format!("{head}{alone}");
        self.machines
            .places
            .script(place, "compose up", &wait, Effect::Changes, within)
            .await?;
        let look = self.inspect_containers(place).await?;
        let project = self.resolved(place, release).await?.project;
        let changes = self.changes(&look, &project, images);
        let ours = override_text(images);
        self.machines
            .places
            .replace(place, &self.file(), &ours, QUERY_TIMEOUT)
            .await?;
        let text = format!(
            "{}{alone}{}{}",
            self.head_at(place),
            self.pulling(place, images),
            self.acts(place, &look, &changes, counts)
        );
        let env = self.env(release);
        self.looked.borrow_mut().remove(place);
        self.machines
            .places
            .full_output(place, "compose up", &text, &env, Effect::Changes, within)
            .await
            .map(drop)
    }

    /// The part of a script that recreates what changes, once the images are here.
    fn acts(
        &self,
        place: &Place,
        look: &ProjectContainers,
        changes: &AffectedServices,
        counts: &Counts,
    ) -> String {
        let mut text = String::new();
        for words in look.merge_commands() {
            let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
            text.push_str(&format!("docker {} >/dev/null\n", words.join(" ")));
        }
        // The wanted image is here; whatever the files say, nothing else may be pulled now.
        let pull = match self.program(place) {
            Some(program) if program.v2 => " --pull never",
            _ => "",
        };
        let now = look.counts();
        let up = |how: &str, services: Vec<&String>| {
            // It would be as many as the files say.
            let count = |service: &String| counts.get(service).or(now.get(service));
            let scale: Vec<String> = services
                .iter()
                .filter_map(|service| {
                    Some(format!(" --scale {}={}", quote(service), count(service)?))
                })
                .collect();
            let names: Vec<String> = services.into_iter().map(|name| quote(name)).collect();
            format!(
                "both up -d --no-deps --no-build{pull}{how}{} {} >&2\n",
                scale.concat(),
                names.join(" ")
            )
        };
        if !changes.services.is_empty() {
            text.push_str(&up("", changes.services.iter().collect()));
        }
        for service in &changes.after {
            text.push_str(&up(" --force-recreate", vec![service]));
        }
        text
    }

    /// Whether sudo lets us do what a switch does: it is asked for the very commands.
    async fn permitted(
        &self,
        place: &Place,
        look: &ProjectContainers,
        changes: &AffectedServices,
        images: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        if !self.config.sudo {
            return Ok(());
        }
        let v2 = self.program(place).is_some_and(|program| program.v2);
        let program = if v2 { "" } else { MAY_PROGRAM };
        let mut text = format!("{}{MAY}{program}", self.head_at(place));
        for image in images.values() {
            if !self.here.borrow().contains(&(place.clone(), image.clone())) {
                text.push_str(&format!("docker pull -q -- {}\n", quote(image)));
            }
        }
        text.push_str(&self.acts(place, look, changes, &Counts::new()));
        self.read(place, "sudo", &text).await.map(drop)
    }

    /// Without any, Compose finds its own.
    fn files_to_watch(&self) -> Vec<PathBuf> {
        let mut files = self.config.files.clone();
        if !files.is_empty() {
            files.push(self.config.override_file.clone());
        }
        files
    }

    async fn stays(&self, place: &Place, project: &Project) -> Result<String, Error> {
        let all = self.config.services.keys().cloned();
        let all = all.filter(|service| !project.wants_none(service));
        let (completed, services): (Vec<String>, Vec<String>) =
            all.partition(|service| self.is_one_shot(service, project));
        let program = self.program(place).unwrap_or_default();
        let v2 = program.v2;
        let env_files = self.env_files(Some(&program));
        let probe = ComposeProbe {
            name: "settle".to_owned(),
            folder: Some(self.config.folder.clone()),
            files: self.files_to_watch(),
            project: self.config.project.clone().or(program.name),
            env_files: env_files.into_iter().map(PathBuf::from).collect(),
            services,
            completed,
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
        let sudo = if self.config.sudo { "sudo -n " } else { "" };
        let compose = if v2 {
            "docker compose"
        } else {
            "docker-compose"
        };
        let compose = format!("{sudo}{compose}");
        let around = &self.machines.around;
        let settled = settle::compose(probe, around, settling, &compose, project.clone());
        Ok(settled.await?)
    }
}

impl Kind for ComposeTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Compose::new(self, context)))
    }

    fn fits(&self) -> Option<&dyn CheckFit> {
        Some(self)
    }
}

impl Observe for Compose<'_> {
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(self.running(&step.place, likely))
    }

    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        let services: Vec<String> = self
            .config
            .services
            .keys()
            .map(|name| quote(name))
            .collect();
        let head = self.head_at(&step.place);
        let states = head.clone() + &self.table(self.program(&step.place).as_ref());
        let logs = format!(
            "{head}any logs --no-color --timestamps --tail=500 {}",
            services.join(" ")
        );
        vec![
            self.machines
                .run_diagnostic(&step.place, "containers", states),
            self.machines.run_diagnostic(&step.place, "logs", logs),
        ]
    }

    fn parts<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, PlaceParts> {
        Box::pin(async move {
            let look = self.inspect_within_staleness(&step.place).await?;
            let project = self.judging(&step.place, &look, likely).await;
            let seen = self.running_services(&look, &project, likely);
            Ok(PlaceParts {
                runs: seen.runs,
                down: seen.down,
            })
        })
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let running =
                |place| -> StepFuture<'a, _> { Box::pin(self.running(place, destination)) };
            let all = self.machines.all_run(destination, running).await;
            all.then(|| format!("every container of the services runs {destination}"))
        })
    }
}

impl Switch for Compose<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        self.machines
            .steps("compose", &self.describe_switch(transition.to))
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            let warnings = self.check(&step.place, transition).await?;
            Ok(match warnings.as_slice() {
                [] => step.does.clone(),
                all => format!("{}; Compose warns: {}", step.does, all.join(" ")),
            })
        })
    }

    fn prepare<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
    ) -> Option<StepFuture<'a, ()>> {
        Some(Box::pin(async move {
            let images = self.images(transition.to)?;
            self.pull(&step.place, &images).await
        }))
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.pre_image(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let counts = before.map(Before::read).transpose()?;
            let counts = counts.map(|before| before.counts).unwrap_or_default();
            let made = self.switch(&step.place, transition.to, &counts).await?;
            Ok(made.into())
        })
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted("what was there before is not known"))?;
            let left = transition.from.unwrap_or(transition.to);
            self.put_back(&step.place, left, before).await
        })
    }
}

impl Target for Compose<'_> {
    fn capabilities(&self) -> Capabilities {
        // Each service may run another.
        Capabilities {
            proves_retention: true,
            splits_traffic: true,
            ..Capabilities::default()
        }
    }
}

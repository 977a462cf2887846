//! The images that a release changes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::deployment::OwnImage;
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, Built};
use tools::CommandEffect;
use tools::Tool;
use tools::compose;
use workflow::Value;
use workflow::{Fact, Line};

/// More than one repository builds.
const MAX_IMAGES: usize = 200;

/// By which tag an image is started.
enum Tag<'t> {
    /// One that names the release.
    Release(String),
    /// The same one each time, though it gets one of the release's where it is built.
    Fixed(&'t str, Option<String>),
    /// The one of the release that it gets where it is built.
    AsBuilt(Option<String>),
}

/// The images that a tool starts, and the release as the tag of the first.
#[derive(Default)]
struct Started {
    images: Vec<OwnImage>,
    release: Option<Fact<Value>>,
}

impl Started {
    fn add(&mut self, service: &str, image: Value, built: Option<&Built>, tag: Tag<'_>, at: &Line) {
        let at = built.map_or(at, |built| &built.at).clone();
        let (tag, fixed) = match tag {
            Tag::Release(tag) => (Some(tag), None),
            Tag::Fixed(tag, as_built) => (as_built, Some(tag)),
            Tag::AsBuilt(tag) => (tag, None),
        };
        if let Some(tag) = &tag
            && self.release.is_none()
        {
            self.release = Some(Fact::new(Value::new(tag.as_str()), at.clone()));
        }
        let own_tag = built.and_then(|built| compose::split_tag(built.name.text()).1);
        let last = image.text().rsplit('/').next().unwrap_or_default();
        let is_written =
            own_tag.is_some() || tag.is_some() || fixed.is_some_and(|tag| tag != "latest");
        if !is_written && last.starts_with("${{") {
            // A secret may hold the tag with the name.
            return;
        }
        let own_tag = fixed.or(own_tag).unwrap_or("latest");
        self.images.push(OwnImage {
            service: service.to_owned(),
            image,
            before: String::new(),
            after: String::new(),
            fixed_tag: (tag.is_none() || fixed.is_some()).then(|| own_tag.to_owned()),
            at,
            pushed: built.is_some_and(|built| built.pushed),
        });
    }
}

impl Assembly<'_> {
    /// What the workflow that led here builds and pushes; else what any workflow does, as one may start another.
    pub(crate) fn own_images(&self, run: &Run) -> Rc<Vec<Built>> {
        let own = self.built(Some(run.started));
        if own.is_empty() {
            self.built(None)
        } else {
            own
        }
    }

    pub(crate) fn built(&self, started: Option<usize>) -> Rc<Vec<Built>> {
        if let Some(known) = self.images.borrow().get(&started) {
            return Rc::clone(known);
        }
        let mut images: Vec<Built> = Vec::new();
        let mut places: BTreeMap<Value, usize> = BTreeMap::new();
        for other in self
            .runs
            .iter()
            .filter(|other| started.is_none_or(|at| other.started == at))
        {
            for one in self.done(other) {
                let CommandEffect::Image { name, pushed, at } = &one.deed else {
                    continue;
                };
                if !is_built(one.event) || name.is_empty() {
                    continue;
                }
                if let Some(known) = places.get(name) {
                    images[*known].pushed |= pushed;
                    continue;
                }
                if images.len() >= MAX_IMAGES {
                    continue;
                }
                places.insert(name.clone(), images.len());
                images.push(Built {
                    name: name.clone(),
                    plain: compose::split_tag(name.text()).0.to_ascii_lowercase(),
                    pushed: *pushed,
                    at: at.clone().unwrap_or_else(|| one.event.at.clone()),
                    job: other.id,
                });
            }
        }
        // `docker push --all-tags NAME` pushes them all.
        let all: Vec<Value> = (images
            .iter()
            .filter(|one| one.pushed && compose::split_tag(one.name.text()).1.is_none()))
        .map(|one| one.name.clone())
        .collect();
        if !all.is_empty() {
            for one in &mut images {
                one.pushed |= all
                    .iter()
                    .any(|name| name.text() == compose::split_tag(one.name.text()).0);
            }
        }
        let images = Rc::new(images);
        self.images.borrow_mut().insert(started, Rc::clone(&images));
        images
    }

    /// The images that a release changes, and the release's name as the tag of the first. A tag that moves from one
    /// release to the next is no name.
    pub(crate) fn images(
        &self,
        run: &Run,
        tool: &Tool,
        own: &[Built],
        env: &BTreeMap<String, String>,
    ) -> (Vec<OwnImage>, Option<Fact<Value>>) {
        let tag_of = |image: &Value| {
            tag_of_release(image)
                .filter(|tag| !self.moves(run, tag))
                .map(str::to_owned)
        };
        let as_built = |built: Option<&Built>| built.and_then(|built| tag_of(&built.name));
        let mut started = Started::default();
        // Of the tags of an image, the one that names a release.
        let best = |fits: &dyn Fn(&Built) -> bool| {
            let fitting = || own.iter().filter(|one| fits(one));
            fitting()
                .find(|one| tag_of(&one.name).is_some())
                .or_else(|| fitting().next())
        };
        let name_of = |built: &Built| compose::split_tag(built.name.text()).0.to_owned();
        if let Tool::Compose(call) = tool
            && !call.known_files.is_empty()
        {
            let project = compose::project(self.repository, &call.known_files);
            let is_called = |name: &String| {
                call.services.is_empty()
                    || call.services.iter().any(|service| service.value == *name)
            };
            for (service_name, service) in
                project.services.iter().filter(|(name, _)| is_called(name))
            {
                let Some(written) = &service.image else {
                    continue;
                };
                let image = compose::filled(&written.value, env);
                let (image, tag) = compose::split_tag(&image);
                let plain = image.to_ascii_lowercase();
                let built = best(&|one| same_image(&one.plain, &plain));
                if built.is_none() && !project.is_built(service) {
                    continue;
                }
                let name = built.map_or_else(|| image.to_owned(), name_of);
                // A tag that the file itself names is started, whichever others the image gets.
                let written_down = tag.unwrap_or("latest");
                // A default is started where nothing else is set, and a file of the machine may set it.
                let literal =
                    !is_default(&written.value, env) && is_overwritten(own, &plain, written_down);
                // What is built where it runs, each time by the same name, has no release's name.
                let tag = tag.filter(|tag| tag.contains("${{") && !self.moves(run, tag));
                if built.is_none() && tag.is_none() {
                    continue;
                }
                let tag = match tag {
                    Some(tag) => Tag::Release(tag.to_owned()),
                    None if literal => Tag::Fixed(written_down, as_built(built)),
                    None => Tag::AsBuilt(as_built(built)),
                };
                started.add(service_name, Value::new(name), built, tag, &written.at);
            }
            return (started.images, started.release);
        }
        if self.written_images(run, tool, own, &mut started) {
            return (started.images, started.release);
        }
        // What a container is started from is written down, whichever others the image gets.
        let ran = match tool {
            Tool::Container { image, .. } => Some(compose::split_tag(image.text())),
            _ => None,
        };
        let overwritten = |built: &Built| {
            let (plain, tag) = ran?;
            let (plain, tag) = (plain.to_ascii_lowercase(), tag.unwrap_or("latest"));
            (same_image(&built.plain, &plain) && is_overwritten(own, &plain, tag)).then_some(tag)
        };
        let own = self.may_start(run, tool);
        // A job that builds its own image starts that one.
        let here = own.iter().any(|one| one.job == run.id);
        let mut seen: Vec<String> = Vec::new();
        for one in own.iter().filter(|one| !here || one.job == run.id) {
            let name = name_of(one);
            // A name that a command prints is not known.
            let printed = name.contains("$(") || name.contains('`');
            if printed && started.release.is_none() {
                let tag = tag_of(&one.name).filter(|tag| !tag.contains("$("));
                started.release = tag.map(|tag| Fact::new(Value::new(tag), one.at.clone()));
            }
            if name.is_empty() || printed || seen.contains(&name) {
                continue;
            }
            let built = best(&|other| name_of(other) == name && (!here || other.job == run.id));
            let tag = match overwritten(one) {
                Some(tag) => Tag::Fixed(tag, as_built(built)),
                None => Tag::AsBuilt(as_built(built)),
            };
            started.add("", Value::new(&*name), built, tag, &one.at);
            seen.push(name);
        }
        (started.images, started.release)
    }

    /// What a tool may start that nothing names: an image of the workflow that led here, and elsewhere only a pushed one.
    fn may_start(&self, run: &Run, tool: &Tool) -> Vec<Built> {
        let handed = self.handed_tags(run);
        // A chart is given the tag alone.
        let is_handed = |one: &Built| {
            let names = handed.iter().map(|image| {
                compose::split_tag(image.value.text())
                    .0
                    .to_ascii_lowercase()
            });
            handed.is_empty() || { names }
                .any(|name| name.is_empty() || same_image(&one.plain, &name))
        };
        let is_elsewhere = matches!(tool, Tool::Kubectl(_) | Tool::Helm(_) | Tool::Ecs(_));
        let may_start = |one: &&Built| (one.pushed || !is_elsewhere) && is_handed(one);
        let own = self.built(Some(run.started));
        own.iter().filter(may_start).cloned().collect()
    }

    /// What the files of a chart, of manifests or of a task name and no step changes: an image by a tag that stays, or one
    /// of ours. Whether they name any.
    fn written_images(&self, run: &Run, tool: &Tool, own: &[Built], started: &mut Started) -> bool {
        let is_chart = matches!(tool, Tool::Helm(_));
        let named = match tool {
            Tool::Helm(call) if !sets_image(run) => {
                tools::manifests::images_of_chart(self.repository, call)
            }
            Tool::Kubectl(call) if self.handed_tags(run).is_empty() && !changes_files(run, "") => {
                tools::manifests::images_applied(self.repository, call)
            }
            Tool::Ecs(call) => {
                let file = call
                    .task_definition
                    .as_ref()
                    .and_then(|it| it.value.literal());
                let file = file.unwrap_or_default().trim_start_matches("./");
                let is_changed =
                    self.rendered_release(run, call).is_some() || changes_files(run, file);
                if is_changed {
                    Vec::new()
                } else {
                    tools::manifests::images_of_task(self.repository, file)
                }
            }
            _ => Vec::new(),
        };
        let mut is_one = false;
        for image in &named {
            let (name, tag) = compose::split_tag(&image.value);
            let plain = name.to_ascii_lowercase();
            let built = own.iter().find(|one| same_image(&one.plain, &plain));
            let tag = match tag {
                Some("latest") => Tag::Fixed("latest", None),
                _ if built.is_none() => continue,
                _ if is_chart => Tag::AsBuilt(None),
                tag => Tag::Fixed(tag.unwrap_or("latest"), None),
            };
            started.add("", Value::new(name), built, tag, &image.at);
            is_one = true;
        }
        is_one || is_chart && !named.is_empty()
    }

    /// The images that a job gives to Kubernetes, by their tags.
    pub(crate) fn handed_tags(&self, run: &Run) -> Vec<Fact<Value>> {
        let images = self.done(run).iter().filter_map(|one| match &one.deed {
            CommandEffect::Image { name, .. } if !is_built(one.event) => {
                Some(Fact::new(name.clone(), one.event.at.clone()))
            }
            _ => None,
        });
        images
            .filter(|name| !name.value.text().contains('@'))
            .collect()
    }

    /// The release that such an image's tag is.
    pub(crate) fn handed_release(&self, run: &Run, image: &Fact<Value>) -> Option<Fact<Value>> {
        let tag = tag_of_release(&image.value).filter(|tag| !self.moves(run, tag))?;
        Some(Fact::new(Value::new(tag), image.at.clone()))
    }

    /// Whether an image of a Compose file is one of this repository's.
    pub(crate) fn is_own_image(&self, run: &Run, image: &str) -> bool {
        let image = compose::split_tag(image).0.to_ascii_lowercase();
        self.own_images(run)
            .iter()
            .any(|one| same_image(&one.plain, &image))
    }
}

/// An image is named where it is built or pushed, and also where Kubernetes is told of it.
fn is_built(event: &Event) -> bool {
    match &event.what {
        EventDetail::Command { words, .. } => !matches!(
            words.first().map(String::as_str),
            Some("kubectl" | "helm" | "oc" | "kustomize")
        ),
        EventDetail::Action { name, .. } => name != "azure/k8s-deploy",
        EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
    }
}

/// Whether an image of a Compose file is one that a workflow builds: the same name, or the same last part where
/// a variable stands before it.
pub(crate) fn same_image(pushed: &str, started: &str) -> bool {
    if pushed == started || pushed.strip_prefix("docker.io/") == Some(started) {
        return true;
    }
    let last = |name: &str| name.rfind('/').map_or(0, |at| at + 1);
    let (one, other) = (&pushed[last(pushed)..], &started[last(started)..]);
    one == other && !one.contains('$') && (pushed.contains('$') || started.contains('$'))
}

/// Whether a call of Helm's sets an image or its tag, over what the files of the chart have.
fn sets_image(run: &Run) -> bool {
    run.events.iter().any(|event| match &event.what {
        EventDetail::Command { words, .. } => {
            words.first().is_some_and(|program| program == "helm")
                && words
                    .iter()
                    .any(|word| word.contains("tag=") || word.contains("image"))
        }
        EventDetail::Action { with, .. } => {
            let mut texts = with.values().map(|fact| fact.value.text());
            texts.any(|text| text.contains("tag"))
        }
        EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
    })
}

/// Whether a step may write into a file, so that it does not stand as it is in the repository.
fn changes_files(run: &Run, file: &str) -> bool {
    run.events.iter().any(|event| match &event.what {
        EventDetail::Command { words, .. } => tools::origin::edits(words, file),
        EventDetail::Action { name, .. } => tools::origin::renders(name),
        EventDetail::Writes { .. } => !file.is_empty(),
        EventDetail::Script { .. } => false,
    })
}

/// Whether the tag, or all of the image, is the default of variables that the workflow does not set.
fn is_default(image: &str, env: &BTreeMap<String, String>) -> bool {
    let is_set = Cell::new(false);
    shell::filled(image, &|name| {
        is_set.set(is_set.get() || env.contains_key(name));
        None
    });
    compose::varies(image) && !is_set.get()
}

/// Whether a tag is the same for each release of an image: `latest`, or another that a workflow pushes again.
fn is_overwritten(own: &[Built], plain: &str, tag: &str) -> bool {
    let pushed_again = own.iter().any(|one| {
        let (name, other) = compose::split_tag(one.name.text());
        other.unwrap_or("latest") == tag && same_image(&name.to_ascii_lowercase(), plain)
    });
    !tag.contains('$') && (pushed_again || tag == "latest")
}

/// The tag that a release brings: one with an expression in it.
fn tag_of_release(image: &Value) -> Option<&str> {
    let tag = compose::split_tag(image.text()).1?;
    (tag.contains("${{") && !tag.contains("secrets.")).then_some(tag)
}

//! The Compose files of the repository that a call reads.

use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, copied_to, machine, same_machine};
use repository::{ends_in, joined};
use tools::ComposeCall;
use tools::compose::{self, OVERRIDES, USUAL};

/// What the folder of a call is to the repository.
enum Folder {
    /// It is this folder of a copy.
    Is(String),
    /// It may be a copy: the files themselves must tell.
    MayBe,
    /// The repository is in another folder of that machine.
    Another,
}

impl Assembly<'_> {
    /// The files of the repository that a call reads, though the machine has them in a folder of another name. Where
    /// they are not known to be these, none is.
    pub(crate) fn compose_files(
        &self,
        call: &ComposeCall,
        event: &Event,
        run: &Run,
    ) -> Vec<String> {
        let remote = event.place.login.is_some();
        let folder = event
            .place
            .folder
            .as_ref()
            .map_or("", |folder| &*folder.value);
        let place = if remote {
            self.copy_on_machine(folder, event, run)
        } else {
            Folder::MayBe
        };
        let sent = if remote {
            self.sent(folder, event, run)
        } else {
            Vec::new()
        };
        let find = |name: &str| match &place {
            _ if sent.iter().any(|path| has_name(path, name)) => {
                sent.iter().find(|path| has_name(path, name)).cloned()
            }
            Folder::Another => None,
            Folder::Is(below) => {
                let name = name
                    .strip_prefix(folder)
                    .filter(|_| name.starts_with('/'))
                    .unwrap_or(name);
                let name = name.trim_start_matches('/');
                joined(below, name).filter(|path| self.repository.has(path))
            }
            Folder::MayBe => self.find(folder, name, remote),
        };
        let files: Vec<String> = if call.files.is_empty() {
            let usual = USUAL.iter().find_map(|name| find(name));
            let over = OVERRIDES.iter().find_map(|name| {
                let folder = usual
                    .as_ref()?
                    .rsplit_once('/')
                    .map_or("", |(folder, _)| folder);
                joined(folder, name).filter(|path| self.repository.has(path))
            });
            usual.into_iter().chain(over).collect()
        } else {
            call.files
                .iter()
                .filter_map(|file| find(&file.value))
                .collect()
        };
        let project = compose::project(self.repository, &files);
        let named = |name: &str| name.contains('$') || project.services.contains_key(name);
        let all_named = call.services.iter().all(|service| named(&service.value));
        let is_sent = files.iter().any(|file| sent.contains(file));
        let of_this =
            !remote || is_sent || matches!(place, Folder::Is(_)) || call.builds.is_some() || {
                let mut images = project
                    .services
                    .values()
                    .filter_map(|service| service.image.as_ref());
                images
                    .any(|image| image.value.contains('$') || self.is_own_image(run, &image.value))
            };
        if all_named && of_this {
            files
        } else {
            Vec::new()
        }
    }

    /// The files of the repository that the job itself copies into a folder of the machine.
    fn sent(&self, folder: &str, event: &Event, run: &Run) -> Vec<String> {
        let login = machine(event, run);
        let user = login.as_ref().and_then(|login| login.user.as_ref());
        let user = user.map(|user| user.value.text());
        let folder = from_home(if folder.is_empty() { "~" } else { folder }, user);
        let mut found = Vec::new();
        for one in self.done(run) {
            let EventDetail::Command { words, .. } = &one.event.what else {
                continue;
            };
            let target = copied_to(one, run).filter(|_| one.event.place.login.is_none());
            let is_here = target.is_some_and(|target| from_home(&target.value, user) == folder)
                && same_machine(machine(one.event, run).as_ref(), login.as_ref());
            let names = words.iter().map(|word| word.trim_start_matches("./"));
            found.extend(
                names
                    .filter(|name| is_here && self.repository.has(name))
                    .map(str::to_owned),
            );
        }
        found
    }

    fn find(&self, folder: &str, name: &str, remote: bool) -> Option<String> {
        let name = name
            .strip_prefix(folder)
            .filter(|_| name.starts_with('/'))
            .unwrap_or(name);
        let name = name.trim_start_matches('/').trim_start_matches("./");
        if !remote
            && let Some(path) = joined(folder, name)
            && self.repository.has(&path)
        {
            return Some(path);
        }
        if self.repository.has(name) {
            return Some(name.to_owned());
        }
        // `/opt/market/ops` is `ops` of a copy of the repository.
        let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        for from in 0..parts.len().min(32) {
            let path = format!("{}/{name}", parts[from..].join("/"));
            if self.repository.has(&path) {
                return Some(path);
            }
        }
        let base = format!("/{}", name.rsplit('/').next().unwrap_or_default());
        let mut all = self
            .repository
            .files
            .iter()
            .filter(|path| path.ends_with(&base));
        let only = all.next().cloned();
        only.filter(|_| all.next().is_none())
    }

    /// Where the repository is on the machine of a call: in the folders that Git fetches into and that files are sent to.
    fn copy_on_machine(&self, folder: &str, event: &Event, run: &Run) -> Folder {
        let address = |event: &Event| machine(event, run).map(|login| login.address.value);
        let here = address(event);
        let user = machine(event, run).and_then(|login| login.user);
        let user = user.as_ref().map(|user| user.value.text());
        // A login begins in the user's home.
        let folder = if folder.is_empty() { "~" } else { folder };
        let folder = &*from_home(folder, user);
        let mut fetched: Vec<String> = Vec::new();
        let mut sent: Vec<String> = Vec::new();
        for one in self.done(run) {
            if let EventDetail::Command { words, .. } = &one.event.what
                && words.first().is_some_and(|word| word == "git")
                && one.event.place.login.is_some()
                && address(one.event) == here
            {
                fetched.extend(checkout_of(words, one.event).map(|root| from_home(&root, user)));
            } else if let Some(target) = copied_to(one, run)
                && address(one.event) == here
            {
                sent.push(from_home(&target.value, user));
            }
        }
        let below = |roots: &[String]| {
            let inside = roots.iter().filter_map(|root| {
                let rest = folder.strip_prefix(root.as_str())?;
                (rest.is_empty() || rest.starts_with('/'))
                    .then(|| rest.trim_start_matches('/').to_owned())
            });
            inside.min_by_key(String::len)
        };
        match below(&fetched) {
            Some(below) if !below.contains('$') => return Folder::Is(below),
            None if !fetched.is_empty() => return Folder::Another,
            _ => {}
        }
        let above = |root: &String| {
            root.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if below(&sent).is_none() && !sent.is_empty() && !sent.iter().any(above) {
            return Folder::Another;
        }
        Folder::MayBe
    }
}

/// A folder of a machine as its user reaches it: `~/shop` for `/home/deploy/shop`, and for `shop`, which a login begins
/// beside.
fn from_home(folder: &str, user: Option<&str>) -> String {
    let home = match user {
        Some("root") => "/root".to_owned(),
        user => format!("/home/{}", user.unwrap_or_default()),
    };
    let below = folder.strip_prefix(&home);
    match below.filter(|rest| user.is_some() && (rest.is_empty() || rest.starts_with('/'))) {
        Some(rest) => format!("~{rest}"),
        None if folder.is_empty() || folder.starts_with(['/', '~', '$']) => folder.to_owned(),
        None => format!("~/{}", folder.trim_start_matches("./")),
    }
}

/// The folder that a command of Git is about.
fn checkout_of(words: &[String], event: &Event) -> Option<String> {
    let folder = event
        .place
        .folder
        .as_ref()
        .map(|folder| folder.value.clone());
    let other = words
        .iter()
        .position(|word| word == "-C")
        .and_then(|at| words.get(at + 1));
    let has = |verbs: &[&str]| words.iter().any(|word| verbs.contains(&word.as_str()));
    if has(&["clone"]) {
        let last = words
            .last()
            .filter(|word| !word.contains(':') && !ends_in(word, &["git"]))?;
        let whole = last.starts_with(['/', '~', '$']);
        return whole.then(|| last.trim_end_matches('/').to_owned());
    }
    has(&["pull", "fetch", "reset", "checkout", "switch"])
        .then(|| other.cloned().or(folder))
        .flatten()
}

/// Whether a path ends with the file's name.
fn has_name(path: &str, name: &str) -> bool {
    let base = |path: &str| path.rsplit('/').next().map(str::to_owned);
    base(path) == base(name)
}

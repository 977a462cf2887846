//! The programs of the repository that deploy, and the files that they use.

use crate::counts::is_for_way_back;
use crate::deployment::Script;
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, COPY, RecordedEffect, rank};
use workflow::{Fact, Known, Line};

impl Assembly<'_> {
    /// Programs that look as if they deploy: those on a machine, and those of the repository that say so.
    pub(crate) fn scripts<'e>(&self, run: &'e Run, own: bool) -> Vec<&'e Event> {
        let says = |path: &str| {
            let name = path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            [
                "deploy",
                "rollout",
                "switch",
                "release-to",
                "ship",
                "restart",
                "update",
            ]
            .iter()
            .any(|word| name.contains(word))
        };
        // On a runner of GitHub's many programs update or switch something of the repository.
        let here = |path: &str| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.contains("deploy"))
        };
        (run.events.iter())
            .filter(|event| match &event.what {
                EventDetail::Script {
                    path,
                    known,
                    arguments,
                    ..
                } => {
                    let back = arguments.iter().any(|word| is_for_way_back(word.text()));
                    let there = event.place.login.is_some() || own;
                    !back
                        && says(path)
                        && (there || *known && here(path))
                        && !self.is_undone(run, event)
                }
                _ => false,
            })
            .collect()
    }

    /// The program that the calls are in, or that is all that is known.
    pub(crate) fn script<'e>(
        &self,
        scripts: &[&'e Event],
        calls: &[&RecordedEffect<'_>],
        run: &Run,
    ) -> Option<(Script, &'e Event)> {
        let of = |event: &'e Event| {
            let EventDetail::Script {
                path,
                interpreter,
                arguments,
                ..
            } = &event.what
            else {
                return None;
            };
            let script = Script {
                path: path.clone(),
                interpreter: interpreter.clone(),
                arguments: arguments.clone(),
                called_at: event.at.clone(),
                takes_release: Known::NotSeen(None),
                files: self.files_of(run, event),
            };
            Some((script, event))
        };
        let around = |event: &&&Event| calls.iter().any(|one| one.event.by.contains(&event.at));
        let found = scripts.iter().find(around).copied();
        let alone = || {
            scripts
                .last()
                .copied()
                .filter(|_| calls.iter().all(|one| rank(&one.deed) >= COPY))
        };
        of(found.or_else(alone)?)
    }

    /// The files that a script uses or writes.
    fn files_of(&self, run: &Run, script: &Event) -> Vec<Fact<String>> {
        let mut found: Vec<Fact<String>> = Vec::new();
        let mut add = |path: String, at: &Line| {
            if !found.iter().any(|known| known.value == path) {
                found.push(Fact::new(path, at.clone()));
            }
        };
        for event in run
            .events
            .iter()
            .filter(|event| event.by.contains(&script.at))
        {
            match &event.what {
                // A name that a command makes is no file that a reader finds.
                EventDetail::Writes { file, .. } if !file.contains(['`', '(']) => {
                    add(file.clone(), &event.at);
                }
                EventDetail::Command { words, .. } => {
                    for word in words.iter().skip(1) {
                        for path in self.like(word) {
                            add(path, &event.at);
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The files of the repository that a word names: one, or all that it could be where a variable is in it.
    fn like(&self, word: &str) -> Vec<String> {
        let name = word.trim_start_matches("./");
        if !name.contains('$') {
            let one = self.repository.has(name).then(|| name.to_owned());
            return one.into_iter().collect();
        }
        // `compose.$new.yaml`: what is before and after the variable.
        let before = name.split('$').next().unwrap_or_default();
        let after = name.rsplit('$').next().unwrap_or_default();
        let after =
            after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_{}".contains(c));
        if before.len() + after.len() < 6 {
            return Vec::new();
        }
        let fits = |path: &&String| {
            path.starts_with(before)
                && path.ends_with(after)
                && path.len() > before.len() + after.len()
                && !path[before.len()..].contains('/')
        };
        self.repository.files.iter().filter(fits).cloned().collect()
    }
}

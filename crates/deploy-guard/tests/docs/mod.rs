//! What the documents say is so: every command is run, every configuration read, every workflow
//! linted, every link followed.

mod action;
mod links;
mod page;
mod scenes;
mod settings;
mod vocabulary;
mod walk;
mod words;

/// A page's commands, in order, as a reader would run them.
type Scene = (&'static str, fn());

const SCENES: &[Scene] = &[
    ("README.md", scenes::readme::page),
    ("docs/guide/README.md", scenes::guide::page),
    ("docs/guide/canary.md", scenes::canary::page),
    ("docs/guide/hosts.md", scenes::hosts::page),
    ("docs/guide/incident.md", scenes::incident::page),
    ("docs/guide/install.md", scenes::install::page),
    ("docs/guide/migrate.md", scenes::migrate::page),
    ("docs/guide/runners.md", scenes::runners::page),
    ("docs/guide/seeing-the-gate.md", scenes::seeing::page),
    ("docs/guide/state.md", scenes::state::page),
    ("docs/guide/traffic.md", scenes::traffic::page),
];

/// The commands' own help, held against them by `the_committed_schemas_and_pages_are_current`.
const GENERATED: &str = "docs/reference/command-line.md";

#[test]
fn every_command_of_the_documents_runs_and_does_what_they_say() {
    std::thread::scope(|scope| {
        let running: Vec<_> = SCENES
            .iter()
            .map(|(name, scene)| (name, scope.spawn(scene)))
            .collect();
        let failed: Vec<_> = running
            .into_iter()
            .filter_map(|(name, scene)| scene.join().is_err().then_some(name))
            .collect();
        assert!(failed.is_empty(), "not so: {failed:?}");
    });
}

#[test]
fn no_page_has_a_command_that_nothing_runs() {
    let commands = |page: &page::Page| {
        let mut blocks = page.blocks.iter();
        page.name != GENERATED && blocks.any(|block| block.language != "yaml")
    };
    let pages = page::pages();
    let with: Vec<_> = pages.iter().filter(|page| commands(page)).collect();
    let with: Vec<_> = with.iter().map(|page| page.name.as_str()).collect();
    let mut run: Vec<_> = SCENES.iter().map(|(name, _)| *name).collect();
    run.sort_unstable();
    assert_eq!(
        with, run,
        "left are the pages with commands, right those that are run"
    );
}

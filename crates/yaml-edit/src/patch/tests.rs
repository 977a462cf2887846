//! Whatever a workflow looks like, what is added is all that is new.

use proptest::prelude::*;

use super::*;

const GATE: &str = "# Asks.\nname: Gate\nuses: org/deploy-guard@v1\nwith:\n  stage: healthgate\n  url: \"https://shop.example.com\"\n";

fn after(nth: usize) -> Addition {
    Addition {
        spot: InsertionPoint::After(nth),
        step: GATE.to_owned(),
    }
}

fn before(nth: usize) -> Addition {
    Addition {
        spot: InsertionPoint::Before(nth),
        step: "name: First\nrun: echo\n".to_owned(),
    }
}

#[test]
fn a_step_stands_below_the_one_it_guards() {
    let text = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      # About the first.\n      - uses: one\n\n      - run: |\n          two\n\n          three\n        # of the step\n\n      # About the third.\n      - run: four\n  b:\n    steps: []\n";
    let new = patched(text, "a", &[before(0), after(1)]).unwrap();
    assert_eq!(
        new,
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - name: First\n        run: echo\n\n      # About the first.\n      - uses: one\n\n      - run: |\n          two\n\n          three\n        # of the step\n\n      # Asks.\n      - name: Gate\n        uses: org/deploy-guard@v1\n        with:\n          stage: healthgate\n          url: \"https://shop.example.com\"\n\n      # About the third.\n      - run: four\n  b:\n    steps: []\n"
    );
    let shown = diff(".github/workflows/a.yml", text, &new);
    assert!(
        shown.starts_with("--- a/.github/workflows/a.yml\n+++ b/.github/workflows/a.yml\n@@"),
        "{shown}"
    );
    assert!(!shown.contains("\n-"), "{shown}");
}

#[test]
fn the_end_of_the_file_and_of_its_lines_stay() {
    let text = "jobs:\r\n  a:\r\n    steps:\r\n    - run: one";
    let new = patched(text, "a", &[after(0)]).unwrap();
    // Its only line does not tell how lines end here; the next one does.
    assert!(new.starts_with(text) && !new.ends_with('\n'), "{new:?}");
    let text = "jobs:\r\n  a:\r\n    steps:\r\n    -   run: one\r\n        name: x\r\n";
    let new = patched(text, "a", &[after(0)]).unwrap();
    assert!(new.starts_with(text), "{new:?}");
    assert!(new.ends_with("    -   name: Gate\r\n        uses: org/deploy-guard@v1\r\n        with:\r\n          stage: healthgate\r\n          url: \"https://shop.example.com\"\r\n"), "{new:?}");
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
}

#[test]
fn what_keeps_its_blank_lines_keeps_them() {
    let text = "jobs:\n  a:\n    steps:\n      - run: |+\n          one\n\n\n      - run: two\n";
    let new = patched(text, "a", &[after(0)]).unwrap();
    let tree = yaml::read(&new).unwrap();
    assert_eq!(tree["jobs"]["a"]["steps"][0]["run"], "one\n\n\n");
    assert_eq!(tree["jobs"]["a"]["steps"][1]["name"], "Gate");
}

#[test]
fn what_cannot_be_added_to_is_refused_with_the_reason() {
    for (text, why) in [
        (
            "jobs: { a: { steps: [{ run: x }] } }\n",
            "not one to a line",
        ),
        ("jobs:\n  a:\n    steps:\n      - { run: x }\n", ""),
        (
            "jobs:\n  a:\n    steps: [{ run: x },\n      { run: y }]\n",
            "not one to a line",
        ),
        (
            "jobs:\n  a:\n    steps: &s\n      - run: x\n  b:\n    steps: *s\n",
            "would change something else",
        ),
        (
            "jobs:\n  b:\n    steps: &s\n      - run: x\n  a:\n    steps: *s\n",
            "would change something else",
        ),
        (
            "jobs:\n  a:\n    steps:\n      - &x\n        run: x\n      - *x\n",
            "not one to a line",
        ),
        ("jobs:\n  b: {}\n", "no job `a` with steps"),
        ("jobs: [\n", "not YAML"),
    ] {
        match patched(text, "a", &[after(0)]) {
            Ok(new) => assert!(why.is_empty(), "{text}\n{new}"),
            Err(error) => assert!(
                !why.is_empty() && error.to_string().contains(why),
                "{text}: {error}"
            ),
        }
    }
}

/// Steps as people write them: keys first, then the lines below.
fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("- uses: actions/checkout@v4\n".to_owned()),
        Just("- uses: a/b@v1 # v1.2\n  with:\n    # inside\n    key: \"a: b\"\n".to_owned()),
        Just("- name: \"two: words\"\n  run: |\n    echo one\n    \tcat <<END\n      # no comment\n    END\n".to_owned()),
        Just("- run: |-\n    if x; then\n\n      y\n    fi\n  env: { A: 'b' }\n".to_owned()),
        Just("- run: >\n    folded\n    lines\n\n".to_owned()),
        Just("- run: |+\n    kept\n\n\n".to_owned()),
        Just("- &step\n  # first\n  id: x\n  run: \"a\n    b\"\n".to_owned()),
        Just("-\n  run: alone\n".to_owned()),
        Just("# above\n# it\n- run: é ü\n  if: always()\n".to_owned()),
        Just("- run: one\n  # trailing\n".to_owned()),
    ]
}

fn workflow() -> impl Strategy<Value = (String, usize)> {
    let steps = prop::collection::vec((step(), prop::bool::ANY), 1..6);
    (
        steps,
        0..5usize,
        prop::bool::ANY,
        prop::bool::ANY,
        0..4usize,
    )
        .prop_map(|(steps, deeper, crlf, open, tail)| {
            let mut text =
                "# top\non: push\n\njobs:\n  a:\n    runs-on: [self-hosted]\n    steps:\n"
                    .to_owned();
            let count = steps.len();
            let indent = " ".repeat(4 + deeper);
            for (at, (step, blank)) in steps.into_iter().enumerate() {
                // An anchor has one place.
                let step = step.replace("&step", &format!("&step{at}"));
                for line in step.lines() {
                    if !line.is_empty() {
                        text.push_str(&indent);
                        text.push_str(line);
                    }
                    text.push('\n');
                }
                if blank {
                    text.push('\n');
                }
            }
            text.push_str(
                [
                    "",
                    "    env:\n      A: b\n",
                    "\n  # next\n  b:\n    steps:\n      - run: other\n",
                    "# end\n",
                ][tail],
            );
            if open {
                text.truncate(text.trim_end_matches('\n').len());
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            (text, count)
        })
}

proptest! {
    #[test]
    fn nothing_but_insertions((text, count) in workflow(), at in 0..6usize, first in 0..6usize) {
        let (at, first) = (at % count, first % count);
        prop_assume!(yaml::read(&text).is_ok());
        let new = patched(&text, "a", &[before(first), after(at), after(at)]).unwrap();
        // Each line of before is there, in order and whole.
        let diff = similar::TextDiff::from_lines(text.as_str(), new.as_str());
        let open = !text.ends_with('\n');
        for change in diff.iter_all_changes() {
            let last = change.old_index() == Some(text.lines().count() - 1);
            prop_assert!(change.tag() != similar::ChangeTag::Delete || (open && last), "{text}\n---\n{new}");
        }
        prop_assert_eq!(open, !new.ends_with('\n'));
        if text.contains("\r\n") && count > 0 && at + 1 < count {
            prop_assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        }
        let tree = yaml::read(&new).unwrap();
        prop_assert_eq!(tree["jobs"]["a"]["steps"].as_array().unwrap().len(), count + 3);
    }
}

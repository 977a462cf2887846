//! The Action's inputs and outputs in the documents are those of its files, and its steps run.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use testkit::Shop;

use crate::docs::page::page;
use crate::docs::walk::{replaced, yaml};
use crate::job::act::Repository;
use crate::job::inputs::rows;

const PAGE: &str = "docs/guide/action.md";

/// The rows of a table by the name in their first cell, as they are to be: name, stages, text,
/// default.
fn inputs(file: &str) -> BTreeMap<String, String> {
    let action = action(file);
    let flags = rows();
    let inputs = action["inputs"].as_object().unwrap().iter();
    let row = |(name, input): (&String, &Value)| {
        let text = input["description"].as_str().unwrap().trim();
        let (text, default) = text.rsplit_once(". Default: ").unwrap_or((text, ""));
        let flag = flags.iter().find(|row| row.input == *name);
        let stages = match flag {
            Some(row) if row.stages.len() == 7 => "all".to_owned(),
            Some(row) => row.stages.join(", "),
            None if text.starts_with("healthgate: ") => "healthgate".to_owned(),
            None => "all".to_owned(),
        };
        let text = text.strip_prefix(&format!("{stages}: ")).unwrap_or(text);
        let stages = if file == "action.yml" {
            format!(" {stages} |")
        } else {
            String::new()
        };
        (
            name.clone(),
            format!("| `{name}` |{stages} {text} | {default} |"),
        )
    };
    inputs.map(row).collect()
}

fn outputs(file: &str) -> BTreeMap<String, String> {
    let action = action(file);
    let outputs = action["outputs"].as_object().unwrap().iter();
    let row = |(name, output): (&String, &Value)| {
        let text = output["description"].as_str().unwrap().trim();
        (name.clone(), format!("| `{name}` | {text} |"))
    };
    outputs.map(row).collect()
}

fn action(file: &str) -> Value {
    yaml::read(&fs::read_to_string(testkit::workspace().join(file)).unwrap()).unwrap()
}

/// The rows below a table's head.
fn table(name: &str, nth: usize, head: &str) -> Vec<String> {
    let text = fs::read_to_string(testkit::workspace().join(name)).unwrap();
    let found = text.split(&format!("\n{head}\n")).nth(nth + 1);
    let found = found.unwrap_or_else(|| panic!("{name} has no {nth}th table `{head}`"));
    let rows = found.lines().skip(1).take_while(|row| row.starts_with('|'));
    rows.map(str::to_owned).collect()
}

#[track_caller]
fn same(place: &str, shown: &[String], known: &BTreeMap<String, String>, all: bool) {
    let name = |row: &String| row.split('`').nth(1).unwrap_or_default().to_owned();
    let wanted: Vec<String> = if all {
        known.values().cloned().collect()
    } else {
        let row = |shown: &String| known.get(&name(shown)).cloned().unwrap_or_default();
        shown.iter().map(row).collect()
    };
    let mut sorted = shown.to_vec();
    if all {
        sorted.sort();
    }
    let mut expected = wanted;
    if all {
        expected.sort();
    }
    assert_eq!(
        sorted,
        expected,
        "{place} is to be:\n{}",
        expected.join("\n")
    );
}

const INPUTS: &str = "| input | stage | what it is | default |";
const OUTPUTS: &str = "| output | what it is |";

#[test]
fn the_inputs_and_outputs_of_the_documents_are_those_of_the_actions() {
    let (known, given) = (inputs("action.yml"), outputs("action.yml"));
    same(PAGE, &table(PAGE, 0, INPUTS), &known, true);
    same(PAGE, &table(PAGE, 0, OUTPUTS), &given, true);
    let few = table("README.md", 0, INPUTS);
    assert!(few.len() > 10, "{few:?}");
    same("README.md", &few, &known, false);
    let few = table("README.md", 0, OUTPUTS);
    assert!(few.len() > 4, "{few:?}");
    same("README.md", &few, &given, false);
    let setup = table(PAGE, 0, "| input of `setup` | what it is | default |");
    same(PAGE, &setup, &inputs("setup/action.yml"), true);
    let setup = table(PAGE, 0, "| output of `setup` | what it is |");
    same(PAGE, &setup, &outputs("setup/action.yml"), true);
}

/// The steps of a list as those of a job.
fn steps(list: &str) -> String {
    let lines = list.lines().map(|line| format!("      {line}\n"));
    lines.collect()
}

const JOB: &str =
    "on: push\npermissions: {}\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n";

/// A word of the pages, and what stands there in a test.
type Word<'a> = (&'a str, &'a str);

#[test]
fn the_steps_of_the_action_run_as_the_documents_have_them() {
    let shop = Shop::start("v1");
    let ready = shop.url("/health/ready");
    let url: Word<'_> = ("https://shop.example/health", &ready);
    let sha: Word<'_> = ("${{ github.sha }}", "v1");
    let deadline: Word<'_> = ("2m", "5s");

    // As the first step of README.md, and the first workflow of the page: without a checkout.
    let repository = Repository::new();
    let first = yaml("README.md", "- id: gate\n");
    let first = replaced(&first, "README.md", &[url, sha, deadline]);
    repository.write(
        ".github/workflows/job.yml",
        &format!("{JOB}{}", steps(&first)),
    );
    let whole = yaml(PAGE, "permissions: {}\n");
    let front = shop.url("/");
    let whole = replaced(
        &whole,
        PAGE,
        &[
            url,
            ("https://shop.example/", &front),
            sha,
            deadline,
            ("1s", "100ms"),
        ],
    );
    repository.write(".github/workflows/gate.yml", &format!("on: push\n{whole}"));
    repository.act(&["push"]).passes().says("healthgate: pass");

    // A gate that fails is told by a later step, and its report is kept.
    let outputs = yaml(PAGE, "- id: gate\n");
    let upload = outputs
        .find("  uses: actions/upload-artifact@v6\n")
        .unwrap();
    let (outputs, upload) = outputs.split_at(upload);
    let path = upload.split('"').nth(1).unwrap();
    let outputs = replaced(outputs, PAGE, &[url, ("./notify.sh", "echo told")]);
    let quick = outputs.replace("stage: healthgate,", "stage: healthgate, failure-limit: 0,");
    let keep = format!("  run: test -s \"$FILE\" && echo kept\n  env: {{ FILE: \"{path}\" }}\n");
    let repository = Repository::new();
    repository.write(
        ".github/workflows/job.yml",
        &format!("{JOB}{}", steps(&(quick + &keep))),
    );
    shop.set_health("no database", 503);
    repository
        .act(&["push"])
        .fails()
        .says("| told ")
        .says("| kept");

    // Without `fail`, the job goes on.
    let lenient = replaced(&quick_step(&outputs), PAGE, &[("fail, error", "error")]);
    let repository = Repository::new();
    repository.write(
        ".github/workflows/job.yml",
        &format!("{JOB}{}", steps(&lenient)),
    );
    repository
        .act(&["push"])
        .passes()
        .says("The step goes on: fail-on is error");

    shop.set_health("healthy", 200);
    let setup = yaml(PAGE, "- uses: org/deploy-guard/setup@v1\n");
    let setup = replaced(&setup, PAGE, &[url, deadline]);
    let repository = Repository::new();
    let more = "- run: healthgate --version && rollback --version && deploy-guard --version\n";
    repository.write(
        ".github/workflows/job.yml",
        &format!("{JOB}{}", steps(&(setup + more))),
    );
    repository
        .act(&["push"])
        .passes()
        .says("is on the PATH")
        .says("healthgate: pass")
        .says("| healthgate 0.1.0")
        .says("| deploy-guard 0.1.0");
}

/// The first of the steps, which gives up at once.
fn quick_step(steps: &str) -> String {
    let end = steps.find("\n- if:").unwrap();
    steps[..=end].replace("stage: healthgate,", "stage: healthgate, failure-limit: 0,")
}

/// Nothing else shows what a reader of the page sees first.
#[test]
fn the_pictures_of_the_readme_exist() {
    let pictures = page("README.md").links();
    let pictures: Vec<_> = pictures
        .iter()
        .filter(|link| link.contains("docs/pictures/"))
        .collect();
    assert!(pictures.len() > 1, "{pictures:?}");
}

//! Hostile repositories: reading one ends soon, and does not panic.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use survey::look;
use testkit::repository;

/// On a machine that does other things, too, without optimization. What a person waits for is far below.
const SOON: Duration = Duration::from_secs(20);

fn ends(folder: &Path) {
    let begin = Instant::now();
    look(folder).unwrap();
    let took = begin.elapsed();
    assert!(took < SOON, "{took:?}");
}

fn workflow(text: &str) -> tempfile::TempDir {
    repository::<&[u8]>(&[(".github/workflows/deploy.yml", text.as_bytes())])
}

const HEAD: &str = "on: push\njobs:\n  a:\n    runs-on: self-hosted\n    steps:\n";

#[test]
fn five_thousand_jobs_that_deploy_end() {
    let mut text = "on: push\njobs:\n".to_owned();
    for nth in 0..5_000 {
        let needs = if nth == 0 {
            String::new()
        } else {
            format!("    needs: [j{}]\n", nth - 1)
        };
        write!(text, "  j{nth}:\n    runs-on: ubuntu-latest\n{needs}    steps:\n      - run: ssh a@h{nth} docker compose up -d\n").unwrap();
    }
    ends(workflow(&text).path());
}

#[test]
fn jobs_that_build_and_start_images_end() {
    let mut text = "on: push\njobs:\n".to_owned();
    for nth in 0..2_000 {
        write!(text, "  j{nth}:\n    runs-on: self-hosted\n    steps:\n      - run: docker build -t a/b{nth}:${{{{ github.sha }}}} . && docker compose up -d && curl http://h/{nth}\n").unwrap();
    }
    let mut compose = "services:\n".to_owned();
    for nth in 0..2_000 {
        writeln!(compose, "  s{nth}: {{ image: \"a/b{nth}\" }}").unwrap();
    }
    let folder = repository::<&[u8]>(&[
        (".github/workflows/deploy.yml", text.as_bytes()),
        ("compose.yaml", compose.as_bytes()),
    ]);
    ends(folder.path());
}

#[test]
fn one_long_line_ends() {
    for unit in [
        "a", "$(", "${A:-", "\"", "'", "`", "<<A ", "(", ")", "x=1;", "$A ", "| ", "${{ a }}", "\\",
    ] {
        let line = unit.repeat(900_000 / unit.len());
        let mut text = HEAD.to_owned();
        // In a block, nothing of a shell needs quoting.
        writeln!(text, "      - run: |\n          {line}").unwrap();
        ends(workflow(&text).path());
    }
}

#[test]
fn many_commands_on_machines_end() {
    for line in [
        "ssh a@b 'cd /srv/x && git pull && docker compose -f c.yml up -d'",
        "docker compose up -d",
        "rsync -a ./ a@b:/srv/x/",
        "A=$A$A$A$A; B=\"$A\"",
        "curl http://a/health",
        "echo a=$(kubectl get x) >> $GITHUB_OUTPUT",
    ] {
        let mut text = HEAD.to_owned();
        for _ in 0..40 {
            text.push_str("      - run: |\n");
            for _ in 0..300 {
                writeln!(text, "          {line}").unwrap();
            }
        }
        ends(workflow(&text).path());
    }
}

#[test]
fn variables_that_double_end() {
    let mut text = HEAD.to_owned();
    text.push_str("      - run: |\n          A=aaaaaaaaaa\n");
    for _ in 0..100 {
        text.push_str(
            "          A=$A$A\n          ssh h \"$A\"\n          echo \"A=$A\" >> $GITHUB_ENV\n",
        );
    }
    for _ in 0..100 {
        text.push_str("      - run: echo \"A=${{ env.A }}${{ env.A }}\" >> $GITHUB_ENV\n");
    }
    ends(workflow(&text).path());
}

#[test]
fn what_calls_itself_ends() {
    let folder = repository::<&[u8]>(&[
        (".github/workflows/a.yml", b"on: [push, workflow_call]\njobs:\n  a:\n    uses: ./.github/workflows/b.yml\n  b:\n    uses: ./.github/workflows/b.yml\n"),
        (".github/workflows/b.yml", b"on: [push, workflow_call]\njobs:\n  a:\n    uses: ./.github/workflows/a.yml\n  b:\n    uses: ./.github/workflows/a.yml\n"),
        (".github/workflows/c.yml", b"on: push\njobs:\n  a:\n    needs: b\n    runs-on: x\n    steps: [{run: ./a.sh}]\n  b:\n    needs: a\n    runs-on: x\n    steps: [{run: ./a.sh}]\n  c:\n    runs-on: x\n    steps:\n      - run: ./a.sh\n      - uses: ./act\n      - run: make all\n      - run: npm run go\n"),
        ("a.sh", b"#!/bin/sh\n./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh; ./b.sh\n"),
        ("b.sh", b"#!/bin/sh\n./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh; ./a.sh\n"),
        ("act/action.yml", b"runs:\n  using: composite\n  steps:\n    - uses: ./act\n    - uses: ./act\n    - uses: ./act\n    - uses: ./act\n    - uses: ./act\n    - run: ./a.sh\n"),
        ("Makefile", b"all: all\n\tmake all && make all\n\tmake all\n"),
        ("package.json", b"{\"scripts\": {\n\"go\": \"npm run go && npm run go && npm run go\"}}"),
        ("compose.yaml", b"include: [compose.yaml]\nservices:\n  a: &a\n    extends: { file: compose.yaml, service: a }\n"),
    ]);
    ends(folder.path());
}

#[test]
fn an_action_that_uses_us_and_calls_itself_many_times_ends() {
    let flow = format!("{HEAD}      - uses: ./act\n");
    let calls = "    - uses: ./act\n".repeat(60);
    let action =
        format!("runs:\n  using: composite\n  steps:\n{calls}    - run: deploy-guard healthgate\n");
    let folder = repository(&[
        (".github/workflows/a.yml", flow),
        ("act/action.yml", action),
    ]);
    ends(folder.path());
}

#[test]
fn a_matrix_of_many_rows_ends() {
    let row = (0..200)
        .map(|nth| nth.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let text = format!(
        "on: push\njobs:\n  a:\n    strategy: {{ matrix: {{ a: [{row}], b: [{row}], c: [{row}], d: [{row}] }} }}\n    runs-on: self-hosted\n    steps:\n      - run: docker compose up -d ${{{{ matrix.a }}}}\n"
    );
    ends(workflow(&text).path());
}

#[test]
fn what_is_no_text_is_passed_over() {
    let deep = "a: ".to_owned() + &"[".repeat(100_000);
    let flat = format!("jobs: {}{}", "{a: ".repeat(10_000), "}".repeat(10_000));
    let folder = repository::<&[u8]>(&[
        (".github/workflows/nul.yml", b"on: push\0\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: \"docker compose up -d\0\"\n"),
        (".github/workflows/bytes.yml", b"on: push\njobs: \xff\xfe\n"),
        (".github/workflows/deep.yml", deep.as_bytes()),
        (".github/workflows/flat.yml", flat.as_bytes()),
        (".github/workflows/empty.yml", b""),
        (".github/workflows/list.yml", b"- a\n- b\n"),
        (".github/workflows/large.yml", &vec![b'a'; 3 << 20]),
        ("compose.yaml", &[0; 100]),
    ]);
    ends(folder.path());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_repository_is_not_followed() {
    let outside = repository::<&[u8]>(&[(
        "compose.yaml",
        b"services:\n  secret: { image: \"secret\" }\n",
    )]);
    let text = format!(
        "{HEAD}      - run: docker compose -f ops/compose.yaml up -d && ../../x.sh && ./out/x.sh\n"
    );
    let folder = workflow(&text);
    std::os::unix::fs::symlink(outside.path(), folder.path().join("ops")).unwrap();
    std::os::unix::fs::symlink("/", folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("compose.yaml"),
        folder.path().join("compose.yaml"),
    )
    .unwrap();
    let survey = look(folder.path()).unwrap();
    assert!(!format!("{survey:?}").contains("secret"), "{survey:?}");
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("docker compose up -d".to_owned()),
        Just("ssh a@b".to_owned()),
        Just("cd /x &&".to_owned()),
        Just("<<EOF\n".to_owned()),
        Just("EOF\n".to_owned()),
        Just("$(".to_owned()),
        Just("${{ github.sha }}".to_owned()),
        Just("${A:-b}".to_owned()),
        Just("> \"$GITHUB_ENV\"".to_owned()),
        Just("A=$B".to_owned()),
        Just("curl http://h/health".to_owned()),
        Just("kubectl set image deployment/a a=b:c".to_owned()),
        Just("./a.sh $1".to_owned()),
        Just("(".to_owned()),
        Just("| ".to_owned()),
        "[ -~\u{0}é€\t\n]{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_repository_makes_it_panic(
        words in prop::collection::vec(word(), 0..40),
        yaml in "[a-z:\\-\\[\\]{}|>&*'\" \n]{0,200}",
    ) {
        let script = words.join(" ");
        let step = script.replace('\n', "\n          ");
        let text = format!("{HEAD}      - run: |\n          {step}\n      - uses: ./act\n");
        let folder = repository::<&[u8]>(&[
            (".github/workflows/a.yml", text.as_bytes()),
            (".github/workflows/b.yml", yaml.as_bytes()),
            ("a.sh", script.as_bytes()),
            ("Makefile", script.as_bytes()),
            ("compose.yaml", yaml.as_bytes()),
            ("act/action.yml", yaml.as_bytes()),
            ("Dockerfile", script.as_bytes()),
        ]);
        look(folder.path()).unwrap();
    }
}

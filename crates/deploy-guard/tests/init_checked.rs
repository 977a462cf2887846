//! `init --check`: right after `init` there is no difference, with the flags of then, and a gate is one only where it
//! runs for the deployment.

use tempfile::TempDir;

const FLOW: &str = ".github/workflows/ship.yml";

/// The exit code and what was printed.
fn init(folder: &TempDir, flags: &[&str]) -> (i32, String) {
    let mut command = testkit::bin("deploy-guard");
    command.current_dir(folder.path()).args(["init", "--yes"]);
    let output = command.args(flags).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

fn ssh(host: &str) -> String {
    format!(
        "      - uses: actions/checkout@v4\n      - uses: appleboy/ssh-action@v1\n        with: {{ host: \"{host}\", username: ops, key: \"${{{{ secrets.KEY }}}}\", script: \"cd /srv/shop && TAG=${{{{ github.sha }}}} docker compose up -d\" }}\n"
    )
}

fn job(id: &str, rest: &str, steps: &str) -> String {
    format!("  {id}:\n    runs-on: ubuntu-latest\n{rest}    steps:\n{steps}")
}

/// By a matrix, by an expression for its address, and by two jobs: each goes to staging and to production.
fn workflows() -> [String; 3] {
    let on = "on: { push: { branches: [main, develop] } }\njobs:\n";
    let railway = "      - run: railway up\n";
    let matrix = job(
        "deploy",
        "    strategy: { matrix: { env: [staging, production] } }\n    environment: { name: \"${{ matrix.env }}\", url: \"https://${{ matrix.env }}.example.com\" }\n",
        &ssh("${{ vars.HOST }}"),
    );
    let chosen = job(
        "deploy",
        "    environment:\n      name: production\n      url: ${{ github.ref_name == 'main' && 'https://shop.example.com' || 'https://staging.example.com' }}\n",
        railway,
    );
    let of = |name: &str| {
        format!("    environment: {{ name: {name}, url: 'https://{name}.example.com' }}\n")
    };
    let two = job("staging", &of("staging"), &ssh("s.example.com"))
        + &job("production", &of("production"), &ssh("p.example.com"));
    [matrix, chosen, two].map(|jobs| format!("{on}{jobs}"))
}

#[test]
fn right_after_init_there_is_no_difference() {
    for workflow in workflows() {
        for flags in [
            &["--patch"][..],
            &["--new-workflow"],
            &["--patch", "--action", "acme/guard@v1"],
        ] {
            let folder = testkit::repository(&[(FLOW, &workflow)]);
            let (code, text) = init(&folder, flags);
            // Not every job can be one of its own.
            if code == 5 && flags == ["--new-workflow"] && workflow.contains("railway") {
                continue;
            }
            assert_eq!(code, 0, "{flags:?}: {text}");
            let (code, text) = init(&folder, &["--check"]);
            assert_eq!(code, 0, "{flags:?}: {text}\n{workflow}");
        }
    }
}

/// An Action of another name is known by its inputs: no second gate is proposed.
#[test]
fn what_an_action_of_another_name_guards_is_not_guarded_again() {
    let folder = testkit::repository(&[(FLOW, &workflows()[1])]);
    assert_eq!(
        init(&folder, &["--patch", "--action", "acme/guard@v1"]).0,
        0
    );
    let (code, text) = init(&folder, &["--patch"]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("uses deploy-guard already"), "{text}");
}

#[test]
fn a_difference_names_the_flags_of_then() {
    let url = "https://shop.example.com/up";
    let [matrix, chosen, two] = workflows();
    for (workflow, flags, named) in [
        (
            &matrix,
            &["--kind", "gate", "--url", url][..],
            format!("--url {url}"),
        ),
        (
            &matrix,
            &["--environment", "staging"],
            "--environment staging".to_owned(),
        ),
        (&chosen, &["--url", url], format!("--url {url}")),
        (
            &two,
            &["--kind", "gate", "--url", url],
            format!("--url {url}"),
        ),
        (
            &two,
            &["--environment", "staging"],
            "--environment staging".to_owned(),
        ),
    ] {
        let folder = testkit::repository(&[(FLOW, workflow)]);
        let (code, text) = init(&folder, &[&["--patch"], flags].concat());
        assert_eq!(code, 0, "{text}");
        let (code, text) = init(&folder, &["--check"]);
        assert_eq!(code, 1, "{flags:?}: {text}");
        let hint = format!("`deploy-guard init --check {named}`");
        assert!(text.contains(&hint), "{flags:?}: {text}");
        let (code, text) = init(
            &folder,
            &[&["--check"], &named.split(' ').collect::<Vec<_>>()[..]].concat(),
        );
        assert_eq!(code, 0, "{flags:?}: {text}");
    }
}

#[test]
fn a_workflow_that_names_us_in_a_command_gets_no_second_gate() {
    for (run, code) in [
        ("ssh a@b 'deploy-guard healthgate'", 5),
        ("./scripts/gate.sh deploy-guard", 5),
        ("make gate # as deploy-guard does", 0),
    ] {
        let steps = format!("      - run: railway up\n      - run: |\n          {run}\n");
        let workflow = format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n{}",
            job("deploy", "", &steps)
        );
        let folder = testkit::repository(&[(FLOW, &workflow)]);
        let url = ["--url", "https://shop.example.com", "--patch"];
        let ran = init(&folder, &url);
        assert_eq!(ran.0, code, "{run}: {}", ran.1);
    }
}

/// A gate in an action of the repository is one, and what it asks is compared without a configuration, too.
#[test]
fn a_gate_in_an_action_of_the_repository_is_judged() {
    let action = "name: gate\ninputs: { url: {} }\nruns:\n  using: composite\n  steps:\n    - uses: org/deploy-guard@v1\n      with: { stage: healthgate, url: '${{ inputs.url }}' }\n";
    let gate = |with: &str| format!("      - {{ uses: ./.github/actions/gate{with} }}\n");
    let up = gate(", with: { url: 'https://shop.example.com/up' }");
    let railway = "      - run: railway up\n".to_owned();
    let curl = "      - run: curl -fsS https://shop.example.com/health\n";
    let alone =
        "probes https://shop.example.com/up, and the workflows name no other public address";
    for (steps, code, expected) in [
        (railway.clone() + &up, 0, alone),
        (ssh("shop.example.com") + &up, 0, alone),
        (
            railway.clone() + &up.replace("/up'", "/health'") + curl,
            0,
            "probes what the workflow probes",
        ),
        (
            railway.clone() + &up + curl,
            1,
            "probes https://shop.example.com/up, and the workflow probes https://shop.example.com/health",
        ),
        // It needs a configuration.
        (
            railway + &gate(""),
            2,
            "there is no configuration to compare",
        ),
    ] {
        let workflow = format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n{}",
            job("deploy", "", &steps)
        );
        let files = [
            (FLOW, &*workflow),
            (".github/actions/gate/action.yml", action),
        ];
        let folder = testkit::repository(&files);
        let (found, text) = init(&folder, &["--check"]);
        assert_eq!(
            (found, text.contains(expected)),
            (code, true),
            "{steps}{text}"
        );
    }
}

#[test]
fn a_gate_is_what_runs_for_the_deployment() {
    let url = "https://shop.example.com";
    let gate = format!(
        "      - uses: Org/Deploy-Guard@v1\n        with: {{ stage: healthgate, url: '{url}' }}\n"
    );
    let named = format!("    environment: {{ name: production, url: '{url}' }}\n");
    let deploy = |more: &str| {
        job(
            "deploy",
            &named,
            &format!("      - run: railway up\n{more}"),
        )
    };
    let never = gate.replace("        with", "        if: ${{ false }}\n        with");
    let mention = format!(
        "      - run: |\n          # deploy-guard healthgate --http {url}\n          true\n"
    );
    let installed =
        format!("      - uses: org/deploy-guard/setup@v1\n      - run: healthgate --http {url}\n");
    let over_ssh = format!("      - run: ssh a@b 'deploy-guard healthgate --http {url};'\n");
    for (code, jobs) in [
        (0, deploy(&gate)),
        (0, deploy(&installed)),
        (0, deploy(&over_ssh)),
        (0, deploy("") + &job("verify", "    needs: deploy\n", &gate)),
        (1, deploy("") + &job("test", "", &gate)),
        (1, deploy(&never)),
        (1, deploy(&mention)),
    ] {
        let workflow = format!("on: {{ push: {{ branches: [main] }} }}\njobs:\n{jobs}");
        let folder = testkit::repository(&[(FLOW, &workflow)]);
        let ran = init(&folder, &["--check"]);
        assert_eq!(ran.0, code, "{workflow}\n{}", ran.1);
    }
}

/// A Compose file is named as a shell completes it.
#[test]
fn a_file_is_found_by_its_whole_path_and_by_a_path_with_dots() {
    let on = "on: { push: { branches: [main] } }\njobs:\n";
    let workflow = format!("{on}{}", job("deploy", "", &ssh("p.example.com")));
    let workflow = workflow.replace("compose up", "compose -f deploy/prod.yml up");
    let compose = "services: { web: { image: 'ghcr.io/acme/shop:${TAG}' } }\n";
    let files = [(FLOW, &*workflow), ("deploy/prod.yml", compose)];
    let folder = testkit::repository(&files);
    let whole = folder.path().join("deploy/prod.yml");
    for file in [
        "deploy/../deploy/prod.yml",
        "./deploy/prod.yml",
        whole.to_str().unwrap(),
    ] {
        let (code, text) = init(&folder, &["--dry-run", "--file", file]);
        assert_eq!(code, 0, "{file}: {text}");
    }
}

/// The step that finds the address was added by `init`, and is no other step of the workflow.
#[test]
fn the_step_that_finds_the_address_is_its_own() {
    let steps = "      - uses: google-github-actions/auth@v2\n        with: { workload_identity_provider: \"${{ secrets.POOL }}\" }\n      - uses: google-github-actions/setup-gcloud@v2\n      - run: gcloud run deploy shop --region us-east4 --image gcr.io/acme/shop:${{ github.sha }} --allow-unauthenticated\n";
    let flow = format!("on: push\njobs:\n{}", job("live", "", steps));
    let folder = testkit::repository(&[(FLOW, &flow)]);
    let (code, text) = init(&folder, &["--patch"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("steps.service.outputs.url"), "{text}");
    let (code, text) = init(&folder, &["--check"]);
    assert_eq!(code, 0, "{text}");
}

/// What `init` tells a person to call next is not refused; what a person changed is.
#[test]
fn what_init_wrote_is_written_again_and_what_a_person_changed_is_not() {
    let config = ".github/deploy-guard.yml";
    let kamal = "service: shop\nimage: acme/shop\nservers: [203.0.113.7]\n";
    let steps = "      - uses: actions/checkout@v4\n      - uses: webfactory/ssh-agent@v0.9.0\n        with: { ssh-private-key: \"${{ secrets.SSH_KEY }}\" }\n      - run: kamal deploy\n";
    let flow = format!("on: push\njobs:\n{}", job("live", "", steps));
    let files = [(FLOW, flow.as_str()), ("config/deploy.yml", kamal)];
    let url = ["--url", "https://shop.example.com/up", "--patch"];
    for edit in ["", "# ours\n"] {
        let folder = testkit::repository(&files);
        let (code, text) = init(&folder, &[]);
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains("deploy-guard init --url https://… --patch"),
            "{text}"
        );
        let path = folder.path().join(config);
        let first = std::fs::read_to_string(&path).unwrap() + edit;
        std::fs::write(&path, &first).unwrap();
        let (code, text) = init(&folder, &url);
        let then = std::fs::read_to_string(&path).unwrap();
        if edit.is_empty() {
            assert_eq!(code, 0, "{text}");
            assert!(
                text.contains("Wrote .github/workflows/ship.yml and .github/deploy-guard.yml")
                    || text
                        .contains("Wrote .github/deploy-guard.yml and .github/workflows/ship.yml"),
                "{text}"
            );
            assert!(then.contains("https://shop.example.com/up"), "{then}");
            let (code, text) = init(
                &folder,
                &["--check", "--url", "https://shop.example.com/up"],
            );
            assert_eq!(code, 0, "{text}");
        } else {
            assert_eq!(code, 5, "{text}");
            assert_eq!(then, first);
            let workflow = std::fs::read_to_string(folder.path().join(FLOW)).unwrap();
            assert_eq!(workflow, flow);
        }
    }
}

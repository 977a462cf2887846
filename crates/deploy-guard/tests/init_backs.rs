//! The way back that `deploy-guard init` tells for each tool: its own command in a step, the workflow once more, or why
//! there is none.

use std::fs;

const ON: &str = "on: { push: { branches: [main] } }\n";
const DISPATCH: &str = "on:\n  workflow_dispatch:\n    inputs:\n      version: { required: true }\n      region: { required: true }\n      note: { required: true, default: none }\n";

/// What `init` tells of the way back, and the step that it adds for it.
fn told(on: &str, step: &str, files: &[(&str, &str)]) -> String {
    let flow = format!(
        "{on}jobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: {{ name: production, url: 'https://shop.example.com/up' }}\n    steps:\n      - uses: actions/checkout@v4\n{step}"
    );
    let flow = (".github/workflows/ship.yml", flow.as_str());
    let folder = testkit::repository(&[files, &[flow]].concat());
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes", "--patch"])
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let back = printed.lines().find(|line| line.contains("way back  "));
    let patched = fs::read_to_string(folder.path().join(".github/workflows/ship.yml")).unwrap();
    let noted = patched
        .lines()
        .skip_while(|line| !line.contains("Note what serves"))
        .take_while(|line| !line.contains("- name: Ship") && !line.contains("- uses:"));
    let own = patched
        .lines()
        .skip_while(|line| !line.contains("# Only what the gate refused"));
    let own: Vec<&str> = noted.chain(own.skip(1)).collect();
    format!("{}\n{}\n", back.unwrap_or(&printed).trim(), own.join("\n"))
}

/// The triggers of a workflow, its deploying step, and the files that the step uses.
type Case = (&'static str, String, Vec<(&'static str, &'static str)>);

const MANIFEST: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web # the shop\n  namespace: shop\n  labels:\n    name: other\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          image: acme/shop:latest\n---\nkind: StatefulSet\nmetadata:\n  namespace: shop\n  name: queue\nspec: { template: { spec: { containers: [{ image: redis }] } } }\n";
const MANIFEST_OF_UNKNOWN: &str = "kind: Deployment\nmetadata:\n  name: web-${COLOUR}\n";

fn run(line: &str) -> String {
    format!(
        "      - name: Ship\n        env: {{ TOKEN: \"${{{{ secrets.TOKEN }}}}\" }}\n        run: {line}\n"
    )
}

fn uses(name: &str, with: &str) -> String {
    format!("      - uses: {name}@v1\n        with: {{ {with} }}\n")
}

/// What takes its release from a command on a server or in a cluster.
fn servers_and_clusters() -> Vec<Case> {
    vec![
        (
            ON,
            run("heroku container:release web --app shop-live"),
            vec![],
        ),
        (
            ON,
            run("npx wrangler deploy --env ${{ vars.STAGE }}"),
            vec![],
        ),
        (ON, run("bundle exec cap production deploy"), vec![]),
        (
            ON,
            run("sh ship.sh ${{ github.sha }}"),
            vec![(
                "ship.sh",
                "#!/bin/sh\nssh ops@box.example \"ln -sfn /opt/shop/$1 /opt/shop/current && systemctl restart shop\"\n",
            )],
        ),
        (
            ON,
            run("aws ecs update-service --cluster shop --service web --force-new-deployment"),
            vec![],
        ),
        (ON, run("vendor/bin/dep deploy production"), vec![]),
        (
            ON,
            run("kubectl apply -f k8s/"),
            vec![("k8s/web.yaml", MANIFEST)],
        ),
        (
            ON,
            run("kubectl apply -f k8s/"),
            vec![("k8s/web.yaml", MANIFEST_OF_UNKNOWN)],
        ),
        (
            ON,
            uses(
                "azure/k8s-deploy",
                "namespace: shop, manifests: k8s/web.yaml, images: 'acme/shop:${{ github.sha }}'",
            ),
            vec![("k8s/web.yaml", MANIFEST)],
        ),
        (
            ON,
            uses("akhileshns/heroku-deploy", "heroku_app_name: shop-live"),
            vec![],
        ),
        // A cluster goes back where a release has a name of its own and the step is not the only one with a login.
        (
            ON,
            run("kubectl --context live rollout restart deployment/web"),
            vec![],
        ),
        (
            ON,
            format!(
                "      - uses: docker/build-push-action@v6\n        with: {{ push: true, tags: 'acme/shop:live' }}\n{}",
                run("helm upgrade --install web chart")
            ),
            vec![],
        ),
        (
            ON,
            run(
                "helm upgrade --install web chart --set image.tag=${{ github.sha }} --kube-context live",
            ),
            vec![],
        ),
        (
            ON,
            run(
                "|\n          export KUBECONFIG=live.conf\n          helm upgrade --install web chart --set image.tag=${{ github.sha }}",
            ),
            vec![],
        ),
        (
            ON,
            run(
                "ssh ops@box.example 'kubectl set image deployment/web web=acme/shop:${{ github.sha }}'",
            ),
            vec![],
        ),
    ]
}

/// Platforms and actions.
fn platforms() -> Vec<Case> {
    vec![
        // What serves is noted before, where the platform has to be told what to go back to.
        (
            ON,
            run(
                "gcloud run deploy shop --image acme/shop:${{ github.sha }} --region ${{ vars.REGION }}",
            ),
            vec![],
        ),
        (
            ON,
            run("gcloud run deploy shop --image acme/shop --region europe-west1 --no-traffic"),
            vec![],
        ),
        (
            ON,
            format!(
                "{}{}",
                uses(
                    "google-github-actions/auth",
                    "credentials_json: '${{ secrets.KEY }}'"
                ),
                uses(
                    "google-github-actions/deploy-appengine",
                    "project_id: acme, deliverables: web/app.yaml"
                )
            ),
            vec![("web/app.yaml", "runtime: nodejs22\nservice: web\n")],
        ),
        (
            ON,
            run("gcloud app deploy --version live"),
            vec![("app.yaml", "runtime: nodejs22\n")],
        ),
        (
            ON,
            run("fly deploy -c fly.live.toml"),
            vec![("fly.live.toml", "app = 'shop'\n")],
        ),
        (
            ON,
            uses(
                "deployphp/action",
                "private-key: '${{ secrets.KEY }}', dep: 'deploy production -v'",
            ),
            vec![],
        ),
        (
            ON,
            uses(
                "actions-hub/kubectl",
                "args: 'set image deployment/web web=acme/shop:${{ github.sha }}'",
            ),
            vec![],
        ),
        (ON, run("supabase functions deploy"), vec![]),
    ]
}

/// What goes back by its own workflow, and what has no way back that is known.
fn dispatched_and_unknown() -> Vec<Case> {
    vec![
        // The workflow itself, where a push tells the release and the token may start it.
        (
            "on: { push: { branches: [main] }, workflow_dispatch: { inputs: { version: {} } } }\npermissions: { contents: read, actions: write }\n",
            run("supabase functions deploy --ref ${{ inputs.version || github.sha }}"),
            vec![],
        ),
        (
            "on: { push: { tags: ['v*'] }, workflow_dispatch: { inputs: { version: {} } } }\npermissions: write-all\nconcurrency: live\n",
            run(
                "supabase functions deploy --ref ${{ github.event.inputs.version || github.ref_name }}",
            ),
            vec![],
        ),
        (
            "on: { push: { branches: [main] }, workflow_dispatch: { inputs: { version: {} } } }\n",
            run("supabase functions deploy --ref ${{ inputs.version || github.sha }}"),
            vec![],
        ),
        (ON, run("yarn wrangler deploy"), vec![]),
        (
            "on: { workflow_dispatch: { inputs: { operation: { type: choice, options: [deploy, rollback] } } } }\n",
            run("railway up"),
            vec![],
        ),
        (ON, run("vercel deploy --prod"), vec![]),
        (ON, run("railway up --service web"), vec![]),
        (
            ON,
            uses("google-github-actions/deploy-cloudrun", "service: shop"),
            vec![],
        ),
        (
            ON,
            uses("google-github-actions/deploy-appengine", "project_id: acme"),
            vec![],
        ),
        (ON, uses("azure/webapps-deploy", "app-name: shop"), vec![]),
        (
            ON,
            uses("cloudflare/wrangler-action", "command: deploy"),
            vec![],
        ),
        (ON, uses("actions/deploy-pages", "a: b"), vec![]),
        (
            ON,
            uses("nwtgck/actions-netlify", "publish-dir: out"),
            vec![],
        ),
        (
            DISPATCH,
            uses(
                "google-github-actions/deploy-cloudrun",
                "service: shop, image: 'acme/shop:${{ inputs.version }}'",
            )
            .replace(
                "with:",
                "env: { VERSION: \"${{ inputs.version }}\" }\n        with:",
            ),
            vec![],
        ),
        (
            DISPATCH,
            run("flyctl deploy --app shop --image acme/shop:${{ inputs.version }}"),
            vec![],
        ),
    ]
}

#[test]
fn each_tool_has_its_own_way_back_or_a_true_sentence() {
    let mut text = String::new();
    let cases = [
        servers_and_clusters(),
        platforms(),
        dispatched_and_unknown(),
    ];
    for (on, step, files) in cases.into_iter().flatten() {
        text.push_str(&format!(
            "{}\n{}\n",
            step.trim_end(),
            told(on, &step, &files)
        ));
    }
    insta::with_settings!({ snapshot_path => "init/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("ways-back", text);
    });
}

/// What the steps read out of the platforms' own JSON, by the program that the runner has.
#[test]
fn what_serves_is_read_from_what_the_platforms_print() {
    let filter = |program: &str, key: &str| {
        let start = program.find(&format!("'\"{key}=")).unwrap();
        let rest = &program[start + 1..];
        rest[..rest.find('\'').unwrap()].to_owned()
    };
    let read = |filter: &str, json: &str| {
        let mut jq = std::process::Command::new("jq");
        let mut child = jq
            .args(["-r", filter])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), json.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{filter}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let step = |line: &str, files: &[(&str, &str)]| {
        told(
            ON,
            &format!("      - name: Ship\n        run: {line}\n"),
            files,
        )
    };
    let run = step(
        "gcloud run deploy shop --image acme/shop --region europe-west1",
        &[],
    );
    let (revision, pinned) = (filter(&run, "revision"), filter(&run, "pinned"));
    let latest = r#"{"spec":{"traffic":[{"latestRevision":true,"percent":100}]},"status":{"traffic":[{"latestRevision":true,"percent":100,"revisionName":"shop-00007"},{"revisionName":"shop-00002","tag":"old"}]}}"#;
    let back = r#"{"spec":{"traffic":[{"revisionName":"shop-00006","percent":100}]},"status":{"traffic":[{"revisionName":"shop-00006","percent":100}]}}"#;
    let split = r#"{"spec":{"traffic":[{"revisionName":"a","percent":90},{"latestRevision":true,"percent":10}]},"status":{"traffic":[{"revisionName":"a","percent":90},{"revisionName":"b","percent":10}]}}"#;
    for (json, serves, pins) in [
        (latest, "revision=shop-00007", "pinned=false"),
        (back, "revision=shop-00006", "pinned=true"),
        // What users of a split had is not put back by one revision.
        (split, "revision=", "pinned=false"),
        ("{}", "revision=", "pinned=false"),
    ] {
        assert_eq!(read(&revision, json), serves);
        assert_eq!(read(&pinned, json), pins);
    }
    let app = step("gcloud app deploy", &[("app.yaml", "runtime: go122\n")]);
    let version = filter(&app, "version");
    assert_eq!(
        read(
            &version,
            r#"{"id":"default","split":{"allocations":{"v7":1.0}}}"#
        ),
        "version=v7"
    );
    assert_eq!(
        read(&version, r#"{"split":{"allocations":{"v7":0.5,"v6":0.5}}}"#),
        "version="
    );
    assert_eq!(read(&version, "{}"), "version=");
    let fly = step("fly deploy", &[("fly.toml", "app = 'shop'\n")]);
    let image = filter(&fly, "image");
    let releases = r#"[{"Version":9,"Status":"failed","ImageRef":"registry.fly.io/shop:9"},{"Version":8,"Status":"complete","ImageRef":"registry.fly.io/shop:8"}]"#;
    assert_eq!(read(&image, releases), "image=registry.fly.io/shop:8");
    assert_eq!(read(&image, "[]"), "image=");
}

/// A gate of one step has no configuration that could be missing, and it is compared with its workflow all the same.
#[test]
fn a_step_that_asks_by_itself_is_checked_and_needs_no_configuration() {
    let flow = ".github/workflows/ship.yml";
    let folder = testkit::repository(&[(
        flow,
        "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: { name: production, url: 'https://shop.example.com/up' }\n    steps:\n      - uses: actions/checkout@v4\n      - run: railway up\n",
    )]);
    let path = folder.path().join(flow);
    let run = |args: &[&str]| {
        let mut command = testkit::bin("deploy-guard");
        let output = command
            .current_dir(folder.path())
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    assert_eq!(run(&["init", "--yes", "--patch"]).0, 0);
    let (code, text) = run(&["init", "--check"]);
    assert_eq!(
        (
            code,
            text.contains("ship.yml:12 probes what the workflow probes")
        ),
        (0, true),
        "{text}"
    );
    let (code, text) = run(&["doctor"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("not needed: .github/workflows/ship.yml:12 probes an address by itself"),
        "{text}"
    );
    let patched = fs::read_to_string(&path).unwrap();
    let gate = patched.find("      # Fails the job").unwrap();
    for (step, is_alone) in [
        ("run: deploy-guard healthgate --http $URL", true),
        (
            "run: deploy-guard healthgate --release-url https://shop.example.com/up",
            false,
        ),
        (
            "run: deploy-guard preflight && deploy-guard healthgate --http $URL",
            false,
        ),
        (
            "uses: org/deploy-guard@v1\n        with: { stage: healthgate, args: --http https://a }",
            true,
        ),
        (
            "uses: org/deploy-guard@v1\n        with: { stage: healthgate, url: '' }",
            false,
        ),
    ] {
        let setup = "      - uses: org/deploy-guard/setup@v1\n";
        fs::write(
            &path,
            format!("{}{setup}      - {step}\n", &patched[..gate]),
        )
        .unwrap();
        let text = run(&["doctor"]).1;
        assert_eq!(
            text.contains("probes an address by itself"),
            is_alone,
            "{step}: {text}"
        );
    }
    fs::write(&path, &patched[..gate]).unwrap();
    let (code, text) = run(&["init", "--check"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("no step of .github/workflows/ship.yml checks whether what .github/workflows/ship.yml:8 deploys is healthy"),
        "{text}"
    );
    fs::write(&path, patched).unwrap();
    let moved = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        moved.replacen("shop.example.com/up", "shop.example.com/ready", 1),
    )
    .unwrap();
    let (code, text) = run(&["init", "--check"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("the workflow probes https://shop.example.com/ready"),
        "{text}"
    );
}

/// What is started does not depend on the commit: another run of it leads nowhere.
#[test]
fn where_each_run_starts_the_newest_no_run_is_called_the_way_back() {
    let told = |on: &str, step: &str| {
        let flow = format!("{on}jobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n{step}");
        let folder = testkit::repository(&[(".github/workflows/ship.yml", &flow)]);
        let output = testkit::bin("deploy-guard")
            .current_dir(folder.path())
            .args(["init", "--yes"])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let back = printed.lines().find(|line| line.contains("way back  "));
        back.unwrap_or(&printed).trim().to_owned()
    };
    let hook = run("curl -fsSL -X POST \"https://api.render.com/deploy/srv-1?key=$TOKEN\"");
    let newest = "an earlier release started there by hand: an earlier run that is made again may start the newest one";
    let printed = told(ON, &hook);
    assert!(printed.ends_with("may start the newest one"), "{printed}");
    let swarm = uses(
        "appleboy/ssh-action",
        "host: box.example, username: ops, script: docker stack deploy -c /srv/shop/stack.yml shop",
    );
    let printed = told("on: { workflow_dispatch: {} }\n", &swarm);
    assert!(printed.ends_with(newest), "{printed}");
    // And what a workflow insists on is part of the call.
    let checkout = "      - uses: actions/checkout@v4\n";
    let printed = told(
        "on: { push: { tags: ['v*'] }, workflow_dispatch: { inputs: { confirm: { required: true } } } }\n",
        &format!("{checkout}{}", run("railway up")),
    );
    assert!(printed.contains("--ref EARLIER -f confirm=…"), "{printed}");
}

/// A tag that moves is recorded as no release.
#[test]
fn an_input_that_is_latest_where_nobody_names_one_has_no_way_back() {
    let flow = "on: { workflow_dispatch: { inputs: { version: { default: latest } } } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    env: { SHOP_TAG: \"${{ inputs.version }}\" }\n    steps:\n      - uses: actions/checkout@v4\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: \"ghcr.io/acme/shop:${{ inputs.version }}\" }\n      - uses: appleboy/ssh-action@v1\n        with: { host: box.example, username: ops, key: \"${{ secrets.KEY }}\", envs: SHOP_TAG, script: \"cd /srv/shop && docker compose up -d\" }\n";
    let folder = testkit::repository(&[
        (".github/workflows/ship.yml", flow),
        (
            "compose.yaml",
            "services: { web: { image: \"ghcr.io/acme/shop:${SHOP_TAG}\" } }\n",
        ),
    ]);
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("the release is the input `version`, and `latest` by default"),
        "{printed}"
    );
    let config = fs::read_to_string(folder.path().join(".github/deploy-guard.yml"));
    assert!(
        !config.unwrap_or_default().contains("rollback:"),
        "{printed}"
    );
}

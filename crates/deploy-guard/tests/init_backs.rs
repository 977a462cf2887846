//! The way back that `deploy-guard init` tells for each tool: its own command in a step, the workflow once more, or why
//! there is none.

use std::fs;

use tempfile::TempDir;

const ON: &str = "on: { push: { branches: [main] } }\n";
const DISPATCH: &str = "on:\n  workflow_dispatch:\n    inputs:\n      version: { required: true }\n      region: { required: true }\n      note: { required: true, default: none }\n";

/// What `init` tells of the way back, and the step that it adds for it.
fn told(on: &str, step: &str, files: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(".git/config", "[core]\n\tbare = false\n");
    for (path, text) in files {
        write(path, text);
    }
    let flow = format!(
        "{on}jobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: {{ name: production, url: 'https://shop.example.com/up' }}\n    steps:\n      - uses: actions/checkout@v4\n{step}"
    );
    write(".github/workflows/ship.yml", &flow);
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes", "--patch"])
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let back = printed.lines().find(|line| line.contains("way back  "));
    let patched = fs::read_to_string(folder.path().join(".github/workflows/ship.yml")).unwrap();
    let own = patched
        .lines()
        .skip_while(|line| !line.contains("# Only what the gate refused"));
    let own: Vec<&str> = own.skip(1).collect();
    format!("{}\n{}\n", back.unwrap_or(&printed).trim(), own.join("\n"))
}

#[test]
fn each_tool_has_its_own_way_back_or_a_true_sentence() {
    let run = |line: &str| {
        format!(
            "      - name: Ship\n        env: {{ TOKEN: \"${{{{ secrets.TOKEN }}}}\" }}\n        run: {line}\n"
        )
    };
    let uses =
        |name: &str, with: &str| format!("      - uses: {name}@v1\n        with: {{ {with} }}\n");
    let manifest = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web # the shop\n  namespace: shop\n  labels:\n    name: other\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          image: acme/shop:latest\n---\nkind: StatefulSet\nmetadata:\n  namespace: shop\n  name: queue\nspec: { template: { spec: { containers: [{ image: redis }] } } }\n";
    let unknown = "kind: Deployment\nmetadata:\n  name: web-${COLOUR}\n";
    let mut text = String::new();
    for (on, step, files) in [
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
        (ON, run("vendor/bin/dep deploy production"), vec![]),
        (
            ON,
            run("kubectl apply -f k8s/"),
            vec![("k8s/web.yaml", manifest)],
        ),
        (
            ON,
            run("kubectl apply -f k8s/"),
            vec![("k8s/web.yaml", unknown)],
        ),
        (
            ON,
            uses(
                "azure/k8s-deploy",
                "namespace: shop, manifests: k8s/web.yaml, images: 'acme/shop:${{ github.sha }}'",
            ),
            vec![("k8s/web.yaml", manifest)],
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
        (ON, run("supabase functions deploy"), vec![]),
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
    ] {
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

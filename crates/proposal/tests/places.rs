//! Where a gate asks: the folder that a script finds itself, files that an expression names, addresses that a workflow
//! insists on, and whether the release before would answer in its place.

use crate::seen::{over_ssh, steps};
use crate::{configuration, looked, patched, proposed};

const COMPOSE: (&str, &str) = (
    "docker/docker-compose.yml",
    "services: { api: { build: . } }\n",
);

#[test]
fn a_script_finds_the_folder_of_the_repository_from_its_own() {
    let flow = over_ssh("cd /srv/app\ngit pull\n./scripts/deploy.sh");
    let own = "SCRIPT_DIR=\"$(cd \"$(dirname \"${BASH_SOURCE[0]}\")\" && pwd)\"";
    for (script, folder) in [
        ("cd \"$(dirname \"$0\")/../docker\"", "/srv/app/docker"),
        (
            "ROOT=$(cd \"$(dirname \"$0\")/..\" && pwd)\ncd \"$ROOT/docker\"",
            "/srv/app/docker",
        ),
        (
            "ROOT=$(cd \"$(dirname \"$0\")/..\"; pwd)\ncd \"$ROOT\"",
            "/srv/app",
        ),
        (
            "ROOT=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\ncd $ROOT/docker",
            "/srv/app/docker",
        ),
        (
            &*format!("{own}\nTOP=\"$(dirname \"$SCRIPT_DIR\")\"\nIN=\"$TOP/docker\"\ncd \"$IN\""),
            "/srv/app/docker",
        ),
        // A substitution that names itself is not followed for ever.
        ("A=$(dirname $A)\ncd $A", "/srv/app"),
    ] {
        let script = format!("#!/bin/bash\n{script}\ndocker compose up -d --build\n");
        let told = looked(&flow, &[("scripts/deploy.sh", &script), COMPOSE]);
        let line = format!("folder         {folder} (");
        assert!(told.contains(&line), "{script}{told}");
    }
}

#[test]
fn a_file_that_an_expression_names_is_a_variable_of_the_step() {
    let flow = over_ssh(
        "cd /srv/app\ndocker compose -f /srv/${{ inputs.tag }}/compose.yml --env-file ${{ vars.FILES }}/env up -d",
    );
    let told = proposed(&flow, &[COMPOSE], None);
    assert!(told.contains("DEPLOY_FILE: ${{ inputs.tag }}"), "{told}");
    assert!(told.contains("FILES: ${{ vars.FILES }}"), "{told}");
}

#[test]
fn a_folder_that_the_job_copies_has_the_script_that_it_calls() {
    let copied = "      - uses: appleboy/scp-action@v1\n        with: { host: h.example, username: me, key: '${{ secrets.KEY }}', source: 'api/', target: '/home/me' }\n";
    let called = "      - uses: appleboy/ssh-action@v1\n        with: { host: h.example, username: me, key: '${{ secrets.KEY }}', script: 'cd /home/me/api && bash deploy.sh' }\n";
    let files = [
        ("api/deploy.sh", "docker compose up -d\n"),
        ("api/docker-compose.yml", COMPOSE.1),
    ];
    let told = looked(&steps(&format!("{copied}{called}")), &files);
    assert!(told.contains("by Compose: api/deploy.sh:1"), "{told}");
    assert!(!told.contains("unused"), "{told}");
}

#[test]
fn a_script_that_is_copied_out_of_its_folder_lies_where_it_was_copied_to() {
    let flow = steps(
        "      - run: scp deploy/compose.yml deploy/deploy.sh root@shop.example:/srv/shop/\n      - run: ssh root@shop.example \"cd /srv/shop && bash deploy.sh\"\n",
    );
    let files = [
        (
            "deploy/compose.yml",
            "services: { api: { image: 'acme/api:v1' } }\n",
        ),
        (
            "deploy/deploy.sh",
            "cd \"$(dirname \"$0\")\"\ndocker compose up -d\n",
        ),
    ];
    let told = looked(&flow, &files);
    assert!(told.contains("folder         /srv/shop ("), "{told}");
}

#[test]
fn a_folder_above_one_of_the_machine_is_of_the_machine() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: self-hosted\n    steps:\n      - run: |\n          cd /home/shop/app\n          cd web && npm ci\n          cd ..\n          docker compose up -d\n";
    let told = looked(flow, &[COMPOSE]);
    assert!(told.contains("folder         /home/shop/app ("), "{told}");
}

#[test]
fn a_key_that_is_decoded_is_one_that_is_kept() {
    let flow = |kept: &str| {
        steps(&format!(
            "      - uses: webfactory/ssh-agent@v0.9.1\n        with: {{ ssh-private-key: '${{{{ secrets.KEY }}}}' }}\n      - run: printf '%s' \"$BOT_KEY\" | base64 -d{kept}\n      - run: ssh me@shop.example 'cd /srv/api && docker compose up -d'\n"
        ))
    };
    for (kept, is_login) in [("", true), (" > ~/.ssh/id_rsa", false)] {
        let told = proposed(&flow(kept), &[("compose.yml", COMPOSE.1)], None);
        assert_eq!(!told.contains("encoded (base64)"), is_login, "{told}");
    }
}

#[test]
fn a_login_that_lies_in_the_workspace_is_there_for_each_step() {
    for (file, is_there) in [("$GITHUB_WORKSPACE/kube", true), ("$PLACE/kube", false)] {
        let flow = steps(&format!(
            "      - run: kubectl --kubeconfig={file} apply -f app.yml\n      - run: kubectl --kubeconfig={file} rollout status deployment/api\n"
        ));
        let app = "kind: Deployment\nmetadata: { name: api }\nspec: { template: { spec: { containers: [{ name: api, image: 'acme/api:v1' }] } } }\n";
        let told = proposed(&flow, &[("app.yml", app)], Some("https://shop.example/up"));
        assert_eq!(
            !told.contains("only the step that deploys has the login"),
            is_there,
            "{told}"
        );
    }
}

#[test]
fn a_gate_stands_below_a_migration_in_the_cluster() {
    let flow = steps(
        "      - run: kubectl set image deployment/api api=acme/api:${{ github.sha }}\n      - run: kubectl rollout status deployment/api\n      - name: Migrate\n        run: kubectl exec -i \"$POD\" -- sh -c \"python manage.py migrate --noinput\"\n",
    );
    let new = patched(&flow, &[], Some("https://shop.example/up"));
    let (migrate, gate) = (new.find("name: Migrate"), new.find("stage: healthgate"));
    assert!(migrate.unwrap() < gate.unwrap(), "{new}");
    assert!(looked(&flow, &[]).contains("migration      kubectl exec"));
}

#[test]
fn a_workflow_that_is_called_by_the_repositorys_own_name_is_read() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    uses: acme/shop/.github/workflows/called.yml@main\n";
    let called = "on: { workflow_call: {} }\njobs:\n  up:\n    runs-on: ubuntu-latest\n    steps:\n      - run: kamal deploy\n";
    for (origin, is_read) in [("acme/shop", true), ("acme/other", false)] {
        let remote = format!("[remote \"origin\"]\n\turl = https://github.com/{origin}.git\n");
        let told = looked(
            flow,
            &[
                (".git/config", &remote),
                (".github/workflows/called.yml", called),
            ],
        );
        assert_eq!(
            told.contains("called at      .github/workflows/ship.yml"),
            is_read,
            "{told}"
        );
    }
}

#[test]
fn options_behind_the_machine_are_options() {
    for command in [
        "'cd /srv/api && docker compose up -d'",
        "<<'END'\n          cd /srv/api\n          docker compose up -d\n          END",
    ] {
        let flow = steps(&format!(
            "      - run: |\n          ssh me@shop.example -p 2222 {command}\n"
        ));
        let told = looked(&flow, &[]);
        assert!(told.contains("port           2222"), "{told}");
        assert!(told.contains("folder         /srv/api"), "{told}");
    }
}

#[test]
fn a_container_that_the_job_starts_is_probed_by_its_name() {
    let run = |more: &str| {
        over_ssh(&format!(
            "sudo docker rm -f api || true\nsudo docker run -d --name api acme/api:v1{more}"
        ))
    };
    let config = configuration(&run(""), &[]);
    assert!(
        config.contains("container: api, host: server, sudo: true"),
        "{config}"
    );
    // Of several, no one is probed alone.
    for (more, why) in [
        (
            "\ndocker run -d --name web acme/web:v1",
            "without an address",
        ),
        ("", "its container"),
    ] {
        let told = proposed(&run(more), &[], None);
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_probe_that_a_loop_only_warns_of_is_a_warning() {
    let asks = |end: &str| {
        steps(&format!(
            "      - run: kubectl set image deployment/web web=acme/web:${{{{ github.sha }}}}\n      - run: |\n          ok=0\n          for i in 1 2 3; do\n            if curl -s -o /dev/null https://shop.example.com/up; then ok=1; else echo again; fi\n          done\n          {end}\n"
        ))
    };
    for (end, warns) in [
        ("[ $ok = 1 ] || echo ::warning::down", true),
        ("[ $ok = 1 ]", false),
        ("[ $ok = 1 ] || exit 1", false),
        ("if [ $ok = 0 ]; then exit 1; fi", false),
    ] {
        let told = looked(&asks(end), &[]);
        assert!(told.contains("shop.example.com/up"), "{told}");
        assert_eq!(
            told.contains("where the workflow only warns"),
            warns,
            "{end}\n{told}"
        );
    }
}

#[test]
fn what_is_done_with_an_answer_tells_whether_it_matters() {
    for (end, warns) in [("[ $S = 200 ] || exit 1", false), ("echo $S", true)] {
        let flow = steps(&format!(
            "      - run: kubectl set image deployment/web web=acme/web:${{{{ github.sha }}}}\n      - run: |\n          S=$(curl -s -o /dev/null -w '%{{http_code}}' https://shop.example.com/up || echo 000)\n          {end}\n"
        ));
        let told = looked(&flow, &[]);
        assert!(told.contains("shop.example.com/up"), "{told}");
        let told_so = told.contains("where the workflow only warns");
        assert_eq!(told_so, warns, "{end}\n{told}");
    }
}

#[test]
fn an_ssh_configuration_that_printf_writes_line_by_line_is_read() {
    let flow = steps(
        "      - run: |\n          mkdir -p ~/.ssh\n          printf '%s\\n' \"Host there\" \"  HostName ${{ secrets.HOST }}\" \"  User me\" > ~/.ssh/config\n      - run: ssh there 'cd /srv/app && docker compose up -d'\n",
    );
    let told = looked(&flow, &[]);
    assert!(told.contains("me@${{ secrets.HOST }}"), "{told}");
}

#[test]
fn what_trusts_any_certificate_is_no_address_for_a_probe() {
    for (options, asked) in [("-fsS", true), ("-fsSk", false), ("--insecure -s", false)] {
        let flow = steps(&format!(
            "      - run: flyctl deploy\n      - run: curl {options} https://shop.example.com/up\n"
        ));
        let told = looked(&flow, &[("fly.toml", "app = 'shop'\n")]);
        assert_eq!(
            told.contains("shop.example.com/up"),
            asked,
            "{options}\n{told}"
        );
    }
}

#[test]
fn an_address_that_a_step_puts_out_is_the_platforms() {
    let flow = steps("      - id: web\n        uses: azure/webapps-deploy@v3\n        with: { app-name: shop }\n").replace(
        "runs-on: ubuntu-latest",
        "runs-on: ubuntu-latest\n    environment: { name: production, url: '${{ steps.web.outputs.webapp-url }}' }",
    );
    let told = proposed(&flow, &[], None);
    assert!(told.contains("status: 200-499"), "{told}");
}

#[test]
fn the_release_before_answers_where_nothing_waits() {
    let early = "Nothing above waits for the new release";
    let url = Some("https://shop.example.com/up");
    for (calls, returns) in [
        ("helm upgrade --install shop ./chart -f values.yaml", true),
        ("helm upgrade --install shop ./chart --wait", false),
        ("kubectl apply -f k8s/", true),
        (
            "kubectl apply -f k8s/ && kubectl rollout status deployment/shop",
            false,
        ),
        (
            "docker -H ssh://me@h.example stack deploy -c stack.yml shop",
            true,
        ),
        (
            "aws elasticbeanstalk update-environment --environment-name shop --version-label 1",
            true,
        ),
        (
            "aws elasticbeanstalk update-environment --environment-name shop --version-label 1 && aws elasticbeanstalk wait environment-updated",
            false,
        ),
    ] {
        let told = proposed(&steps(&format!("      - run: {calls}\n")), &[], url);
        assert_eq!(told.contains(early), returns, "{calls}\n{told}");
    }
}

#[test]
fn an_undo_where_a_release_is_several_revisions_is_not_proposed() {
    for (second, undone) in [
        ("kubectl -n shop patch deployment web -p '{}'", false),
        ("kubectl -n shop rollout restart deployment/web", false),
        ("kubectl -n shop rollout status deployment/web", true),
        (
            "if ! kubectl -n shop rollout status deployment/web; then\n            exit 1\n          fi",
            true,
        ),
    ] {
        let flow = steps(&format!(
            "      - run: |\n          kubectl -n shop set image deployment/web web=acme/web:${{{{ github.sha }}}}\n          {second}\n"
        ));
        let told = crate::back(&flow, &[]);
        assert_eq!(
            told.contains("where the gate fails: kubectl rollout undo"),
            undone,
            "{told}"
        );
    }
}

#[test]
fn the_first_wrangler_action_takes_no_command() {
    for (version, goes_back) in [
        ("v3", true),
        ("2.0.0", true),
        ("1.3.0", false),
        ("v1", false),
    ] {
        let flow = steps(&format!(
            "      - uses: cloudflare/wrangler-action@{version}\n        with: {{ apiToken: '${{{{ secrets.CF }}}}' }}\n"
        ));
        let told = crate::back(&flow, &[("wrangler.toml", "name = 'shop'\n")]);
        assert_eq!(
            !told.contains("none is written"),
            goes_back,
            "{version}\n{told}"
        );
    }
}

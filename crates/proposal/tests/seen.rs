//! What is said of a deployment is what its workflow shows: nothing more about its images, its files and its way back.

use crate::{FLOW, back, looked, proposed};

/// A job on GitHub's runner that logs in to the machine.
pub(crate) fn over_ssh(script: &str) -> String {
    let indented = script.replace('\n', "\n            ");
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: appleboy/ssh-action@v1\n        with:\n          host: ${{{{ secrets.HOST }}}}\n          username: deploy\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            {indented}\n"
    )
}

/// A job that checks out, with these steps after.
pub(crate) fn steps(steps: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n{steps}"
    )
}

const RUN: &str = "made again (`gh run list -w ship.yml`";
const UNSEEN: &str = "an earlier run that is made again may start the newest one";

#[test]
fn a_default_in_a_compose_file_is_not_what_the_machine_starts() {
    let build = "  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: 'acme/api:latest,acme/api:${{ github.sha }}' }\n";
    let script = "cd /srv/api\nsed -i \"s|^IMAGE=.*|IMAGE=acme/api:${{ github.sha }}|\" .env\ndocker compose up -d api";
    let flow = over_ssh(script) + build;
    for image in [
        "${IMAGE:-acme/api:latest}",
        "${IMAGE:-other/api:latest}",
        "acme/api:${TAG:-latest}",
    ] {
        let file = format!("services: {{ api: {{ image: '{image}' }} }}\n");
        let told = back(&flow, &[("docker-compose.yml", &file)]);
        assert!(told.contains(RUN) && !told.contains("overwrites"), "{told}");
    }
    // A tag that is written down is.
    let file = "services: { api: { image: 'acme/api:latest' } }\n";
    let told = back(&flow, &[("docker-compose.yml", file)]);
    assert!(
        told.contains("acme/api:latest, a tag that each release overwrites"),
        "{told}"
    );
}

#[test]
fn a_flag_builds_nothing_where_no_service_has_a_build() {
    let copied = steps(
        "      - uses: webfactory/ssh-agent@v0.9.1\n        with: { ssh-private-key: '${{ secrets.KEY }}' }\n      - run: scp docker-compose.yml me@shop.example:~/\n      - run: ssh me@shop.example 'docker-compose up -d --build'\n",
    );
    for (service, builds) in [("image: 'acme/shop:latest'", false), ("build: .", true)] {
        let file = format!("services: {{ shop: {{ {service} }} }}\n");
        let told = looked(&copied, &[("docker-compose.yml", &file)]);
        assert_eq!(told.contains("builds"), builds, "{told}");
    }
}

#[test]
fn what_an_earlier_run_brings_back_is_said_where_it_is_seen() {
    let pages = "on: push\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/upload-pages-artifact@v3\n  live:\n    needs: build\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/deploy-pages@v4\n";
    let sent = "docker-compose.prod.yml,.env";
    let latest = steps(&format!(
        "      - uses: appleboy/scp-action@v0.1.7\n        with: {{ host: h.example, username: me, key: '${{{{ secrets.KEY }}}}', source: '{sent}', target: '~/app' }}\n      - uses: appleboy/ssh-action@v1\n        with: {{ host: h.example, username: me, key: '${{{{ secrets.KEY }}}}', script: 'cd ~/app && docker compose pull && docker compose up -d' }}\n"
    ));
    let heroku = |what: &str| {
        steps(&format!(
            "      - run: git push https://heroku:${{{{ secrets.KEY }}}}@git.heroku.com/shop.git {what}:master\n"
        ))
    };
    for (flow, expected) in [
        (pages.to_owned(), RUN),
        (
            over_ssh("podman pull ghcr.io/a/b:${{ github.sha }}\nsudo systemctl restart backend"),
            RUN,
        ),
        (
            over_ssh("podman pull ghcr.io/a/b\nsudo systemctl restart backend"),
            UNSEEN,
        ),
        (latest, UNSEEN),
        (heroku("origin/master"), "a revert on its branch"),
        (heroku("HEAD"), RUN),
    ] {
        let told = back(&flow, &[]);
        assert!(told.contains(expected), "{told}\n{flow}");
    }
}

#[test]
fn a_way_back_of_the_workflows_own_is_seen_in_each_place() {
    let job = "  back:\n    needs: live\n    if: NAMED\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh deploy@h 'mv /srv/backup /srv/shop'\n".replace("back:", "rollback:");
    let step = "      - if: failure()\n        name: Rollback of the listener\n        run: aws elbv2 modify-listener --listener-arn arn\n";
    let deploys = over_ssh(
        "docker rm -f green\ndocker run -d --name green ghcr.io/acme/app:${{ github.sha }}",
    );
    for (flow, has_one) in [
        (deploys.clone() + &job.replace("NAMED", "failure()"), true),
        (
            deploys.clone() + &job.replace("NAMED", "needs.live.result == 'failure'"),
            true,
        ),
        (
            deploys.clone() + &job.replace("NAMED", "inputs.back"),
            false,
        ),
        (deploys.clone() + step, true),
        (deploys.clone(), false),
    ] {
        let told = back(&flow, &[]);
        assert_eq!(
            told.contains("the workflow has one of its own"),
            has_one,
            "{told}\n{flow}"
        );
        assert!(!told.contains("is gone"), "{told}");
    }
}

#[test]
fn only_images_that_are_seen_to_be_started_are_releases() {
    let other = "on: { push: { branches: [dev] } }\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: 'ghcr.io/acme/api:${{ github.sha }}' }\n";
    let terraform = steps("      - run: terraform apply -auto-approve\n");
    let told = looked(
        &terraform,
        &[(".github/workflows/dev.yml", other), ("main.tf", "")],
    );
    assert!(!told.contains("ghcr.io/acme/api"), "{told}");
    // An image that stays on the runner.
    let local = steps(
        "      - run: docker build . --tag image\n      - uses: azure/k8s-deploy@v5\n        with: { images: 'acme/shop:${{ github.sha }}', manifests: live.yml }\n",
    );
    let told = looked(&local, &[]);
    assert!(!told.contains("image:latest"), "{told}");
    // A chart that names another one.
    let chart = steps(
        "      - uses: docker/build-push-action@v6\n        with: { push: true, tags: 'ghcr.io/acme/shop:${{ github.sha }}' }\n      - run: helm upgrade --install shop ./chart\n",
    );
    let values = "web:\n  image: { repository: acme/web, tag: latest }\n";
    let files = [
        ("chart/Chart.yaml", "name: shop\n"),
        ("chart/values.yaml", values),
    ];
    let told = proposed(&chart, &files, Some("https://shop.example.com/up"));
    assert!(
        told.contains(
            "tag latest of acme/web, so `helm rollback` would start the same image again"
        ),
        "{told}"
    );
    assert!(!told.contains("ghcr.io/acme/shop"), "{told}");
}

#[test]
fn an_address_is_asked_as_the_workflow_takes_it() {
    let swap = "on: workflow_dispatch\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: { name: Production, url: 'https://shop.azurewebsites.net/' }\n    steps:\n      - run: |\n          az webapp config appsettings set -g g -n shop --slot Staging --settings A=b\n          until curl --fail https://shop-staging.azurewebsites.net/info; do sleep 5; done\n      - run: az webapp deployment slot swap -s Staging -n shop -g g\n";
    let told = proposed(swap, &[], None);
    assert!(
        !told.contains("shop-staging") && told.contains("https://shop.azurewebsites.net/"),
        "{told}"
    );
    let kubectl =
        "      - run: kubectl set image deployment/shop shop=ghcr.io/a/shop:${{ github.sha }}\n";
    for (then, takes_back) in [
        ("", true),
        (" || exit 1", true),
        (" || (echo down; exit 1)", true),
        (" || echo '::warning::not reachable from here'", false),
        (" || true", false),
    ] {
        let flow = steps(&format!(
            "{kubectl}      - run: curl -f https://shop.example.com/healthz{then}\n"
        ));
        let told = proposed(&flow, &[], None);
        assert!(told.contains("https://shop.example.com/healthz"), "{told}");
        assert_eq!(told.contains("kubectl rollout undo"), takes_back, "{told}");
    }
}

#[test]
fn programs_and_processes_are_told_as_far_as_they_are_seen() {
    let call = over_ssh("cd /srv/bot && bash scripts/deploy.sh main");
    for (line, expected) in [
        (
            "git checkout \"${1:-main}\"",
            "whether it takes the release is not seen",
        ),
        ("git pull", "takes no release"),
    ] {
        let script = format!("#!/usr/bin/env bash\n{line}\n./restart\n");
        let told = looked(&call, &[("scripts/deploy.sh", &script)]);
        assert!(told.contains(expected), "{told}");
    }
    let two =
        over_ssh("cd /srv/api\npm2 start npm --name api\ncd /srv/web\npm2 start npm --name web");
    let told = looked(&two, &[]);
    assert!(
        !told.contains("process") && !told.contains("folder"),
        "{told}"
    );
    let one = over_ssh("cd /srv/api\npm2 start npm --name api");
    let told = looked(&one, &[]);
    assert!(
        told.contains("process        api") && told.contains("/srv/api ("),
        "{told}"
    );
    assert!(told.contains(FLOW), "{told}");
}

#[test]
fn no_gate_stands_before_the_release_is_live() {
    let key = "host: h.example, username: me, key: '${{ secrets.KEY }}'";
    let flow = steps(&format!(
        "      - uses: appleboy/scp-action@v1\n        with: {{ {key}, source: dist, target: /srv/incoming }}\n      - name: Start\n        uses: appleboy/ssh-action@v1\n        with: {{ {key}, script: 'cd /srv/app && if have; then C_COMPOSE=docker-compose; else C_COMPOSE=\"docker compose\"; fi; $C_COMPOSE up -d' }}\n      - name: Wait for it\n        run: sleep 30\n"
    ));
    let folder = testkit::repository(&[(FLOW, &flow)]);
    let survey = survey::look(folder.path()).unwrap();
    let [deployment] = &survey.deployments[..] else {
        panic!("{:?}", survey.deployments)
    };
    assert!(
        matches!(deployment.tool, survey::Tool::Compose(_)),
        "{:?}",
        deployment.tool
    );
    assert_eq!(deployment.last_step, 3);
}

#[test]
fn a_call_for_the_way_back_is_no_deployment() {
    let flow = over_ssh(
        "cd /srv/app\nif [ \"$BACK\" = true ]; then\n  ./deploy.sh rollback\nelse\n  ./deploy.sh auto\nfi",
    );
    let script = "#!/bin/bash\nship() {\n  docker compose up -d \"web-$1\"\n}\nship green\n";
    let told = looked(&flow, &[("deploy.sh", script)]);
    assert!(
        told.contains("deploy.sh auto") && !told.contains("rollback"),
        "{told}"
    );
    assert!(!told.contains("web-auto"), "{told}");
}

#[test]
fn an_address_that_only_another_machine_or_name_answers_is_not_asked() {
    let inner = over_ssh(
        "ssh me@10.0.2.1 'docker compose -f /srv/app/live.yml up -d'\nssh me@10.0.2.2 'curl -f http://localhost:8080/health'",
    );
    let told = looked(&inner, &[]);
    assert!(!told.contains("localhost:8080"), "{told}");
    let named = steps(
        "      - run: kubectl set image deployment/shop shop=acme/shop:${{ github.sha }}\n      - run: |\n          curl -f -H 'Host: shop.example.com' http://edge.example.com/health\n",
    );
    let told = proposed(&named, &[], None);
    assert!(!told.contains("edge.example.com"), "{told}");
    let compose = over_ssh("cd /srv/app\ngit pull\ndocker compose up -d --build");
    for (path, expected) in [
        ("${PREFIX:-api/v1}", Some("3000/api/v1 (")),
        ("$PREFIX", None),
    ] {
        let file = format!(
            "services: {{ api: {{ build: ., ports: ['3000:3000'], healthcheck: {{ test: 'curl -f http://localhost:3000/{path}' }} }} }}\n"
        );
        let told = looked(&compose, &[("docker-compose.yml", &file)]);
        match expected {
            Some(expected) => assert!(told.contains(expected), "{told}"),
            None => assert!(!told.contains("health  "), "{told}"),
        }
    }
}

#[test]
fn what_would_start_the_bad_release_again_is_no_way_back() {
    let kubectl = steps(
        "      - run: kubectl apply -f k8s.yml\n      - run: kubectl set image deployment/shop app=ghcr.io/acme/shop:${{ github.sha }}\n",
    );
    let told = back(&kubectl, &[]);
    assert!(told.contains("several revisions"), "{told}");
    let azure = steps(
        "      - run: docker build -t acme.azurecr.io/api:prod . && docker push acme.azurecr.io/api:prod\n      - run: az containerapp update -n api -g live --image acme.azurecr.io/api:prod\n",
    );
    let told = back(&azure, &[]);
    assert!(
        told.contains("tag prod of acme.azurecr.io/api") && !told.contains("revision activate"),
        "{told}"
    );
    let profile = steps(
        "      - uses: azure/webapps-deploy@v3\n        with: { app-name: reports, publish-profile: '${{ secrets.PROFILE }}' }\n",
    );
    let told = back(&profile, &[]);
    assert!(!told.contains("slot swap"), "{told}");
    let unknown = steps(
        "      - uses: somebody/dokku-deploy@v1\n        with: { app-name: shop, key: '${{ secrets.KEY }}' }\n",
    );
    let told = back(&unknown, &[]);
    assert!(told.contains("perhaps by"), "{told}");
    let called = "on: { workflow_call: { inputs: { tag: { required: true, type: string } } } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: terraform apply -auto-approve -var tag=${{ inputs.tag }}\n";
    let told = back(called, &[]);
    assert!(
        told.contains("calling workflow") && !told.contains("gh run"),
        "{told}"
    );
}

#[test]
fn the_compose_file_that_the_job_sends_is_the_one_that_is_read() {
    let flow = steps(
        "      - run: |\n          mkdir -p ~/.ssh\n          echo '${{ secrets.KEY }}' >~/.ssh/id_ed25519\n      - run: scp live/docker-compose.yml me@h.example:~/api/\n      - run: ssh me@h.example 'cd ~/api && docker compose up -d'\n",
    );
    let told = looked(
        &flow,
        &[
            (
                "docker-compose.yml",
                "services: { mysql: { image: 'mysql:8' } }\n",
            ),
            (
                "live/docker-compose.yml",
                "services: { app: { image: 'acme/app:1' }, cache: { image: 'redis:7' } }\n",
            ),
        ],
    );
    assert!(told.contains("cache") && !told.contains("mysql"), "{told}");
}

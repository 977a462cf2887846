//! What is proposed does no harm: no gate before the release is live, no way back to a release that was good, no step that
//! cannot work there.

use crate::seen::{over_ssh, steps};
use crate::{back, looked, proposed};

const LOGIN: &str = "host: h.example, username: me, key: '${{ secrets.KEY }}'";
const URL: Option<&str> = Some("https://shop.example.com/up");
const COMPOSE: (&str, &str) = ("docker-compose.yml", "services: { api: { build: . } }\n");

/// A step that runs a program on the machine, with more of its keys.
fn there(more: &str, script: &str) -> String {
    let indented = script.replace('\n', "\n            ");
    format!(
        "      - uses: appleboy/ssh-action@v1\n        {more}\n        with:\n          host: h.example\n          username: me\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            {indented}\n"
    )
}

/// The lines that are there, and "ours" for each step of ours.
fn order(flow: &str, files: &[(&str, &str)], marks: &[&str]) -> Vec<String> {
    let new = crate::patched(flow, files, URL);
    let marks = [marks, &["name: Gate the release"]].concat();
    let found = new
        .lines()
        .filter_map(|line| marks.iter().find(|mark| line.contains(*mark)));
    found.map(|mark| (*mark).to_owned()).collect()
}

#[test]
fn the_gate_stands_below_all_that_makes_the_release_live() {
    let gate = "name: Gate the release";
    let copy = format!(
        "      - uses: appleboy/scp-action@v1\n        with: {{ {LOGIN}, source: ops, target: /srv/app }}\n"
    );
    let rsync = "      - run: |\n          mkdir -p ~/.ssh\n          echo '${{ secrets.KEY }}' >~/.ssh/id_ed25519\n      - run: rsync -az pkg/ me@h.example:/srv/web/ && ssh me@h.example 'cd /srv/web && npm install'\n";
    let own = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: [self-hosted]\n    steps:\n      - uses: actions/checkout@v4\n";
    for (flow, last) in [
        // What was copied is started by another step.
        (
            steps(&format!(
                "{rsync}      - run: ssh me@h.example 'cd /srv/web && ./start.sh'\n"
            )),
            "./start.sh",
        ),
        (
            steps(&format!(
                "{copy}{}",
                there("name: Start", "/srv/app/ops/start.sh")
            )),
            "ops/start.sh",
        ),
        // The job waits by itself.
        (
            over_ssh("docker stack deploy -c stack.yml shop")
                + &there("name: Health check", "sleep 30 && docker service ls")
                    .replace("h.example", "${{ secrets.HOST }}"),
            "docker service ls",
        ),
        // The schema is changed.
        (
            format!(
                "{own}      - run: docker compose up -d --build\n      - run: docker compose exec -T app npx prisma migrate deploy\n"
            ),
            "prisma migrate",
        ),
    ] {
        assert_eq!(order(&flow, &[COMPOSE], &[last]), [last, gate], "{flow}");
    }
    // A way back may need what is cleaned away.
    let flow = over_ssh("cd /srv/app\ndocker compose up -d --build")
        + &there("name: Clean up", "docker image prune -af")
            .replace("h.example", "${{ secrets.HOST }}");
    assert_eq!(
        order(&flow, &[COMPOSE], &["compose up", "image prune"]),
        ["compose up", gate, "image prune"]
    );
    // What runs after a failure, or always, is no part of the deployment.
    let flow = steps(&format!(
        "{copy}{}{}{}",
        there("name: Start", "/srv/app/ops/start.sh"),
        there("if: failure()", "docker logs shop"),
        there("if: always()", "df -h")
    ));
    assert_eq!(
        order(&flow, &[], &["ops/start.sh", "docker logs", "df -h"]),
        ["ops/start.sh", gate, "docker logs", "df -h"]
    );
}

#[test]
fn kamal_records_the_version_that_it_deploys() {
    let kamal = (
        "config/deploy.yml",
        "service: shop\nimage: acme/shop\nservers: [192.0.2.10]\n",
    );
    let flow = |call: &str| {
        format!(
            "on: workflow_dispatch\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: webfactory/ssh-agent@v0.9.0\n        with: {{ ssh-private-key: '${{{{ secrets.KEY }}}}' }}\n      - uses: docker/build-push-action@v6\n        with: {{ push: true, tags: 'acme/shop:${{{{ github.ref_name }}}}' }}\n      - run: {call}\n"
        )
    };
    for (call, release) in [
        (
            "kamal deploy --skip-push --version ${{ github.sha }}",
            Some("${{ github.sha }}"),
        ),
        (
            "VERSION=${{ inputs.version }} kamal deploy -P",
            Some("${{ inputs.version }}"),
        ),
        ("kamal deploy --skip-push", Some("${{ github.sha }}")),
        ("kamal deploy --version=latest", None),
        ("kamal deploy --version $(git describe)", None),
    ] {
        let told = proposed(&flow(call), &[kamal], URL);
        let named = release.map(|release| format!("release: {release}"));
        let recorded = told
            .lines()
            .find(|line| line.trim().starts_with("release: "));
        assert_eq!(recorded.map(str::trim), named.as_deref(), "{call}\n{told}");
    }
}

#[test]
fn docker_is_asked_as_the_workflow_calls_it() {
    for (call, sudo) in [
        ("docker compose up -d --build", false),
        ("sudo docker compose up -d --build", true),
        ("sudo -E docker-compose up -d --build", true),
        ("sudo bash -c 'docker compose up -d --build'", true),
        ("sudo ./live.sh", true),
        (
            "live() { sudo docker compose \"$@\"; }\nlive up -d --build",
            true,
        ),
        (
            "run() { echo \"$@\"; \"$@\"; }\nrun docker compose up -d --build",
            false,
        ),
        ("./live.sh", false),
        ("sudo git pull\ndocker compose up -d --build", false),
    ] {
        let files = [
            COMPOSE,
            ("live.sh", "#!/bin/bash\ndocker compose up -d --build\n"),
        ];
        let map = crate::configuration(&over_ssh(&format!("cd ~/app\ngit pull\n{call}")), &files);
        assert!(map.contains("name: containers"), "{call}\n{map}");
        assert_eq!(map.contains("sudo: true"), sudo, "{call}\n{map}");
    }
}

#[test]
fn what_was_perhaps_not_deployed_is_not_undone() {
    let set = |name: &str, then: &str| {
        format!(
            "kubectl set image deployment/{name} {name}=acme/{name}:${{{{ github.sha }}}}{then}"
        )
    };
    let lines = |lines: &[String]| {
        let text = lines.join("\n          ");
        steps(&format!("      - run: |\n          {text}\n"))
    };
    for (calls, undone) in [
        (vec![set("api", ""), set("web", "")], true),
        (vec![set("api", " || exit 1")], true),
        (vec![set("api", " || true"), set("web", "")], false),
        (
            vec![set("api", " \\"), "  || echo skipped".to_owned()],
            false,
        ),
        (
            vec![
                set("api", ""),
                "if has web; then".to_owned(),
                set("web", ""),
                "fi".to_owned(),
            ],
            false,
        ),
    ] {
        let told = back(&lines(&calls), &[]);
        assert_eq!(
            told.contains("where the gate fails: kubectl rollout undo"),
            undone,
            "{told}"
        );
        assert_eq!(
            told.contains("the job goes on where a call"),
            !undone,
            "{told}"
        );
    }
}

#[test]
fn compose_behind_a_function_is_compose() {
    for function in [
        "compose() { docker compose -p shop \"$@\"; }",
        "ARGS=(-p shop)\nfunction compose() {\n  docker compose \"${ARGS[@]}\" \"$@\"\n}",
        "compose() {\n  if docker compose version >/dev/null; then\n    docker compose -p shop \"$@\"\n  else\n    docker-compose -p shop \"$@\"\n  fi\n}",
    ] {
        let flow = over_ssh(&format!(
            "{function}\ncd /srv/app\ngit pull\ncompose up -d --build"
        ));
        let told = looked(&flow, &[COMPOSE]);
        assert!(
            told.contains("deploys by Compose") && told.contains("shop ("),
            "{told}"
        );
        assert!(!told.contains("unused"), "{told}");
    }
}

#[test]
fn the_parts_of_an_if_do_not_follow_one_another() {
    for (script, folder) in [
        (
            "cd ~\nif [ -d app ]; then\n  cd app\n  git pull\nelse\n  git clone https://github.com/a/app.git\n  cd app\nfi",
            Some("~/app"),
        ),
        (
            "if [ ! -d app ]; then git clone https://github.com/a/app.git; fi\ncd app\ngit pull",
            Some("~/app"),
        ),
        (
            "cd /srv/app\nif old; then\n  cd legacy\n  make\n  cd ..\nfi",
            Some("/srv/app"),
        ),
        (
            "cd /srv/app\nif old; then\n  if older; then cd a; fi\nelse\n  cd a\nfi",
            Some("/srv/app/a"),
        ),
        (
            "if [ $1 = live ]; then cd /srv/live; else cd /srv/next; fi\ngit pull",
            None,
        ),
    ] {
        let flow = over_ssh(&format!("{script}\ndocker compose up -d --build"));
        let told = looked(&flow, &[COMPOSE]);
        let line = folder.map_or("folder  ".to_owned(), |folder| {
            format!("folder         {folder} (")
        });
        assert_eq!(told.contains(&line), folder.is_some(), "{script}\n{told}");
        assert!(!told.contains("unused"), "{script}\n{told}");
        let map = crate::configuration(&flow, &[COMPOSE]);
        assert_eq!(
            map.contains("name: containers"),
            folder.is_some(),
            "{script}\n{map}"
        );
    }
}

#[test]
fn no_checkout_is_added_to_a_job_that_may_not_read_the_repository() {
    let flow = over_ssh("cd ~/app\ngit pull\nsudo systemctl restart app");
    for (permissions, reads) in [
        ("{}", false),
        ("{ id-token: write }", false),
        ("{ contents: none }", false),
        ("{ contents: read }", true),
        ("read-all", true),
    ] {
        for at in ["    runs-on", "jobs:"] {
            let indent = at.len() - at.trim_start().len();
            let key = format!("{}permissions: {permissions}\n{at}", " ".repeat(indent));
            let told = proposed(&flow.replace(at, &key), &[], None);
            assert_eq!(told.contains("actions/checkout"), reads, "{key}\n{told}");
            assert_eq!(
                told.contains("`contents: read` would"),
                !reads,
                "{key}\n{told}"
            );
        }
    }
}

#[test]
fn a_port_is_the_one_that_the_job_writes_for_compose() {
    let compose = (
        "docker-compose.yml",
        "services: { app: { build: ., ports: ['${PORT:-4000}:${PORT:-4000}'], healthcheck: { test: 'curl -f http://localhost:${PORT:-4000}/hello' } } }\n",
    );
    let own = |writes: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: [self-hosted]\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          {writes}\n      - run: docker compose up -d --build\n"
        )
    };
    for (writes, url) in [
        ("make", Some("http://127.0.0.1:4000/hello")),
        (
            "cat > .env << 'EOF'\n          PORT=${{ secrets.PORT || 4000 }}\n          EOF",
            Some("http://127.0.0.1:${{ secrets.PORT || 4000 }}/hello"),
        ),
        (
            "echo \"PORT=5000\" >> .env",
            Some("http://127.0.0.1:5000/hello"),
        ),
        ("echo \"PORT=$(next-port)\" >> .env", None),
    ] {
        let told = looked(&own(writes), &[compose]);
        let asked = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("health "));
        let asked = asked.and_then(|line| line.trim().split_once(" ("));
        assert_eq!(asked.map(|(url, _)| url), url, "{writes}\n{told}");
    }
}

#[test]
fn a_unit_is_named_as_far_as_an_expression_names_it() {
    for (unit, probes) in [
        ("app@${{ secrets.USER_NAME }}.service", "name: unit-1"),
        ("app", "name: app"),
        ("$SERVICE", ""),
    ] {
        let flow = over_ssh(&format!(
            "cd ~/app\ngit pull\nsudo systemctl restart {unit}"
        ));
        let map = crate::configuration(&flow, &[]);
        assert!(map.contains(probes), "{map}");
        assert_eq!(map.is_empty(), probes.is_empty(), "{map}");
        assert!(!map.contains("${{"), "{map}");
    }
}

#[test]
fn the_gate_runs_where_the_release_goes_live() {
    let backup = there("if: inputs.backup", "tar -zcf /root/backup.tar.gz /srv/app");
    let start = there("name: Start", "cd /srv/app\npm2 restart app");
    let new = crate::patched(&steps(&format!("{backup}{start}")), &[], URL);
    assert_eq!(new.matches("if: ").count(), 1, "{new}");
    let start = there(
        "if: github.ref == 'refs/heads/main'",
        "cd /srv/app\npm2 restart app",
    );
    let copy = format!(
        "      - uses: appleboy/scp-action@v1\n        with: {{ {LOGIN}, source: dist, target: /srv/app }}\n"
    );
    let again = there(
        "if: steps.a.outputs.proxy == 'true'",
        "docker compose restart caddy",
    );
    let up = there("name: Up", "cd /srv/app\ndocker compose up -d");
    let new = crate::patched(&steps(&format!("{up}{again}")), &[], URL);
    assert_eq!(new.matches("if: ").count(), 1, "{new}");
    let new = crate::patched(&steps(&format!("{copy}{start}")), &[], URL);
    assert_eq!(
        new.matches("if: github.ref == 'refs/heads/main'").count(),
        2,
        "{new}"
    );
}

#[test]
fn each_caller_of_a_workflow_is_told() {
    let called = "on: { workflow_call: {} }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: flyctl deploy\n";
    let starts = "on: { push: { branches: [main] } }\njobs:\n  live: { uses: ./.github/workflows/ship.yml }\n";
    let told = looked(
        called,
        &[
            (".github/workflows/a.yml", starts),
            (".github/workflows/b.yml", starts),
        ],
    );
    assert!(
        told.contains("workflows/a.yml:3") && told.contains("workflows/b.yml:3"),
        "{told}"
    );
}

#[test]
fn what_runs_by_itself_is_guarded_before_what_a_person_starts() {
    let start = |on: &str| {
        over_ssh("cd /opt/app\ndocker compose up -d --build")
            .replace("{ push: { branches: [main] } }", on)
    };
    for (first, second) in [
        ("workflow_dispatch", "{ push: { branches: [main] } }"),
        (
            "{ push: { branches: ['$default-branch'] } }",
            "{ push: { branches: [main] }, workflow_dispatch: {} }",
        ),
    ] {
        let by_hand = (".github/workflows/a.yml", &*start(first));
        let told = proposed(&start(second), &[by_hand], URL);
        assert!(
            told.contains("Proposed for shop: by Compose: .github/workflows/ship.yml"),
            "{told}"
        );
    }
}

#[test]
fn a_test_by_ansible_is_no_deployment() {
    let test = "on: { pull_request: {}, workflow_dispatch: {} }\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: ansible-playbook deploy.yml -i inventory_test.yml\n";
    let live = steps(
        "      - uses: cbpowell/ansible-playbook-docker-action@v1.5\n        with: { playbookName: deploy.yml, inventoryFile: inventory.yml }\n",
    );
    let told = looked(&live, &[(".github/workflows/a.yml", test)]);
    assert!(
        told.contains("by Ansible: .github/workflows/ship.yml:7"),
        "{told}"
    );
    assert!(!told.contains("workflows/a.yml"), "{told}");
    let told = looked(&test.replace("  test:", "  deploy:"), &[]);
    assert!(told.contains("by Ansible"), "{told}");
}

#[test]
fn a_clock_that_starts_what_has_stopped_deploys_nothing() {
    let flow = |call: &str| {
        format!(
            "on: {{ schedule: [{{ cron: '0 9 * * 1' }}] }}\njobs:\n  check:\n    runs-on: [self-hosted]\n    steps:\n      - run: {call}\n"
        )
    };
    for (call, deploys) in [
        ("docker compose up -d nginx", false),
        ("docker compose pull && docker compose up -d", true),
        ("docker compose up -d --build", true),
    ] {
        let told = looked(&flow(call), &[COMPOSE]);
        assert_eq!(
            told.contains("deploys by Compose"),
            deploys,
            "{call}\n{told}"
        );
    }
}

#[test]
fn a_script_is_followed_from_the_folder_that_the_runner_checks_out() {
    let script = (
        "deploy/scripts/live.sh",
        "#!/bin/bash\naws ecs update-service --cluster web --service web --force-new-deployment\n",
    );
    for folder in [
        "${{ github.workspace }}/deploy/scripts",
        "$GITHUB_WORKSPACE/deploy/scripts",
    ] {
        for call in [
            format!("S='{folder}'; \"${{S}}/live.sh\"").replace('\'', "\""),
            format!("cd /tmp && cd {folder} && ./live.sh"),
        ] {
            let flow = steps(&format!(
                "      - run: |\n          docker build -t acme/web:1 . && docker push acme/web:1\n          {call}\n"
            ));
            let told = looked(&flow, &[script]);
            assert!(
                told.contains("by Amazon ECS: deploy/scripts/live.sh:2"),
                "{call}\n{told}"
            );
            assert!(!told.contains("published"), "{call}\n{told}");
        }
    }
}

#[test]
fn a_compose_file_that_a_playbook_names_is_used() {
    let flow = steps("      - run: ansible-playbook infra/deploy.yml\n");
    let playbook = "- hosts: main\n  tasks:\n    - ansible.builtin.copy: { src: \"{{ playbook_dir }}/../docker-compose.app.yml\", dest: /srv/app }\n";
    let files = [
        ("infra/deploy.yml", playbook),
        ("docker-compose.app.yml", COMPOSE.1),
        ("docker-compose.other.yml", COMPOSE.1),
    ];
    let told = looked(&flow, &files);
    assert!(!told.contains("docker-compose.app.yml"), "{told}");
    assert!(
        told.contains("unused by any workflow: docker-compose.other.yml"),
        "{told}"
    );
}

#[test]
fn what_goes_back_is_told_as_far_as_it_is_seen() {
    let script = ("deploy.sh", "#!/bin/sh\nnpm ci\nnpm run build\n");
    let told = back(&over_ssh("cd /srv/app\nsh ./deploy.sh"), &[script]);
    assert!(
        told.contains("not seen to be fetched here") && !told.contains("revert"),
        "{told}"
    );
    let told = back(
        &over_ssh("cd /srv/app\ngit pull\nsh ./deploy.sh"),
        &[script],
    );
    assert!(told.contains("A revert on its branch"), "{told}");
    for (copy, is_seen) in [
        ("sudo cp -r /data/app /data/app.backup.$(date +%s)", true),
        ("tar -zcf /root/backup.tar.gz /data/app", true),
        ("cp .env.example .env", false),
    ] {
        let told = back(
            &over_ssh(&format!(
                "{copy}\ncd /data/app\ngit pull\nsudo systemctl restart app"
            )),
            &[],
        );
        assert_eq!(
            told.contains("the copy that is made before"),
            is_seen,
            "{told}"
        );
        assert_eq!(
            told.contains("no copy of the release before is seen"),
            !is_seen,
            "{told}"
        );
    }
    let told = looked(
        &over_ssh("cd /data/app\ngit pull\nflask db upgrade\npm2 reload app"),
        &[],
    );
    assert!(told.contains("migration      flask db upgrade"), "{told}");
}

#[test]
fn deployer_goes_back_as_it_is_called() {
    let flow = |call: &str| {
        steps(&format!(
            "      - env: {{ DEPLOY_PATH: '${{{{ secrets.DEPLOY_PATH }}}}' }}\n        run: {call}\n"
        ))
    };
    for (call, told) in [
        (
            "php \"$HOME/.deployer/dep.phar\" deploy production -v",
            "where the gate fails: php $HOME/.deployer/dep.phar rollback production",
        ),
        (
            "vendor/bin/dep deploy live",
            "where the gate fails: vendor/bin/dep rollback live",
        ),
        (
            "php \"$TOOLS/dep.phar\" deploy live",
            "`dep rollback live` goes back by hand",
        ),
    ] {
        let line = back(&flow(call), &[]);
        assert!(line.contains(told), "{line}");
    }
}

#[test]
fn options_that_only_the_shell_knows_are_no_machine() {
    let flow = steps(
        "      - run: |\n          if old; then O='-o A=b'; else O='-o C=d'; fi\n          sshpass -p '${{ secrets.PASS }}' ssh $O me@h.example 'cd /srv/app && git pull && docker compose up -d --build'\n",
    );
    let told = looked(&flow, &[COMPOSE]);
    assert!(told.contains("reaches        me@h.example"), "{told}");
    assert!(
        told.contains("password       ${{ secrets.PASS }}"),
        "{told}"
    );
    assert!(!crate::configuration(&flow, &[COMPOSE]).contains("hosts:"));
}

#[test]
fn statements_of_erb_leave_nothing_behind() {
    let flow = steps(
        "      - uses: webfactory/ssh-agent@v0.9.0\n        with: { ssh-private-key: '${{ secrets.KEY }}' }\n      - run: kamal deploy\n",
    );
    let file = "service: shop\nimage: acme/shop\n\n<% require \"dotenv\"; Dotenv.load(\".env\") %>\n\nservers:\n  - 192.0.2.10\nproxy:\n  host: <%= ENV[\"APP_HOST\"] %>\n";
    let told = looked(&flow, &[("config/deploy.yml", file)]);
    assert!(told.contains("192.0.2.10 (config/deploy.yml:7)"), "{told}");
    assert!(
        !told.contains("passed over") && !told.contains("<%"),
        "{told}"
    );
}

#[test]
fn an_app_of_digital_ocean_is_a_deployment() {
    let flow = steps("      - run: doctl apps create-deployment 302e2fec --force-rebuild\n");
    let told = proposed(&flow, &[], URL);
    assert!(told.contains("by DigitalOcean App Platform"), "{told}");
    assert!(told.contains("nothing waits for the new release"), "{told}");
}

#[test]
fn a_gate_that_asks_no_machine_is_handed_no_login() {
    let kamal = "service: shop\nimage: acme/shop\nservers: [192.0.2.10]\nproxy: { ssl: true, host: shop.example.com }\n";
    let flow = steps(
        "      - uses: webfactory/ssh-agent@v0.9.0\n        with: { ssh-private-key: '${{ secrets.KEY }}' }\n      - run: kamal deploy\n",
    );
    let told = proposed(&flow, &[("config/deploy.yml", kamal)], None);
    let (_, gate) = told.split_once("name: Gate the release").unwrap();
    let (gate, _) = gate.split_once("name: Record").unwrap();
    assert!(!gate.contains("KEY"), "{told}");
}

#[test]
fn a_task_definition_with_an_image_names_something() {
    let deploys = |tag: &str| {
        steps(&format!(
            "      - run: echo \"TAG=$(git describe)\" >>$GITHUB_ENV\n      - uses: aws-actions/amazon-ecs-render-task-definition@v1\n        id: task\n        with: {{ task-definition: task.json, container-name: web, image: 'acme/web:{tag}' }}\n      - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n        with: {{ task-definition: '${{{{ steps.task.outputs.task-definition }}}}', service: web, cluster: web }}\n"
        ))
    };
    let told = back(&deploys("${{ env.TAG }}"), &[]);
    assert!(
        told.contains("has no tag that a step of ours could name"),
        "{told}"
    );
    assert!(!told.contains("names no release"), "{told}");
    let told = back(
        &steps(
            "      - run: aws ecs update-service --cluster a --service b --force-new-deployment\n",
        ),
        &[],
    );
    assert!(told.contains("the call names no release"), "{told}");
}

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

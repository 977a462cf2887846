//! The steps that a workflow gets.

use crate::proposed;

/// A job whose matrix has a row for each app.
fn rows(step: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        include:\n          - {{ app: shop-web, config: web.toml }}\n          - {{ app: shop-queue, config: queue.toml }}\n    steps:\n      - uses: actions/checkout@v4\n{step}"
    )
}

#[test]
fn what_each_row_of_a_matrix_deploys_is_taken_back_by_that_row() {
    let told = proposed(
        &rows("      - run: flyctl deploy --app ${{ matrix.app }} -c ${{ matrix.config }}\n"),
        &[("web.toml", "app = 'shop-web'\n"), ("queue.toml", "")],
        None,
    );
    insta::assert_snapshot!(told);
    // A value that is put together from the row, and one that is the same in all of them.
    for step in [
        "      - run: npx wrangler deploy --env live-${{ matrix.app }}\n",
        "      - run: kubectl --context live set image deployment/${{ matrix.app }} app=acme/shop:${{ github.sha }}\n",
        "      - run: helm upgrade --install ${{ matrix.app }} chart --set tag=${{ github.sha }}\n",
    ] {
        let told = proposed(&rows(step), &[], Some("https://shop.example.com/up"));
        assert!(told.contains("matrix.app }}"), "{told}");
        assert!(!told.contains("shop-web"), "{told}");
    }
    let same = "      - run: npx wrangler deploy --env live\n      - run: echo ${{ matrix.app }}\n";
    let told = proposed(&rows(same), &[], Some("https://shop.example.com/up"));
    assert!(told.contains("--env live"), "{told}");
}

#[test]
fn a_step_of_ours_names_its_shell_where_the_job_has_another() {
    let flow = |defaults: &str, job: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\n{defaults}jobs:\n  live:\n    runs-on: ubuntu-latest\n{job}    steps:\n      - run: gcloud run deploy shop --image acme/shop:${{{{ github.sha }}}}\n"
        )
    };
    let count = |flow: String| proposed(&flow, &[], None).matches("shell: bash").count();
    let pwsh = "defaults: { run: { shell: pwsh } }\n";
    // What is noted, the address, what goes back, and the requests to the new revision.
    let steps = count(flow(pwsh, ""));
    assert!(steps >= 3, "{steps}");
    assert_eq!(count(flow("", &format!("    {pwsh}"))), steps);
    assert_eq!(
        count(flow(
            pwsh,
            "    defaults: { run: { shell: 'bash -l {0}' } }\n"
        )),
        0
    );
    assert_eq!(count(flow("", "")), 0);
    // An image may have no bash, and what is written there is for any shell.
    let inside = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    container: alpine\n    defaults: { run: { shell: sh } }\n    steps:\n      - run: helm upgrade --install web chart --set tag=${{ github.sha }}\n";
    let told = proposed(inside, &[], Some("https://shop.example.com/up"));
    assert!(
        told.contains("helm rollback web") && !told.contains("shell:"),
        "{told}"
    );
}

#[test]
fn a_worker_goes_back_by_the_options_that_it_was_deployed_by() {
    let flow = |command: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: cloudflare/wrangler-action@v3\n        with:\n          apiToken: ${{{{ secrets.CF }}}}\n{command}"
        )
    };
    let told = |command: &str| {
        let told = proposed(&flow(command), &[], Some("https://shop.example.com/up"));
        let line = told.lines().find(|line| line.contains("way back  "));
        line.unwrap_or_default().trim().to_owned()
    };
    for (command, expected) in [
        ("", "command: rollback --yes`"),
        ("          command: deploy\n", "command: rollback --yes`"),
        (
            "          command: deploy --env production --minify\n",
            "command: rollback --env production --yes`",
        ),
        (
            "          command: deploy -e ${{ vars.STAGE }} --name=shop -c a/wrangler.toml\n",
            "command: rollback --name shop --env ${{ vars.STAGE }} --config a/wrangler.toml --yes`",
        ),
        // Which of two goes back is not known.
        (
            "          command: |\n            deploy --env a\n            deploy --env b\n",
            "`wrangler rollback` goes back by hand",
        ),
    ] {
        let told = told(command);
        assert!(told.contains(expected), "{command}: {told}");
    }
}

#[test]
fn a_gate_that_would_ask_nothing_is_a_gap() {
    let over_docker = "on: { push: { tags: ['v*'] } }\nenv: { DOCKER_HOST: 'ssh://ops@box.example' }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: webfactory/ssh-agent@v0.9.0\n        with: { ssh-private-key: '${{ secrets.KEY }}' }\n      - run: docker compose -p shop up -d web\n";
    let files = [("compose.yml", "services:\n  web: { image: acme/shop }\n")];
    insta::assert_snapshot!(proposed(over_docker, &files, None));
}

#[test]
fn an_address_of_an_action_may_have_its_port() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: appleboy/ssh-action@v1\n        with:\n          host: 'a.example,b.example:2222,${{ secrets.C }}:2200'\n          username: ops\n          key: ${{ secrets.KEY }}\n          script: sudo systemctl restart shop\n";
    let one = flow.replace(
        "'a.example,b.example:2222,${{ secrets.C }}:2200'",
        "a.example:2222",
    );
    for flow in [flow, &one] {
        let told = proposed(flow, &[], None);
        assert!(!told.contains("TODO"), "{told}");
    }
    let folder = testkit::repository(&[(crate::FLOW, flow)]);
    let survey = survey::look(folder.path()).unwrap();
    let login = survey.deployments[0].login.as_ref().unwrap();
    assert_eq!(
        login.address.value.text(),
        "a.example,b.example:2222,${{ secrets.C }}:2200"
    );
}

#[test]
fn where_the_machine_cannot_be_asked_the_environments_address_is() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: { name: live, url: 'https://shop.example.com' }\n    steps:\n      - run: ssh ops@box.example 'cd /srv/shop && docker compose up -d'\n";
    let file = "services:\n  web:\n    build: .\n    ports: ['8080:80']\n    healthcheck: { test: curl -f http://localhost:80/up }\n";
    let told = proposed(flow, &[("compose.yml", file)], None);
    assert!(
        told.contains("one step that probes https://shop.example.com ("),
        "{told}"
    );
}

#[test]
fn what_goes_live_besides_or_goes_back_by_itself_gets_a_gate_alone() {
    let flow = |steps: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n{steps}"
        )
    };
    let charts = "      - run: helm upgrade --install api chart --set tag=${{ github.sha }}\n      - run: helm upgrade --install worker chart --set tag=${{ github.sha }}\n";
    let own = "      - run: helm upgrade --install api chart --set tag=${{ github.sha }}\n      - if: failure()\n        run: helm rollback api\n";
    for (steps, expected) in [
        (
            charts,
            "more goes live in the job (.github/workflows/ship.yml:8)",
        ),
        (
            own,
            "the workflow has one of its own (.github/workflows/ship.yml:9)",
        ),
    ] {
        let told = proposed(&flow(steps), &[], Some("https://shop.example.com/up"));
        assert!(told.contains(expected), "{told}");
        assert_eq!(told.matches("- name: ").count(), 1, "{told}");
    }
}

#[test]
fn no_checkout_lies_among_the_files_that_a_job_sends() {
    let flow = |rest: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/download-artifact@v4\n      - run: |\n          echo \"${{{{ secrets.KEY }}}}\" >~/.ssh/id_ed25519\n          rsync -a --delete ./ ops@box.example:/srv/shop/\n      - run: ssh ops@box.example sudo systemctl reload shop\n{rest}"
        )
    };
    // Below the deployment, where nothing needs the folder any more.
    let told = proposed(&flow(""), &[], None);
    let (checkout, gate) = (told.find("actions/checkout"), told.find("Gate the release"));
    assert!(checkout.is_some() && checkout < gate, "{told}");
    assert!(!told.contains("systemctl"), "{told}");
    let shown = told
        .lines()
        .filter(|line| line.contains("uses: actions/checkout"))
        .count();
    assert_eq!(shown, 1, "{told}");
    let told = proposed(&flow("      - run: ls dist\n"), &[], None);
    assert!(!told.contains("actions/checkout@"), "{told}");
}

#[test]
fn nothing_that_waits_is_told_beside_the_gate() {
    let flow = |line: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {line}\n"
        )
    };
    let early = |line: &str| {
        let told = proposed(&flow(line), &[], Some("https://shop.example.com/up"));
        let told = [
            told.contains("nothing waits"),
            told.contains("# Nothing above waits"),
        ];
        assert_eq!(told[0], told[1], "{line}");
        told[0]
    };
    let deploy =
        "aws deploy create-deployment --application-name shop --deployment-group-name live";
    assert!(early("curl ${{ secrets.DEPLOY_HOOK }}"));
    assert!(early(deploy));
    assert!(!early(&format!(
        "{deploy}\n          aws deploy wait deployment-successful --deployment-id $ID"
    )));
    assert!(!early("npx wrangler deploy"));
}

/// The address of a flag is that of one environment; without one, each row asks it, and that is told.
#[test]
fn one_address_for_all_rows_of_a_matrix_is_told() {
    let flow = |environment: &str, matrix: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n{environment}    strategy:\n      matrix: {matrix}\n    steps:\n      - uses: actions/checkout@v4\n      - run: helm upgrade --install shop-${{{{ matrix.stage }}}} chart --set tag=${{{{ github.sha }}}}\n"
        )
    };
    let stages = "{ stage: [staging, production] }";
    let given = "    environment: ${{ matrix.stage }}\n";
    for (environment, matrix, is_told) in [
        ("", stages, true),
        ("    environment: live\n", stages, true),
        ("", "${{ fromJSON(vars.STAGES) }}", true),
        (
            "",
            "{ include: [{ stage: staging }, { stage: production }] }",
            true,
        ),
        (given, stages, false),
    ] {
        let flow = flow(environment, matrix);
        let told = proposed(&flow, &[], Some("https://shop.example.com/up"));
        let words = [
            "each row of the matrix probes this one address",
            "# Each row of the matrix",
        ];
        for words in words {
            assert_eq!(told.contains(words), is_told, "{told}");
        }
        let told = proposed(&flow, &[], None);
        assert!(!told.contains("ach row of the matrix probes"), "{told}");
    }
}

/// Where no release tells which deployment is ours, the step that made it does.
#[test]
fn a_service_at_ecs_is_asked_for_the_task_definition_that_was_registered() {
    let flow = |id: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n{id}        with: {{ task-definition: task.json, cluster: live, service: shop }}\n"
        )
    };
    let task = (
        "task.json",
        "{\"family\": \"shop\", \"containerDefinitions\": []}",
    );
    let told = proposed(&flow("        id: ship\n"), &[task], None);
    for part in [
        "the service's PRIMARY deployment",
        "TASK_DEFINITION: ${{ steps.ship.outputs.task-definition-arn }}",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("TODO"), "{told}");
    let told = proposed(&flow(""), &[task], None);
    assert!(
        told.contains("with an `id` at the step that deploys"),
        "{told}"
    );
}

//! What is guarded is the production of a repository, not what else has a name of a deployment.

use crate::{configuration, looked, proposed};

const URL: Option<&str> = Some("https://shop.example.com/up");

/// A job with these steps, on GitHub's runner.
fn steps(steps: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main, develop] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"
    )
}

/// A step for one branch.
fn of_branch(name: &str, branch: &str, run: &str) -> String {
    format!(
        "      - name: {name}\n        if: github.ref == 'refs/heads/{branch}'\n        run: |\n          {run}\n"
    )
}

#[test]
fn of_two_places_that_a_branch_chooses_production_is_guarded() {
    let cleaned =
        "URL=\"$(printf '%s' \"${{ vars.HOOK_URL }}\" | tr -d '\\r')\"; curl -X POST \"$URL\"";
    for run in [
        cleaned,
        "curl -fsS -X POST \"${{ secrets.DEPLOY_HOOK }}\"",
        "flyctl deploy",
        "./ship --now",
    ] {
        let production = of_branch("Deploy production", "main", run);
        let staging = of_branch("Deploy staging", "develop", run);
        for both in [
            format!("{production}{staging}"),
            format!("{staging}{production}"),
        ] {
            let told = proposed(&steps(&both), &[], URL);
            let guarded = "id: gate\n        if: github.ref == 'refs/heads/main'\n";
            assert!(told.contains(guarded), "{told}\n{both}");
            assert!(told.contains("  also deploys by"), "{told}\n{both}");
        }
    }
    // What is asked of the one tells nothing of the other.
    let staged = |name: &str, branch: &str| {
        let run = format!("curl -fsS https://{name}.example.com/up");
        of_branch("Deploy", branch, "flyctl deploy") + &of_branch("Check", branch, &run)
    };
    let told = proposed(
        &steps(&(staged("test", "develop") + &staged("shop", "main"))),
        &[],
        None,
    );
    assert!(!told.contains("test.example.com"), "{told}");
}

#[test]
fn a_container_of_a_program_is_that_program() {
    let flow = steps(
        "      - name: Deploy to production\n        uses: docker://bitnami/kubectl:latest\n        with: { args: 'set image deployment/shop app=acme/shop:${{ github.sha }}' }\n      - name: Trigger deploy to demo\n        uses: peter-evans/repository-dispatch@v3\n        with: { event-type: deploy-demo }\n",
    );
    let told = proposed(&flow, &[], URL);
    assert!(told.contains("by kubectl: "), "{told}");
    // Its login is there alone, so the way back is by the same container.
    assert!(
        told.contains("uses: \"docker://bitnami/kubectl:latest\"")
            && told.contains("args: \"rollout undo deployment/shop\""),
        "{told}"
    );
}

#[test]
fn what_only_prepares_a_deployment_is_none() {
    let flow = steps(
        "      - name: Setup deploy\n        run: ./log-in\n      - name: Upgrade the chart\n        run: python3 deployer.py support\n",
    );
    let told = proposed(&flow, &[], URL);
    assert!(
        told.contains("what is called `python3 deployer.py support`"),
        "{told}"
    );
    let both = steps(
        "      - name: Set up and deploy\n        run: ./all\n      - name: Check the deploy\n        run: ./seen\n",
    );
    let told = proposed(&both, &[], URL);
    assert!(told.contains("`Set up and deploy`"), "{told}");
}

#[test]
fn a_request_by_an_action_is_a_request() {
    for (action, inputs) in [
        (
            "satak/webrequest-action@v1",
            "{ url: '${{ secrets.PORTAINER_WEBHOOK }}', method: POST }",
        ),
        (
            "fjogeleit/http-request-action@v1",
            "{ url: 'https://api.render.com/deploy/srv-1?key=1' }",
        ),
        (
            "acme/webhook-action@v1",
            "{ webhook_url: '${{ secrets.DEPLOY_WEBHOOK }}' }",
        ),
    ] {
        let flow = steps(&format!("      - uses: {action}\n        with: {inputs}\n"));
        let told = proposed(&flow, &[], URL);
        assert!(
            told.contains("by a request that starts it elsewhere"),
            "{told}"
        );
    }
}

#[test]
fn what_makes_no_release_live_is_no_deployment() {
    let swap = "      - run: az webapp deployment slot swap -s Staging -n shop -g g\n";
    let before = "      - run: |\n          az webapp deployment slot create -s Staging -n shop -g g\n          az webapp config appsettings set -n shop -g g --settings A=b\n";
    let told = proposed(&steps(&format!("{before}{swap}")), &[], URL);
    assert!(
        told.contains("ship.yml:9") && !told.contains("besides"),
        "{told}"
    );
    let vercel = |inputs: &str| {
        let action = format!("      - uses: amondnet/vercel-action@v25\n        with: {inputs}\n");
        looked(&steps(&action), &[])
    };
    assert!(vercel("{ vercel-args: '--prod' }").contains("by Vercel"));
    let preview = vercel("{ vercel-token: '${{ secrets.TOKEN }}' }");
    assert!(!preview.contains("deploys"), "{preview}");
}

#[test]
fn a_release_that_the_platform_takes_itself_is_not_the_commit() {
    let sync = |more: &str| {
        proposed(
            &steps(&format!(
                "      - uses: actions/checkout@v4\n      - run: argocd app sync shop{more}\n"
            )),
            &[],
            URL,
        )
    };
    let told = sync("");
    assert!(
        told.contains("a revert on its branch") && told.contains("nothing waits"),
        "{told}"
    );
    assert!(sync(" --revision $GITHUB_SHA").contains("made again"));
}

#[test]
fn a_service_that_ends_by_itself_is_not_asked_whether_it_runs() {
    let flow = steps(
        "      - uses: actions/checkout@v4\n      - uses: appleboy/ssh-action@v1\n        with:\n          host: h.example\n          username: me\n          key: ${{ secrets.KEY }}\n          script: cd /srv/shop && git pull && docker compose up -d --build\n",
    );
    let services = |more: &str| {
        format!("services:\n  web: {{ build: . }}\n  tools: {{ build: ./tools{more} }}\n")
    };
    let asked = |file: &str, more: &str| {
        let files = [
            ("compose.yml", &*services(more)),
            ("tools/Dockerfile", file),
        ];
        configuration(&flow, &files)
    };
    let ends = "FROM aws-cli\nENTRYPOINT []\nCMD [\"/bin/bash\"]\n";
    let told = asked(ends, "");
    assert!(told.contains("services: [web]"), "{told}");
    for (file, more) in [(ends, ", tty: true"), ("FROM a\nCMD [\"serve\"]\n", "")] {
        assert!(!asked(file, more).contains("services:"));
    }
}

#[test]
fn a_configuration_that_printf_writes_is_read_with_its_values() {
    let flow = steps(
        "      - run: |\n          echo '${{ secrets.KEY }}' >~/.ssh/id_live\n          printf 'Host box\\n  HostName %s\\n  User %s\\n' \"${{ secrets.HOST }}\" me >>~/.ssh/config\n      - run: ssh box 'cd /srv/shop && git pull && docker compose up -d --build'\n",
    );
    let told = looked(&flow, &[]);
    assert!(
        told.contains("reaches        me@${{ secrets.HOST }}"),
        "{told}"
    );
}

#[test]
fn a_release_without_files_publishes_nothing() {
    for (with, publishes) in [("files: dist/*", true), ("body: notes", false)] {
        let flow = steps(&format!(
            "      - uses: softprops/action-gh-release@v2\n        with: {{ {with} }}\n"
        ));
        let told = looked(&flow, &[]);
        assert_eq!(told.contains("the files of a release"), publishes, "{told}");
    }
}

#[test]
fn a_password_that_the_workflow_has_written_down_is_not_shown() {
    let flow = crate::seen::over_ssh("cd /srv/api\ngit pull\npm2 restart api");
    for (key, shown) in [
        ("password: hunter2", false),
        ("key: ${{ secrets.K }}", true),
    ] {
        let told = looked(&flow.replace("key: ${{ secrets.KEY }}", key), &[]);
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(!told.contains("written there as it is"), shown, "{told}");
    }
}

#[test]
fn a_query_about_migrations_is_none() {
    let query = "docker exec db mariadb -e 'SELECT COUNT(*) FROM _prisma_migrations'";
    let script = format!(
        "cd /srv/api\n{query}\ndocker compose run --rm web npx prisma migrate deploy\ndocker compose up -d"
    );
    let told = looked(&crate::seen::over_ssh(&script), &[]);
    assert!(told.contains("migration      docker compose run"), "{told}");
}

#[test]
fn railway_starts_the_newest_that_it_has() {
    let told = looked(&steps("      - run: railway redeploy -s shop -y\n"), &[]);
    assert!(
        told.contains("deploys by Railway") && !told.contains("github.sha"),
        "{told}"
    );
}

#[test]
fn a_revert_is_deployed_by_a_push_to_the_branch() {
    let pushed = crate::seen::over_ssh("cd /srv/api\ngit pull origin main\npm2 restart api");
    let tagged = pushed.replace("branches: [main]", "tags: ['v*']");
    for (flow, told) in [
        (pushed, "which the same workflow deploys"),
        (tagged, "then a run of the same workflow"),
    ] {
        let back = crate::back(&flow, &[]);
        assert!(back.contains(told), "{back}");
    }
}

#[test]
fn options_in_an_array_may_name_another_worker() {
    for (options, is_undone) in [("--name shop", true), ("\"${options[@]}\"", false)] {
        let flow = steps(&format!("      - run: npx wrangler deploy {options}\n"));
        let told = proposed(&flow, &[], Some("https://shop.example/up"));
        assert_eq!(told.contains("rollback --yes"), is_undone, "{told}");
    }
}

#[test]
fn what_is_not_known_beside_a_deployment_is_told() {
    let other = "on: { push: { branches: [main] } }\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: acme/to-ftp@v1\n        with: { server: shop.example, password: '${{ secrets.FTP }}' }\n";
    let told = looked(
        &steps("      - run: kamal deploy\n"),
        &[(".github/workflows/web.yml", other)],
    );
    assert!(
        told.contains(
            "not known, and may deploy, too: `uses: acme/to-ftp` (.github/workflows/web.yml:"
        ),
        "{told}"
    );
}

#[test]
fn a_syntax_check_calls_no_script() {
    for (call, deploys) in [("bash deploy.sh", true), ("bash -n deploy.sh", false)] {
        let told = looked(
            &steps(&format!("      - run: {call}\n")),
            &[("deploy.sh", "kamal deploy\n")],
        );
        assert_eq!(told.contains("by Kamal"), deploys, "{told}");
    }
}

#[test]
fn a_unit_that_ends_is_not_asked_whether_it_runs() {
    let flow = crate::seen::over_ssh(
        "cd /srv/api\ngit pull\nsudo systemctl restart api.service\nsudo systemctl start collect.service || true",
    );
    let unit = "[Service]\nType=oneshot\nExecStart=/srv/api/collect\n";
    let config = configuration(&flow, &[("deploy/collect.service", unit)]);
    assert!(
        config.contains("unit: api.service") && !config.contains("collect"),
        "{config}"
    );
}

#[test]
fn an_app_without_a_service_has_no_address() {
    let flow = steps("      - run: flyctl deploy --remote-only\n");
    for (more, is_asked) in [("", false), ("[http_service]\ninternal_port = 80\n", true)] {
        let told = proposed(
            &flow,
            &[("fly.toml", &format!("app = \"bot\"\n{more}"))],
            None,
        );
        assert_eq!(told.contains("https://bot.fly.dev"), is_asked, "{told}");
    }
}

#[test]
fn an_environments_bare_address_may_redirect() {
    for (path, is_open) in [("", true), ("/health", false)] {
        let flow = steps("      - run: npx wrangler deploy\n").replace("runs-on: ubuntu-latest", &format!("runs-on: ubuntu-latest\n    environment: {{ name: production, url: 'https://shop.example{path}' }}"));
        let told = proposed(&flow, &[], None);
        assert_eq!(told.contains("status: 200-499"), is_open, "{told}");
    }
}

#[test]
fn a_gate_stands_where_the_link_is_set_and_below_a_migration() {
    let job = |name: &str, more: &str, script: &str| {
        format!(
            "  {name}:\n    runs-on: ubuntu-latest\n{more}    steps:\n      - uses: appleboy/ssh-action@v1\n        with: {{ host: shop.example, username: me, key: '${{{{ secrets.KEY }}}}', script: '{script}' }}\n"
        )
    };
    let flow = format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n{}{}",
        job("unpack", "", "tar xf /tmp/a.tgz -C /srv/releases/1"),
        job(
            "live",
            "    needs: unpack\n",
            "ln -sfn /srv/releases/1 /srv/current"
        ),
    );
    let told = looked(&flow, &[]);
    assert!(
        told.contains("live on ubuntu-latest") && !told.contains("unpack on"),
        "{told}"
    );
    let flow = steps(
        "      - run: npx wrangler deploy\n      - name: Migrate\n        run: npx wrangler d1 migrations apply DB --remote\n",
    );
    let new = crate::patched(&flow, &[], Some("https://shop.example/up"));
    assert!(
        new.find("name: Migrate").unwrap() < new.find("stage: healthgate").unwrap(),
        "{new}"
    );
}

#[test]
fn a_migration_by_push_is_told() {
    let flow = steps(
        "      - run: npx prisma db push --accept-data-loss\n        env: { DATABASE_URL: '${{ secrets.DATABASE_URL }}' }\n      - run: flyctl deploy --app shop\n",
    );
    let told = looked(&flow, &[]);
    assert!(told.contains("migration      prisma db push"), "{told}");
}

#[test]
fn a_request_that_is_merged_is_a_release() {
    let flow = "on: { pull_request: { types: [opened, synchronize, closed] } }\njobs:\n  live:\n    if: MERGED\n    runs-on: ubuntu-latest\n    steps:\n      - run: kubectl apply -f app.yaml\n";
    for (condition, deploys) in [
        ("github.event.pull_request.merged", true),
        ("github.event.action != 'closed'", false),
    ] {
        let told = looked(&flow.replace("MERGED", condition), &[]);
        assert_eq!(told.contains("deploys by kubectl"), deploys, "{told}");
    }
}

//! Small repositories of which something was told that is not so: another service's container, another app's address,
//! an image that is never started, or that nothing is deployed.

use survey::{Fetched, Origin, Tool};

use crate::small::{only, read, steps};

const FLOW: &str = ".github/workflows/live.yml";

#[test]
fn two_services_of_one_job_have_each_their_own_container_and_the_tag_that_was_put_in() {
    let service = |name: &str| {
        format!(
            "      - id: {name}\n        uses: aws-actions/amazon-ecs-render-task-definition@v1\n        with: {{ task-definition: {name}.json, container-name: {name}-main, image: \"${{{{ secrets.REGISTRY }}}}/{name}:${{{{ inputs.version || github.ref_name }}}}\" }}\n      - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n        with: {{ task-definition: \"${{{{ steps.{name}.outputs.task-definition }}}}\", service: {name}-live, cluster: mill }}\n"
        )
    };
    let flow = format!(
        "on:\n  push: {{ tags: ['v*'] }}\n  workflow_dispatch: {{ inputs: {{ version: {{ required: true }} }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n{}{}",
        service("api"),
        service("worker")
    );
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    let Tool::Ecs(call) = &one.tool else {
        panic!("{:?}", one.tool);
    };
    let told = |call: &survey::EcsCall| {
        let value =
            |fact: &Option<survey::Fact<survey::Value>>| fact.as_ref().unwrap().value.to_string();
        (value(&call.service), value(&call.container))
    };
    assert_eq!(told(call), ("api-live".to_owned(), "api-main".to_owned()));
    let besides: Vec<_> = call.besides.iter().map(told).collect();
    assert_eq!(
        besides,
        [("worker-live".to_owned(), "worker-main".to_owned())]
    );
    // A person who starts it names the version: what is checked out is not what runs.
    assert_eq!(
        one.release.as_ref().unwrap().value.text(),
        "${{ inputs.version || github.ref_name }}"
    );
}

#[test]
fn the_file_that_a_call_of_fly_names_tells_the_app() {
    let files = |flow: &'static str| {
        let flow = steps(flow);
        let survey = read(&[
            (FLOW, &flow),
            ("fly.toml", "app = 'mill-staging'\n[http_service]\n"),
            (
                "web/fly.live.toml",
                "app = \"mill\"\n[[http_service.checks]]\n  path = \"/ready\"\n",
            ),
        ]);
        let one = only(&survey);
        one.health.first().map(|health| health.url.to_string())
    };
    let ready = Some("https://mill.fly.dev/ready".to_owned());
    assert_eq!(
        files("      - run: cd web && flyctl deploy --remote-only -c fly.live.toml\n"),
        ready
    );
    assert_eq!(
        files("      - run: fly deploy --config web/fly.live.toml\n"),
        ready
    );
    assert_eq!(
        files(
            "      - uses: superfly/flyctl-actions@1.5\n        with: { args: \"deploy -c web/fly.live.toml\" }\n"
        ),
        ready
    );
    // A file that is not here names nothing, and the usual one is another app's.
    assert_eq!(files("      - run: fly deploy -c fly.other.toml\n"), None);
    assert_eq!(
        files("      - run: fly deploy\n").unwrap(),
        "https://mill-staging.fly.dev/"
    );
}

#[test]
fn a_job_after_one_that_waits_for_the_merge_deploys() {
    let flow = |condition: &str| {
        format!(
            "on: {{ pull_request: {{ types: [closed], branches: [main] }} }}\njobs:\n  build:\n{condition}    runs-on: ubuntu-latest\n    steps: [{{ run: make }}]\n  live:\n    needs: build\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'systemctl restart mill'\n"
        )
    };
    let merged = flow("    if: github.event.pull_request.merged == true\n");
    assert_eq!(read(&[(FLOW, &merged)]).deployments.len(), 1);
    assert_eq!(read(&[(FLOW, &flow(""))]).deployments.len(), 0);
}

#[test]
fn what_says_that_it_deploys_is_told_by_its_name() {
    for (step, name) in [
        (
            "run: supabase functions deploy --no-verify-jwt",
            "supabase functions deploy",
        ),
        ("run: npx convex deploy -y", "convex deploy"),
        (
            "uses: acme/actions/deploy-ecs@v1",
            "acme/actions/deploy-ecs",
        ),
    ] {
        let survey = read(&[(FLOW, &steps(&format!("      - {step}\n")))]);
        let one = only(&survey);
        assert!(
            matches!(&one.tool, Tool::Other { name: told } if told == name),
            "{step}: {:?}",
            one.tool
        );
    }
    // What tells of a deployment makes none; and a contract on a chain is no service.
    for step in [
        "uses: acme/notify-slack-deploy@v1",
        "uses: acme/deployment-status@v2",
        "run: npx hardhat deploy",
        "run: npm deploy",
    ] {
        let survey = read(&[(FLOW, &steps(&format!("      - {step}\n")))]);
        assert_eq!(survey.deployments.len(), 0, "{step}");
    }
    // Beside a tool that is known it says nothing.
    let both = "      - run: ssh ops@box.example 'systemctl restart mill'\n      - uses: acme/deploy-docs@v1\n";
    let survey = read(&[(FLOW, &steps(both))]);
    assert!(matches!(only(&survey).tool, Tool::Systemd { .. }));
}

#[test]
fn a_deployment_of_which_nothing_is_known_is_not_denied() {
    let flow = steps("      - name: Deploy to the mill\n        run: ./mill --to live\n");
    let survey = read(&[(FLOW, &flow)]);
    assert_eq!(survey.deployments.len(), 0);
    let called: Vec<_> = survey
        .called_so
        .iter()
        .map(|one| (one.name.value.as_str(), one.name.at.number))
        .collect();
    assert_eq!(called, [("Deploy to the mill", 6)]);
    // What only speaks of it is not it.
    let flow = steps(concat!(
        "      - name: Deploy to the mill\n        run: ./mill --to live\n",
        "      - name: Deployment summary\n        run: echo done\n",
        "      - name: Send what became of the deployment\n        if: always()\n        run: ./say\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = survey.called_so[0].deployment.as_ref().unwrap();
    assert_eq!(
        (one.at.number, &*one.steps, one.last_step),
        (6, &[0][..], 0)
    );
}

#[test]
fn of_firebase_only_the_hosting_is_a_site() {
    let tool = |only_of: &str| {
        let flow = steps(&format!("      - run: firebase deploy{only_of}\n"));
        only(&read(&[(FLOW, &flow)])).tool.clone()
    };
    assert!(matches!(tool(" --only hosting:mill"), Tool::Site { .. }));
    assert!(
        matches!(tool(" --only functions,hosting"), Tool::Platform(call) if call.name == "Firebase")
    );
    let channel = |input: &str| {
        let flow = steps(&format!(
            "      - uses: FirebaseExtended/action-hosting-deploy@v0\n        with: {{ firebaseServiceAccount: \"${{{{ secrets.KEY }}}}\"{input} }}\n"
        ));
        read(&[(FLOW, &flow)]).deployments.len()
    };
    assert_eq!((channel(", channelId: live"), channel("")), (1, 0));
}

#[test]
fn files_that_are_copied_start_no_image_that_another_job_pushes() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  image:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: \"acme/mill:${{ github.run_number }}\" }\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: lftp -e 'mirror -R ./' ftp.box.example\n";
    let survey = read(&[(FLOW, flow)]);
    let one = only(&survey);
    assert!(one.images.is_empty());
    assert_eq!(
        one.release.as_ref().unwrap().value.text(),
        "${{ github.sha }}"
    );
}

#[test]
fn the_key_that_a_step_has_for_itself_is_the_copys() {
    let flow = steps(
        "      - uses: Pendect/action-rsyncer@v2\n        env: { DEPLOY_KEY: \"${{ secrets.BOX_KEY }}\" }\n        with: { src: ., dest: \"ops@box.example:/srv/mill\" }\n",
    );
    let survey = read(&[(FLOW, &flow)]);
    let login = only(&survey).login.as_ref().unwrap();
    assert_eq!(
        login.key.as_ref().unwrap().value.text(),
        "${{ secrets.BOX_KEY }}"
    );
}

#[test]
fn a_command_in_an_array_is_read_where_quoted_variables_lead_to_it() {
    let flow = steps(concat!(
        "      - env: { ROOT: \"${{ secrets.ROOT || '/srv/mill' }}\", FILES: \"${{ secrets.FILES }}\" }\n",
        "        run: |\n",
        "          handed=(\"ROOT=$(printf '%q' \"$ROOT\")\" \"FILES=$(printf '%q' \"$FILES\")\")\n",
        "          ssh ops@box.example \"${handed[*]} bash -se\" <<'END'\n",
        "          cd \"$ROOT\"\n",
        "          compose=(docker compose)\n",
        "          for file in $FILES; do compose+=(-f \"$file\"); done\n",
        "          \"${compose[@]}\" up -d\n",
        "          END\n",
    ));
    let survey = read(&[
        (FLOW, &flow),
        (
            "compose.yaml",
            "services:\n  mill: { image: \"acme/mill:${TAG}\" }\n",
        ),
    ]);
    let one = only(&survey);
    assert!(matches!(one.tool, Tool::Compose(_)), "{:?}", one.tool);
    assert_eq!(
        one.folder.as_ref().unwrap().value,
        "${{ secrets.ROOT || '/srv/mill' }}"
    );
    // Any file may be the one that the variable names.
    assert!(survey.unused.is_empty());
}

#[test]
fn a_script_that_the_job_copies_is_read_where_it_is_called() {
    let call = "      - run: ssh ops@box.example 'cd ~/mill && ./live.sh'\n";
    let copied = format!("      - run: scp ops/live.sh ops@box.example:mill/\n{call}");
    let script = "#!/bin/sh\ndocker compose up -d\n";
    let tool = |flow: &str| {
        only(&read(&[(FLOW, &steps(flow)), ("ops/live.sh", script)]))
            .tool
            .clone()
    };
    assert!(matches!(tool(&copied), Tool::Compose(_)));
    // Without the copy, what is there is not known to be the same.
    let survey = read(&[(FLOW, &steps(call)), ("ops/live.sh", script)]);
    assert!(
        survey
            .deployments
            .iter()
            .all(|one| !matches!(one.tool, Tool::Compose(_)))
    );
}

#[test]
fn another_checkout_on_the_runner_is_not_the_runs_commit() {
    let release = |between: &str| {
        let flow = steps(&format!(
            "      - uses: actions/checkout@v4\n      - run: {between}\n      - run: bin/kamal deploy\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        only(&survey)
            .release
            .as_ref()
            .map(|release| release.value.to_string())
    };
    assert_eq!(release("git checkout \"$REF\""), None);
    let commit = Some("${{ github.sha }}".to_owned());
    assert_eq!(release("git checkout -b work"), commit);
    assert_eq!(release("git checkout -- web"), commit);
}

#[test]
fn a_chart_that_is_pushed_is_published() {
    let survey = read(&[(
        FLOW,
        &steps("      - run: helm push mill.tgz oci://box.example\n"),
    )]);
    assert_eq!(survey.deployments.len(), 0);
    assert_eq!(survey.published[0].value, "a chart");
}

#[test]
fn an_ingress_without_a_certificate_is_asked_as_it_is() {
    let url = |more: &str| {
        let ingress = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec:\n{more}  rules:\n    - host: mill.example.com\n---\nspec:\n  readinessProbe:\n    httpGet: {{ path: /ready }}\n"
        );
        let survey = read(&[
            (FLOW, &steps("      - run: kubectl apply -f k8s/\n")),
            ("k8s/web.yaml", &ingress),
        ]);
        only(&survey).health[0].url.to_string()
    };
    assert_eq!(url(""), "http://mill.example.com/ready");
    assert_eq!(
        url("  tls: [{ secretName: mill }]\n"),
        "https://mill.example.com/ready"
    );
}

#[test]
fn a_script_that_pulls_takes_its_branch_whichever_commit_the_run_is_for() {
    let takes_branch = |script: &str| {
        let flow = steps(
            "      - uses: appleboy/ssh-action@v1\n        with: { host: box.example, username: ops, script: bash /srv/mill/ops/deploy.sh }\n",
        );
        let script = format!("#!/bin/bash\ncd /srv/mill\n{script}\nsystemctl restart mill\n");
        let survey = read(&[(FLOW, &flow), ("ops/deploy.sh", &script)]);
        only(&survey).origin == Origin::FetchedNewest(Fetched::Branch)
    };
    for newest in [
        "git pull",
        "git -C /srv/mill pull --ff-only",
        "git fetch && git reset --hard origin/main",
        "git fetch origin main && git checkout FETCH_HEAD",
    ] {
        assert!(takes_branch(newest), "{newest}");
    }
    for named in ["git fetch && git checkout \"$1\"", "cargo build --release"] {
        assert!(!takes_branch(named), "{named}");
    }
    // And what the runner has checked out is not what the machine then has.
    let flow = steps(
        "      - uses: actions/checkout@v4\n      - run: ssh ops@box.example 'cd /srv/mill && git pull && docker compose up -d --build'\n",
    );
    assert!(only(&read(&[(FLOW, &flow)])).release.is_none());
}

#[test]
fn services_behind_a_variable_are_not_known_and_none_is_named() {
    let services = |words: &str| {
        let flow = steps(&format!(
            "      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d {words}'\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        let Tool::Compose(call) = &only(&survey).tool else {
            panic!("{:?}", survey.deployments);
        };
        let names = call.services.iter().map(|name| name.value.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(services("web worker"), ["web", "worker"]);
    assert_eq!(services("$BUILD_FLAG"), [""; 0]);
    assert_eq!(services("web $MORE"), [""; 0]);
}

#[test]
fn a_question_about_migrations_is_no_migration() {
    let migration = |words: &str| {
        let flow = steps(&format!(
            "      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d && docker compose exec -T web {words}'\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        only(&survey).migration.is_some()
    };
    assert!(migration("node dist/migrate-all.js"));
    assert!(!migration("node dist/migrate-all.js --status"));
    assert!(!migration("python manage.py showmigrations"));
    assert!(!migration("npx prisma migrate status"));
}

#[test]
fn a_file_that_a_workflow_names_in_its_own_way_is_not_called_unused() {
    let unused = |flow: &str| {
        let survey = read(&[
            (FLOW, &steps(flow)),
            ("docker-compose.yml", "services: { mill: { build: . } }\n"),
            ("infra/compose.yml", "services: { mill: { build: . } }\n"),
        ]);
        let paths = survey.unused.iter().map(|one| one.path.clone());
        paths.collect::<Vec<_>>()
    };
    // A program that runs them elsewhere, and that is not understood.
    assert_eq!(
        unused(
            "      - run: az vm run-command invoke -n vm --scripts \"sed -i s/a/b/ /opt/mill/docker-compose.yml\"\n"
        ),
        ["infra/compose.yml"]
    );
    // The folder on the machine ends as the one here.
    assert_eq!(
        unused("      - run: ssh ops@box.example 'cd ~/mill/infra && docker compose up -d'\n"),
        ["docker-compose.yml"]
    );
    assert_eq!(
        unused("      # docker-compose.yml is for development.\n      - run: bin/kamal deploy\n"),
        ["docker-compose.yml", "infra/compose.yml"]
    );
}

#[test]
fn on_a_machine_of_ones_own_what_a_developer_starts_is_no_release_and_a_clean_up_no_test() {
    let deploys = |on: &str, steps: &str| {
        let flow = format!(
            "on: {on}\njobs:\n  deploy:\n    runs-on: [self-hosted, mill]\n    steps:\n      - uses: actions/checkout@v4\n{steps}"
        );
        !read(&[(FLOW, &flow)]).deployments.is_empty()
    };
    let push = "{ push: { branches: [main] } }";
    let up = "      - run: docker compose up -d --build\n";
    assert!(deploys(push, up));
    assert!(!deploys(
        push,
        "      - run: docker compose -f docker-compose.dev.yml up -d\n"
    ));
    let after_failure = "      - if: failure()\n        run: docker compose down\n";
    assert!(deploys(push, &format!("{up}{after_failure}")));
    assert!(deploys(
        push,
        &format!("{up}      - run: docker image rm mill:old\n")
    ));
    assert!(!deploys(
        push,
        &format!("{up}      - run: docker compose down\n")
    ));
    // A job that says that it deploys does, for a pull request, too.
    assert!(deploys("{ push: {}, pull_request: {} }", up));
}

#[test]
fn programs_that_were_passed_over_are_known() {
    let tool = |line: &str| {
        let survey = read(&[(FLOW, &steps(&format!("      - run: {line}\n")))]);
        format!("{:?}", only(&survey).tool)
    };
    let deployer = tool("php \"$HOME/.deployer/dep.phar\" deploy production -v");
    assert!(
        deployer.starts_with("Deployer") && deployer.contains("production"),
        "{deployer}"
    );
    let lightsail = tool("aws lightsail create-container-service-deployment --service-name mill");
    assert!(
        lightsail.contains("Amazon Lightsail") && lightsail.contains("mill"),
        "{lightsail}"
    );
    let packaged = |json: &str| {
        let survey = read(&[
            (FLOW, &steps("      - run: bun run ship\n")),
            ("package.json", json),
        ]);
        format!("{:?}", only(&survey).tool)
    };
    let bun = packaged("{\"scripts\":{\"build\":\"x\",\"ship\":\"wrangler deploy --env live\"}}");
    assert!(bun.contains("Cloudflare Workers"), "{bun}");
}

#[test]
fn what_a_person_names_as_the_release_is_not_its_default() {
    let flow = "on: { workflow_dispatch: { inputs: { version: { default: latest } } } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - env: { TAG: \"${{ github.event.inputs.version }}\" }\n        run: ansible-playbook site.yml\n";
    let survey = read(&[(FLOW, flow)]);
    let release = only(&survey).release.as_ref().unwrap();
    assert_eq!(release.value.text(), "${{ github.event.inputs.version }}");
}

#[test]
fn an_image_in_small_letters_is_the_one_that_is_pushed() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    env: { OWNER: Acme }\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: \"ghcr.io/acme/mill:${{ github.sha }}\" }\n      - run: ssh ops@box.example \"docker run -d --name mill ghcr.io/${OWNER,,}/mill:$GITHUB_SHA\"\n";
    let survey = read(&[(FLOW, flow)]);
    assert_eq!(only(&survey).images.len(), 1);
}

#[test]
fn a_starter_that_nobody_filled_in_deploys_nothing() {
    let survey = |service: &str| {
        let flow = format!(
            "name: Deploy to Amazon ECS\non: {{ push: {{ branches: [main] }} }}\nenv:\n  ECS_SERVICE: {service} # set this to your Amazon ECS service name\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n        with: {{ task-definition: task.json, service: \"${{{{ env.ECS_SERVICE }}}}\", cluster: mill }}\n"
        );
        read(&[(FLOW, &flow)])
    };
    let starter = survey("MY_ECS_SERVICE");
    assert_eq!((starter.deployments.len(), starter.called_so.len()), (0, 0));
    let [note] = &starter.passed_over[..] else {
        panic!("{:?}", starter.passed_over);
    };
    assert!(
        note.contains("`MY_ECS_SERVICE` is the starter's own placeholder"),
        "{note}"
    );
    only(&survey("MY-service"));
}

/// Until a platform has waited, the release before answers: what is asked there guards nothing.
#[test]
fn a_release_is_live_once_the_platform_has_waited_for_it() {
    for (calls, last) in [
        (
            "      - run: aws ecs update-service --cluster mill --service web --force-new-deployment\n      - run: echo started\n      - run: aws ecs wait services-stable --cluster mill --services web\n",
            2,
        ),
        (
            "      - run: aws deploy create-deployment --application-name mill --deployment-group-name live --s3-location bucket=b,key=k,bundleType=zip\n      - run: aws deploy wait deployment-successful --deployment-id 1\n      - run: echo done\n",
            1,
        ),
        (
            "      - run: kubectl apply -f k8s.yaml\n      - run: kubectl -n mill rollout status deploy/web\n      - run: curl -f https://mill.example.com/up\n",
            2,
        ),
        (
            "      - run: kubectl apply -f k8s.yaml\n      - run: kubectl -n mill rollout status deploy/web\n      - if: failure()\n        run: |\n          kubectl -n mill rollout undo deploy/web\n          kubectl -n mill rollout status deploy/web\n",
            1,
        ),
        (
            "      - run: aws ecs update-service --cluster mill --service web --force-new-deployment\n      - if: always()\n        run: aws ecs wait services-stable --cluster mill --services web\n",
            0,
        ),
    ] {
        let flow = steps(calls);
        let survey = read(&[
            (FLOW, &flow),
            ("k8s.yaml", "kind: Deployment\nmetadata: { name: web }\n"),
        ]);
        assert_eq!(only(&survey).last_step, last, "{calls}");
    }
}

/// Folders of their own and a link keep the releases of before: nothing is overwritten.
#[test]
fn a_link_to_the_release_is_seen_in_a_script_and_on_a_machine() {
    let script = "#!/bin/sh\nssh ops@mill.example \"ln -sfn /opt/mill/$1 /opt/mill/current && systemctl restart mill\"\n";
    let of = |step: &str, script: &str| {
        let flow = steps(&format!("      - uses: actions/checkout@v4\n{step}"));
        let survey = read(&[(FLOW, &flow), ("ship.sh", script)]);
        only(&survey).links.as_ref().map(ToString::to_string)
    };
    let call = "      - run: sh ship.sh ${{ github.sha }}\n";
    assert_eq!(of(call, script).as_deref(), Some("ship.sh:2"));
    let other = script.replace("/opt/mill/$1 /opt/mill/current", "/data /opt/mill/data");
    assert_eq!(of(call, &other), None);
}

/// What is copied may be a file: its own path is not a folder.
#[test]
fn a_file_that_is_copied_lies_in_its_folder() {
    let of = |target: &str| {
        let flow = steps(&format!(
            "      - run: scp bin/mill ops@mill.example:{target}\n      - run: ssh ops@mill.example sudo systemctl restart mill\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        only(&survey)
            .folder
            .as_ref()
            .map(|folder| folder.value.clone())
    };
    assert_eq!(
        of("/usr/local/bin/mill.new").as_deref(),
        Some("/usr/local/bin")
    );
    assert_eq!(of("/opt/mill/").as_deref(), Some("/opt/mill"));
    assert_eq!(of("/opt/mill").as_deref(), Some("/opt/mill"));
}

/// A program that is fetched tells nothing of the release.
#[test]
fn a_download_is_no_health_check() {
    for (command, is_asked) in [
        (
            "curl -L https://get.example.com/deploy-guard.tgz | tar xz",
            false,
        ),
        ("curl -L https://get.example.com/deploy-guard.tgz", false),
        (
            "curl -sSL https://get.example.com/tool?raw=1 | sudo tar xz",
            false,
        ),
        ("curl -fsSLo tool https://get.example.com/tool", false),
        ("curl -OL https://get.example.com/tool", false),
        ("curl -fsSL https://get.example.com/setup | bash", false),
        ("wget -q https://get.example.com/tool.zip", false),
        ("curl --output tool https://get.example.com/tool", false),
        ("curl -so /dev/null https://mill.example.com/health", true),
        (
            "curl -sf https://mill.example.com/health.json | jq .status",
            true,
        ),
        ("curl -fsS https://mill.example.com/health", true),
    ] {
        let flow = format!(
            "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@mill.example.com 'cd /srv && docker compose up -d'\n      - run: {command}\n"
        );
        let survey = read(&[(FLOW, &flow)]);
        assert_eq!(!only(&survey).health.is_empty(), is_asked, "{command}");
    }
}

/// An action of the repository knows its own inputs alone: what the job gives it, else its defaults.
#[test]
fn an_action_of_the_repository_has_its_own_inputs() {
    let action = |health: &str| {
        format!(
            "name: ship\ninputs:\n  host: {{ required: true }}\n  folder: {{ default: /srv/mill }}\n  health: {{ {health} }}\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: |\n        ssh ops@${{{{ inputs.host }}}} 'cd ${{{{ inputs.folder }}}} && docker compose up -d'\n        curl -f https://${{{{ inputs.host }}}}${{{{ inputs.health }}}}${{{{ inputs.other }}}}\n"
        )
    };
    let flow = "on:\n  workflow_dispatch:\n    inputs: { health: { default: /nope }, other: { default: /nope } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./.github/actions/ship\n        with: { host: mill.example.com }\n";
    for (health, url) in [
        ("default: /up", "https://mill.example.com/up"),
        ("required: false", "https://mill.example.com"),
    ] {
        // GitHub ignores the case of an input's name.
        let declared = action(health);
        for action in [&declared, &declared.replace("  host: {", "  Host: {")] {
            let survey = read(&[(FLOW, flow), (".github/actions/ship/action.yml", action)]);
            let one = only(&survey);
            assert_eq!(one.folder.as_ref().unwrap().value, "/srv/mill");
            assert_eq!(one.health[0].url.text(), url);
        }
    }
}

/// An engine that a context leads to is a machine as one of `DOCKER_HOST` is.
#[test]
fn a_context_of_docker_leads_to_its_machine() {
    let create = "docker context create live --docker host=ssh://ops@swarm.example.com";
    for (before, call) in [
        (
            create,
            "docker --context live stack deploy -c stack.yml mill",
        ),
        (
            create,
            "DOCKER_CONTEXT=live docker stack deploy -c stack.yml mill",
        ),
        (
            "docker context create live --docker host=ssh://ops@swarm.example.com && docker context use live",
            "docker stack deploy -c stack.yml mill",
        ),
        (create, "docker --context live compose up -d"),
    ] {
        let flow = format!(
            "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: {before}\n      - run: {call}\n"
        );
        let survey = read(&[(FLOW, &flow)]);
        let login = only(&survey).login.as_ref().unwrap();
        assert_eq!(login.address.value.text(), "swarm.example.com", "{call}");
    }
    let flow = format!(
        "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: {create}\n      - run: docker --context other stack deploy -c stack.yml mill\n"
    );
    assert!(read(&[(FLOW, &flow)]).deployments.is_empty());
}

/// Watchtower is asked by GET to fetch the image anew.
#[test]
fn a_call_of_watchtower_deploys() {
    let flow = "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -H \"Authorization: Bearer ${{ secrets.WT }}\" https://mill.example.com:8080/v1/update\n";
    let survey = read(&[(FLOW, flow)]);
    assert!(matches!(only(&survey).tool, Tool::Hook { .. }));
}

/// A step of ours may be within an action of the repository, which may be told what it does.
#[test]
fn an_action_of_the_repository_that_uses_us_is_ours() {
    let flow = |rest: &str| {
        format!(
            "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./.github/actions/gate\n{rest}"
        )
    };
    let action = |step: &str| {
        format!(
            "name: gate\ninputs: {{ stage: {{ default: preflight }}, url: {{}} }}\nruns:\n  using: composite\n  steps:\n    - {step}\n"
        )
    };
    let calls = |flow: &str, step: &str| {
        let files = [(FLOW, flow), (".github/actions/gate/action.yml", step)];
        let survey = read(&files);
        let steps = survey.workflows[0].jobs[0].steps.iter();
        let own = steps.map(|step| match &step.own {
            Some(workflow::Own::Runs(calls)) => {
                let stages = calls
                    .iter()
                    .map(|call| call.stage.clone().unwrap_or_default());
                let all: Vec<String> = stages.chain(step.asks().cloned()).collect();
                all.join(" ")
            }
            Some(workflow::Own::Setup) => "setup".to_owned(),
            None => String::new(),
        });
        let own: Vec<String> = own.collect();
        assert_eq!(
            survey.workflows[0].guards,
            own.iter().any(|one| !one.is_empty())
        );
        own
    };
    let told = "        with: { Stage: healthgate, url: \"https://${{ vars.HOST }}/up\" }\n";
    let stage = action(
        "{ uses: org/deploy-guard@v1, with: { stage: \"${{ inputs.stage }}\", url: \"${{ inputs.url }}\" } }",
    );
    assert_eq!(calls(&flow(""), &stage), ["preflight"]);
    assert_eq!(
        calls(&flow(told), &stage),
        ["healthgate https://${{ vars.HOST }}/up"]
    );
    assert_eq!(calls(&flow("        if: false\n"), &stage), [""]);
    let run = action("{ run: 'deploy-guard healthgate --http ${{ inputs.url }}', shell: bash }");
    assert_eq!(
        calls(&flow(told), &run),
        ["healthgate https://${{ vars.HOST }}/up"]
    );
    let make = action("{ run: make, shell: bash }");
    assert_eq!(calls(&flow(""), &make), [""]);
    let setup = action("{ uses: org/deploy-guard/setup@v1 }");
    let then = flow("      - run: healthgate\n");
    assert_eq!(calls(&then, &setup), ["setup", "healthgate"]);
}

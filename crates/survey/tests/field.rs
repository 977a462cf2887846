//! Small repositories, each with what a real one had that was read wrong.

use survey::{Deployment, HealthSource, Tool};

use crate::small::{only, read, steps};

const FLOW: &str = ".github/workflows/deploy.yml";

fn compose(one: &Deployment) -> &survey::ComposeCall {
    let Tool::Compose(call) = &one.tool else {
        panic!("{:?}", one.tool);
    };
    call
}

fn text(fact: Option<&survey::Fact<survey::Value>>) -> Option<String> {
    fact.map(|fact| format!("{} {}", fact.value, fact.at.number))
}

#[test]
fn a_program_for_bash_behind_variables_is_read_on_its_machine() {
    let flow = steps(concat!(
        "      - run: rsync -a ./ ops@box.example:/srv/mill/\n",
        "      - env: { NAME: mill, PORT: \"${{ secrets.BOX_PORT }}\" }\n",
        "        run: |\n",
        "          ssh -p \"${PORT:-2222}\" ops@box.example \"NAME='$NAME' bash -s\" <<'END'\n",
        "          cd \"/srv/$NAME\"\n",
        "          docker compose up -d --build\n",
        "          END\n",
    ));
    let survey = read(&[
        (FLOW, &flow),
        (
            "compose.yaml",
            "services:\n  mill: { build: . }\n  db: { image: \"postgres:16\" }\n",
        ),
    ]);
    let one = only(&survey);
    assert_eq!(compose(one).known_files, ["compose.yaml"]);
    assert_eq!(compose(one).standing, ["db"]);
    assert_eq!(
        (one.at.number, &*one.steps, one.last_step),
        (11, &[0, 1][..], 1)
    );
    assert_eq!(one.folder.as_ref().unwrap().value, "/srv/mill");
    let login = one.login.as_ref().unwrap();
    assert_eq!(
        text(login.port.as_ref()).unwrap(),
        "${{ secrets.BOX_PORT || 2222 }} 9"
    );
}

#[test]
fn commands_that_a_cloud_hands_to_a_machine_deploy() {
    for command in [
        "gcloud compute ssh shop-a --zone=europe-west3-a --tunnel-through-iap --command='docker pull shop && docker run -d shop'",
        "gcloud beta compute ssh ops@shop-a --zone europe-west3-a --command \"sudo systemctl restart shop\"",
        "aws ssm send-command --instance-ids i-0 --document-name AWS-RunShellScript --parameters 'commands=[\"./deploy.sh\"]'",
        "az vm run-command invoke -g shop -n shop-a --command-id RunShellScript --scripts @deploy.sh",
    ] {
        let survey = read(&[(FLOW, &steps(&format!("      - run: {command}\n")))]);
        assert_eq!(survey.deployments.len(), 1, "{command}");
        let one = only(&survey);
        assert!(
            matches!(one.tool, Tool::Commands),
            "{command}: {:?}",
            one.tool
        );
    }
    let flow = steps("      - run: gcloud compute ssh shop-a --dry-run\n");
    assert!(read(&[(FLOW, &flow)]).deployments.is_empty());
}

#[test]
fn files_of_another_folder_are_not_this_repositorys() {
    let flow = steps(concat!(
        "      - run: rsync -a ./ ops@box.example:/srv/mill/source/\n",
        "      - run: ssh ops@box.example 'cd /srv/mill/stack && docker compose up -d api'\n",
    ));
    let survey = read(&[
        (FLOW, &flow),
        (
            "compose.yaml",
            "services:\n  db: { image: \"postgres:16\" }\n",
        ),
    ]);
    let call = compose(only(&survey));
    assert!(
        call.known_files.is_empty() && call.standing.is_empty(),
        "{call:?}"
    );
    assert_eq!(survey.unused.len(), 1);
    // Above the checkout is outside of it.
    let flow = steps(
        "      - run: ssh ops@box.example 'cd /srv/mill && git pull && cd .. && docker compose up -d'\n",
    );
    let survey = read(&[
        (FLOW, &flow),
        ("compose.yaml", "services:\n  db: { build: . }\n"),
    ]);
    let one = only(&survey);
    assert_eq!(one.folder.as_ref().unwrap().value, "/srv");
    assert!(compose(one).known_files.is_empty());
}

#[test]
fn what_ssh_keyscan_prints_is_no_known_key() {
    let flow = steps(concat!(
        "      - env: { BOX: \"${{ secrets.BOX }}\", KEY: \"${{ secrets.BOX_KEY }}\" }\n",
        "        run: |\n",
        "          echo \"$KEY\" > ~/.ssh/box\n",
        "          ssh-keyscan -H \"$BOX\" >> ~/.ssh/known_hosts\n",
        "          ssh -i ~/.ssh/box ops@$BOX 'systemctl restart mill'\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let login = only(&survey).login.clone().unwrap();
    assert_eq!(
        text(login.key.as_ref()).unwrap(),
        "${{ secrets.BOX_KEY }} 8"
    );
    assert_eq!(login.known_hosts, None);
}

#[test]
fn what_a_subshell_changes_is_its_own() {
    let script = "#!/bin/sh\ncd /srv/mill\n(cd web && npm ci)\npm2 reload mill\n";
    let flow = steps("      - run: ssh ops@box.example '/srv/mill/ops/deploy.sh'\n");
    let survey = read(&[(FLOW, &flow), ("ops/deploy.sh", script)]);
    let one = only(&survey);
    assert!(
        matches!(&one.tool, Tool::Pm2 { app: Some(app) } if app.text() == "mill"),
        "{:?}",
        one.tool
    );
    assert_eq!(one.at.to_string(), "ops/deploy.sh:4");
    assert_eq!(one.folder.as_ref().unwrap().value, "/srv/mill");
}

#[test]
fn a_command_in_a_variable_is_split_into_words() {
    let flow = steps(
        "      - run: |\n          ssh ops@box.example '\n          cd /srv/mill && git pull\n          DC=\"docker compose -f live.yml\"\n          $DC up -d web'\n",
    );
    let survey = read(&[
        (FLOW, &flow),
        ("live.yml", "services:\n  web: { build: . }\n"),
    ]);
    let call = compose(only(&survey)).clone();
    assert_eq!(
        (
            call.files[0].value.as_str(),
            call.services[0].value.as_str()
        ),
        ("live.yml", "web")
    );
    assert_eq!(call.known_files, ["live.yml"]);
}

#[test]
fn outputs_with_two_values_are_not_known() {
    let flow = steps(concat!(
        "      - id: where\n",
        "        run: |\n",
        "          if [ \"$GITHUB_REF_NAME\" = main ]; then\n",
        "            echo \"service=mill-live\" >> $GITHUB_OUTPUT\n",
        "          else\n",
        "            echo \"service=mill-dev\" >> $GITHUB_OUTPUT\n",
        "          fi\n",
        "      - run: aws ecs update-service --cluster mills --service ${{ steps.where.outputs.service }} --force-new-deployment\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    let Tool::Ecs(call) = &one.tool else {
        panic!("{:?}", one.tool);
    };
    assert_eq!(
        text(call.service.as_ref()).unwrap(),
        "${{ steps.where.outputs.service }} 13"
    );
    // The same task once more: the commit is not what it is called by.
    assert_eq!(one.release, None);
}

#[test]
fn a_tag_that_moves_names_no_release() {
    for (tag, fixed) in [
        ("mill/web", "latest"),
        ("mill/web:staging", "staging"),
        ("mill/web:${{ github.ref_name }}", "${{ github.ref_name }}"),
    ] {
        let flow = steps(&format!(
            "      - uses: actions/checkout@v4\n      - uses: docker/build-push-action@v6\n        with: {{ push: true, tags: \"{tag}\" }}\n      - run: ssh ops@box.example 'docker run -d --name web {tag}'\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        let one = only(&survey);
        assert_eq!(one.release, None, "{tag}");
        assert_eq!(one.images[0].fixed_tag.as_deref(), Some(fixed));
    }
}

#[test]
fn of_two_tags_the_release_is_the_one_that_does_not_move_and_the_file_tells_which_is_started() {
    let flow = steps(concat!(
        "      - uses: docker/build-push-action@v6\n",
        "        with: { push: true, tags: \"mill/web:latest,mill/web:${{ github.sha }}\" }\n",
        "      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d'\n",
    ));
    let survey = read(&[
        (FLOW, &flow),
        (
            "compose.yaml",
            "services:\n  web: { image: \"mill/web:latest\" }\n  db: { image: postgres }\n",
        ),
    ]);
    let one = only(&survey);
    assert_eq!(text(one.release.as_ref()).unwrap(), "${{ github.sha }} 7");
    assert_eq!(one.images[0].fixed_tag.as_deref(), Some("latest"));
    assert_eq!(compose(one).standing, ["db"]);
}

#[test]
fn a_secret_that_may_hold_the_tag_is_no_latest() {
    for (image, tags) in [
        ("eu.example/${{ secrets.IMAGE }}", &[][..]),
        ("eu.example/${{ secrets.TEAM }}/shop", &["latest"][..]),
    ] {
        let flow = steps(&format!(
            "      - run: docker build -t {image} . && docker push {image}\n      - run: ssh ops@box.example 'docker run -d {image}'\n"
        ));
        let survey = read(&[(FLOW, &flow)]);
        let images = only(&survey).images.iter();
        let found: Vec<_> = images
            .map(|one| one.fixed_tag.as_deref().unwrap())
            .collect();
        assert_eq!(found, tags, "{image}");
    }
}

#[test]
fn a_branch_that_is_checked_out_names_no_release() {
    let flow = "on:\n  push: { branches: [main] }\n  workflow_dispatch: { inputs: { ref: { default: main } } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n        with: { ref: \"${{ inputs.ref || github.ref }}\" }\n      - run: ssh ops@box.example 'cd /srv/mill && git pull && systemctl restart mill'\n";
    assert_eq!(only(&read(&[(FLOW, flow)])).release, None);
}

#[test]
fn ways_back_upkeep_and_tests_are_no_deployments() {
    let cases = [
        (
            "rollback",
            "on: workflow_dispatch\njobs:\n  rollback:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d'\n",
        ),
        (
            "clock",
            "on: { schedule: [{ cron: \"0 2 * * *\" }] }\njobs:\n  night:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'systemctl restart mill && docker system prune -f'\n",
        ),
        (
            "backup",
            "on: [push]\njobs:\n  backup:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'python3 dump.py'\n",
        ),
        (
            "test",
            "on: [push]\njobs:\n  check:\n    runs-on: self-hosted\n    steps:\n      - run: docker compose up -d\n      - run: docker compose down -v\n",
        ),
        (
            "requests",
            "on: [push, pull_request]\njobs:\n  check:\n    runs-on: self-hosted\n    steps:\n      - run: git fetch --tags && composer install && docker compose up -d\n",
        ),
        (
            "preview",
            "on: [push, pull_request]\njobs:\n  show:\n    if: github.event_name == 'pull_request'\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'docker compose up -d'\n",
        ),
        (
            "never",
            "on: [push]\njobs:\n  live:\n    if: ${{ false }}\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'docker compose up -d'\n",
        ),
    ];
    for (name, flow) in cases {
        let survey = read(&[(&format!(".github/workflows/{name}.yml"), flow)]);
        assert!(
            survey.deployments.is_empty(),
            "{name}: {:#?}",
            survey.deployments
        );
    }
}

#[test]
fn a_merged_request_deploys() {
    let flow = "on: { pull_request: { types: [closed], branches: [live] } }\njobs:\n  live:\n    if: github.event.pull_request.merged == true\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'cd mill && git pull && npm ci'\n";
    assert_eq!(only(&read(&[(FLOW, flow)])).at.number, 7);
}

#[test]
fn steps_after_a_failure_are_not_the_deployment() {
    let flow = steps(concat!(
        "      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d'\n",
        "      - run: curl -f https://mill.example/health\n",
        "      - if: failure()\n",
        "        run: ssh ops@box.example 'cd /srv/mill && TAG=old docker compose up -d'\n",
        "      - if: always()\n",
        "        run: curl -f https://panel.example/close\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    assert_eq!(
        (&*one.steps, one.last_step, one.at.number),
        (&[0][..], 1, 6)
    );
    let urls: Vec<&str> = one.health.iter().map(|health| health.url.text()).collect();
    assert_eq!(urls, ["https://mill.example/health"]);
}

#[test]
fn programs_that_are_started_on_the_machine_are_the_last_step() {
    let flow = steps(concat!(
        "      - uses: appleboy/scp-action@v1\n",
        "        with: { host: box.example, username: ops, key: \"${{ secrets.KEY }}\", source: mill.jar, target: /srv/mill }\n",
        "      - run: ssh ops@box.example 'cd /srv/mill && pkill java; nohup java -jar mill.jar &'\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    assert!(matches!(one.tool, Tool::Commands), "{:?}", one.tool);
    assert_eq!((&*one.steps, one.last_step), (&[0, 1][..], 1));
}

#[test]
fn addresses_that_say_nothing_of_the_release_are_not_asked() {
    let flow = steps(concat!(
        "      - run: curl -f https://mill.example/health/before\n",
        "      - run: |\n",
        "          ssh ops@box.example 'cd /srv/mill && docker compose up -d'\n",
        "          curl -H 'Authorization: Bearer x' https://panel.example/allow\n",
        "          curl -X POST https://chat.example/say -d done\n",
        "          curl \"$ADDRESS/health\"\n",
        "          curl https://mill.example/\n",
        "          curl https://mill.example/ready\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let health = &only(&survey).health;
    let urls: Vec<&str> = health.iter().map(|health| health.url.text()).collect();
    assert_eq!(
        urls,
        ["https://mill.example/ready", "https://mill.example/"]
    );
    assert!(
        health
            .iter()
            .all(|health| health.from == HealthSource::Workflow)
    );
    // A request that starts a deployment must not be made by a gate.
    let survey = read(&[(
        FLOW,
        &steps("      - run: curl \"${{ secrets.DEPLOY_HOOK }}\"\n"),
    )]);
    let one = only(&survey);
    assert!(
        matches!(&one.tool, Tool::Hook { .. }) && one.health.is_empty(),
        "{one:#?}"
    );
}

#[test]
fn an_environment_by_a_condition_is_production_and_not_the_first_word() {
    let flow = "on: { push: { branches: [main, next] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: ${{ github.ref == 'refs/heads/next' && 'staging' || 'production' }}\n    steps:\n      - run: ssh ops@box.example 'docker compose up -d'\n";
    let survey = read(&[(FLOW, flow)]);
    let environment = only(&survey).environment.clone().unwrap();
    assert_eq!(
        (environment.name.value.as_str(), environment.name.at.number),
        ("production", 5)
    );
}

#[test]
fn an_image_that_is_only_pushed_is_published() {
    let flow = steps(
        "      - uses: docker/build-push-action@v6\n        with: { push: true, tags: \"mill/web:${{ github.sha }}\" }\n",
    );
    let survey = read(&[(FLOW, &flow)]);
    assert!(survey.deployments.is_empty());
    assert_eq!(survey.published[0].value, "an image");
    assert_eq!(survey.published[0].at.number, 7);
}

#[test]
fn what_is_handed_to_kubernetes_is_the_release() {
    let flow = steps(concat!(
        "      - uses: actions/checkout@v4\n",
        "      - run: kubectl create secret generic a --from-literal=a=b --dry-run=client -o yaml | kubectl apply -f -\n",
        "      - run: echo \"TAG=v$(date +%s)\" >> $GITHUB_ENV\n",
        "      - run: helm -n mills upgrade --install mill ./chart --set image.tag=$TAG\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    assert_eq!((&*one.steps, one.at.number), (&[3][..], 9));
    assert_eq!(one.release, None);
    let flow = "on: { workflow_dispatch: { inputs: { sha: { required: true } } } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          ./kustomize edit set image mill=mill/web:${{ inputs.sha }}\n          kubectl apply -k .\n";
    let survey = read(&[(FLOW, flow)]);
    assert_eq!(
        text(only(&survey).release.as_ref()).unwrap(),
        "${{ inputs.sha }} 8"
    );
}

/// What is told of a way, without the lines.
fn way(login: &survey::Login) -> String {
    let value = |fact: &Option<survey::Fact<survey::Value>>| {
        fact.as_ref()
            .map_or("-".to_owned(), |fact| fact.value.to_string())
    };
    let one = |login: &survey::Login| {
        format!(
            "{}@{}:{} with {}",
            value(&login.user),
            login.address.value,
            value(&login.port),
            value(&login.key)
        )
    };
    let chain = std::iter::successors(Some(login), |login| login.jump.as_deref());
    let mut text = chain.map(one).collect::<Vec<_>>().join(" by way of ");
    if let Some(client) = &login.client {
        text.push_str(&format!(
            " by ssh: {} {:?}",
            client.need.value, client.set_up
        ));
    }
    text.replace("secrets.", "")
        .replace("${{ ", "")
        .replace(" }}", "")
}

#[test]
fn a_way_through_other_machines_is_read_in_every_form() {
    const KEYS: &str = concat!(
        "      - run: |\n",
        "          echo \"${{ secrets.KEY }}\" > ~/.ssh/id_ed25519\n",
        "          echo \"${{ secrets.EDGE_KEY }}\" > ~/.ssh/edge\n",
    );
    let config = |text: &str| {
        format!("      - run: |\n          cat > ~/.ssh/config <<'END'\n{text}          END\n")
    };
    let run = |text: &str| format!("      - run: {text}\n");
    let on_box = "ops@box 'cd /srv && docker compose up -d'";
    let cases = [
        (
            run("ssh -tt -p 2222 -i ~/.ssh/edge -o StrictHostKeyChecking=no release@h 'cd x && docker compose up -d'"),
            "release@h:2222 with EDGE_KEY",
        ),
        (
            run(&format!("ssh -J hop@edge.example:2222 {on_box}")),
            "ops@box:- with KEY by way of hop@edge.example:2222 with KEY",
        ),
        (
            run(&format!("ssh -i ~/.ssh/id_ed25519 -o ProxyJump=a,b@edge.example {on_box}")),
            "ops@box:- with KEY by way of b@edge.example:- with KEY by way of -@a:- with KEY",
        ),
        (
            run(&format!("ssh -p 22022 -i ~/.ssh/id_ed25519 -o ProxyCommand=\"ssh -q -W %h:%p -i ~/.ssh/edge ${{{{ secrets.EDGE_USER }}}}@${{{{ vars.EDGE }}}}\" {on_box}")),
            "ops@box:22022 with KEY by way of EDGE_USER@vars.EDGE:- with EDGE_KEY",
        ),
        (
            config("          Host edge\n            HostName edge.example\n            User hop\n            IdentityFile ~/.ssh/edge\n          Host b*\n            HostName 10.0.0.5\n            ProxyJump edge\n")
                + &run(&format!("ssh -i ~/.ssh/id_ed25519 {on_box}")),
            "ops@10.0.0.5:- with KEY by way of hop@edge.example:- with EDGE_KEY",
        ),
        (
            "      - run: printf 'Host box\\n' >> ~/.ssh/config\n      - run: echo '  ProxyJump edge' >> ~/.ssh/config\n".to_owned()
                + &run(&format!("ssh -i ~/.ssh/id_ed25519 {on_box}")),
            "ops@box:- with KEY by way of -@edge:- with KEY",
        ),
        (
            "      - uses: appleboy/ssh-action@v1\n        with: { host: box, username: ops, key: \"${{ secrets.KEY }}\", proxy_host: edge, proxy_username: hop, proxy_port: 2222, proxy_key: \"${{ secrets.EDGE_KEY }}\", script: docker compose up -d }\n".to_owned(),
            "ops@box:- with KEY by way of hop@edge:2222 with EDGE_KEY",
        ),
        (
            config("          Host box\n            User ops\n            ProxyCommand cloudflared access ssh --hostname %h\n")
                + &run("ssh box 'docker compose up -d'"),
            "-@box:- with KEY by ssh: ProxyCommand cloudflared access ssh --hostname %h Step(1)",
        ),
        (
            config("          Match exec \"test -f /tmp/x\"\n            ProxyJump edge\n")
                + &run(&format!("ssh {on_box}")),
            "ops@box:- with KEY by ssh: Match exec \"test -f /tmp/x\" Step(1)",
        ),
        (
            run("echo \"${{ secrets.CERT }}\" > ~/.ssh/id_ed25519-cert.pub")
                + &run(&format!("ssh -J hop@edge {on_box}")),
            "ops@box:- with KEY by way of hop@edge:- with KEY by ssh: the certificate ~/.ssh/id_ed25519-cert.pub Step(1)",
        ),
        (
            run(&format!("ssh -o ProxyCommand='nc -x proxy:1080 %h %p' {on_box}")),
            "ops@box:- with KEY by ssh: ProxyCommand nc -x proxy:1080 %h %p Options",
        ),
        (
            run(&format!("ssh -F ops/ssh_config {on_box}")),
            "ops@box:- with KEY by ssh: -F ops/ssh_config File(\"ops/ssh_config\")",
        ),
    ];
    for (text, expected) in cases {
        let survey = read(&[(FLOW, &steps(&format!("{KEYS}{text}")))]);
        assert_eq!(
            way(only(&survey).login.as_ref().unwrap()),
            expected,
            "{text}"
        );
    }
    // Two keys in one agent: which of them logs in is not known.
    let flow = steps(
        &(concat!(
            "      - uses: webfactory/ssh-agent@v0.9.1\n",
            "        with:\n",
            "          ssh-private-key: |\n",
            "            ${{ secrets.A }}\n",
            "            ${{ secrets.B }}\n",
        )
        .to_owned()
            + &run(&format!("ssh {on_box}"))),
    );
    let survey = read(&[(FLOW, &flow)]);
    assert_eq!(
        way(only(&survey).login.as_ref().unwrap()),
        "ops@box:- with - by ssh: the keys of its agent Step(0)"
    );
}

/// In a step, its job, its workflow: for a tool it is the same.
#[test]
fn a_release_is_found_in_the_environment_at_each_level() {
    for value in [
        "${{ github.sha }}",
        "${{ inputs.version }}",
        "v1-${{ github.run_number }}",
    ] {
        for level in 0..3 {
            for call in [
                "ssh ops@box \"cd /srv && ./ship.sh $TAG\"",
                "ssh ops@box \"cd /srv && TAG=$TAG docker compose up -d\"",
                "./deploy.sh",
            ] {
                let env = |at: usize, indent: &str| {
                    if at == level {
                        format!("{indent}env: {{ TAG: \"{value}\" }}\n")
                    } else {
                        String::new()
                    }
                };
                let flow = format!(
                    "on: {{ workflow_dispatch: {{ inputs: {{ version: {{ required: true }} }} }} }}\n{}jobs:\n  live:\n    runs-on: ubuntu-latest\n{}    steps:\n      - name: Ship\n{}        run: |\n          {call}\n",
                    env(0, ""),
                    env(1, "    "),
                    env(2, "        ")
                );
                let survey = read(&[
                    (FLOW, &flow),
                    ("deploy.sh", "#!/bin/sh\nship \"$TAG\"\n"),
                    (
                        "compose.yaml",
                        "services:\n  web: { image: \"acme/shop:${TAG}\" }\n",
                    ),
                ]);
                let release = only(&survey).release.as_ref();
                let found = release.map(|release| release.value.text());
                assert_eq!(found, Some(value), "{flow}");
            }
        }
    }
}

#[test]
fn a_called_workflow_writes_the_release_by_its_own_environment() {
    let of_live = "on: { workflow_call: { inputs: { tag: { type: string } } } }\nenv: { TAG: \"${{ inputs.tag }}\" }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          ssh ops@box \"cd /srv && TAG=$TAG docker compose up -d\"\n";
    let caller = "on: [push]\njobs:\n  build:\n    runs-on: ubuntu-latest\n    outputs: { tag: \"${{ steps.made.outputs.tag }}\" }\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: \"acme/shop:${{ steps.made.outputs.tag }}\" }\n  live:\n    needs: build\n    uses: ./.github/workflows/live.yml\n    with: { tag: \"${{ needs.build.outputs.tag }}\" }\n";
    let survey = read(&[
        (FLOW, caller),
        (".github/workflows/live.yml", of_live),
        (
            "compose.yaml",
            "services:\n  web: { image: \"acme/shop:${TAG}\" }\n",
        ),
    ]);
    assert_eq!(
        text(only(&survey).release.as_ref()).unwrap(),
        "${{ inputs.tag }} 2"
    );
}

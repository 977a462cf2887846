//! Jobs that deploy into one of several places, and releases that only a shell cuts out of a name.

use survey::{Choice, Known, Survey, Tool};

use crate::small::{only, read, steps};

const FLOW: &str = ".github/workflows/deploy.yml";
const SHIP: &str = "      - run: ssh ops@box.example 'cd /srv/mill && docker compose up -d'\n";

fn asked(environment: &str, triggers: &str) -> Survey {
    let flow = format!(
        "on: {triggers}\njobs:\n  live:\n    runs-on: ubuntu-latest\n{environment}    steps:\n{SHIP}"
    );
    read(&[(FLOW, &flow)])
}

fn condition(survey: &Survey) -> Option<String> {
    only(survey).choice.as_ref().map(Choice::condition)
}

const STAGES: &str = "{ push: { branches: [main] }, workflow_dispatch: { inputs: { stage: { type: choice, options: [staging, production] } } } }";

#[test]
fn what_a_person_or_a_branch_chooses_is_one_of_several() {
    let push = "{ push: { branches: [main, next] } }";
    for (environment, triggers, expected) in [
        (
            "    environment: ${{ inputs.stage || 'staging' }}\n",
            STAGES,
            Some("(inputs.stage || 'staging') == 'production'"),
        ),
        (
            "    environment: ${{ github.event.inputs.stage }}\n",
            STAGES,
            Some("github.event.inputs.stage == 'production'"),
        ),
        (
            "    environment: ${{ github.ref == 'refs/heads/main' && 'production' || 'dev' }}\n",
            push,
            Some("(github.ref == 'refs/heads/main' && 'production' || 'dev') == 'production'"),
        ),
        ("    environment: production\n", STAGES, None),
        ("", push, None),
    ] {
        let survey = asked(environment, triggers);
        assert_eq!(condition(&survey).as_deref(), expected, "{environment}");
    }
}

#[test]
fn without_an_environment_the_steps_say_where_they_deploy() {
    let flow = |release: &str| {
        format!(
            "on: {STAGES}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - run: helm upgrade --install mill ./chart -n mill-{release} --wait\n"
        )
    };
    let survey = read(&[(FLOW, &flow("${{ inputs.stage }}"))]);
    assert_eq!(
        condition(&survey).as_deref(),
        Some("inputs.stage == 'production'")
    );
    // What is compared with an input is no place.
    let survey = read(&[(FLOW, &flow("${{ inputs.stage == 'production' }}"))]);
    assert_eq!(condition(&survey), None);
}

#[test]
fn a_workflow_that_is_called_is_asked_as_its_caller_is() {
    let called = format!(
        "on: {{ workflow_call: {{ inputs: {{ where: {{ type: string }} }} }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: ${{{{ inputs.where }}}}\n    steps:\n{SHIP}"
    );
    for (with, expected) in [
        ("${{ inputs.stage }}", Some("inputs.where == 'production'")),
        ("production", None),
    ] {
        let calling = format!(
            "on: {STAGES}\njobs:\n  live:\n    uses: ./.github/workflows/called.yml\n    with: {{ where: \"{with}\" }}\n"
        );
        let survey = read(&[(FLOW, &calling), (".github/workflows/called.yml", &called)]);
        assert_eq!(condition(&survey).as_deref(), expected, "{with}");
    }
}

#[test]
fn a_part_of_a_commit_or_of_a_tag_is_another_name() {
    let flow = |how: &str| {
        format!(
            "on: {{ push: {{ branches: [main] }} }}\njobs:\n  image:\n    runs-on: ubuntu-latest\n    outputs: {{ tag: \"${{{{ steps.t.outputs.tag }}}}\" }}\n    steps:\n      - uses: actions/checkout@v4\n      - id: t\n        run: echo \"tag={how}\" >> $GITHUB_OUTPUT\n      - run: docker push acme/mill:${{{{ steps.t.outputs.tag }}}}\n  live:\n    needs: image\n    runs-on: ubuntu-latest\n    steps:\n      - env: {{ TAG: \"${{{{ needs.image.outputs.tag }}}}\" }}\n        run: ssh ops@box.example \"cd /srv/mill && TAG=$TAG docker compose up -d web\"\n"
        )
    };
    let compose = (
        "compose.yaml",
        "services: { web: { image: \"acme/mill:${TAG}\" } }\n",
    );
    for (how, expected) in [
        ("$(git rev-parse HEAD)", "${{ github.sha }}"),
        (
            "$(git rev-parse --short HEAD)",
            "${{ needs.image.outputs.tag }}",
        ),
        ("${GITHUB_SHA::7}", "${{ needs.image.outputs.tag }}"),
        ("${GITHUB_REF_NAME#v}", "${{ needs.image.outputs.tag }}"),
    ] {
        let survey = read(&[(FLOW, &flow(how)), compose]);
        let one = only(&survey);
        let release = one.release.as_ref().map(|release| release.value.text());
        assert_eq!(release, Some(expected), "{how}");
        assert_eq!(one.images[0].fixed_tag, None, "{how}");
    }
}

#[test]
fn a_tag_that_only_a_shell_knows_is_not_one_that_each_release_overwrites() {
    let flow = steps(concat!(
        "      - uses: actions/checkout@v4\n",
        "      - run: |\n",
        "          docker push acme/mill:${GITHUB_SHA::7}\n",
        "          kubectl set image deployment/mill web=acme/mill:${GITHUB_SHA::7}\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    assert_eq!(one.release, None);
    assert_eq!(one.images[0].fixed_tag.as_deref(), Some("${GITHUB_SHA::7}"));
    assert_eq!(one.images[0].overwritten(), None);
}

#[test]
fn a_container_runs_the_tag_that_it_is_started_by() {
    let flow = steps(concat!(
        "      - uses: actions/checkout@v4\n",
        "      - run: docker build . -t acme/mill:latest -t acme/mill:${{ github.sha }}\n",
        "      - run: docker push --all-tags acme/mill\n",
        "      - run: ssh ops@box.example 'docker run -d --name mill acme/mill:latest'\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    let one = only(&survey);
    assert_eq!(one.images[0].overwritten(), Some("latest"));
}

#[test]
fn an_action_that_asks_for_itself_tells_the_address() {
    let flow = steps(concat!(
        "      - uses: akhileshns/heroku-deploy@v3\n",
        "        with: { heroku_app_name: mill, healthcheck: \"https://mill.example/up\" }\n",
    ));
    let survey = read(&[(FLOW, &flow)]);
    assert_eq!(
        only(&survey).health[0].url.text(),
        "https://mill.example/up"
    );
}

#[test]
fn a_target_of_make_is_read_with_the_variables_that_it_is_called_with() {
    let flow = steps(concat!(
        "      - uses: actions/checkout@v4\n",
        "      - run: make -s ship HOST=box.example\n",
        "      - run: make smoke HOST=box.example\n",
    ));
    let makefile = concat!(
        "HOST ?= localhost\n",
        "APP = mill\n",
        "UNIT := $(APP)-web\n\n",
        "ship: build\n",
        "\tscp bin/$(APP) ops@$(HOST):/opt/$(APP)/\n",
        "\tssh ops@$(HOST) \"(cd /opt/$(APP) && sudo systemctl restart $(UNIT))\"\n\n",
        "smoke:\n",
        "\tcurl -fsS https://$(HOST)/up\n",
    );
    let survey = read(&[(FLOW, &flow), ("Makefile", makefile)]);
    let one = only(&survey);
    let login = one.login.as_ref().unwrap();
    assert_eq!(login.address.value.text(), "box.example");
    let Tool::Systemd { units, .. } = &one.tool else {
        panic!("{:?}", one.tool);
    };
    assert_eq!(units[0].value, "mill-web.service");
    assert_eq!(one.health[0].url.text(), "https://box.example/up");
}

#[test]
fn a_program_of_powershell_is_called_and_not_read() {
    for call in [
        "./scripts/deploy.ps1 -Tag ${{ github.sha }}",
        ".\\scripts\\deploy.ps1 -Tag ${{ github.sha }}",
        "pwsh -NoProfile -File ./scripts/deploy.ps1 -Tag ${{ github.sha }}",
    ] {
        let flow = steps(&format!(
            "      - uses: actions/checkout@v4\n      - shell: pwsh\n        run: {call}\n      - shell: pwsh\n        run: Invoke-WebRequest -Uri https://mill.example/up\n"
        ));
        let script = "param($Tag)\nif ($Tag) { kubectl apply -f x.yaml }\n";
        let survey = read(&[(FLOW, &flow), ("scripts/deploy.ps1", script)]);
        let one = only(&survey);
        let Tool::Script { path } = &one.tool else {
            panic!("{call}: {:?}", one.tool);
        };
        assert_eq!(path, "scripts/deploy.ps1");
        let script = one.script.as_ref().unwrap();
        assert!(
            matches!(script.takes_release, Known::Yes(_)),
            "{call}: {script:?}"
        );
        assert_eq!(one.health[0].url.text(), "https://mill.example/up");
    }
    let flow = steps("      - uses: actions/checkout@v4\n      - run: pwsh ./deploy.ps1\n");
    let survey = read(&[(FLOW, &flow), ("deploy.ps1", "$env:TAG\n")]);
    let script = only(&survey).script.as_ref().unwrap();
    assert!(
        matches!(script.takes_release, Known::NotSeen(_)),
        "{script:?}"
    );
}

#[test]
fn a_home_has_two_names() {
    for (target, folder) in [
        ("/home/${{ secrets.WHO }}/mill", "~/mill"),
        ("mill", "~/mill"),
        ("~/mill", "/home/${{ secrets.WHO }}/mill"),
    ] {
        let flow = steps(&format!(
            "      - uses: appleboy/scp-action@v0.1.7\n        with: {{ host: box.example, username: \"${{{{ secrets.WHO }}}}\", key: \"${{{{ secrets.KEY }}}}\", source: compose.yaml, target: \"{target}\" }}\n      - uses: appleboy/ssh-action@v1\n        with:\n          host: box.example\n          username: ${{{{ secrets.WHO }}}}\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            cd {folder}\n            docker compose up -d\n"
        ));
        let compose = "services: { web: { image: \"acme/mill:1\" } }\n";
        let survey = read(&[(FLOW, &flow), ("compose.yaml", compose)]);
        let Tool::Compose(call) = &only(&survey).tool else {
            panic!("{:?}", only(&survey).tool);
        };
        let known = &call.known_files;
        assert!(
            known.is_empty(),
            "{target}: none of its images is this repository's"
        );
        let pushed = flow.replace(
            "    steps:\n",
            "    steps:\n      - run: docker push acme/mill:1\n",
        );
        let survey = read(&[(FLOW, &pushed), ("compose.yaml", compose)]);
        let Tool::Compose(call) = &only(&survey).tool else {
            panic!("{:?}", only(&survey).tool);
        };
        assert_eq!(call.known_files, ["compose.yaml"], "{target}, {folder}");
    }
}

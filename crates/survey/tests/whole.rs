//! What all of a job does: targets that need others, parts of an `if`, more than one call, and a way back of its own.

use survey::{Health, Survey, Tool};

use crate::small::{only, read, steps};

const FLOW: &str = ".github/workflows/live.yml";

fn urls(survey: &Survey) -> Vec<String> {
    let health = &only(survey).health;
    health
        .iter()
        .map(|one: &Health| one.url.to_string())
        .collect()
}

#[test]
fn a_target_of_make_is_read_with_all_that_it_needs() {
    let makefile = "include common.mk\nship: restart check\nrestart: login\n\tssh $(HOST_$(STAGE)) sudo systemctl restart $(UNIT)\nlogin:\n\techo $(UNIT)\ncheck: ; curl -fsS https://mill.example/up\n";
    let common = "UNIT := mill\nHOST_live := ops@box.example\nSTAGE ?= test\n";
    let files = |line: &str, folder: &str| {
        let flow = steps(&format!("      - run: {line}\n"));
        read(&[
            (FLOW, &flow),
            (&format!("{folder}Makefile"), makefile),
            (&format!("{folder}common.mk"), common),
        ])
    };
    for (line, folder) in [
        ("make ship STAGE=live", ""),
        ("make -C ops ship STAGE=live", "ops/"),
        ("make STAGE=live", ""),
        ("make login ship STAGE=live", ""),
        ("cd ops && make -s STAGE=live restart check", "ops/"),
    ] {
        let survey = files(line, folder);
        let one = only(&survey);
        assert!(
            matches!(&one.tool, Tool::Systemd { units, .. } if units[0].value == "mill.service"),
            "{line}: {:?}",
            one.tool
        );
        assert_eq!(
            one.login.as_ref().unwrap().address.value.text(),
            "box.example",
            "{line}"
        );
        assert_eq!(one.at.to_string(), format!("{folder}Makefile:4"), "{line}");
        assert_eq!(urls(&survey), ["https://mill.example/up"], "{line}");
    }
}

#[test]
fn of_two_addresses_that_an_if_chooses_from_none_is_known() {
    let flow = |lines: &str| {
        let text = format!(
            "      - run: helm upgrade --install web chart -n $NS\n      - run: |\n{lines}"
        );
        read(&[(FLOW, &steps(&text))])
    };
    let either = "          if [ \"$NS\" = prod ]; then\n            curl -f https://web.example/up\n          else\n            curl -f https://web.dev.example/up\n          fi\n";
    assert_eq!(urls(&flow(either)), [""; 0]);
    let third = "          if a; then curl https://a.example/up; elif b; then curl https://b.example/up; fi\n          curl -f https://web.example/up\n";
    assert_eq!(urls(&flow(third)), ["https://web.example/up"]);
    // One that is asked in any case, one after the other, and the same in both.
    let both = "          if a; then\n            curl https://a.example/up\n            curl https://b.example/up\n          fi\n";
    assert_eq!(
        urls(&flow(both)),
        ["https://a.example/up", "https://b.example/up"]
    );
    let same = either.replace("web.dev.example", "web.example");
    assert_eq!(urls(&flow(&same)), ["https://web.example/up"]);
}

#[test]
fn an_input_that_a_push_leaves_empty_has_the_value_behind_it() {
    let flow = |on: &str, environment: &str| {
        let flow = format!(
            "on: {on}\njobs:\n  live:\n    environment: {environment}\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: npx wrangler deploy --env {environment}\n"
        );
        let survey = read(&[(FLOW, &flow)]);
        let one = only(&survey);
        let environment = one.environment.as_ref().unwrap();
        (
            environment.name.value.clone(),
            one.choice.as_ref().map(survey::Choice::condition),
        )
    };
    let inputs =
        "workflow_dispatch: { inputs: { stage: { type: environment, default: staging } } }";
    let pushed = format!("{{ push: {{ branches: [main] }}, {inputs} }}");
    let written = "${{ inputs.stage || 'production' }}";
    let chosen = "(inputs.stage || 'production') == 'production'".to_owned();
    assert_eq!(
        flow(&pushed, written),
        ("production".to_owned(), Some(chosen))
    );
    // Where a person alone starts it, the default is what is chosen unless another is.
    let by_hand = format!("{{ {inputs} }}");
    assert_eq!(flow(&by_hand, written).0, "staging");
    assert_eq!(flow(&pushed, "${{ inputs.stage }}").0, "staging");
}

#[test]
fn a_release_that_a_caller_hands_over_has_its_name_in_the_workflow_that_is_called() {
    let called = "on: { workflow_call: { inputs: { tag: {}, env: {} } } }\njobs:\n  live:\n    environment: ${{ inputs.env }}\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'cd /srv/mill && TAG=${{ inputs.tag }} docker compose up -d web'\n";
    let starting = "on: { push: { branches: [main], tags: ['v*'] } }\njobs:\n  next: { uses: ./.github/workflows/live.yml, with: { env: staging, tag: '${{ github.sha }}' } }\n  live: { uses: ./.github/workflows/live.yml, with: { env: production, tag: '${{ github.ref_name }}' } }\n";
    let file = "services:\n  web: { image: \"acme/mill:${TAG}\", build: . }\n";
    let survey = read(&[
        (FLOW, called),
        (".github/workflows/on.yml", starting),
        ("compose.yml", file),
    ]);
    let releases: Vec<&str> = (survey.deployments.iter())
        .filter_map(|one| Some(one.release.as_ref()?.value.text()))
        .collect();
    assert_eq!(releases, ["${{ inputs.tag }}"; 2]);
    // The variable that Compose gets has it, by whatever name.
    assert!(
        survey
            .deployments
            .iter()
            .all(|one| one.release_variables == ["TAG"])
    );
    let built = "on: { push: { branches: [main] } }\njobs:\n  build:\n    runs-on: ubuntu-latest\n    outputs: { tag: '${{ steps.tag.outputs.tag }}' }\n    steps:\n      - id: tag\n        run: echo \"tag=sha-${{ github.sha }}\" >>\"$GITHUB_OUTPUT\"\n  live:\n    needs: build\n    runs-on: ubuntu-latest\n    steps:\n      - run: ssh ops@box.example 'cd /srv/mill && TAG=${{ needs.build.outputs.tag }} docker compose up -d web'\n";
    let survey = read(&[(FLOW, built), ("compose.yml", file)]);
    assert_eq!(only(&survey).release_variables, ["TAG"]);
}

#[test]
fn what_goes_live_besides_is_told_with_its_line() {
    let besides = |lines: &str| {
        let survey = read(&[(FLOW, &steps(&format!("      - run: |\n{lines}")))]);
        let besides = &survey.deployments[0].besides;
        let told: Vec<String> = besides
            .iter()
            .map(|one| format!("{} ({})", one.value, one.at))
            .collect();
        told.join(", ")
    };
    let charts = "          helm upgrade --install api chart\n          helm upgrade --install worker chart\n          helm upgrade --install api chart\n";
    assert_eq!(
        besides(charts),
        "helm upgrade --install worker chart (.github/workflows/live.yml:8)"
    );
    let apps = "          flyctl deploy -a mill || flyctl deploy -a mill\n          npx wrangler deploy -c edge.toml\n";
    assert_eq!(
        besides(apps),
        "wrangler deploy -c edge.toml (.github/workflows/live.yml:8)"
    );
    let one = "          helm upgrade --install api chart\n          kubectl rollout status deployment/api\n          kubectl set image deployment/api api=acme/api:1\n";
    assert_eq!(besides(one), "");
}

#[test]
fn a_job_that_goes_back_by_itself_is_told_so() {
    let own = |step: &str| {
        let text = format!(
            "      - run: kubectl set image deployment/web web=acme/web:${{{{ github.sha }}}}\n{step}"
        );
        let survey = read(&[(FLOW, &steps(&text))]);
        only(&survey).own_back.as_ref().map(ToString::to_string)
    };
    let at = Some(".github/workflows/live.yml:8".to_owned());
    assert_eq!(
        own("      - if: failure()\n        run: kubectl rollout undo deployment/web\n"),
        at
    );
    assert_eq!(
        own("      - if: failure()\n        run: curl -d bad https://hooks.example/webhook\n"),
        None
    );
    assert_eq!(
        own("      - run: kubectl rollout status deployment/web\n"),
        None
    );
}

#[test]
fn a_command_that_says_that_it_deploys_is_named_where_nothing_else_is_known() {
    let called = |line: &str| {
        let survey = read(&[(FLOW, &steps(&format!("      - run: {line}\n")))]);
        assert!(
            survey.deployments.is_empty(),
            "{line}: {:?}",
            survey.deployments
        );
        let called: Vec<String> = survey
            .called_so
            .iter()
            .map(|one| one.name.value.clone())
            .collect();
        called.join(", ")
    };
    for line in [
        "make deploy",
        "npm run deploy",
        "yarn deploy:prod",
        "just deploy prod",
        "./gradlew deploy",
        "bin/deploy production",
    ] {
        let told = called(line);
        assert!(told.contains("deploy"), "{line}: {told}");
    }
    for line in [
        "make test",
        "curl https://deploy.example/notes.txt -o deploy",
        "cp deploy.txt /tmp",
    ] {
        assert_eq!(called(line), "", "{line}");
    }
}

#[test]
fn a_file_that_a_called_script_names_is_used() {
    let script = "remote() { ssh \"$1\" \"$2\"; }\nremote \"$1\" \"cd /srv && docker compose -f compose.live.yml up -d\"\n";
    let survey = read(&[
        (FLOW, &steps("      - run: ./ship.sh box\n")),
        ("ship.sh", script),
        (
            "compose.live.yml",
            "services: { web: { image: acme/web } }\n",
        ),
        (
            "compose.dev.yml",
            "services: { web: { image: acme/web } }\n",
        ),
    ]);
    let unused: Vec<&str> = survey.unused.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(unused, ["compose.dev.yml"]);
}

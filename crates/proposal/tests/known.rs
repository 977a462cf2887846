//! What is said of what was not seen: no more than that it was not seen.

use proposal::words;
use survey::Known;

use crate::{FLOW, looked, proposed};

/// A job with these steps.
fn steps(text: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  ship:\n    runs-on: ubuntu-latest\n    steps:\n{text}"
    )
}

#[test]
fn whether_something_waits_is_said_where_it_is_known() {
    const EARLY: &str = "Nothing above waits for the new release";
    const UNKNOWN: &str = "Whether the steps above wait for the new release is not known here";
    let cases = [
        ("run: npx vercel@latest --prod", ""),
        ("run: flyctl deploy --remote-only", ""),
        ("run: flyctl deploy --detach", EARLY),
        ("run: helm upgrade shop ./chart $HELM_ARGS", UNKNOWN),
        ("run: helm upgrade shop ./chart --atomic", ""),
        (
            "run: aws ecs update-service --cluster c --service s --force-new-deployment",
            EARLY,
        ),
        ("run: railway up --service shop", UNKNOWN),
        ("run: railway up --service shop --detach", EARLY),
        ("run: terraform apply -auto-approve", UNKNOWN),
        ("run: acmectl deploy --all", UNKNOWN),
        (
            "run: docker -H ssh://me@h.example service update --image acme/shop:1 shop",
            "",
        ),
        (
            "run: |\n          if docker -H ssh://me@h.example service inspect shop; then\n            docker -H ssh://me@h.example service update --image acme/shop:1 shop\n          else\n            docker -H ssh://me@h.example stack deploy -c stack.yml shop\n          fi",
            UNKNOWN,
        ),
        (
            "uses: docker://bitnami/kubectl:latest\n        with: { args: apply -f k8s/ }",
            EARLY,
        ),
        (
            "uses: acme/deploy-action@v1\n        with: { host: h.example }",
            UNKNOWN,
        ),
        ("uses: peaceiris/actions-gh-pages@v4", EARLY),
        ("uses: actions/deploy-pages@v4", ""),
    ];
    for (step, sentence) in cases {
        let flow = steps(&format!("      - {step}\n"));
        let told = proposed(&flow, &[], Some("https://shop.example.com/up"));
        for one in [EARLY, UNKNOWN] {
            assert_eq!(told.contains(one), one == sentence, "{step}\n{told}");
        }
    }
}

#[test]
fn a_script_takes_no_release_where_it_was_read() {
    let flow = |call: &str| {
        steps(&format!(
            "      - uses: appleboy/ssh-action@v1\n        with:\n          host: h.example\n          username: me\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            cd /srv/shop\n            {call}\n"
        ))
    };
    let read: &[_] = &[("deploy.sh", "#!/bin/sh\ngit pull\nmake\n")];
    let python: &[_] = &[("deploy.py", "#!/usr/bin/env python3\nimport sys\n")];
    for (call, files, words) in [
        ("./deploy.sh", read, "takes no release"),
        (
            "./deploy.sh",
            &[],
            "whether it takes the release is not seen: it is not in this repository",
        ),
        (
            "./deploy.py",
            python,
            "whether it takes the release is not seen: python3 is not read",
        ),
    ] {
        let told = looked(&flow(call), files);
        let row = told.lines().find(|line| line.starts_with("    script "));
        assert!(
            row.is_some_and(|row| row.ends_with(words)),
            "{call}\n{told}"
        );
    }
}

#[test]
fn a_copy_of_settings_is_no_copy_of_the_release() {
    for (copy, words) in [
        (
            "cp -r /srv/shop /srv/shop.backup",
            "whether the copy that is made before",
        ),
        (
            "cp .env .env.backup",
            "no copy of the release before is seen",
        ),
        (
            "cp data.sqlite /srv/backups/data.sqlite.backup",
            "no copy of the release before is seen",
        ),
        (
            "tar czf backup.tgz uploads",
            "no copy of the release before is seen",
        ),
    ] {
        let flow = steps(&format!(
            "      - uses: appleboy/ssh-action@v1\n        with:\n          host: h.example\n          username: me\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            cd /srv/shop\n            {copy}\n            git pull\n            sudo systemctl restart shop\n"
        ));
        let told = crate::back(&flow, &[]);
        assert!(told.contains(words), "{copy}\n{told}");
    }
}

#[test]
fn the_address_of_a_hook_is_not_shown() {
    for (address, shown) in [
        (
            "https://api.vercel.example/v1/integrations/deploy/prj_1/part",
            "https://api.vercel.example/***",
        ),
        ("${{ secrets.DEPLOY_HOOK }}", "${{ secrets.DEPLOY_HOOK }}"),
    ] {
        let flow = steps(&format!("      - run: curl -X POST {address}\n"));
        let told = looked(&flow, &[]);
        assert!(
            told.contains(&format!("    calls          {shown}\n")),
            "{told}"
        );
        assert!(!told.contains("prj_1"), "{told}");
    }
}

/// A workflow of two jobs: a test, and one with these steps.
fn two_jobs(head: &str, text: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make test && ./acme-lint --all\n  ship:\n    runs-on: ubuntu-latest\n{head}    steps:\n{text}"
    )
}

#[test]
fn nothing_is_deployed_where_every_step_that_could_is_understood() {
    let image = "      - uses: docker/login-action@v3\n        with: { username: me, password: '${{ secrets.HUB }}' }\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: acme/shop:1 }\n";
    for (head, text, unknown) in [
        ("", image, None),
        (
            "",
            "      - run: |\n          acme-build --all\n          git tag v1\n          git push origin v1\n",
            None,
        ),
        ("", "      - uses: acme/report-action@v1\n", None),
        (
            "",
            "      - run: ./gradlew build\n        env: { TOKEN: '${{ secrets.TOKEN }}' }\n",
            None,
        ),
        (
            "",
            "      - run: 'curl -X POST -d hello https://hooks.slack.example/x'\n",
            None,
        ),
        (
            "",
            "      - uses: acme/report-action@v1\n        with: { host: '${{ secrets.HOST }}' }\n",
            Some("uses: acme/report-action"),
        ),
        (
            "    permissions: { id-token: write }\n",
            "      - run: acme-build --all\n",
            Some("acme-build"),
        ),
        (
            "    env: { KEY: '${{ secrets.KEY }}' }\n",
            "      - run: ./release.sh\n",
            Some("release.sh"),
        ),
        (
            "",
            "      - run: 'curl -X POST https://panel.example.com/api/start'\n",
            Some("curl panel.example.com` ("),
        ),
        (
            "",
            "      - uses: actions/checkout@v4\n        with: { repository: acme/fleet, path: fleet }\n      - run: cd fleet && git push\n",
            Some("git push"),
        ),
        (
            "",
            "      - run: gh api repos/acme/fleet/dispatches -f event_type=x\n",
            Some("gh api"),
        ),
        (
            "",
            "      - uses: acme/repository-dispatch@v3\n",
            Some("uses: acme/repository-dispatch"),
        ),
        (
            "",
            "      - run: ${{ github.event.inputs.command }}\n",
            Some("${{ github.event.inputs.command }}"),
        ),
        (
            "",
            "      - shell: python\n        env: { KEY: '${{ secrets.KEY }}' }\n        run: print(1)\n",
            Some("python"),
        ),
    ] {
        let folder = testkit::repository(&[(FLOW, &two_jobs(head, text))]);
        let survey = survey::look(folder.path()).unwrap();
        assert!(survey.deployments.is_empty(), "{text}");
        let told = words::not_known(&survey);
        match unknown {
            None => assert_eq!(survey.deploys(), Known::No, "{text}\n{told}"),
            Some(what) => assert!(told.starts_with(&format!("`{what}")), "{text}\n{told}"),
        }
    }
}

#[test]
fn a_file_is_unused_where_all_that_could_use_it_was_read() {
    let compose: &[_] = &[(
        "compose.demo.yml",
        "services: { web: { image: acme/web } }\n",
    )];
    let ship = |script: &str| {
        steps(&format!(
            "      - uses: appleboy/ssh-action@v1\n        with:\n          host: h.example\n          username: me\n          key: ${{{{ secrets.KEY }}}}\n          script: |\n            cd /srv/shop\n            {script}\n            systemctl restart shop\n"
        ))
    };
    for (script, words) in [
        ("git pull", "unused by any workflow"),
        ("sudo nginx -s reload", "unused by any workflow"),
        ("./up.sh", "not seen in use"),
        ("$RUN up -d", "not seen in use"),
        ("acmectl apply", "not seen in use"),
    ] {
        let told = looked(&ship(script), compose);
        let row = format!("  there, {words}: compose.demo.yml (Compose file)\n");
        assert!(told.contains(&row), "{script}\n{told}");
    }
}

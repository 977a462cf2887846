//! The commit of the checkout is named as the release, and its run as the way back, only where what is deployed comes from it.

use crate::back;
use crate::seen::{over_ssh, steps};

const SHA: Option<&str> = Some("${{ github.sha }}");

/// The release that a person is told of.
fn release(flow: &str, files: &[(&str, &str)]) -> Option<String> {
    let folder = testkit::repository(&[files, &[(crate::FLOW, flow)]].concat());
    let survey = survey::look(folder.path()).unwrap();
    let release = survey.deployments[0].release.as_ref();
    release.map(|release| release.value.text().to_owned())
}

#[test]
fn the_checkout_is_the_release_only_where_the_run_carries_it() {
    let copied = "      - uses: appleboy/scp-action@v1\n        with: { host: h.example, username: me, key: '${{ secrets.KEY }}', source: dist, target: /srv/app }\n";
    let restarted = "      - uses: appleboy/ssh-action@v1\n        with: { host: h.example, username: me, key: '${{ secrets.KEY }}', script: sudo systemctl restart shop }\n";
    let deployer = "      - run: php vendor/bin/dep deploy live\n";
    let recipe = |branch: &str| {
        format!("<?php\nset('repository', 'git@github.com:acme/shop.git');\n{branch}")
    };
    let (plain, exact) = (recipe(""), recipe("set('target', getenv('GITHUB_SHA'));\n"));
    let latest = "kind: Deployment\nspec: { template: { spec: { containers: [{ name: shop, image: ghcr.io/acme/shop:latest }] } } }\n";
    let fixed = latest.replace(":latest", ":1.4");
    let definition =
        "{\"family\":\"shop\",\"containerDefinitions\":[{\"image\":\"ghcr.io/acme/shop\"}]}";
    let pushed = "      - uses: docker/build-push-action@v6\n        with: { push: true, tags: 'ghcr.io/acme/shop:latest, ghcr.io/acme/shop:${{ github.sha }}' }\n";
    let ecs = format!(
        "{pushed}      - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n        with: {{ task-definition: task.json, service: shop, cluster: live }}\n"
    );
    let apply = "      - run: kubectl apply -f k8s/web.yml\n";
    for (more, files, named, again) in [
        // Carried.
        (format!("{copied}{restarted}"), vec![], SHA, "earlier commit"),
        ("      - run: npx cdk deploy\n".to_owned(), vec![], SHA, "earlier commit"),
        (apply.to_owned(), vec![("k8s/web.yml", &*fixed)], SHA, "earlier commit"),
        (deployer.to_owned(), vec![("deploy.php", &*exact)], SHA, ""),
        // Nothing brings it to the machine, or the machine fetches by itself.
        (restarted.to_owned(), vec![], None, "may start the newest one"),
        (deployer.to_owned(), vec![("deploy.php", &*plain)], None, ""),
        ("      - run: bundle exec cap live deploy\n".to_owned(), vec![("config/deploy.rb", "set :repo_url, 'git@github.com:acme/shop.git'\n")], None, ""),
        ("      - run: argocd app sync shop\n".to_owned(), vec![], None, "may start the newest one"),
        ("      - run: aws ssm send-command --parameters commands=\"$COMMANDS\"\n".to_owned(), vec![], None, "may start the newest one"),
        // The tag is the same for each release, whichever others the image gets.
        (apply.to_owned(), vec![("k8s/web.yml", latest)], None, "may start the newest one"),
        (format!("{pushed}{apply}"), vec![("k8s/web.yml", latest)], None, "earlier commit"),
        (ecs.clone(), vec![("task.json", definition)], None, "earlier commit"),
        // Something else names it.
        ("      - run: npx cdk deploy\n        env: { IMAGE_TAG: '${{ github.event.client_payload.tag }}' }\n".to_owned(), vec![], Some("${{ github.event.client_payload.tag }}"), "earlier release"),
        ("      - run: npx cdk deploy\n        env: { IMAGE_TAG: '${{ vars.LIVE }}' }\n".to_owned(), vec![], None, "may start the newest one"),
    ] {
        let flow = steps(&more);
        assert_eq!(release(&flow, &files).as_deref(), named, "{flow}");
        let told = back(&flow, &files);
        assert!(told.contains(again), "{flow}\n{told}");
    }
}

#[test]
fn a_branch_is_reverted_only_where_it_is_this_repositorys() {
    let told = |from: &str| {
        let origin = "[remote \"origin\"]\n\turl = https://github.com/acme/shop.git\n";
        let flow = over_ssh(&format!("cd /srv/app\ngit pull {from} main\nmake"));
        back(&flow, &[(".git/config", origin)])
    };
    assert!(
        told("origin").contains("a revert on its branch"),
        "{}",
        told("origin")
    );
    let other = told("git@github.com:others/panel.git");
    assert!(!other.contains("revert"), "{other}");
}
#[test]
fn a_machine_that_only_the_configuration_of_ssh_names_has_that_address() {
    let flow = |config: &str| {
        steps(&format!(
            "      - run: |\n          mkdir -p ~/.ssh\n          echo '${{{{ secrets.KEY }}}}' >~/.ssh/id\n{config}\n      - run: ssh live 'cd /srv/app && docker compose up -d --build'\n"
        ))
    };
    let login = |config: &str| {
        let folder = testkit::repository(&[(crate::FLOW, &flow(config))]);
        let survey = survey::look(folder.path()).unwrap();
        survey.deployments[0].login.clone().unwrap()
    };
    let read = login(
        "          {\n            echo \"Host live\"\n            echo \"  HostName box.example\"\n            echo \"  User ops\"\n            echo \"  Port 2222\"\n          } >>~/.ssh/config",
    );
    let told = [Some(read.address), read.user, read.port].map(|fact| fact.unwrap().value);
    let told = told.each_ref().map(survey::Value::text);
    assert_eq!(told, ["box.example", "ops", "2222"]);
    // What a secret holds is not read: only the program finds the machine.
    let secret = login("          echo '${{ secrets.CONFIG }}' >~/.ssh/config");
    assert!(secret.client.is_some());
}

//! `deploy-guard init` where the workflow's machine is not reached directly: by way of another one, or only by the `ssh`
//! program with what the job tells it.

use std::fs;

/// The steps that a form begins with, and the words between `ssh` and the machine.
struct Form {
    name: &'static str,
    steps: &'static str,
    call: &'static str,
}

const FORMS: [Form; 6] = [
    Form {
        name: "option",
        steps: "      - env: { KEY: \"${{ secrets.BOX_KEY }}\" }\n        run: echo \"$KEY\" > ~/.ssh/id_ed25519\n",
        call: "ssh -J ${{ secrets.HOP_USER }}@${{ vars.HOP }}:2222 ops@10.0.0.5",
    },
    Form {
        name: "configuration",
        steps: "      - env: { KEY: \"${{ secrets.BOX_KEY }}\", HOP_KEY: \"${{ secrets.HOP_KEY }}\" }\n        run: |\n          echo \"$KEY\" > ~/.ssh/box\n          echo \"$HOP_KEY\" > ~/.ssh/hop\n          cat > ~/.ssh/config <<'END'\n          Host hop\n            HostName hop.example.com\n            User jump\n            IdentityFile ~/.ssh/hop\n          Host box\n            HostName 10.0.0.5\n            User ops\n            IdentityFile ~/.ssh/box\n            ProxyCommand ssh -W %h:%p hop\n          END\n",
        call: "ssh box",
    },
    Form {
        name: "agent",
        steps: "      - uses: webfactory/ssh-agent@v0.9.1\n        with:\n          ssh-private-key: |\n            ${{ secrets.BOX_KEY }}\n            ${{ secrets.OTHER_KEY }}\n",
        call: "ssh -J jump@hop.example.com ops@10.0.0.5",
    },
    Form {
        name: "program",
        steps: "      - env: { KEY: \"${{ secrets.BOX_KEY }}\" }\n        run: |\n          echo \"$KEY\" > ~/.ssh/id_ed25519\n          cat >> ~/.ssh/config <<'END'\n          Host box\n            User ops\n            ProxyCommand cloudflared access ssh --hostname %h\n          END\n",
        call: "ssh box",
    },
    Form {
        name: "certificate",
        steps: "      - env: { KEY: \"${{ secrets.BOX_KEY }}\", CERT: \"${{ secrets.BOX_CERT }}\" }\n        run: |\n          echo \"$KEY\" > ~/.ssh/box\n          echo \"$CERT\" > ~/.ssh/box-cert.pub\n          echo \"@cert-authority *.example.com ${{ vars.AUTHORITY }}\" > ~/.ssh/known_hosts\n",
        call: "ssh -i ~/.ssh/box ops@box.example.com",
    },
    Form {
        name: "too-late",
        steps: "",
        call: "ssh -o ProxyCommand='nc -x proxy.example.com:1080 %h %p' ops@10.0.0.5",
    },
];

/// `init` in a repository with this workflow: what it says of the login, the configuration, and what is next.
fn told(steps: &str, deploying: &str) -> String {
    let flow = format!(
        "on: {{ push: {{ tags: ['v*'] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: docker/build-push-action@v6\n        with: {{ push: true, tags: \"ghcr.io/acme/shop:${{{{ github.ref_name }}}}\" }}\n{steps}{deploying}"
    );
    let folder = testkit::repository(&[
        (
            "compose.prod.yml",
            "services:\n  web: { image: \"ghcr.io/acme/shop:${TAG}\" }\n",
        ),
        (".github/workflows/deploy.yml", &flow),
    ]);
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes"])
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let rows = [
        "reaches",
        "port",
        "key",
        "by way of",
        "by `ssh`",
        "way back",
    ];
    let said = printed.lines().map(str::trim);
    let said = said.filter(|line| {
        rows.iter().any(|row| line.starts_with(row))
            || line.starts_with("- ssh")
            || line.starts_with("- `ssh")
    });
    let said: Vec<&str> = said.collect();
    let config = fs::read_to_string(folder.path().join(".github/deploy-guard.yml"));
    let config = config.unwrap_or_default();
    let part = |from: &str, to: &str| {
        let lines = config.lines().skip_while(|line| !line.starts_with(from));
        let lines = lines.take_while(|line| !line.starts_with(to));
        let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
        lines.concat()
    };
    format!(
        "{}\n{}{}",
        said.join("\n"),
        part("hosts:", "# Before"),
        part("preflight:", "# After")
    )
}

#[test]
fn a_machine_that_is_not_reached_directly_is_reached_as_the_workflow_does() {
    for Form { name, steps, call } in FORMS {
        let deploying = format!(
            "      - env: {{ TAG: \"${{{{ github.ref_name }}}}\" }}\n        run: {call} \"cd /srv/shop && TAG=$TAG docker compose -f compose.prod.yml up -d web\"\n"
        );
        insta::with_settings!({ snapshot_path => "init/snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("way-{name}"), told(steps, &deploying));
        });
    }
    let action = "      - uses: appleboy/ssh-action@v1\n        env: { TAG: \"${{ github.ref_name }}\" }\n        with:\n          host: 10.0.0.5\n          username: ops\n          key: ${{ secrets.BOX_KEY }}\n          proxy_host: ${{ secrets.HOP }}\n          proxy_username: jump\n          proxy_port: ${{ secrets.HOP_PORT || 22 }}\n          proxy_key: ${{ secrets.HOP_KEY }}\n          proxy_passphrase: ${{ secrets.HOP_PASSPHRASE }}\n          envs: TAG\n          script: |\n            cd /srv/shop\n            docker compose -f compose.prod.yml up -d web\n";
    insta::with_settings!({ snapshot_path => "init/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("way-action", told("", action));
    });
}

/// A workflow of one job, whose ssh-action has these inputs and commands.
fn by_ssh(inputs: &str, commands: &str) -> String {
    format!(
        "on: {{ push: {{ branches: [main] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: appleboy/ssh-action@v1\n        with:\n          host: ${{{{ secrets.HOST }}}}\n          username: ops\n          key: ${{{{ secrets.KEY }}}}\n{inputs}          script: |\n            cd /srv/shop\n            git pull\n            {commands}\n"
    )
}

/// What `init` prints, and the configuration that it writes.
fn proposed(flow: &str, flags: &[&str]) -> (String, String) {
    let folder = testkit::repository(&[(".github/workflows/deploy.yml", flow)]);
    let mut command = testkit::bin("deploy-guard");
    command.current_dir(folder.path()).args(["init", "--yes"]);
    let output = command.args(flags).output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let config = fs::read_to_string(folder.path().join(".github/deploy-guard.yml"));
    (printed, config.unwrap_or_default())
}

/// The machine's own systemd knows no unit of a user, and would fail each release.
#[test]
fn a_unit_of_a_user_is_not_asked_of_the_machine() {
    for call in [
        "systemctl --user restart shop",
        "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user restart shop.service",
    ] {
        let (printed, config) = proposed(&by_ssh("", call), &[]);
        for told in [
            "deploys by systemd",
            "units, user's  shop.service",
            "its units are a user's own (`systemctl --user`), which the gate does not probe",
            "the way back is a revert on its branch",
        ] {
            assert!(printed.contains(told), "{told}: {printed}");
        }
        assert_eq!(config, "", "{printed}");
        let url = ["--url", "https://shop.example.com/up", "--patch"];
        let (printed, config) = proposed(&by_ssh("", call), &url);
        assert!(
            printed.contains("+          url: \"https://shop.example.com/up\""),
            "{printed}"
        );
        assert_eq!(config, "", "{printed}");
    }
    let (_, config) = proposed(&by_ssh("", "sudo systemctl restart shop"), &[]);
    assert!(config.contains("unit: shop.service"), "{config}");
}

/// Without its secret a port is empty, and the action takes 22.
#[test]
fn a_port_that_is_not_set_is_the_usual_one() {
    for (port, written) in [
        ("${{ secrets.PORT }}", "port: \"${PORT:-22}\""),
        ("${{ secrets.PORT || 2222 }}", "port: \"${PORT}\""),
        ("2222", "port: 2222"),
    ] {
        let inputs = format!("          port: {port}\n");
        let (printed, config) = proposed(&by_ssh(&inputs, "sudo systemctl restart shop"), &[]);
        assert!(config.contains(written), "{written}: {printed}{config}");
    }
}

/// With its version, and by each program that starts one of a package.
#[test]
fn a_program_of_a_package_is_known_however_it_is_started() {
    for call in [
        "npx vercel@latest deploy",
        "npx --yes vercel@39.1.1",
        "bunx vercel",
        "bunx vercel@latest",
        "pnpx vercel",
        "pnpm dlx vercel@latest deploy",
        "yarn dlx vercel",
        "npm exec vercel@latest --",
    ] {
        let flow = format!(
            "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: {{ name: production, url: 'https://shop.example.com' }}\n    steps:\n      - run: {call} --prod --token=${{{{ secrets.TOKEN }}}}\n"
        );
        let (printed, _) = proposed(&flow, &[]);
        assert!(printed.contains("by Vercel"), "{call}: {printed}");
    }
}

/// What deploys is not known, and the address is: the gate by it is what a person is told to call.
#[test]
fn the_address_of_the_environment_gates_what_is_not_known() {
    let flow = "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: { name: production, url: 'https://shop.example.com' }\n    steps:\n      - name: Deploy\n        uses: acme/ship@v1\n";
    let (printed, _) = proposed(flow, &[]);
    let call = ["--url", "https://shop.example.com", "--patch"];
    let told = format!("`deploy-guard init {}`", call.join(" "));
    assert!(printed.contains(&told), "{printed}");
    assert!(printed.contains("deploy.yml:5"), "{printed}");
    let (printed, _) = proposed(flow, &call);
    assert!(
        printed.contains("Wrote .github/workflows/deploy.yml"),
        "{printed}"
    );
}

/// Compose builds the image, and Supervisor starts it.
#[test]
fn what_only_builds_hides_nothing_that_starts() {
    let builds = "docker-compose -f production.yml build\n            supervisorctl restart shop";
    let (printed, _) = proposed(&by_ssh("", builds), &[]);
    assert!(printed.contains("deploys by Supervisor"), "{printed}");
}

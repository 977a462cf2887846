//! `deploy-guard init` where the repository's files have two sides behind a router.

use std::fs;

/// What `init` says of shares and of the next steps, and the section `traffic:`.
fn told(files: &[(&str, &str)], deploying: &str) -> String {
    let flow = format!(
        "on: {{ push: {{ tags: ['v*'] }} }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n{deploying}"
    );
    let flow = (".github/workflows/deploy.yml", flow.as_str());
    let folder = testkit::repository(&[files, &[flow]].concat());
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes"])
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{printed}");
    let said = printed.lines().map(str::trim);
    let said: Vec<&str> = said.filter(|line| line.starts_with("shares")).collect();
    let config = fs::read_to_string(folder.path().join(".github/deploy-guard.yml"));
    let config = config.unwrap_or_default();
    let section = config
        .lines()
        .skip_while(|line| !line.starts_with("# Shares"));
    let section: Vec<String> = section.map(|line| format!("{line}\n")).collect();
    format!("{}\n{}", said.join("\n"), section.concat())
}

/// By a login, a script on the machine, and an address that answers there.
const BY_SCRIPT: &str = "      - env: { KEY: \"${{ secrets.BOX_KEY }}\" }\n        run: |\n          echo \"$KEY\" > ~/.ssh/id_ed25519\n          ssh deploy@shop.example.com \"cd /srv/shop && ./switch.sh ${{ github.ref_name }}\"\n          ssh deploy@shop.example.com curl -f http://127.0.0.1/health/ready\n";

const UPSTREAM: &str =
    "upstream shop {\n  server 127.0.0.1:8001; # blue\n  server 127.0.0.1:8002 down; # green\n}\n";

#[test]
fn two_sides_of_nginx_are_a_section_with_the_path_that_the_script_has() {
    let script = "#!/bin/sh\nsudo cp /tmp/shop.conf /etc/nginx/upstreams/shop.conf\nsudo nginx -t && sudo systemctl reload nginx\n";
    insta::assert_snapshot!(
        told(&[("nginx/shop.conf", UPSTREAM), ("switch.sh", script)], BY_SCRIPT),
        @r#"
        shares         blue 127.0.0.1:8001, green 127.0.0.1:8002 (nginx/shop.conf:1): `traffic:` of the configuration
        # Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.
        traffic:
          nginx:
            # As switch.sh has it.
            upstream-file: /etc/nginx/upstreams/shop.conf
            test: "sudo nginx -t"
            reload: "sudo systemctl reload nginx"
            blue: "127.0.0.1:8001"
            green: "127.0.0.1:8002"
            hosts: [server]
        "#
    );
}

#[test]
fn where_no_script_names_the_path_the_usual_one_is_said_to_be_that() {
    insta::assert_snapshot!(told(&[("nginx/shop.conf", UPSTREAM)], BY_SCRIPT), @r#"
        shares         blue 127.0.0.1:8001, green 127.0.0.1:8002 (nginx/shop.conf:1): `traffic:` of the configuration
        # Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.
        traffic:
          nginx:
            # Where Debian's nginx reads such files. On your machine it may be elsewhere: `nginx -T`.
            upstream-file: /etc/nginx/conf.d/shop.conf
            blue: "127.0.0.1:8001"
            green: "127.0.0.1:8002"
            hosts: [server]
        "#);
}

#[test]
fn two_sides_of_haproxy_are_a_section_with_the_socket_of_its_configuration() {
    let haproxy = "global\n  stats socket /run/haproxy/admin.sock level admin\nbackend app\n  server blue 127.0.0.1:8001 check\n  server green 127.0.0.1:8002 check disabled\n";
    insta::assert_snapshot!(told(&[("haproxy/haproxy.cfg", haproxy)], BY_SCRIPT), @r#"
        shares         blue blue, green green (haproxy/haproxy.cfg:3): `traffic:` of the configuration
        # Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.
        traffic:
          haproxy: { socket: /run/haproxy/admin.sock, backend: app, blue: blue, green: green, hosts: [server] }
        "#);
}

#[test]
fn nginx_in_a_container_of_compose_is_reached_by_exec() {
    let compose = "services:\n  front:\n    image: nginx:1.27\n    volumes: [\"./nginx:/etc/nginx/conf.d\"]\n";
    insta::assert_snapshot!(
        told(&[("nginx/shop.conf", UPSTREAM), ("compose.yml", compose)], BY_SCRIPT),
        @r#"
        shares         blue 127.0.0.1:8001, green 127.0.0.1:8002 (nginx/shop.conf:1): `traffic:` of the configuration
        # Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.
        traffic:
          nginx:
            # As compose.yml has it.
            upstream-file: /etc/nginx/conf.d/shop.conf
            exec: "docker compose -f /srv/shop/compose.yml exec -T front"
            blue: "127.0.0.1:8001"
            green: "127.0.0.1:8002"
            hosts: [server]
        "#
    );
}

#[test]
fn a_file_that_the_container_only_reads_is_written_outside_it() {
    let compose = "services:\n  front:\n    image: nginx:1.27\n    volumes: [\"./nginx:/etc/nginx/conf.d:ro\"]\n";
    insta::assert_snapshot!(
        told(&[("nginx/shop.conf", UPSTREAM), ("compose.yml", compose)], BY_SCRIPT),
        @r#"
        shares         blue 127.0.0.1:8001, green 127.0.0.1:8002 (nginx/shop.conf:1): `traffic:` of the configuration
        # Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.
        traffic:
          nginx:
            # As compose.yml has it.
            upstream-file: /srv/shop/nginx/shop.conf
            test: "docker compose -f /srv/shop/compose.yml exec -T front nginx -t"
            reload: "docker compose -f /srv/shop/compose.yml exec -T front nginx -s reload"
            blue: "127.0.0.1:8001"
            green: "127.0.0.1:8002"
            hosts: [server]
        "#
    );
}

#[test]
fn two_services_of_compose_without_a_router_are_said_and_nothing_is_made_up() {
    let compose = "services:\n  web-blue:\n    image: \"ghcr.io/acme/shop:v1\"\n    ports: [\"8001:8000\"]\n  web-green:\n    image: \"ghcr.io/acme/shop:v2\"\n    ports: [\"127.0.0.1:8002:8000\"]\n";
    insta::assert_snapshot!(told(&[("compose.yml", compose)], BY_SCRIPT), @r#"
        shares         blue 127.0.0.1:8001, green 127.0.0.1:8002 (compose.yml:2): no `traffic:` is written: what divides the requests between them is not in the repository, or takes no orders
        "#);
}

#[test]
fn a_pool_of_servers_is_not_two_sides() {
    let pool = "upstream shop {\n  server 10.0.0.1:8000;\n  server 10.0.0.2:8000;\n}\n";
    insta::assert_snapshot!(told(&[("nginx/shop.conf", pool)], BY_SCRIPT), @"");
}

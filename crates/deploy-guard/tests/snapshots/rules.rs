//! Every rule of the configuration that its types cannot state: what breaks it, and what is shown then.

use crate::snapshots::Folder;

/// One snapshot for each section: every entry with the error that it ends with.
fn refused(name: &str, command: &str, entries: &[&str]) {
    let folder = Folder::new(&[]);
    let (mut shown, mut accepted) = (String::new(), Vec::new());
    for entry in entries {
        folder.write("deploy-guard.yml", &format!("version: 1\n{entry}\n"));
        let error = folder.shown(command);
        if !error.ends_with("--- exit code 2") {
            accepted.push(entry);
        }
        shown.push_str(&format!("{error}\n\n"));
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
    insta::assert_snapshot!(name, shown);
}

#[test]
fn rules_of_the_gate() {
    refused(
        "rules_healthgate",
        "healthgate --dry-run",
        &[
            "healthgate: { http: [{ name: '', url: 'http://a' }] }",
            "healthgate: { http: [{ name: a, url: 'ftp://a' }] }",
            "healthgate: { http: [{ name: a, url: 'http://a', ca-file: b }] }",
            "healthgate: { http: [{ name: a, url: 'http://a', resolve: ['127.0.0.1:1'], via: web }] }",
            "healthgate: { http: [{ name: a, url: 'http://a', release: { header: b, jq: .c } }] }",
            "healthgate: { http: [{ name: a, url: 'http://a/{target}' }] }",
            "healthgate: { http: [{ name: a, url: 'http://a', require: 95% }] }",
            "healthgate: { http: [{ name: a, url: 'http://{target}', targets-file: b, require: 0 }] }",
            "healthgate: { http: [{ name: a, url: 'http://a', policy: { interval: 0s } }] }",
            "healthgate: { policy: { deadline: 1s }, http: [{ name: a, url: 'http://a' }] }",
            "healthgate: { policy: { initial-delay: 3m }, http: [{ name: a, url: 'http://a' }] }",
            "healthgate: { tcp: [{ name: a, address: b }] }",
            "healthgate: { command: [{ name: a, run: b, status: [] }] }",
            "healthgate: { systemd: [{ name: a, unit: 'b*.service' }] }",
            "healthgate: { docker: [{ name: a, container: b, host: c, hosts: [d] }] }",
            "healthgate: { docker: [{ name: a, container: b, hosts: [c] }] }",
            "healthgate: { ecs: [{ name: a, cluster: '', service: b }] }",
            "healthgate: { ecs: [{ name: a, cluster: b, service: c, deployment-id: d }] }",
            "healthgate: { prometheus: [{ name: a, server: 'http://b', query: up }] }",
            "healthgate: { prometheus: [{ name: a, server: 'http://b', query: up, min: 2, max: 1 }] }",
            "healthgate: { prometheus: [{ name: a, server: 'http://b', query: up, min: 1, access: { password-env: C } }] }",
            "healthgate: { prometheus: [{ name: a, server: 'http://b', query: up, min: 1, access: { username: c, token-env: D } }] }",
            "healthgate: { slo: {} }",
            "healthgate: { slo: { server: 'http://b' } }",
            "healthgate: { redis: [{ name: a, address: 'b:1', user: c }] }",
            "healthgate: { redis: [{ name: a, address: 'b:1', ca-file: c }] }",
            "healthgate: { smoke: [{ name: a }] }",
            "healthgate: { smoke: [{ name: a, hurl: b, requests: [{ url: 'http://c' }] }] }",
            "healthgate: { smoke: [{ name: a, requests: [{ url: 'http://c/{{d}}' }] }] }",
            "healthgate: { smoke: [{ name: a, requests: [{ url: 'http://c/{{d' }] }] }",
            "healthgate: { http: [{ name: a, url: 'http://${B' }] }",
            "healthgate: { http: [{ name: a, url: 'http://${B C}' }] }",
        ],
    );
}

#[test]
fn rules_of_preflight() {
    refused(
        "rules_preflight",
        "preflight --dry-run",
        &[
            "preflight: { pass-score: 11 }",
            "preflight: { secrets: [{ name: A, token: { repository: a/b } }] }",
            "preflight: { secrets: [{ name: A, passphrase-env: B }] }",
            "preflight: { secrets: [{ name: A, stored: { organization: b } }] }",
            "preflight: { secrets: [{ name: A, min-days: 3 }] }",
            "preflight: { freeze: [{ name: a, first-date: 2026-12-31, last-date: 2026-12-01 }] }",
            "preflight: { images: [{ name: a, image: 'a:b', platforms: [c] }] }",
            "preflight: { images: [{ name: a, image: 'a:b', digest: c }] }",
            "preflight: { backup: [{ name: a, file: 's3://b/c', host: d }] }",
            "preflight: { backup: [{ name: a, file: '' }] }",
            "preflight: { rollback-ready: {} }",
            "preflight: { command: [{ name: a, run: b, status: [] }] }",
            "preflight: { disk: [{ path: var }] }",
            "preflight: { disk: [{ path: /a }, { path: /a }] }",
            "preflight: { hosts: [{ host: a }] }",
            "hosts: { a: { address: b } }\npreflight: { hosts: [{ host: a, disk: [{ path: /c }, { path: /c }] }] }",
            "hosts: { a: { address: b } }\npreflight: { hosts: [{ host: a, max-load: 0 }] }",
        ],
    );
}

#[test]
fn rules_of_a_rollback() {
    refused(
        "rules_rollback",
        "rollback plan",
        &[
            "rollback: { state: s.json }",
            "rollback: { state: s.json, command: { run: a }, systemd: { unit: a, releases: /b, link: /c } }",
            "rollback: { state: s.json, command: { run: a, hosts: [web-01, web-01] } }",
            "rollback: { state: s.json, command: { run: a, hosts: [web-01] } }",
            "rollback: { state: s.json, systemd: { unit: a, releases: b } }",
            "rollback: { state: s.json, systemd: { unit: a, releases: /b, link: /b/c } }",
            "rollback: { state: s.json, systemd: { unit: a, releases: /b, hosts: all } }",
            "rollback: { state: s.json, nginx: { upstream-file: a, blue: 'b:1', green: 'b:1', release: { url: 'http://c' } } }",
            "rollback: { state: s.json, haproxy: { socket: /a, backend: b, blue: c, green: c, release: { url: 'http://d' } } }",
            "rollback: { state: s.json, compose: { folder: a, services: {} } }",
            "rollback: { state: s.json, compose: { folder: a, services: { b: 'c:{release}' }, completed: [d] } }",
            "rollback: { state: s.json, compose: { folder: a, services: { b: 'c:latest' } } }",
            "rollback: { state: s.json, workflow: { workflow: a.yml, inputs: {} } }",
            "rollback: { state: s.json, workflow: { workflow: a.yml, repository: b, inputs: { c: '{release}' } } }",
            "rollback: { state: s.json, workflow: { workflow: a.yml, inputs: { c: '{release}' }, correlation-input: c } }",
            "rollback: { state: s.json, workflow: { workflow: a.yml, inputs: { c: '{release}' }, interval: 0s } }",
            "rollback: { state: s.json, command: { run: a }, after: [{ name: '', run: b }] }",
            "rollback: { state: s.json, command: { run: a }, entrypoints: [{ name: b }] }",
            "rollback: { state: s.json, command: { run: a }, entrypoints: [{ name: b, release: { url: 'http://c' } }] }",
        ],
    );
}

#[test]
fn rules_of_pools_and_github() {
    refused(
        "rules_runner_check",
        "runner-check --repo acme/shop",
        &[
            "runner-check: { pools: [{ name: a, labels: [] }] }",
            "runner-check: { pools: [{ name: a, labels: [''] }] }",
            "runner-check: { pools: [{ name: a, labels: [b], repository: c/d, repositories: [e/f] }] }",
            "runner-check: { pools: [{ name: a, labels: [b], repositories: [c] }] }",
            "runner-check: { pools: [{ name: a, labels: [b], min-online: 0 }] }",
            "runner-check: { prune-above: 101 }",
            "runners: { a: { host: b } }",
            "hosts: { b: { address: c } }\nrunners: { a: { host: b, unit: c } }",
            "runner-check: { interval: 0s }",
            "runner-check: { emergency: {} }",
            "github: { token-env: A, app: { id: 1, key-env: B } }",
            "github: { app: { key-env: B } }",
            "github: { app: { id: 1, id-env: A, key-env: B } }",
        ],
    );
}

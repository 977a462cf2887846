//! The mistakes that people make in their first configuration, each with what is shown for it: what was
//! found, where, and what to write instead.

use crate::snapshots::Folder;

/// What it is, the file, and the command that reads it.
struct Mistake {
    name: &'static str,
    text: &'static [u8],
    command: &'static str,
}

const fn mistake(name: &'static str, text: &'static [u8]) -> Mistake {
    asked(name, text, "healthgate --dry-run")
}

const fn asked(name: &'static str, text: &'static [u8], command: &'static str) -> Mistake {
    Mistake {
        name,
        text,
        command,
    }
}

const YAML: &[Mistake] = &[
    mistake("tab", b"version: 1\nhealthgate:\n\thttp:\n\t  - name: ready\n"),
    mistake("tab after spaces", b"version: 1\nhealthgate:\n  http:\n  \t- name: ready\n  \t  url: http://a\n"),
    mistake("indent too little", b"version: 1\nhealthgate:\nhttp:\n  - name: ready\n    url: http://shop.example.com\n"),
    mistake("indent uneven", b"version: 1\nhealthgate:\n  policy:\n    deadline: 2m\n   http:\n    - name: ready\n"),
    mistake("indent key of item", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n     url: http://shop.example.com\n"),
    mistake("indent deeper", b"version: 1\n  service: shop\n"),
    mistake("no space after colon", b"version: 1\nservice:shop\n"),
    mistake("no space after colon first", b"version:1\nservice: shop\n"),
    mistake("no space after dash", b"version: 1\nhealthgate:\n  http:\n    -name: ready\n     url: http://a\n"),
    mistake("colon in value", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      body-regex: status: ok\n"),
    mistake("open quote", b"version: 1\nservice: \"shop\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("open single quote", b"version: 1\nservice: 'shop\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("open bracket", b"version: 1\nhealthgate:\n  http: [{ name: ready, url: http://a }\n"),
    mistake("open brace", b"version: 1\nhealthgate: { policy: { deadline: 2m }\nservice: a\n"),
    mistake("bad escape", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      body-regex: \"\\d+\"\n"),
    mistake("star value", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      body-regex: *ok\n"),
    mistake("at value", b"version: 1\nservice: @shop\n"),
    mistake("percent value", b"version: 1\nservice: %shop\n"),
    mistake("backtick value", b"version: 1\nservice: `shop`\n"),
    mistake("brace value", b"version: 1\nservice: {{ shop }}\n"),
    mistake("two documents", b"version: 1\n---\nservice: a\n"),
    mistake("duplicate key", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nhealthgate:\n  policy: { deadline: 5m }\n"),
    mistake("anchor unknown", b"version: 1\nhealthgate:\n  policy: *slow\n"),
    mistake("merge of text", b"version: 1\nhealthgate:\n  policy:\n    <<: slow\n"),
    mistake("expression in a mapping", b"version: 1\nhealthgate:\n  policy: { deadline: ${{ inputs.deadline }} }\n"),
    mistake("x key below", b"version: 1\nhealthgate:\n  x-slow: 1\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
];

const FILE: &[Mistake] = &[
    mistake("empty", b""),
    mistake("only comments", b"# nothing yet\n"),
    mistake("a word", b"hello\n"),
    mistake("a list", b"- version: 1\n"),
    mistake("toml", b"version = 1\n\n[healthgate]\ndeadline = \"2m\"\n"),
    mistake("ini", b"[healthgate]\nurl=http://a\n"),
    mistake("html", b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n"),
    mistake("conflict", b"version: 1\n<<<<<<< HEAD\nservice: a\n=======\nservice: b\n>>>>>>> other\n"),
    mistake("utf16", b"\xff\xfev\x00e\x00r\x00s\x00i\x00o\x00n\x00:\x00 \x001\x00\n\x00"),
    mistake("latin1", b"version: 1\nservice: caf\xe9\n"),
    mistake("bom crlf", b"\xef\xbb\xbfversion: 1\r\nhealthgate:\r\n  polcy:\r\n    deadline: 2m\r\n"),
    mistake("nul", b"version: 1\nservice: a\x00b\n"),
    mistake("a workflow", b"name: deploy\non:\n  push:\n    branches: [main]\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps: [{ run: ./deploy.sh }]\n"),
    mistake("a compose file", b"services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n"),
    mistake("long line", b"version: 1\nhealthgate: { http: [{ name: ready, url: 'http://shop.example.com/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', stats: 200 }] }\n"),
];

const VERSION: &[Mistake] = &[
    mistake("version missing", b"service: shop\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("version quoted", b"version: \"1\"\nservice: shop\n"),
    mistake("version unknown", b"version: 2\nservice: shop\n"),
    mistake("version point", b"version: 1.0\nservice: shop\n"),
    mistake("version v1", b"version: v1\n"),
    mistake("version empty", b"version:\nservice: shop\n"),
];

const KEYS: &[Mistake] = &[
    mistake("key slip", b"version: 1\nhealthgate:\n  polcy:\n    deadline: 2m\n"),
    mistake("key underscore", b"version: 1\nhealthgate:\n  policy:\n    success_threshold: 3\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("key camel", b"version: 1\nhealthgate:\n  policy:\n    successThreshold: 3\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("key upper", b"Version: 1\nservice: shop\n"),
    mistake("key other words", b"version: 1\nhealthgate:\n  policy:\n    retries: 3\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("key wrong parent", b"version: 1\nhealthgate:\n  soak: 5m\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("key wrong parent root", b"version: 1\nhttp:\n  - name: ready\n    url: http://shop.example.com\n"),
    mistake("key wrong parent probe", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      deadline: 2m\n"),
    mistake("key wrong parent value", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      interval: 5s\n"),
    mistake("key parts of a url", b"version: 1\nhealthgate:\n  http:\n    - { name: ready, path: /health, port: 80 }\n"),
    mistake("key wrong parent deep", b"version: 1\nrollback:\n  state: s.json\n  upstream-file: /etc/nginx/upstream.conf\n"),
    mistake("probe kind https", b"version: 1\nhealthgate:\n  https:\n    - name: ready\n      url: https://shop.example.com\n"),
    mistake("probe kind ping", b"version: 1\nhealthgate:\n  ping:\n    - host: shop\n"),
    mistake("section healthcheck", b"version: 1\nhealthcheck:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("environment key", b"version: 1\nenvironment: production\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("environment map", b"version: 1\nenvironment:\n  production:\n    service: a\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    asked("environment slip", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nenvironments:\n  production:\n    service: a\n", "healthgate --dry-run --environment prod"),
    asked("environment slip2", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nenvironments:\n  production:\n    service: a\n  staging:\n    service: b\n", "healthgate --dry-run --environment prodction"),
    mistake("environment typo", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nenvironments:\n  production:\n    healthgate:\n      polcy: { deadline: 5m }\n"),
    mistake("environment list", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nenvironments: [staging, production]\n"),
    mistake("environments as list", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\nenvironments:\n  - name: production\n    service: a\n"),
];

const SHAPES: &[Mistake] = &[
    mistake("list for map", b"version: 1\nhealthgate:\n  - http:\n      name: ready\n"),
    mistake("map for list", b"version: 1\nhealthgate:\n  http:\n    name: ready\n    url: http://shop.example.com\n"),
    mistake("named map for list", b"version: 1\nhealthgate:\n  http:\n    ready:\n      url: http://shop.example.com\n"),
    mistake("text for list", b"version: 1\nhealthgate:\n  http: https://shop.example.com\n"),
    mistake("text in list", b"version: 1\nhealthgate:\n  http:\n    - https://shop.example.com\n"),
    asked("names of secrets", b"version: 1\npreflight:\n  secrets: [DB_PASSWORD]\n", "preflight --dry-run"),
    asked("text for labels", b"version: 1\nrunner-check:\n  pools:\n    - name: deploy\n      labels: self-hosted\n", "runner-check --repo a/b"),
    mistake("text for map", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      headers: 'Authorization: Bearer s3cr3t-value'\n"),
    mistake("list for headers", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      headers:\n        - Authorization: Bearer s3cr3t-value\n"),
    mistake("list for text", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      body-regex: [ok, fine]\n"),
    mistake("hosts as list", b"version: 1\nhosts:\n  - web-01\n  - web-02\n"),
    mistake("host as text", b"version: 1\nhosts:\n  web-01: 10.0.0.1\n"),
    mistake("section empty", b"version: 1\nhealthgate:\n"),
    mistake("section empty inner", b"version: 1\nhealthgate:\n  http:\n  policy:\n    deadline: 2m\n"),
    mistake("section empty policy", b"version: 1\nhealthgate:\n  policy:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    asked("section empty preflight", b"version: 1\npreflight:\n", "preflight --dry-run"),
    asked("section empty rollback", b"version: 1\nrollback:\n", "rollback plan"),
    mistake("section commented out", b"version: 1\nhealthgate: #http: []\n"),
    mistake("value commented out that may be missing", b"version: 1\nservice: #shop\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("value commented out", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: #https://shop.example.com/health\n"),
    mistake("tag", b"version: 1\nhealthgate:\n  policy:\n    deadline: !env DEADLINE\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("tag binary", b"version: 1\nservice: &name !!binary c2hvcA==\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("tag of a list", b"version: 1\nhealthgate:\n  http: !include\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("item empty", b"version: 1\nhealthgate:\n  http:\n    -\n"),
];

const NUMBERS: &[Mistake] = &[
    mistake("number quoted", b"version: 1\nhealthgate:\n  policy:\n    success-threshold: \"3\"\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number word", b"version: 1\nhealthgate:\n  policy:\n    success-threshold: three\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number zero", b"version: 1\nhealthgate:\n  policy:\n    success-threshold: 0\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number negative", b"version: 1\nhealthgate:\n  policy:\n    failure-limit: -1\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number fraction", b"version: 1\nhealthgate:\n  policy:\n    failure-limit: 2.5\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number with unit", b"version: 1\nhealthgate:\n  policy:\n    failure-limit: 3s\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number huge", b"version: 1\nhealthgate:\n  policy:\n    failure-limit: 99999999999\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("number list", b"version: 1\nhealthgate:\n  policy:\n    failure-limit: [3]\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    asked("min online zero", b"version: 1\nrunner-check:\n  pools:\n    - name: deploy\n      labels: [self-hosted]\n      min-online: 0\n", "runner-check --repo a/b"),
    asked("parallel zero", b"version: 1\npreflight:\n  parallel-hosts: 0\n", "preflight --dry-run"),
    asked("bool yes", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n  systemd: { unit: shop.service, releases: /srv/shop/releases, sudo: yes }\n", "rollback plan"),
    asked("bool quoted", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n  systemd: { unit: shop.service, releases: /srv/shop/releases, sudo: \"true\" }\n", "rollback plan"),
    asked("bool upper", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n  systemd: { unit: shop.service, releases: /srv/shop/releases, sudo: True }\n", "rollback plan"),
    asked("word unknown", b"version: 1\ndeploy:\n  command: ./deploy.sh\n  on-error: rolback\n", "deploy-guard run --release v2"),
    mistake("word bool", b"version: 1\nhealthgate:\n  release-identity: true\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("word case", b"version: 1\nhealthgate:\n  release-identity: Optional\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("severity unknown", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      severity: warning\n"),
    asked("score", b"version: 1\npreflight:\n  pass-score: 80%\n", "preflight --dry-run"),
];

const VALUES: &[Mistake] = &[
    mistake("duration number", b"version: 1\nhealthgate:\n  policy:\n    interval: 5\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration quoted number", b"version: 1\nhealthgate:\n  policy:\n    interval: \"5\"\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration unit", b"version: 1\nhealthgate:\n  policy:\n    interval: 5 parsecs\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration negative", b"version: 1\nhealthgate:\n  policy:\n    interval: -1s\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration month", b"version: 1\nhealthgate:\n  policy:\n    deadline: 2 months\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration M", b"version: 1\nhealthgate:\n  policy:\n    deadline: 2M\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration days", b"version: 1\nhealthgate:\n  policy:\n    deadline: 60d\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration word", b"version: 1\nhealthgate:\n  policy:\n    deadline: never\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("duration zero", b"version: 1\nhealthgate:\n  policy:\n    interval: 0s\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("interval over deadline", b"version: 1\nhealthgate:\n  policy: { interval: 5m, deadline: 2m, success-threshold: 1 }\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("interval over deadline 3", b"version: 1\nhealthgate:\n  policy: { interval: 5m, deadline: 2m }\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    asked("age number", b"version: 1\npreflight:\n  secrets:\n    - name: KEY\n      max-age: 90\n", "preflight --dry-run"),
    mistake("size unit", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      max-body: 1 mega\n"),
    mistake("size fraction", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      max-body: 1.5MB\n"),
    mistake("size comma", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      max-body: 1TB\n"),
    asked("percent number", b"version: 1\npreflight:\n  disk:\n    - path: /\n      min-free: 10\n", "preflight --dry-run"),
    asked("percent over", b"version: 1\npreflight:\n  disk:\n    - path: /\n      min-free: 110%\n", "preflight --dry-run"),
    asked("portion fraction", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n  batch: 0.25\n  command: { run: ./switch.sh }\n", "rollback plan"),
    mistake("slo percent", b"version: 1\nhealthgate:\n  slo: { server: 'http://prom:9090', error-rate: 5 percent }\n"),
    mistake("url no scheme", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: shop.example.com/health\n"),
    mistake("url port no scheme", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: localhost:8080/health\n"),
    mistake("url path", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: /health\n"),
    mistake("url port", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://localhost:80800/health\n"),
    mistake("url tcp", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: tcp://localhost:80\n"),
    mistake("url todo", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: 'TODO: fill in'\n"),
    mistake("duration thousands", b"version: 1\nhealthgate:\n  policy: { timeout: 5000 }\n  http: [{ name: ready, url: http://a/ }]\n"),
    mistake("retries of a probe", b"version: 1\nhealthgate:\n  http: [{ name: ready, url: http://a/, retries: 3 }]\n"),
    mistake("insecure", b"version: 1\nhealthgate:\n  http: [{ name: ready, url: http://a/, insecure: true }]\n"),
    mistake("env at the top", b"version: 1\nenv: { A: b }\n"),
    mistake("url typo", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http//localhost:80\n"),
    mistake("address no port", b"version: 1\nhealthgate:\n  tcp:\n    - name: db\n      address: db\n"),
    mistake("address url", b"version: 1\nhealthgate:\n  tcp:\n    - name: db\n      address: tcp://db:5432\n"),
    mistake("address port text", b"version: 1\nhealthgate:\n  tcp:\n    - name: db\n      address: db:postgres\n"),
    mistake("address port big", b"version: 1\nhealthgate:\n  tcp:\n    - name: db\n      address: db:70000\n"),
    mistake("port big", b"version: 1\nhosts:\n  web-01: { address: 10.0.0.1, port: 70000 }\n"),
    mistake("port text", b"version: 1\nhosts:\n  web-01: { address: 10.0.0.1, port: ssh }\n"),
    mistake("port quoted", b"version: 1\nhosts:\n  web-01: { address: 10.0.0.1, port: \"22\" }\n"),
    mistake("host user in address", b"version: 1\nhosts:\n  web-01: { address: deploy@10.0.0.1:22 }\n"),
    mistake("status range", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      status: 200..299\n"),
    mistake("status text", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      status: ok\n"),
    mistake("status big", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      status: 2000\n"),
    mistake("status comma", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      status: 200,204\n"),
    mistake("status reverse", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      status: 299-200\n"),
    mistake("method lower", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      method: post\n"),
    mistake("regex", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      body-regex: 'ok('\n"),
    mistake("jq", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      jq: .status = \"ok\n"),
    mistake("jq undefined", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      jq: statu(.)\n"),
    asked("date", b"version: 1\npreflight:\n  freeze:\n    - name: xmas\n      first-date: 24.12.2026\n", "preflight --dry-run"),
    asked("time", b"version: 1\npreflight:\n  freeze:\n    - name: friday\n      days: [fri]\n      from: 16h\n", "preflight --dry-run"),
    asked("time zone", b"version: 1\npreflight:\n  freeze:\n    - name: friday\n      days: [fri]\n      time-zone: CEST\n", "preflight --dry-run"),
    asked("day", b"version: 1\npreflight:\n  freeze:\n    - name: friday\n      days: [Friday]\n", "preflight --dry-run"),
];

const VARIABLES: &[Mistake] = &[
    mistake("variable unset", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: ${SHOP_URL}/health\n"),
    mistake("variable dollar", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://$HOST/health\n"),
    mistake("variable workflow", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      headers: { Authorization: 'Bearer ${{ secrets.API_TOKEN }}' }\n"),
    mistake("variable workflow url", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: ${{ vars.SHOP_URL }}/health\n"),
    asked("variable workflow shell", b"version: 1\ndeploy:\n  command: ./deploy.sh ${{ github.sha }}\n", "deploy-guard run --release v2"),
    mistake("variable open", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://${HOST/health\n"),
    mistake("variable name", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://${shop-host}/health\n"),
    mistake("variable shell default", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://${HOST-localhost}/health\n"),
    mistake("variable shell error", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://${HOST:?missing}/health\n"),
    mistake("variable empty", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: ${EMPTY}\n"),
    mistake("variable empty number", b"version: 1\nhealthgate:\n  policy:\n    success-threshold: ${EMPTY}\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n"),
    mistake("variable release", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://shop/${RELEASE}\n"),
    mistake("variable mustache", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://{{ host }}/health\n"),
];

const NAMES: &[Mistake] = &[
    mistake("name missing", b"version: 1\nhealthgate:\n  http:\n    - url: http://shop.example.com\n"),
    mistake("url missing", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n"),
    mistake("name twice", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: http://a\n    - name: ready\n      url: http://b\n"),
    mistake("host unknown", b"version: 1\nhosts:\n  web-01: { address: 10.0.0.1 }\nhealthgate:\n  systemd:\n    - name: unit\n      unit: shop.service\n      host: web-1\n"),
    mistake("host address", b"version: 1\nhosts:\n  web-01: { address: 10.0.0.1 }\nhealthgate:\n  systemd:\n    - name: unit\n      unit: shop.service\n      host: 10.0.0.1\n"),
    mistake("host none", b"version: 1\nhealthgate:\n  systemd:\n    - name: unit\n      unit: shop.service\n      host: web-01\n"),
    asked("secret kind", b"version: 1\npreflight:\n  secrets:\n    - name: SSH_KEY\n      kind: ssh-key\n", "preflight --dry-run"),
    asked("secret as text", b"version: 1\npreflight:\n  secrets:\n    - SSH_KEY\n", "preflight --dry-run"),
    mistake("inventory missing", b"version: 1\nhosts-from:\n  ansible: inventory.ini\nhealthgate:\n  http: [{ name: ready, url: http://a/, via: web }]\n"),
    mistake("host key missing", b"version: 1\nhosts:\n  web-01:\n    user: deploy\n"),
    mistake("host password", b"version: 1\nhosts:\n  web-01:\n    address: 10.0.0.1\n    password: hunter2-hunter2\n"),
    asked("two targets", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n  command: { run: ./switch.sh }\n  compose: { services: { web: 'shop:{release}' } }\n", "rollback plan"),
    asked("no target", b"version: 1\nrollback:\n  state: /var/lib/shop/state.json\n", "rollback plan"),
    asked("no state", b"version: 1\nrollback:\n  command: { run: ./switch.sh }\n", "rollback plan"),
    asked("state scheme", b"version: 1\nrollback:\n  state: gs://bucket/state.json\n  command: { run: ./switch.sh }\n", "rollback plan"),
    asked("state bucket", b"version: 1\nrollback:\n  state: s3://Shop_State\n  command: { run: ./switch.sh }\n", "rollback plan"),
    asked("state host", b"version: 1\nrollback:\n  state: ssh://deploy@web-01:22/srv/state.json\n  command: { run: ./switch.sh }\n", "rollback plan"),
    asked("state folder", b"version: 1\nrollback:\n  state: /var/lib/shop/\n  command: { run: ./switch.sh }\n", "rollback plan"),
    asked("image no place", b"version: 1\nrollback:\n  state: s.json\n  compose:\n    services: { web: 'ghcr.io/acme/shop:latest' }\n", "rollback plan"),
    mistake("release bare", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      release: v1.2.3\n"),
];

const SECRETS: &[Mistake] = &[
    mistake("secret in url", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: ftp://admin:hunter2-hunter2@shop.example.com/\n"),
    mistake("secret in flow", b"version: 1\nhealthgate: { http: [{ name: ready, headers: { Authorization: Bearer hunter2-hunter2 }, utl: x }] }\n"),
    mistake("secret in broken flow", b"version: 1\nhealthgate: { postgres: [{ name: db, password: hunter2-hunter2, address: 'db:5432' }\n"),
    mistake("secret beside", b"version: 1\nhealthgate:\n  http:\n    - name: ready\n      url: https://shop.example.com/health\n      password: hunter2-hunter2\n"),
    mistake("secret short", b"version: 1\nhealthgate: { redis: [{ password: abc, name: ready, adress: 'a:1' }] }\n"),
    mistake("secret broken line", b"version: 1\nhealthgate:\n  postgres:\n    - password: hunter2: hunter3\n"),
    mistake("secret token quoted", b"version: 1\ngithub:\n  token: \"ghp_abcdefghijkl\n"),
    asked("secret value", b"version: 1\npreflight:\n  secrets: [{ name: DB, value: hunter2-hunter2 }]\n", "preflight --dry-run"),
    asked("secret assigned", b"version: 1\npreflight:\n  secrets: ['DB_PASSWORD=hunter2-hunter2']\n", "preflight --dry-run"),
    asked("secret lower", b"version: 1\npreflight:\n  secrets: [hunter2]\n", "preflight --dry-run"),
    mistake("secret section", b"version: 1\nsecrets: { DB: hunter2-hunter2 }\n"),
    mistake("secret pass", b"version: 1\nhealthgate:\n  redis: [{ name: a, address: 'a:6379', pass: hunter2-hunter2 }]\n"),
    mistake("secret dsn", b"version: 1\nhealthgate:\n  postgres: [{ name: a, dsn: 'host=db password=hunter2-hunter2 dbname=y' }]\n"),
    mistake("secret body", b"version: 1\nhealthgate:\n  http: [{ name: a, url: 'http://a/', body: 'password=hunter2-hunter2&x=1', utl: 1 }]\n"),
    mistake("secret body json", b"version: 1\nhealthgate:\n  http: [{ name: a, url: 'http://a/', body: '{\"token\": \"hunter2-hunter2\"}', utl: 1 }]\n"),
    asked("secret bearer", b"version: 1\npreflight:\n  command: [{ name: a, run: 'curl -H \"Authorization: Bearer hunter2-hunter2\" http://x', tmeout: 3s }]\n", "preflight --dry-run"),
    asked("secret flag", b"version: 1\npreflight:\n  command: [{ name: a, run: 'curl -u ops:hunter2-hunter2 http://x', tmeout: 3s }]\n", "preflight --dry-run"),
    asked("secret default", b"version: 1\npreflight:\n  variables: [{ name: STRIPE, default: hunter2-hunter2 }]\n", "preflight --dry-run"),
    mistake("secret env", b"version: 1\nenv: { DATABASE: hunter2-hunter2, STRIPE: sk_live_hunter2hunter2 }\n"),
    mistake("secret slip", b"version: 1\nhealthgate:\n  redis: [{ name: a, address: 'a:6379', pasword: hunter2-hunter2 }]\n"),
    mistake("secret beside slip", b"version: 1\nhealthgate:\n  http: [{ name: a, url: 'http://a/', polcy: 1, stripe: hunter2-hunter2 }]\n"),
    mistake("secret key", b"version: 1\nhosts:\n  a: { address: 10.0.0.1, key-env: '-----BEGIN OPENSSH PRIVATE KEY-----hunter2' }\n"),
    mistake("secret block", b"version: 1\ngithub:\n  token: |\n    ghp_abcdefghijkl\n  tken: x: y\n"),
    asked("secret broken value", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: hunter2-hunter2: b\n", "preflight --dry-run"),
    asked("secret broken quote", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: \"hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret broken lines", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: \"abc\n hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret broken tab", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value:\n\thunter2-hunter2\n", "preflight --dry-run"),
    asked("secret broken anchor", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: *hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret duplicate", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: hunter2-hunter2\n      value: hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret open map", b"version: 1\npreflight:\n  secrets: [{ name: DB, value: hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret several lines", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value: abc\n       hunter2-hunter2: x\n", "preflight --dry-run"),
    asked("secret no space", b"version: 1\npreflight:\n  secrets:\n    - name: DB\n      value:hunter2-hunter2\n", "preflight --dry-run"),
    asked("secret no mapping", b"version: 1\npreflight:\n  secrets:\n    - DB=hunter2-hunter2\n    b: c\n", "preflight --dry-run"),
    asked("secret broken unknown key", b"version: 1\nstripe: hunter2-hunter2: b\n", "preflight --dry-run"),
    asked("secret broken header", b"version: 1\nhealthgate:\n  http:\n    - name: a\n      headers:\n        X-Key: hunter2-hunter2: b\n", "preflight --dry-run"),
];

const ALL: &[(&str, &[Mistake])] = &[
    ("yaml", YAML),
    ("file", FILE),
    ("version", VERSION),
    ("keys", KEYS),
    ("shapes", SHAPES),
    ("numbers", NUMBERS),
    ("values", VALUES),
    ("variables", VARIABLES),
    ("names", NAMES),
    ("secrets", SECRETS),
];

/// A text as a snapshot can show it.
fn visible(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text
        .replace('\t', "→")
        .replace('\r', "␍")
        .replace('\0', "␀");
    text.replace('\u{feff}', "(BOM)")
}

#[test]
fn each_mistake_has_its_message() {
    let folder = Folder::new(&[]);
    let mut accepted = Vec::new();
    for (group, mistakes) in ALL {
        let mut shown = String::new();
        for mistake in *mistakes {
            std::fs::write(folder.path().join("deploy-guard.yml"), mistake.text).unwrap();
            let error = folder.shown(mistake.command);
            if !error.ends_with("--- exit code 2") || error.contains("is configured") {
                accepted.push(mistake.name);
            }
            let text = visible(mistake.text);
            let (_, error) = error.split_once("--- stderr\n").unwrap();
            shown.push_str(&format!(
                "## {}\n{}\n--- {}\n{}\n\n\n",
                mistake.name,
                text.trim_end(),
                mistake.command,
                error.trim_end_matches("--- exit code 2").trim_end()
            ));
        }
        insta::assert_snapshot!(format!("mistakes_{group}"), shown);
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
}

/// In no output, in no part, and with the sign below what it is about.
#[test]
fn a_secret_of_the_file_is_in_no_message() {
    let folder = Folder::new(&[]);
    for mistake in SECRETS {
        std::fs::write(folder.path().join("deploy-guard.yml"), mistake.text).unwrap();
        let error = folder.shown(mistake.command);
        for secret in ["hunter", "ghp_", "abc"] {
            assert!(!error.contains(secret), "{}: {error}", mistake.name);
        }
        assert!(error.contains(" | "), "{}: {error}", mistake.name);
    }
}

/// Names of the languages that we and our parser are written in, which tell an author nothing.
#[test]
fn no_message_has_a_word_of_our_programming() {
    let folder = Folder::new(&[]);
    let words = regex::Regex::new(
        r"\b([iu](8|16|32|64|128)|usize|f64|nonzero|newtype|struct|enum|variant|sequence|tuple|scalar|serde|stream|collection|indicator)\b",
    )
    .unwrap();
    for (_, mistakes) in ALL {
        for mistake in *mistakes {
            std::fs::write(folder.path().join("deploy-guard.yml"), mistake.text).unwrap();
            let error = folder.shown(mistake.command);
            assert!(!words.is_match(&error), "{}: {error}", mistake.name);
        }
    }
}

/// A text as an editor gives it to the schema; `None` if it is not YAML.
fn as_json(text: &[u8]) -> Option<serde_json::Value> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    yaml::Node::parse(text).ok()?.decode().ok()
}

/// The list of those that it accepts is what a schema cannot state: names that must be defined,
/// relations of two values, syntax of filters, variables.
#[test]
fn the_schema_refuses_each_mistake_that_a_schema_can_state() {
    let path = testkit::workspace().join("schema/deploy-guard.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let accepted =
        |mistake: &&Mistake| as_json(mistake.text).is_some_and(|json| schema.is_valid(&json));
    let all = ALL.iter().flat_map(|(_, mistakes)| *mistakes);
    let accepted: Vec<&str> = all.filter(accepted).map(|mistake| mistake.name).collect();
    insta::assert_snapshot!("mistakes_that_the_schema_accepts", accepted.join("\n"));
}

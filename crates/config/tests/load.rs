//! The configuration as its author sees it: which files are accepted, and where an error points.

use config::{Config, Error, LoadError, Loaded, Request, Section, Variables, load};
use model::Env;

struct Case<'a> {
    text: &'a str,
    environment: Option<&'a str>,
    env: Env,
    release: Option<&'a str>,
}

fn case(text: &str) -> Case<'_> {
    Case {
        text,
        environment: None,
        env: Env::default(),
        release: None,
    }
}

impl<'a> Case<'a> {
    fn environment(mut self, name: &'a str) -> Self {
        self.environment = Some(name);
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.env.set(name, value);
        self
    }

    fn release(mut self, release: &'a str) -> Self {
        self.release = Some(release);
        self
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy-guard.yml"), self.text).unwrap();
        load(Request {
            fetch: None,
            path: None,
            folder: folder.path(),
            environment: self.environment,
            variables: Variables {
                env: &self.env,
                release: self.release,
            },
        })
    }

    fn ok(&self) -> Config {
        self.load().unwrap().config
    }

    fn fault(&self) -> Error {
        match self.load() {
            Err(refusal) => refusal.error,
            Ok(loaded) => loaded.config.unset().next().unwrap().1.clone(),
        }
    }

    /// `line:column: message | hint`: of the file, else of the first section that cannot be used.
    fn error(&self) -> String {
        match self.fault() {
            Error::Invalid {
                line,
                column,
                message,
                hint,
                ..
            } => {
                format!("{line}:{column}: {message} | {}", hint.unwrap_or_default())
            }
            other => format!("{other} | {}", other.hint().unwrap_or_default()),
        }
    }
}

const GATE: &str = "version: 1\nhealthgate:\n  policy: { deadline: 2m, failure-limit: 2 }\n  http:\n    - name: ready\n      url: http://127.0.0.1:1/\n";

#[test]
fn the_example_of_the_guide_is_accepted() {
    let text = include_str!("guide.yml");
    let loaded = case(text)
        .release("v1")
        .set("PRODUCTION_SSH_PRIVATE_KEY", "k")
        .load()
        .unwrap();
    assert_eq!(
        loaded.config.preflight().unwrap().unwrap().images[0].image,
        "ghcr.io/acme/shop:v1"
    );
    assert!(
        loaded
            .secrets
            .variables
            .contains("PRODUCTION_SSH_PRIVATE_KEY")
    );
    assert!(loaded.secrets.variables.contains("GITHUB_TOKEN"));
}

#[test]
fn a_key_that_was_renamed_is_refused_with_its_new_name() {
    let same = "its value stays the same";
    for (text, error) in [
        (
            "version: 1\nrunner-check: { fresh: 1m }\n",
            format!("2:17: `fresh` was renamed to `max-evidence-age` | {same}"),
        ),
        (
            "version: 1\nrunner-check: { patience: 1m }\n",
            format!("2:17: `patience` was renamed to `max-queue-time` | {same}"),
        ),
        (
            "version: 1\nrunner-check: { prove-within: 1m }\n",
            format!("2:17: `prove-within` was renamed to `verify-timeout` | {same}"),
        ),
        (
            "version: 1\npreflight: { staging: [{ environment: s, within: 1d }] }\n",
            format!("2:42: `within` was renamed to `max-age` | {same}"),
        ),
        (
            "version: 1\npreflight: { rollback-ready: { drilled-within: 1d } }\n",
            format!("2:32: `drilled-within` was renamed to `max-drill-age` | {same}"),
        ),
        (
            "version: 1\nrollback: { haproxy: { leave: maint } }\n",
            "2:24: `leave` was renamed to `drain` | `drain: true` is what `leave: drain` was, `drain: false` what `leave: maint` was".to_owned(),
        ),
        (
            "version: 1\nrollback: { decide: [] }\n",
            format!("2:13: `decide` was renamed to `entrypoints` | {same}"),
        ),
        (
            "version: 1\npreflight: { backup: [{ name: b, file: f, intact: gzip }] }\n",
            format!("2:43: `intact` was renamed to `verify` | {same}"),
        ),
        (
            "version: 1\nincident: { severity: [{ is: low }] }\n",
            format!("2:26: `is` was renamed to `level` | {same}"),
        ),
        (
            "version: 1\nincident: { exposure: { of-all: x } }\n",
            format!("2:25: `of-all` was renamed to `total-all-releases` | {same}"),
        ),
        (
            "version: 1\nhealthgate: { canary: { names: {} } }\n",
            format!("2:25: `names` was renamed to `metric-names` | {same}"),
        ),
        (
            "version: 1\ntraffic: { alb: { overlap: 1s } }\n",
            format!("2:19: `overlap` was renamed to `propagation-time` | {same}"),
        ),
        // Elsewhere the same word is an unknown key like any other.
        (
            "version: 1\nhealthgate: { fresh: 1m }\n",
            "2:15: unknown key `fresh`".to_owned(),
        ),
    ] {
        let found = case(text).error();
        assert!(found.starts_with(&error), "{found}");
    }
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_the_nearest_known_one() {
    let text = GATE.replace("failure-limit", "faliure-limit");
    assert_eq!(
        case(&text).error(),
        "3:27: unknown key `faliure-limit` | did you mean `failure-limit`?"
    );
}

#[test]
fn a_key_without_its_colon_is_known_where_it_belongs() {
    for (text, expected) in [
        (
            "version: 1\nhealthgate: { http: [{ name: a, url: 'http://a', status 200 }] }\n",
            "2:50: `status` has no colon | write `status: 200`",
        ),
        (
            "version: 1\nenvironments: { e: { healthgate: { http: [{ name: a, url: 'http://a', max-latency 1s }] } } }\n",
            "2:71: `max-latency` has no colon | write `max-latency: …`",
        ),
        // Its value may be a secret.
        (
            "version: 1\nhealthgate: { http: [{ name: a, url 'http://a/hunter2' }] }\n",
            "2:33: `url` has no colon | write `url: …`",
        ),
        (
            "version: 1\nhealthgate: { http: [{ name: a, 'url http://a/hunter2': }] }\n",
            "2:33: `url` has no colon | write `url: …`",
        ),
    ] {
        assert_eq!(case(text).error(), expected, "{text}");
    }
    let elsewhere = "version: 1\nhosts: { web: { address: a, user: b, status 200 } }\n";
    let error = case(elsewhere).error();
    assert!(
        error.contains("unknown key `***` | known keys here: `address`"),
        "{error}"
    );
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let cases: &[(&str, &str)] = &[
        (
            "version: 2\n",
            "1:10: version 2 is not known | this release reads `version: 1`",
        ),
        ("service: a\n", "1:1: missing key `version` | "),
        (
            "version: 1\nversion: 1\n",
            "2:1: duplicate key `version` | ",
        ),
        (
            "version: 1\nhealthgate: []\n",
            "2:13: expected a mapping, found a list | ",
        ),
        (
            "version: 1\nhealthgate: { policy: { interval: 5 parsecs } }\n",
            "2:35: `5 parsecs` is not a duration such as `30s`, `1m 30s` or `500ms` | ",
        ),
        (
            "version: 1\nhealthgate: { http: [{ name: a, url: 'ftp://x' }] }\n",
            "2:38: the scheme `ftp` is not supported here | write it as `http://host:port/path` or `https://…`",
        ),
        (
            "version: 1\nhealthgate: { http: [{ name: a, url: 'http://x', jq: '.a[' }] }\n",
            "2:54: not a jq filter: not understood at its end | try it on an answer: `curl -s URL | jq 'FILTER'`",
        ),
        (
            "version: 1\nhealthgate: { http: [{ name: a, url: 'http://x', body-regex: '(' }] }\n",
            "2:62: not a regular expression: unclosed group | a bracket or a sign that is meant itself has a `\\` before it",
        ),
        (
            "version: 1\nhosts: { a: { user: b } }\nenvironments:\n  blue: { hosts: { a: { address: c } } }\n  green: { hosts: { a: { address: d } } }\n",
            "2:13: missing key `address` | choose an environment, such as `--environment blue`: the file has `blue`, `green`",
        ),
        (
            "version: 1\npreflight: { secrets: [{ name: A, kind: ssh-privat-key }] }\n",
            "2:41: unknown value `ssh-privat-key` | did you mean `ssh-private-key`?",
        ),
        (
            "version: 1\nhosts: { web-01: { address: a } }\npreflight: { hosts: [{ host: web-1 }] }\n",
            "3:30: no host `web-1` under `hosts:` | did you mean `web-01`?",
        ),
        (
            "version: 1\nrollback: { state: s }\n",
            "2:11: no target is given | add one of `command:`, ",
        ),
        (
            "version: 1\n  x: y\n",
            "2:3: not YAML: `x` is indented below `version`, which has a value already | begin it in column 1",
        ),
        ("a: &a [*a]\n", "1:8: an alias to itself or to nothing | "),
        (
            "version: 1\n---\nversion: 1\n",
            "2:1: a second document begins | ",
        ),
    ];
    for (text, expected) in cases {
        let error = case(text).error();
        assert!(
            error.starts_with(expected),
            "{text}\n  {error}\n  {expected}"
        );
    }
}

#[test]
fn mistakes_in_what_github_is_asked_are_shown_where_they_stand() {
    for (text, expected) in [
        (
            "github: { token-env: A, app: { id: 1, key-env: B } }\n",
            "2:30: `token-env` and `app` exclude each other | a check may",
        ),
        (
            "github: { app: { key-env: B } }\n",
            "2:16: the app has no id | add `id: 12345`",
        ),
        (
            "github: { app: { id: 1, id-env: A, key-env: B } }\n",
            "2:33: `id` and `id-env` exclude each other",
        ),
        (
            "github: { api-url: ghes.example }\n",
            "2:20: the URL has no scheme | write it as `https://ghes.example`",
        ),
        (
            "preflight: { artifacts: [{ name: a, branch: main }] }\n",
            "2:45: `branch` chooses a run of another workflow",
        ),
        (
            "preflight: { checks: [{ name: a }, { name: a }] }\n",
            "2:44: duplicate name `a`",
        ),
        (
            "preflight: { checks: [{ name: a, waivers: [{ check: a, reason: ' ', approver: b, expires: 2026-12-01 }] }] }\n",
            "2:64: a waiver's `reason` is empty",
        ),
        (
            "preflight: { checks: [{ name: a, waivers: [{ check: a, reason: r, approver: b, expires: soon }] }] }\n",
            "2:89: `soon` is neither a day such as `2026-12-01`",
        ),
        (
            "preflight: { checks: [{ name: a, waivers: [{ check: a, reason: r, approver: b }] }] }\n",
            "2:44: missing key `expires`",
        ),
    ] {
        let text = format!("version: 1\n{text}");
        let error = case(&text).error();
        assert!(
            error.starts_with(expected),
            "{text}\n  {error}\n  {expected}"
        );
    }
}

#[test]
fn a_typo_in_an_environment_that_is_not_selected_is_found() {
    let text = format!("{GATE}environments:\n  staging: {{ healthgate: {{ polcy: {{}} }} }}\n");
    assert_eq!(
        case(&text).error(),
        "8:28: unknown key `polcy` | did you mean `policy`?"
    );
}

#[test]
fn an_environment_is_merged_deeply_and_its_lists_replace() {
    let text = format!(
        "{GATE}environments:\n  staging:\n    healthgate:\n      policy: {{ deadline: 30s }}\n      http: [{{ name: other, url: 'http://127.0.0.1:2/' }}]\n"
    );
    let config = case(&text).environment("staging").ok();
    let gate = config.healthgate().unwrap().unwrap();
    assert_eq!(gate.policy.deadline.get().as_secs(), 30);
    assert_eq!(gate.policy.failure_limit, Some(2));
    assert_eq!(
        gate.http
            .iter()
            .map(|probe| probe.name.as_str())
            .collect::<Vec<_>>(),
        ["other"]
    );
    assert_eq!(
        case(&text)
            .ok()
            .healthgate()
            .unwrap()
            .unwrap()
            .policy
            .deadline
            .get()
            .as_secs(),
        120
    );
    assert_eq!(
        case(&text).environment("stagin").error(),
        "no environment `stagin` | did you mean `staging`?"
    );
}

#[test]
fn a_file_with_environments_has_no_other_environment() {
    let text = format!("{GATE}environments: {{ staging: {{}}, production: {{}} }}\n");
    assert_eq!(
        case(&text).environment("live").error(),
        "no environment `live` | the file has: `staging`, `production`"
    );
    // A file without any has whatever a state is kept for.
    assert!(case(GATE).environment("live").load().is_ok());
}

#[test]
fn variables_stand_for_values_and_never_for_structure() {
    let text =
        "version: 1\nservice: ${NAME}\nhealthgate: { policy: { interval: '${EVERY:-7s}' } }\n";
    let config = case(text).set("NAME", "a: {b: c}\n- x").ok();
    assert_eq!(config.service().unwrap(), Some("a: {b: c}\n- x"));
    assert_eq!(
        config
            .healthgate()
            .unwrap()
            .unwrap()
            .policy
            .interval
            .get()
            .as_secs(),
        7
    );
}

#[test]
fn an_unset_variable_matters_only_in_a_section_that_is_used() {
    let text = "version: 1\nhealthgate: { policy: { interval: '${EVERY}' }, http: [{ name: a, url: '${URL}' }] }\npreflight: {}\n";
    let error = case(text).error();
    assert!(
        error.starts_with("2:35: the variable `EVERY` is not set"),
        "{error}"
    );
    let config = case(text).ok();
    assert!(config.preflight().unwrap().is_some());
    assert_eq!(config.healthgate().unwrap_err().unset(), ["EVERY", "URL"]);
    let typo = text.replace("name: a", "nme: a");
    assert!(case(&typo).error().contains("unknown key `nme`"));
    let release = "version: 1\nhealthgate: { http: [{ name: a, url: 'http://x/${RELEASE}' }] }\n";
    assert!(case(release).error().ends_with("pass `--release RELEASE`"));
}

#[test]
fn an_unset_variable_never_becomes_a_value() {
    let text = "version: 1
hosts:
  near: { address: 127.0.0.1, user: a }
  far: { address: 127.0.0.1, user: a, port: '${FAR_PORT}' }
github: { api-url: '${GHES_API}' }
runners: { big: { host: far } }
preflight:
  images: [{ name: a, image: '${IMAGE}' }]
  hosts: [{ host: near, reachable: true }]
healthgate: { http: [{ name: a, url: 'http://127.0.0.1/', via: near }] }
";
    let text = text.replace("{ host: near, reachable: true }", "{ host: near }");
    let config = case(&text).ok();
    let unset: Vec<Section> = config.unset().map(|(section, _)| section).collect();
    let left_out = [
        Section::Hosts,
        Section::Github,
        Section::Runners,
        Section::Preflight,
    ];
    assert_eq!(unset, left_out);
    assert_eq!(Vec::from_iter(config.hosts.keys()), ["near"]);
    assert!(config.healthgate().unwrap().is_some());
    assert_eq!(config.github().unwrap_err().unset(), ["GHES_API"]);
    assert_eq!(config.preflight().unwrap_err().unset(), ["IMAGE"]);
    // By a name.
    let far = config.runners().unwrap_err();
    assert_eq!(far.unset(), ["FAR_PORT"]);
    let through = case(&text.replace("via: near", "via: far")).ok();
    assert_eq!(through.healthgate().unwrap_err().unset(), far.unset());
    let state =
        format!("{text}rollback: {{ state: 'ssh://far/srv/state.json', command: {{ run: a }} }}\n");
    assert_eq!(
        case(&state).ok().rollback().unwrap_err().unset(),
        far.unset()
    );
}

#[test]
fn a_gate_can_be_asked_for_another_release_than_the_one_that_was_named() {
    let text = "version: 1\nhealthgate: { command: [{ name: a, run: b, equals: '${RELEASE}' }, { name: c, run: d }] }\n";
    let equals = |config: &Config, release: &str| {
        let gate = config::healthgate_for(config, release).unwrap().unwrap();
        gate.command[0].equals.clone()
    };
    let named = case(text).release("v3").ok();
    assert_eq!(equals(&named, "v2").as_deref(), Some("v2"));
    // Where no release is named, and only then, is what it is part of left out.
    let config = case(text).ok();
    assert_eq!(config.healthgate().unwrap_err().unset(), ["RELEASE"]);
    assert_eq!(equals(&config, "v2").as_deref(), Some("v2"));
    let any = config.healthgate_of_any().unwrap().unwrap();
    assert_eq!((any.command.len(), &any.command[0].equals), (2, &None));
    let other = text.replace("run: d", "run: d, contains: '${D}'");
    let other = case(&other).ok();
    assert!(other.healthgate_of_any().is_err());
    assert!(config::healthgate_for(&other, "v2").is_err());
}

/// An omitted part takes its dependents with it, and does not hide an error elsewhere.
#[test]
fn an_unset_variable_hides_no_unknown_key() {
    let sections = [
        "rollback: { state: '${A}', nginx: { url: '${A}', file: '${A}', WRONG: 1 } }",
        "healthgate: { http: [{ name: '${A}' }, { name: a, url: '${A}', policy: { WRONG: 1 } }] }",
        "preflight: { images: [{ image: '${A}', WRONG: 1 }] }",
        "hosts: { a: { address: '${A}', WRONG: 1 } }",
        "environments: { other: { deploy: { command: a, timeout: '${A}', WRONG: 1 } } }",
    ];
    for section in sections {
        let text = format!("version: 1\nservice: '${{A}}'\n{section}\n");
        let error = case(&text).error();
        assert!(error.contains("unknown key `WRONG`"), "{text}{error}");
    }
    // A host with an unset variable is not an unknown host, and its default does not apply.
    let text = "version: 1\nhosts: { a: { address: 127.0.0.1, user: a, port: '${A}' } }\nrunners: { r: { host: a } }\n";
    let config = case(text).ok();
    assert!(config.hosts.is_empty());
    assert!(config.runners().is_err());
    assert_eq!(config.hosts_named("all"), ["a"]);
}

#[test]
fn literals_in_headers_passwords_and_user_parts_are_secrets() {
    let text = "version: 1
healthgate:
  http:
    - name: a
      url: 'http://deploy:hunter2xyz@127.0.0.1/?token=t0ken-in-url&page=2'
      headers: { Authorization: 'Bearer t0ken-in-header', Accept: application/json, X-Key: k3y }
preflight:
  secrets: [{ name: SHOP_KEY }]
";
    let secrets = case(text).load().unwrap().secrets;
    let expected = [
        "Bearer t0ken-in-header",
        "hunter2xyz",
        "k3y",
        "t0ken-in-header",
        "t0ken-in-url",
    ];
    let exposed = |secrets: &config::Secrets| {
        let literals = secrets.literals.iter().map(model::Secret::expose);
        literals.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(exposed(&secrets), expected);
}

#[test]
fn an_address_where_a_variable_is_to_be_named_is_a_secret() {
    let address = "https://hooks.slack.com/services/T0/B0/hunter2222";
    for key in ["url", "webhook", "address"] {
        let text = format!(
            "version: 1\nservice: shop\nincident:\n  slack: [{{ name: a, {key}: '{address}' }}]\n"
        );
        let error = case(&text).error();
        assert!(
            error.contains("unknown key") && !error.contains("hunter2222"),
            "{error}"
        );
    }
}

#[test]
fn shell_text_is_left_to_the_shell() {
    let text = "version: 1\ndeploy: { command: './deploy.sh \"${RELEASE}\" $$ ${NOT_SET}' }\n";
    assert_eq!(
        &*case(text).ok().deploy().unwrap().unwrap().command,
        "./deploy.sh \"${RELEASE}\" $$ ${NOT_SET}"
    );
}

#[test]
fn variables_in_headers_passwords_and_user_parts_are_secrets() {
    let text = "version: 1\nhealthgate:\n  http:\n    - name: a\n      url: http://u:${PASS}@127.0.0.1/\n      headers: { Authorization: 'Bearer ${API_TOKEN}' }\npreflight:\n  images: [{ name: b, image: b, password-env: REGISTRY_PASSWORD }]\nenvironments:\n  staging: { preflight: { secrets: [{ name: STAGING_KEY }] } }\n";
    let loaded = case(text)
        .set("PASS", "p")
        .set("API_TOKEN", "t")
        .load()
        .unwrap();
    for name in ["PASS", "API_TOKEN", "REGISTRY_PASSWORD", "STAGING_KEY"] {
        assert!(loaded.secrets.variables.contains(name), "{name}");
    }
    // By the name of a field, a parameter or the variable itself, and by a header that takes it.
    let text = "version: 1
healthgate:
  smoke:
    - name: a
      variables: { one: '${A}', two: '${B}' }
      requests:
        - { url: 'http://${C}/?api_key=${D}&page=${E}', headers: { X: 'a {{ one }}' }, json: { ApiKey: '${F}' } }
        - { url: 'http://x/{{two}}', body: 'p=${SHOP_PASSWD}&q=${G}', form: { } }
";
    let mut case = case(text);
    for name in ["A", "B", "C", "D", "E", "F", "G", "SHOP_PASSWD"] {
        case = case.set(name, "x");
    }
    let secrets = case.load().unwrap().secrets.variables;
    let secret = |name: &&str| secrets.contains(*name);
    let all = ["A", "B", "C", "D", "E", "F", "G", "SHOP_PASSWD"];
    let found: Vec<_> = all.into_iter().filter(secret).collect();
    assert_eq!(found, ["A", "D", "F", "SHOP_PASSWD"]);
}

#[test]
fn a_unit_that_is_a_pattern_would_be_other_units_too() {
    let unit = |unit: &str| {
        format!(
            "version: 1\nservice: shop\nrollback:\n  state: s.json\n  systemd: {{ unit: '{unit}', releases: /srv/releases }}\n"
        )
    };
    for good in ["shop.service", "shop@blue-1", r"srv-a\x2db.mount"] {
        case(&unit(good)).load().unwrap();
    }
    for bad in [
        "*",
        "shop@*.service",
        "shop?",
        "[s]hop",
        "-H",
        "a b",
        "$(x)",
    ] {
        let error = case(&unit(bad)).error();
        assert!(error.contains("is not a name"), "{bad}: {error}");
    }
}

#[test]
fn a_name_is_not_empty_and_a_key_without_a_value_is_not_given() {
    let settings = |entry: &str| format!("version: 1\npreflight: {{ variables: [{entry}] }}\n");
    case(&settings("{ name: A, example-file: }"))
        .load()
        .unwrap();
    case(&settings(
        "{ name: ~, example-file: a }, { name: null, example-file: b }",
    ))
    .load()
    .unwrap();
    for empty in ["''", "' '"] {
        let error = case(&settings(&format!("{{ name: {empty} }}"))).error();
        assert!(error.contains("2:34: `name` is empty"), "{error}");
    }
}

#[test]
fn a_secret_that_the_cut_of_a_long_line_splits_is_redacted() {
    let redactor = model::Redactor::new(["Bearer hunter2-hunter2"]);
    let mut cut = 0;
    for pad in 0..60 {
        let (before, after) = ("x".repeat(pad), "y".repeat(60 - pad));
        for text in [
            format!(
                "version: 1\nhealthgate: {{ http: [{{ name: a{before}, headers: {{ A: 'Bearer hunter2-hunter2' }}, url: 'http://{after}{after}{after}' }}], polcy: {{}} }}\n"
            ),
            format!(
                "version: 1\nhealthgate: {{ polcy: {{}}, http: [{{ name: '{before}{before}{before}', headers: {{ A: 'Bearer hunter2-hunter2' }}, url: 'http://a' }}] }}\n"
            ),
        ] {
            let fault = case(&text).fault();
            let drawn = fault.snippet().unwrap();
            cut += usize::from(drawn.contains('…'));
            let shown = redactor.redact(drawn);
            assert!(shown.contains("polcy"), "{shown}");
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }
    assert!(cut > 60, "{cut} of 120 lines were cut");
}

#[test]
fn hostile_files_are_refused_within_bounds() {
    let deep = format!("version: {}", "[".repeat(5000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e]\n";
    let error = case(&deep).error();
    assert!(
        error.contains("brackets are nested too deeply") || error.contains("nested deeper"),
        "{error}"
    );
    assert!(
        case(bomb).error().contains("more than 50000 values"),
        "{}",
        case(bomb).error()
    );
    assert!(
        case(&"#".repeat(2 << 20))
            .error()
            .contains("larger than 1 MiB")
    );
}

#[test]
fn a_file_that_was_named_and_is_not_there_is_an_error() {
    let env = Env::default();
    let error = load(Request {
        fetch: None,
        path: Some("nowhere.yml".as_ref()),
        folder: ".".as_ref(),
        environment: None,
        variables: Variables {
            env: &env,
            release: None,
        },
    })
    .unwrap_err()
    .error;
    assert!(
        error
            .to_string()
            .starts_with("failed to read nowhere.yml: No such file")
    );
}

#[test]
fn a_policy_that_nothing_can_pass_is_refused_where_it_stands_with_what_fits() {
    let probe = "  http:\n    - name: ready\n      url: http://127.0.0.1:1/\n";
    for (policy, at, message, fits) in [
        (
            "{ deadline: 1s }",
            "3:23",
            "`success-threshold` (3) at an `interval` of 2s takes 4s, and `deadline` is 1s",
            "`deadline: 6s`, or `interval: 333ms`, or `success-threshold: 1`",
        ),
        ("{ interval: 1m }", "3:23", "takes 2m", "`deadline: 3m`"),
        (
            "{ success-threshold: 100 }",
            "3:32",
            "takes 3m 18s",
            "`success-threshold: 60`",
        ),
        (
            "{ min-samples: 61 }",
            "3:26",
            "`min-samples` (61)",
            "`min-samples: 60`",
        ),
        (
            "{ initial-delay: 2m }",
            "3:28",
            "`initial-delay` (2m)",
            "`deadline: 2m 6s`",
        ),
        (
            "{ initial-delay: 118s }",
            "3:28",
            "takes 2m 2s",
            "`deadline: 2m 4s`",
        ),
        (
            "{ success-threshold: 4294967295, interval: 1h }",
            "3:32",
            "nothing can pass",
            "`success-threshold: 1`",
        ),
    ] {
        let stage = format!("version: 1\nhealthgate:\n  policy: {policy}\n{probe}");
        let error = case(&stage).error();
        assert!(error.contains(message) && error.contains(fits), "{error}");
        assert!(error.starts_with(at), "{error}");
        let own = format!("version: 1\nhealthgate:\n{probe}      policy: {policy}\n");
        let error = case(&own).error();
        assert!(
            error.contains(message) && error.starts_with("6:"),
            "{error}"
        );
    }
    for policy in [
        "{}",
        "{ deadline: 4001ms }",
        "{ deadline: 1s, interval: 400ms }",
        "{ deadline: 1s, success-threshold: 1 }",
        "{ deadline: 10s, soak: 1h }",
        "{ initial-delay: 115s }",
        "{ min-samples: 60 }",
    ] {
        case(&format!(
            "version: 1\nhealthgate:\n  policy: {policy}\n{probe}"
        ))
        .ok();
    }
    // Each is valid alone; together they are not.
    let both = format!(
        "version: 1\nhealthgate:\n  policy: {{ deadline: 10s }}\n{probe}      policy: {{ success-threshold: 20 }}\n"
    );
    let error = case(&both).error();
    assert!(error.starts_with("7:36: nothing can pass"), "{error}");
    let slo = "version: 1\nhealthgate:\n  slo: { server: 'http://127.0.0.1:1', p95: 3s, policy: { interval: 2m } }\n";
    assert!(
        case(slo).error().starts_with("3:69: nothing can pass"),
        "{}",
        case(slo).error()
    );
}

#[test]
fn a_wait_for_checks_has_a_time_of_its_own() {
    for (deadline, wait) in [("30s", "31s"), ("2m", "1h"), ("1h", "30m"), ("2m", "0s")] {
        let text = format!(
            "version: 1\npreflight:\n  deadline: {deadline}\n  checks:\n    - {{ name: ci, wait: {wait} }}\n"
        );
        case(&text).ok();
    }
}

#[test]
fn releases_are_compared_by_the_widest_rule_of_the_file() {
    use config::file::Match;
    for (text, rule) in [
        ("", Match::Exact),
        (
            "healthgate:\n  http:\n    - { name: a, url: 'http://a/', release: { match: regex } }\n    - { name: b, url: 'http://a/' }\n",
            Match::Regex,
        ),
        (
            "healthgate:\n  http: [{ name: a, url: 'http://a/', release: { match: regex } }]\n  ecs: [{ name: b, cluster: c, service: s, match: prefix }]\n",
            Match::Prefix,
        ),
        (
            "rollback:\n  state: s.json\n  command: { run: x }\n  entrypoints: [{ name: a, traffic: true, release: { url: 'http://a/', match: prefix } }]\n",
            Match::Prefix,
        ),
    ] {
        let config = case(&format!("version: 1\n{text}")).ok();
        assert_eq!(config.release_rule(), rule, "{text}");
    }
}

#[test]
fn a_number_may_come_from_a_variable_and_its_value_is_not_shown() {
    let text = "version: 1\nhosts: { a: { address: a, port: '${VPS_PORT:-22}' } }\n";
    let port = |value: &str| case(text).set("VPS_PORT", value).ok().hosts["a"].port;
    assert_eq!(case(text).ok().hosts["a"].port, Some(22));
    // A secret that does not exist is empty.
    assert_eq!(port(""), Some(22));
    assert_eq!(port("2222\n"), Some(2222));
    let error = |value: &str| case(text).set("VPS_PORT", value).error();
    assert_eq!(
        error("hunter2"),
        "2:33: expected a whole number, and the value of `${VPS_PORT:-22}` is something else | "
    );
    assert_eq!(
        error("70000"),
        "2:33: the value of `${VPS_PORT:-22}` is not possible here | "
    );
    let text = "version: 1\nhosts:\n  a:\n    address: a\n    port: ${VPS_PORT:-22}\n";
    assert_eq!(case(text).ok().hosts["a"].port, Some(22));
    let quoted = "version: 1\nhosts: { a: { address: a, port: '22' } }\n";
    assert!(case(quoted).error().contains("expected a whole number"));
}

#[test]
fn jump_hosts_are_known_and_lead_in_no_circle() {
    let hosts = |text: &str| format!("version: 1\nhosts:\n{text}");
    let chain =
        hosts("  a: { address: a, jump: b }\n  b: { address: b, jump: c }\n  c: { address: c }\n");
    let config = case(&chain).ok();
    let jump = config.hosts["a"].jump_host.clone().unwrap();
    assert_eq!(jump.jump_host.as_ref().unwrap().address, "c");
    let circle = chain.replace("address: c", "address: c, jump: a");
    assert_eq!(
        case(&circle).error(),
        "3:26: the jump hosts lead in a circle: a → b → c → a | one of them must be reached directly: remove `jump` from `a`"
    );
    let unknown = chain.replace("jump: c", "jump: d");
    assert_eq!(
        case(&unknown).error(),
        "4:26: no host `d` under `hosts:` | add `hosts: { d: { address: … } }`, or correct the name"
    );
    // What is behind a host with an unset variable cannot be used either.
    let unset = chain.replace("address: c", "address: '${C}'") + "runners: { r: { host: a } }\n";
    let config = case(&unset).ok();
    assert!(config.hosts.is_empty() && config.runners().is_err());
    assert_eq!(config.hosts_named("all"), ["a", "b", "c"]);
}

#[test]
fn a_key_that_a_client_does_not_read_is_refused() {
    let of = |more: &str| {
        let text = format!("version: 1\nhosts: {{ a: {{ address: a, {more} }} }}\n");
        case(&text).error()
    };
    assert!(of("ssh-config: x").contains("only the `ssh` program reads it"));
    assert!(of("ssh: openssh, passphrase-env: X").contains("takes no passphrase from a variable"));
    assert!(of("ssh: putty").contains("unknown value `putty`"));
}

#[test]
fn hosts_of_an_inventory_are_hosts_and_its_groups_are_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let load_with = |text: &str, environment: Option<&str>, inventory: Option<&str>| {
        std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
        let asked = std::cell::Cell::new(0);
        let fetch = |_: inventory::InventorySource<'_>, _: std::time::Duration| {
            asked.set(asked.get() + 1);
            inventory
                .map(|text| text.as_bytes().to_vec())
                .ok_or(inventory::Error::Empty)
        };
        let loaded = load(Request {
            fetch: Some(&fetch),
            path: None,
            folder: folder.path(),
            environment,
            variables: Variables {
                env: &Env::default(),
                release: None,
            },
        });
        (loaded.map_err(|refusal| refusal.error), asked.get())
    };
    let text = "version: 1
hosts: { web-01: { address: own }, edge: { address: edge } }
hosts-from: { command: 'list $X', defaults: { jump: edge, key-env: KEY } }
preflight: { hosts: [{ host: web }, { host: 'db-*' }] }
healthgate: { systemd: [{ name: a, unit: a, hosts: [web] }] }
";
    let list = "[{ name: web-01, groups: [web] }, { name: web-02, groups: [web] }, db-01]";
    let (loaded, asked) = load_with(text, None, Some(list));
    let config = loaded.unwrap().config;
    assert_eq!(asked, 1);
    assert_eq!(config.hosts_named("web"), ["web-01", "web-02"]);
    assert_eq!(config.hosts_named("all").len(), 4);
    assert_eq!(config.hosts["web-01"].address, "own");
    assert_eq!(
        config.hosts["db-01"].jump_host.as_ref().unwrap().address,
        "edge"
    );
    let error = |text: &str, list: Option<&str>| load_with(text, None, list).0.unwrap_err();
    let unknown = text.replace("host: web }", "host: wep }");
    assert!(error(&unknown, Some(list)).to_string().contains("`wep`"));
    let none = error(text, None);
    assert!(
        none.to_string().contains("the inventory has no host"),
        "{none}"
    );
    assert!(none.to_string().contains(":3:"), "{none}");
    let two = text.replace("hosts-from: {", "hosts-from: { file: x,");
    assert!(
        error(&two, Some(list))
            .to_string()
            .contains("one of `ansible`")
    );
    // What another environment names is not read, and its hosts are not missed.
    let other =
        format!("{text}environments: {{ a: {{ hosts-from: {{ command: other }} }}, b: {{}} }}\n");
    let (loaded, asked) = load_with(&other, Some("b"), Some(list));
    assert!(loaded.is_ok() && asked == 1);
    // Where it cannot be named, what uses hosts cannot be used.
    let unset = text.replace("command: 'list $X'", "file: '${LIST}'");
    let (loaded, asked) = load_with(&unset, None, Some(list));
    let config = loaded.unwrap().config;
    assert!(asked == 0 && config.preflight().is_err() && config.healthgate().is_err());
}

#[test]
fn anchors_merge_keys_and_keys_of_the_author_are_read_as_elsewhere() {
    let text = "version: 1
x-slow: &slow { interval: 7s, deadline: 5m }
x-more: &more { deadline: 9m, soak: 1m }
healthgate:
  policy:
    <<: [*slow, *more]
    success-threshold: 4
  http:
    - &ready
      name: ready
      url: http://127.0.0.1:1/
      policy: { <<: *slow, interval: 3s }
    - { <<: *ready, name: live }
";
    let config = case(text).ok();
    let gate = config.healthgate().unwrap().unwrap();
    let seconds = |span: config::value::Span| span.get().as_secs();
    let policy = &gate.policy;
    assert_eq!(policy.success_threshold, 4);
    // An own key counts more, then the earlier mapping.
    let times = [policy.interval, policy.deadline, policy.soak];
    assert_eq!(times.map(seconds), [7, 300, 60]);
    let live = gate.policy.with(gate.http[1].policy.as_ref());
    assert_eq!(
        (gate.http[1].name.as_str(), seconds(live.interval)),
        ("live", 3)
    );
    // What is wrong in a merged part is shown where it is written.
    let error = case(&text.replace("soak: 1m", "soak: 1")).error();
    assert!(error.starts_with("3:37: `1` has no unit"), "{error}");
    // A variable of a part that nothing uses need not be set.
    let unused = format!("{text}x-unused: '${{NOT_SET}}'\n");
    let unused = case(&unused);
    assert!(unused.ok().unset().next().is_none());
    assert!(!unused.load().unwrap().variables.contains("NOT_SET"));
}

#[test]
fn a_section_that_says_nothing_on_purpose_is_accepted() {
    let text = format!(
        "{GATE}preflight: {{ checks: [] }}\nrollback: null\nenvironments:\n  staging:\n  production: {{ preflight: ~ }}\n"
    );
    assert!(case(&text).ok().preflight().unwrap().is_some());
    assert!(
        case(&text)
            .environment("staging")
            .ok()
            .preflight()
            .unwrap()
            .is_some()
    );
    assert!(
        case(&text)
            .environment("production")
            .ok()
            .preflight()
            .unwrap()
            .is_none()
    );
    let empty = text.replace("preflight: ~", "preflight:");
    assert!(case(&empty).error().contains("`preflight` is empty"));
}

#[test]
fn a_variable_in_quotes_is_a_number_where_one_is_wanted() {
    let text = "version: 1\nhosts: { a: { address: 127.0.0.1, port: '${PORT}' } }\n";
    assert_eq!(
        case(text).set("PORT", "2222").ok().hosts["a"].port,
        Some(2222)
    );
    let error = case(text).set("PORT", "ssh").error();
    assert!(
        error.contains("`${PORT}`") && !error.contains("`ssh`"),
        "{error}"
    );
}

#[test]
fn an_expression_of_a_workflow_is_refused_with_the_way_to_pass_it() {
    for (value, hint) in [
        (
            "${{ secrets.API-TOKEN }}",
            "env: { API_TOKEN: \"${{ secrets.API-TOKEN }}\" }`, and write `${API_TOKEN}` here",
        ),
        ("${{github.sha}}", "write `${GITHUB_SHA}` here"),
        ("${{ needs.build.outputs.tag }}", "and write `${TAG}` here"),
        ("${{ format('a') }}", "and write `${NAME}` here"),
    ] {
        let text = format!("version: 1\nservice: {value}\n");
        let error = case(&text).error();
        assert!(error.contains(hint), "{error}");
    }
    // Escaped, and a template of another program in a command, it is text.
    let text =
        "version: 1\nservice: $${{ a }}\ndeploy: { command: \"docker inspect -f '${{.Id}}'\" }\n";
    let config = case(text).ok();
    assert_eq!(config.service().unwrap(), Some("${{ a }}"));
    assert!(config.deploy().unwrap().is_some());
}

/// Found by a rollback or a record, it would be found after the deployment.
#[test]
fn a_file_of_nginx_is_divided_in_one_way_for_traffic_and_for_rollback() {
    let with = |file: &str, here: &str, there: &str| {
        let nginx = |file: &str, sticky: &str| {
            format!(
                "nginx: {{ upstream-file: {file}, blue: 'a:1', green: 'b:2', {sticky}release: {{ url: 'http://a/' }} }}"
            )
        };
        let (there, here) = (nginx("up.conf", there), nginx(file, here));
        format!("version: 1\nrollback:\n  state: s.json\n  {there}\ntraffic:\n  {here}\n")
    };
    let sticky = "sticky: $cookie_id, ";
    assert_eq!(
        case(&with("up.conf", sticky, "")).error(),
        "6:10: `traffic.nginx` and `rollback.nginx` have the same `upstream-file`, and not the same `sticky` | write the same `sticky` under both, or under neither"
    );
    case(&with("up.conf", sticky, sticky)).ok();
    case(&with("other.conf", sticky, "")).ok();
}

#[test]
fn a_side_of_nginx_is_a_host_and_a_port_and_its_release_has_a_url() {
    let with = |blue: &str, url: &str, more: &str| {
        let text = format!(
            "version: 1\ntraffic:\n  state: s.json\n{more}  nginx: {{ upstream-file: up.conf, blue: '{blue}', green: 'b:2', release: {{ url: '{url}' }} }}\n"
        );
        case(&text).error()
    };
    let hint = "write `host:port` as in nginx's line `server 127.0.0.1:8001;`";
    assert_eq!(
        with("8001", "http://a/", ""),
        format!("4:42: `8001` is a port without its host | {hint}")
    );
    assert_eq!(
        with("http://a:1", "http://a/", ""),
        format!("4:42: `http://a:1` is a URL | {hint}")
    );
    assert!(with("a:1", "a/version", "").starts_with("4:79: "));
    assert_eq!(
        with("a:1", "http://a/", "  max-share: 0%\n"),
        "4:14: a ramp that may have 0% never begins | "
    );
}

//! What an error about a file shows of it: no secret, however it is written.

use config::LoadError;

use crate::read;

/// Below the headers of a probe, below the file's first sections, and as the whole file.
const WITH_A_SECRET: [(&str, &[&str]); 3] = [
    (
        "version: 1\nservice: shop\nhealthgate:\n  http:\n    - name: a\n      url: http://a/\n      headers:\n",
        &[
            "        X-Api-Key SECRET\n",
            "        Accept: x\n        X-Api-Key SECRET\n",
            "        Accept: x\n        \"X-Api-Key\" SECRET\n",
            "        X Api Key: SECRET: b\n",
            "        my key: SECRET\n        b: c: d\n",
            "        - X-Api-Key: SECRET\n        - b: c: d\n",
            "        - SECRET\n        b: c\n",
            "        user: SECRET: x\n",
            "        name: SECRET SECRET: x\n",
            "        url SECRET\n        a: b\n",
            "        Accept: a\n       X-Key: SECRET\n",
            "        \tX-Key: SECRET\n",
            "        X-Key: [SECRET\n",
            "        X-Key: \"SECRET\n",
            "        X-Key: \"SECRET\" SECRET\n",
            "        X-Key: 'SECRET' SECRET\n",
            "        X-Key: @SECRET\n",
            "        X-Key: *SECRET\n",
            "        X-Key: &SECRET\n        *SECRET\n",
            "        X-Key: \"\\SECRET\"\n",
            "        X-Key: %SECRET\n",
            "        X-Key: `SECRET`\n",
            "        X-Key: {{ SECRET }}\n",
            "        X-Key:SECRET\n",
            "        X-Key = SECRET\n",
            "        SECRET: a\n        SECRET: b\n",
            "        ? SECRET\n        : - a\n       b: c\n",
            "        X-Key: !SECRET a\n",
            "        X-Key: !!str SECRET: a\n",
            "        X-Key: |\n          SECRET\n       SECRET: a\n",
            "        X-Key: SECRET\n          SECRET: a\n",
            "        X-Key: \"${{ secrets.A || 'SECRET' }}\"\n",
            "        X-Key: ${{ secrets.A || 'SECRET' }} b: c\n",
            "        ab`SECRET: x\n        ab`SECRET: y\n",
        ],
    ),
    (
        "version: 1\nservice: shop\nhealthgate:\n  http:\n    - name: a\n      url: http://a/\n",
        &[
            "      headers: { X-Key: SECRET, user: SECRET, X SECRET\n",
            "      headers: { X-Key SECRET }\n",
            "      headers: { \"X-Key\" SECRET }\n",
            "      headers: [X-Key: SECRET, SECRET]\n",
            "      headers: [SECRET]\n",
            "      headers: SECRET\n",
            "      headers: { X-K: { a: SECRET } }\n",
            "      url: http://u:SECRET@h\n",
            "      body: password=SECRET: b\n",
            "# SECRET\n a: b\n",
            "preflight:\n  secrets:\n    - DB SECRET\n    b: c\n",
            "preflight:\n  secrets: [DB=SECRET, b: c: d]\n",
            "preflight:\n  secrets: [SECRET]\n",
            "preflight:\n  secrets: SECRET\n",
            "preflight:\n  secrets: { DB: SECRET }\n",
            "preflight:\n  secrets: [[SECRET]]\n",
            "<<: SECRET\n",
            "hosts:\n  a: { address: a, key-env: SECRET-x }\n",
            "hosts:\n  a: { address: a, password: SECRET }\n",
            "incident:\n  slack: [{ name: a, url: https://hooks.slack.com/SECRET }]\n",
            "incident:\n  slack: [{ name: a, url-env: https://hooks.slack.com/SECRET }]\n",
            "incident:\n  webhook: [{ name: a, url-env: W, headers: SECRET }]\n",
            "rollback:\n  state: s3://SECRET: x\n",
            "github:\n  token-env: SECRET x\n",
            "github: { token-env: [SECRET] }\n",
            "SECRET\n",
            "\"SECRET\"\n",
            "- SECRET\n",
            "healthgate:\n  http:\n    - name: a\n      url: https://a.example\n      default: ${{ secrets.A || 'SECRET' }}\n",
            "      headers: { Authorization: Bearer SECRET, X: }\n      jq: \"SECRET[\"\n",
            "      body-regex: \"token=SECRET(\"\n",
            "traffic: { command: { set: \"curl -u a:SECRET x\", gt: b } }\n",
        ],
    ),
    (
        "",
        &[
            "password: SECRET\n",
            "TOKEN=SECRET\nversion: 1\n",
            "export TOKEN=SECRET\n",
            "version: 1\n---\nt: SECRET\n",
            "version: 1\n<<<<<<< SECRET\nt: SECRET\n",
            "{\"version\": 1, \"service\": \"a\" \"SECRET\" }\n",
            "{\"version\": 1, \"service\": \"a\", \"pass\": \"SECRET\" x }\n",
            "version: 1\nservice: shop\nx-a: &a { X-Key: SECRET }\nhealthgate: { http: [{ name: a, headers: *a, b: c }] }\n",
        ],
    ),
];

#[test]
fn no_error_about_a_file_shows_a_secret_that_is_written_in_a_wrong_way() {
    let mut refused = 0;
    for (before, forms) in WITH_A_SECRET {
        for form in forms {
            let text = format!("{before}{}", form.replace("SECRET", "hunter2hunter2"));
            // Some of them are what YAML takes.
            let Err(LoadError { error, .. }) = read(&text) else {
                continue;
            };
            refused += 1;
            let snippet = error.snippet().unwrap_or_default();
            let shown = format!("{error}\n{snippet}\n{}", error.hint().unwrap_or_default());
            assert!(!shown.contains("hunter"), "{text}\n{shown}");
        }
    }
    assert!(refused > 60, "{refused}");
}

#[test]
fn a_secret_at_an_errors_place_is_hidden_there_and_not_in_other_texts() {
    for text in [
        "version: 1\nurl: [http://a:guard@b/\npassword: 'guard' # note\ntoken-env: A\n",
        "version: 1\nservice: shop\nincident: { slack: [{ name: a, url-env: guard-5s }] }\n",
        "version: 1\nservice: shop\npreflight: { secrets: [guard] }\n",
    ] {
        let refusal = read(text).unwrap_err();
        let hidden = &refusal.secrets.literals;
        assert!(hidden.is_empty(), "{hidden:?}");
        let snippet = refusal.error.snippet().unwrap_or_default();
        let shown = format!("{snippet}{:?}", refusal.error.hint());
        assert!(
            !shown.replace("deploy-guard.yml", "").contains("guard"),
            "{shown}"
        );
        assert!(refusal.error.to_string().contains("deploy-guard.yml:"));
        let message = refusal.error.to_string().replace("deploy-guard.yml", "");
        assert!(!message.contains("guard"), "{message}");
    }
}

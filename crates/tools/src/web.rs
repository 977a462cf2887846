//! The command lines of `curl` and `wget`, and of what PowerShell has for them.

use crate::deed::CommandEffect;
use crate::tool::Tool;
use shell::Arguments;
use workflow::Value;

/// `Invoke-WebRequest -Uri https://…`: a question, where it sends and keeps nothing.
pub(crate) fn web_request(words: &[String]) -> Vec<CommandEffect> {
    let is = |word: &String, name: &str| word.eq_ignore_ascii_case(name);
    let after = |name: &str| {
        let at = words.iter().position(|word| is(word, name))?;
        words.get(at + 1)
    };
    let more = ["-Body", "-Headers", "-OutFile", "-Credential", "-Form"]
        .iter()
        .any(|name| words.iter().any(|word| is(word, name)));
    let gets = after("-Method").is_none_or(|method| is(method, "get"));
    let url = after("-Uri").or_else(|| words.first());
    let url = url.filter(|url| url.contains("://") && !more && gets);
    url.map(|url| CommandEffect::Asks {
        url: Value::new(&**url),
    })
    .into_iter()
    .collect()
}

/// Whether a request may change something, and tells more than people: it is no question.
pub fn sends(words: &[String]) -> bool {
    const SENDING: [&str; 5] = ["post", "put", "patch", "delete", "push"];
    const TELLS: &str = "slack discord telegram chat teams notify mattermost ntfy hc-ping healthchecks pushover codecov sentry \
        coveralls";
    let method = words.windows(2).find(|pair| {
        matches!(
            pair[0].to_ascii_lowercase().as_str(),
            "-x" | "--request" | "-method"
        )
    });
    let method = method.map(|pair| pair[1].to_ascii_lowercase());
    let attached = words.iter().find_map(|word| word.strip_prefix("-X"));
    let method = attached
        .map(str::to_ascii_lowercase)
        .filter(|one| !one.is_empty())
        .or(method);
    let changes = method.is_some_and(|method| SENDING.contains(&method.as_str()));
    let has_data = words.iter().any(|word| {
        word.starts_with("--data")
            || word.starts_with("--post")
            || matches!(
                word.as_str(),
                "-d" | "-F" | "--form" | "--json" | "-T" | "--upload-file" | "-Body"
            )
    });
    let tells = |word: &String| {
        let lower = word.to_ascii_lowercase();
        let of_people = TELLS.split_whitespace().any(|name| lower.contains(name));
        of_people || lower.contains("localhost") || lower.contains("127.0.0.1")
    };
    (changes || has_data) && !words.iter().any(tells)
}

/// `curl`: a question whether it answers, or a request that starts a deployment.
pub(crate) fn web(words: &[String]) -> Vec<CommandEffect> {
    let arguments = Arguments {
        words,
        valued: "-X --request -H --header -d --data --data-raw -o --output -w --write-out -m \
            --max-time --retry --retry-delay --connect-timeout -u --user -A --retry-max-time -F \
            --form -T --upload-file -O --tries --timeout -t --waitretry --data-binary --json \
            --cacert -e -b -c --resolve",
    };
    let urls = arguments.operands();
    let Some(url) = urls
        .iter()
        .find(|url| url.contains("://") || url.contains('$') || url.contains("localhost"))
    else {
        return Vec::new();
    };
    let method = arguments.one(&["-X", "--request"]).unwrap_or_default();
    let sends = words.iter().any(|word| {
        word.starts_with("--data")
            || matches!(word.as_str(), "-d" | "-F" | "--form" | "--json" | "-T")
    }) || words.iter().any(|word| {
        word.starts_with("-d") && !word.starts_with("--") && word.len() > 2 && !word.contains('/')
    });
    let lower = url.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let chat = has(&[
        "slack",
        "discord",
        "telegram",
        "chat",
        "teams",
        "notify",
        "mattermost",
    ]);
    let posts = method.eq_ignore_ascii_case("post") || sends;
    // An address that starts a deployment is asked by no gate, whatever the method.
    let hook = has(&[
        "deploy_hook",
        "deploy-hook",
        "deployhook",
        "deploy_webhook",
        "webhook",
        "deploy/srv-",
        "/webhooks/",
        // Of Watchtower.
        "/v1/update",
    ]) || posts
        && has(&[
            "deploy",
            "hook",
            "render.com",
            "coolify",
            "portainer",
            "watchtower",
        ]);
    if hook && !chat {
        return vec![CommandEffect::Deploys(Box::new(Tool::Hook {
            url: Value::new(*url),
        }))];
    }
    // What needs a login is the interface of something, and what changes something is no question. By another `Host`,
    // the same address is another service.
    let header = arguments.all(&["-H", "--header"]);
    let logs_in = header.iter().any(|header| {
        let header = header.to_ascii_lowercase();
        header.starts_with("authorization")
            || header.starts_with("host:")
            || header.contains("token")
            || header.contains("api-key")
    });
    let changes = ["put", "delete", "patch"]
        .iter()
        .any(|verb| method.eq_ignore_ascii_case(verb));
    if posts
        || changes
        || chat
        || logs_in
        || trusts_any(words)
        || arguments.one(&["-u", "--user"]).is_some()
    {
        return Vec::new();
    }
    // `-o FILE`, `-fsSLo FILE`, `-LO`.
    let keeps = |word: &String| {
        let short = word.strip_prefix('-').unwrap_or_default();
        let is_short = !short.is_empty() && short.chars().all(|c| c.is_ascii_alphabetic());
        is_short && short.contains(['o', 'O'])
            || word == "--output"
            || word.starts_with("--remote-name")
    };
    let path = lower.split(['?', '#']).next().unwrap_or_default();
    let is_file = [
        ".tgz", ".gz", ".xz", ".bz2", ".zip", ".sh", ".deb", ".rpm", ".jar", ".asc", ".gpg", ".exe",
    ]
    .iter()
    .any(|end| path.ends_with(end));
    let fetches = is_file || words.iter().any(keeps);
    let status = !is_file
        && (arguments.one(&["-w", "--write-out"]).is_some()
            || words.iter().any(|word| word == "/dev/null"));
    if fetches && !status {
        return Vec::new();
    }
    vec![CommandEffect::Asks {
        url: Value::new(*url),
    }]
}

/// Whether it takes any certificate, where a probe verifies it: `-k`, `-fsSk`, `--no-check-certificate`.
fn trusts_any(words: &[String]) -> bool {
    words.iter().any(|word| {
        let letters = word.strip_prefix('-').unwrap_or_default();
        let has_k =
            letters.len() < 7 && letters.chars().take_while(|c| *c != 'o').any(|c| c == 'k');
        matches!(word.as_str(), "--insecure" | "--no-check-certificate")
            || has_k && letters.chars().all(|c| c.is_ascii_alphabetic())
    })
}

/// Addresses that workflows fetch from and that tell nothing of the release.
pub fn is_of_others(url: &str) -> bool {
    "api.github.com raw.githubusercontent.com github.com/ ipify checkip ifconfig icanhazip \
     ipinfo slack.com discord.com discordapp.com telegram.org get.docker.com sentry.io \
     codecov.io cli.run.pivotal dl.google.com storage.googleapis.com awscli.amazonaws.com \
     get.helm.sh dl.k8s.io datadoghq newrelic googleapis.com api.cloudflare.com 169.254.169.254 \
     sonarcloud install ghcr.io ntfy hc-ping healthchecks.io heartbeat api.render.com \
     api.vercel.com api.netlify.com api.digitalocean.com :2083/"
        .split_whitespace()
        .any(|other| url.contains(other))
}

//! What a step runs: an action, or commands of a shell.

use model::failed_run::Stage;

/// Our own stages, and the stage of a deployment that each is. `rollback` alone puts a release back;
/// its other commands keep the record of a deployment.
const OURS: &[(&str, Stage)] = &[
    ("healthgate", Stage::Health),
    ("migrate", Stage::Migration),
    ("preflight", Stage::Deploy),
    ("runner-check", Stage::Deploy),
    ("traffic", Stage::Deploy),
];

/// Commands of `rollback` that put a release back.
const PUTS_BACK: &[&str] = &["run", "to", "resume", "abort"];

/// Actions, by a part of `owner/name`; the first that fits.
const ACTIONS: &[(&str, Stage)] = &[
    ("docker/build-push-action", Stage::Build),
    ("docker/bake-action", Stage::Build),
    ("docker/login-action", Stage::Image),
    ("docker/metadata-action", Stage::Image),
    ("amazon-ecr-login", Stage::Image),
    ("trivy-action", Stage::Image),
    ("cosign", Stage::Image),
    ("anchore/scan-action", Stage::Image),
    ("redhat-actions/push-to-registry", Stage::Image),
    ("amazon-ecs-", Stage::Deploy),
    ("appleboy/ssh-action", Stage::Deploy),
    ("appleboy/scp-action", Stage::Deploy),
    ("webfactory/ssh-agent", Stage::Deploy),
    ("rsync", Stage::Deploy),
    ("url-health-check", Stage::Health),
    ("healthcheck", Stage::Health),
    ("health-check", Stage::Health),
    ("cypress-io/", Stage::Test),
    ("super-linter", Stage::Test),
    ("golangci-lint", Stage::Test),
    ("codeql-action", Stage::Test),
    ("deploy", Stage::Deploy),
    ("actions-gh-pages", Stage::Deploy),
    ("flyctl-actions", Stage::Deploy),
    ("helm", Stage::Deploy),
    ("rollback", Stage::Rollback),
    ("lint", Stage::Test),
    ("test", Stage::Test),
    ("build", Stage::Build),
];

/// Parts of commands. One that fits hides its characters from those below it, so `docker-compose
/// exec api alembic upgrade head` is a migration, and `pytest -m smoke` no test of the build.
const COMMANDS: &[(&str, Stage)] = &[
    ("kubectl rollout undo", Stage::Rollback),
    ("helm rollback", Stage::Rollback),
    ("rollback", Stage::Rollback),
    ("pytest -m smoke", Stage::Smoke),
    ("pytest tests/smoke", Stage::Smoke),
    ("test:smoke", Stage::Smoke),
    ("smoke", Stage::Smoke),
];

/// Those behind the words of the migration tools.
const MORE_COMMANDS: &[(&str, Stage)] = &[
    ("run migrate", Stage::Migration),
    ("migrate:up", Stage::Migration),
    ("migrate:latest", Stage::Migration),
    ("migration:run", Stage::Migration),
    ("/health", Stage::Health),
    ("/ready", Stage::Health),
    ("/readyz", Stage::Health),
    ("/livez", Stage::Health),
    ("health-check", Stage::Health),
    ("health_check", Stage::Health),
    ("healthcheck", Stage::Health),
    ("validate-deployment", Stage::Health),
    ("wait-for-it", Stage::Health),
    ("wait-on ", Stage::Health),
    ("wait4x", Stage::Health),
    ("docker push", Stage::Image),
    ("docker pull", Stage::Image),
    ("docker login", Stage::Image),
    ("docker tag", Stage::Image),
    ("compose push", Stage::Image),
    ("skopeo ", Stage::Image),
    ("crane ", Stage::Image),
    ("cosign ", Stage::Image),
    ("trivy ", Stage::Image),
    ("grype ", Stage::Image),
    ("get-login-password", Stage::Image),
    ("compose build", Stage::Build),
    ("docker build", Stage::Build),
    ("buildx build", Stage::Build),
    ("podman build", Stage::Build),
    ("buildah ", Stage::Build),
    ("pytest", Stage::Test),
    ("jest", Stage::Test),
    ("vitest", Stage::Test),
    ("npm test", Stage::Test),
    ("npm t ", Stage::Test),
    ("run test", Stage::Test),
    ("yarn test", Stage::Test),
    ("pnpm test", Stage::Test),
    ("go test", Stage::Test),
    ("cargo test", Stage::Test),
    ("cargo nextest", Stage::Test),
    ("cargo clippy", Stage::Test),
    ("dotnet test", Stage::Test),
    ("mvn test", Stage::Test),
    ("mvn verify", Stage::Test),
    ("gradlew test", Stage::Test),
    ("gradle test", Stage::Test),
    ("gradlew check", Stage::Test),
    ("make test", Stage::Test),
    ("make lint", Stage::Test),
    ("rails test", Stage::Test),
    ("rspec", Stage::Test),
    ("phpunit", Stage::Test),
    ("unittest", Stage::Test),
    ("eslint", Stage::Test),
    ("run lint", Stage::Test),
    ("flake8", Stage::Test),
    ("ruff ", Stage::Test),
    ("mypy", Stage::Test),
    ("black --check", Stage::Test),
    ("playwright test", Stage::Test),
    ("cypress run", Stage::Test),
    ("tox", Stage::Test),
    ("compose up", Stage::Deploy),
    ("docker stack deploy", Stage::Deploy),
    ("docker service update", Stage::Deploy),
    ("kubectl", Stage::Deploy),
    ("helm upgrade", Stage::Deploy),
    ("helm install", Stage::Deploy),
    ("terraform apply", Stage::Deploy),
    ("aws ecs ", Stage::Deploy),
    ("aws deploy ", Stage::Deploy),
    ("aws lambda update", Stage::Deploy),
    ("gcloud run", Stage::Deploy),
    ("az webapp", Stage::Deploy),
    ("ansible-playbook", Stage::Deploy),
    ("systemctl restart", Stage::Deploy),
    ("ssh ", Stage::Deploy),
    ("scp ", Stage::Deploy),
    ("rsync ", Stage::Deploy),
    ("deploy", Stage::Deploy),
    ("run build", Stage::Build),
    ("yarn build", Stage::Build),
    ("pnpm build", Stage::Build),
    ("go build", Stage::Build),
    ("cargo build", Stage::Build),
    ("dotnet build", Stage::Build),
    ("dotnet publish", Stage::Build),
    ("mvn ", Stage::Build),
    ("gradlew", Stage::Build),
    ("gradle build", Stage::Build),
    ("make build", Stage::Build),
    ("python -m build", Stage::Build),
    ("poetry build", Stage::Build),
    ("tsc", Stage::Build),
    ("vite build", Stage::Build),
    ("webpack", Stage::Build),
];

/// What is installed before a build or a test: it says something only where nothing else does.
const PREPARES: &[&str] = &[
    "npm ci",
    "npm install",
    "yarn install",
    "pnpm install",
    "pip install",
    "poetry install",
    "bundle install",
    "composer install",
    "go mod download",
    "dotnet restore",
    "cargo fetch",
];

/// The stages that a step's text mentions, in its order, each once. The text is that of the runner's
/// `Run …`: an action with its inputs, or the lines of a script.
pub(crate) fn stages(runs: &str) -> Vec<Stage> {
    let text: String = runs.chars().take(8000).collect::<String>().to_lowercase();
    let text = text.strip_prefix("run ").unwrap_or(&text);
    let first = text.lines().next().unwrap_or("").trim();
    if let Some(stage) = of_us(text) {
        return vec![stage];
    }
    if let Some(action) = action(first) {
        let fits = |(part, _): &&(&str, Stage)| action.contains(part);
        return ACTIONS
            .iter()
            .find(fits)
            .map(|(_, stage)| *stage)
            .into_iter()
            .collect();
    }
    in_order(text)
}

/// Whether a step only installs what others need.
pub(crate) fn prepares(runs: &str) -> bool {
    let text = runs.to_lowercase();
    PREPARES.iter().any(|part| text.contains(part))
}

/// `owner/name` of an action in `owner/name@version`.
fn action(line: &str) -> Option<&str> {
    let (name, version) = line.split_once('@')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_action = name.contains('/') && name.chars().all(is_name);
    let is_version = !version.is_empty() && !version.contains(char::is_whitespace);
    (is_action && is_version).then_some(name)
}

/// The stage of our Action, of our programs in a container or of a shell.
fn of_us(text: &str) -> Option<Stage> {
    let word_after = |text: &str, key: &str| {
        let (_, rest) = text.split_once(key)?;
        Some(rest.split_whitespace().next()?.to_owned())
    };
    let first = text.lines().next()?;
    if action(first.trim()).is_some_and(|name| name.ends_with("/deploy-guard")) {
        let stage = word_after(text, "stage:")?;
        let command = word_after(text, "command:").unwrap_or_else(|| "run".to_owned());
        return of_our_stage(&stage, &command);
    }
    for line in text.lines() {
        let mut words = line.split_whitespace().skip_while(|word| {
            // `sudo`, `./`, `VARIABLE=value`.
            word.contains('=') || matches!(*word, "sudo" | "env" | "exec" | "time")
        });
        let Some(mut program) = words.next().and_then(|word| word.rsplit('/').next()) else {
            continue;
        };
        if program == "deploy-guard" {
            let Some(stage) = words.next() else { continue };
            program = stage;
        }
        let command = subcommand(words).unwrap_or("run");
        if let Some(stage) = of_our_stage(program, command) {
            return Some(stage);
        }
    }
    None
}

/// The first word that is neither an option nor, as far as that can be seen, the value of one.
fn subcommand<'t>(words: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let mut before = "";
    for word in words {
        let is_value = before.starts_with("--") && !before.contains('=');
        if !word.starts_with('-') && !is_value {
            return Some(word);
        }
        before = word;
    }
    None
}

fn of_our_stage(stage: &str, command: &str) -> Option<Stage> {
    if stage == "rollback" {
        let back = PUTS_BACK.contains(&command);
        return Some(if back { Stage::Rollback } else { Stage::Deploy });
    }
    OURS.iter()
        .find(|(name, _)| *name == stage)
        .map(|(_, of)| *of)
}

fn in_order(text: &str) -> Vec<Stage> {
    let mut text = text.to_owned();
    let mut found: Vec<(usize, Stage)> = Vec::new();
    let migrations = migration_tools::mentions().map(|part| (part, Stage::Migration));
    let commands = COMMANDS.iter().copied().chain(migrations);
    for (part, stage) in commands.chain(MORE_COMMANDS.iter().copied()) {
        while let Some(at) = find_word(&text, part) {
            found.push((at, stage));
            text.replace_range(at..at + part.len(), &"\0".repeat(part.len()));
        }
    }
    found.sort_unstable_by_key(|(at, _)| *at);
    let mut stages = Vec::new();
    for (_, stage) in found {
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    stages
}

/// Where a part begins that begins as a word does.
fn find_word(text: &str, part: &str) -> Option<usize> {
    let begins = |at: usize| {
        let before = text[..at].chars().next_back();
        part.starts_with('/') || before.is_none_or(|c| !c.is_alphanumeric())
    };
    text.match_indices(part)
        .map(|(at, _)| at)
        .find(|at| begins(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_what_it_runs() {
        use Stage::{Build, Deploy, Health, Image, Migration, Rollback, Smoke, Test};
        for (runs, expected) in [
            (
                "Run docker/build-push-action@v6\nwith:\n  push: true",
                vec![Build],
            ),
            ("Run docker/login-action@v3", vec![Image]),
            (
                "Run aws-actions/amazon-ecs-deploy-task-definition@v2",
                vec![Deploy],
            ),
            ("Run appleboy/ssh-action@v1.0.3", vec![Deploy]),
            ("Run actions/checkout@v4", vec![]),
            ("Run pytest tests/smoke -v", vec![Smoke]),
            ("Run poetry run pytest -m smoke", vec![Smoke]),
            (
                "Run docker-compose exec -T api alembic upgrade head",
                vec![Migration],
            ),
            (
                "Run curl -fsS https://shop.example/health/ready",
                vec![Health],
            ),
            ("Run docker build -t x .\ndocker push x", vec![Build, Image]),
            (
                "Run kubectl rollout undo deployment/shop",
                vec![Rollback, Deploy],
            ),
            ("Run ./scripts/smoke-test.sh", vec![Smoke]),
            ("Run cargo test --workspace", vec![Test]),
            ("Run mvn -B package", vec![Build]),
            ("Run echo contest", vec![]),
            (
                "Run acme/deploy-guard@v1\nwith:\n  stage: healthgate",
                vec![Health],
            ),
            (
                "Run acme/deploy-guard@v1\nwith:\n  stage: rollback\n  command: record",
                vec![Deploy],
            ),
            (
                "Run acme/deploy-guard@v1\nwith:\n  stage: rollback",
                vec![Rollback],
            ),
            ("Run deploy-guard migrate run --release v1", vec![Migration]),
            ("Run ./bin/rollback --config x resume", vec![Rollback]),
            ("Run ./bin/rollback --config=x record", vec![Deploy]),
            (
                "Run set -e\n\nA=b\nrollback record --release v2",
                vec![Deploy],
            ),
            ("Run deploy-guard\nhealthgate --release v2", vec![Health]),
            ("Run rollback run", vec![Rollback]),
        ] {
            assert_eq!(stages(runs), expected, "{runs}");
        }
        assert!(prepares("Run npm ci"));
    }
}

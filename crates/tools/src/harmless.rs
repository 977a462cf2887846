//! Commands and actions that are known to deploy nothing: they build, test, read, log in or hand something out. Of any other
//! nothing is claimed.

use crate::deed::With;

/// Programs of which no call deploys.
const PROGRAMS: &str = "\
    cat ls cp mv rm ln mkdir rmdir touch chmod chown find grep egrep fgrep rg sed awk gawk cut sort uniq head tail tr wc tee diff \
    cmp test [ [[ : true false return shift break continue read wait trap unset alias unalias hash date basename dirname realpath \
    readlink pwd which command type printenv jq yq tar unzip zip gzip gunzip xz bzip2 7z sha256sum shasum md5sum base64 openssl gpg \
    file stat du df free id whoami uname hostname ps kill pkill killall lsof patch envsubst seq mktemp nproc sleep echo printf \
    set exit cd pushd popd export eval shopt ulimit umask getopts let source . if then else fi for while do done case esac function \
    ssh-keyscan ssh-keygen ssh-agent ssh-add apt apt-get apt-cache apt-key add-apt-repository dpkg apk yum dnf brew pacman snap \
    choco pip pip3 pipx uv uvx poetry pipenv pdm rye hatch conda mamba tox nox pytest coverage black flake8 ruff mypy isort pylint \
    pyright bandit pre-commit twine gem bundle bundler composer go gofmt golangci-lint goreleaser cargo rustup rustc rustfmt mvn \
    mvnw gradle gradlew ant java javac dotnet nuget msbuild cmake ctest ninja meson gcc g++ clang clang-format xcodebuild swift pod \
    flutter dart mix rebar3 cabal stack sbt lein npm npx yarn pnpm bun bunx corepack nvm fnm volta n node-gyp tsc vite webpack \
    rollup esbuild next nuxt astro ng jest mocha vitest cypress playwright karma ava eslint prettier stylelint biome turbo nx lerna \
    hugo jekyll mkdocs sphinx-build zola rspec rubocop phpunit phpstan pint psalm shellcheck hadolint yamllint actionlint \
    markdownlint trivy grype syft cosign snyk codecov sonar-scanner semgrep checkov tflint tfsec gitleaks osv-scanner docker \
    docker-compose podman buildah skopeo crane kind minikube k3d ct kubeval kubeconform kustomize sops age doppler systemctl service nginx apachectl caddy certbot ufw crontab useradd usermod groupadd supervisorctl loginctl rsync scp sftp \
    aws-iam-authenticator migrate psql mysql pg_isready mysqladmin redis-cli git-lfs xvfb-run timeout time nohup env sudo";

/// What others do that deploys nothing, by the word that tells it.
const CALLS: &[(&str, &str)] = &[
    (
        "git",
        "add am branch checkout clean clone commit config describe diff fetch for-each-ref init lfs log ls-files ls-remote \
         ls-tree merge merge-base mv pull rebase remote reset restore rev-list rev-parse rm show stash status submodule switch tag \
         worktree symbolic-ref cat-file hash-object",
    ),
    (
        "gh",
        "release pr issue auth label cache attestation repo search status variable gist extension",
    ),
    (
        "helm",
        "lint template package dependency dep repo version registry push pull show plugin test unittest get history list status",
    ),
    (
        "kubectl",
        "get describe logs version config cluster-info wait auth api-resources explain top diff kustomize",
    ),
    (
        "terraform",
        "init fmt validate plan output version show providers workspace get test graph",
    ),
    (
        "tofu",
        "init fmt validate plan output version show providers workspace get test graph",
    ),
    ("aws", "sts ecr ecr-public configure codeartifact help"),
    (
        "gcloud",
        "auth config info version components container-images artifacts",
    ),
    ("az", "login logout account acr version extension config"),
    ("pm2", "list ls status logs save show jlist describe"),
    ("wrangler", "whoami types"),
    ("vercel", "pull build env whoami link login"),
    (
        "sentry-cli",
        "releases sourcemaps upload-dif debug-files info",
    ),
];

/// Whether a command is known to deploy nothing; its first word is the program's name.
pub fn is_harmless(words: &[String]) -> bool {
    let Some((name, rest)) = words.split_first() else {
        return true;
    };
    if crate::wait::waits(words) || uploads_bundle(name, rest) {
        return true;
    }
    if rest.iter().take(3).any(|word| says(word)) {
        return false;
    }
    let calls = CALLS.iter().find(|(program, _)| program == name);
    match (name.as_str(), calls) {
        (_, Some((_, calls))) => {
            let mut operands = rest.iter().filter(|word| !word.starts_with("--"));
            let verb = operands.find(|word| !word.starts_with("-C") && !word.starts_with("-c"));
            verb.is_none_or(|verb| calls.split_whitespace().any(|one| one == verb))
        }
        (
            "curl" | "wget" | "http" | "Invoke-WebRequest" | "Invoke-RestMethod" | "iwr" | "irm",
            _,
        ) => !crate::web::sends(rest),
        ("python" | "python3" | "node" | "ruby" | "php" | "deno" | "perl", _) => {
            let module = rest.first().is_some_and(|word| word == "-m");
            module || rest.iter().all(|word| word.starts_with('-'))
        }
        (name, _) => PROGRAMS.split_whitespace().any(|one| one == name),
    }
}

/// A bundle that is put into a bucket is live by another call alone: `aws s3 cp app.zip s3://builds/`.
fn uploads_bundle(name: &str, words: &[String]) -> bool {
    let is_bundle = |word: &String| {
        [".zip", ".tgz", ".gz", ".jar"]
            .iter()
            .any(|end| word.ends_with(end))
    };
    name == "aws"
        && words.starts_with(&["s3".to_owned(), "cp".to_owned()])
        && words.iter().any(is_bundle)
}

/// Whether a word says that something is deployed: `gradlew deploy`, `npm run deploy:prod`.
fn says(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    !lower.contains('/') && words.any(|one| matches!(one, "deploy" | "rollout"))
}

/// Actions of these owners build, test or set something up; what they have that deploys is known by its name.
const OWNERS: &str = "actions docker github ruby shivammathur dtolnay actions-rs codecov golangci gradle dorny tj-actions astral-sh \
    snok swatinem pnpm oven-sh denoland erlef cachix determinatesystems aquasecurity anchore sigstore step-security zizmorcore \
    rhysd reviewdog super-linter treosh coverallsapp sonarsource ossf pre-commit lycheeverse google-github-actions-setup subosito \
    julia-actions r-lib msys2 ilammy jwlawson mozilla-actions taiki-e crate-ci embarkstudios rustsec peter-evans stefanzweifel \
    softprops ncipollo release-drafter googleapis semantic-release changesets pypa js-devtools rubygems goreleaser slackapi \
    8398a7 rtcamp sarisia ilshidur appleboy-telegram amannn wagoid actions-ecosystem getsentry trufflesecurity gitleaks snyk \
    docker-practice hadolint crazy-max redhat-actions hoverkraft-tech jlumbroso easimon supercharge ankane nick-fields nick-invision \
    mikepenz test-summary enricomi jetbrains microsoft codespell-project chromaui percy cypress-io browser-actions maxim-lobanov";

/// Whether an action is known to deploy nothing, by its name in small letters.
pub fn is_harmless_action(name: &str, with: &With) -> bool {
    let Some((owner, rest)) = name.split_once('/') else {
        return false;
    };
    let words = || rest.split(|c: char| !c.is_ascii_alphanumeric());
    let has = |all: &[&str]| words().any(|word| all.contains(&word));
    if has(&[
        "deploy", "dispatch", "trigger", "webhook", "rollout", "sync", "publish",
    ]) {
        return false;
    }
    let sets_up = has(&[
        "setup",
        "checkout",
        "vault",
        "cache",
        "lint",
        "login",
        "credentials",
        "notify",
        "slack",
        "telegram",
        "discord",
        "artifact",
    ]);
    let logs_in = matches!(
        name,
        "google-github-actions/auth" | "webfactory/ssh-agent" | "shimataro/ssh-key-action"
    );
    let known = OWNERS.split_whitespace().any(|one| one == owner);
    let calls = crate::uses::calls_of(name, with);
    let calls_well = !calls.is_empty() && calls.iter().all(|words| is_harmless(words));
    known || sets_up || logs_in || calls_well
}

/// Whether an action starts something elsewhere, or sends a request, whatever it is given.
pub fn starts_elsewhere(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "dispatch" | "trigger" | "webhook" | "webrequest"))
}

/// `gh workflow run -R owner/other`, `gh api repos/…/dispatches`.
pub fn starts_workflow(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["gh", "workflow", "run", ref rest @ ..] => {
            rest.iter().any(|word| matches!(*word, "-R" | "--repo"))
        }
        ["gh", "api", ref rest @ ..] => rest.iter().any(|word| word.contains("dispatches")),
        _ => false,
    }
}

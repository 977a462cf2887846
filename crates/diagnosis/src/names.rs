//! What the name of a job or a step says that it does.

use model::failed_run::Stage;

/// Phrases of names, and the stage that they mean; `None`: they mean none, and hide shorter ones.
/// The first phrase that fits takes its words away from those below it. A phrase begins where a word
/// begins, and ends where one ends unless it has a `*` there.
const PHRASES: &[(&str, Option<Stage>)] = &[
    // What only prepares or tells.
    ("set up", None),
    ("setup*", None),
    ("checkout*", None),
    ("upload test*", None),
    ("upload artifact*", None),
    ("download artifact*", None),
    ("pull request*", None),
    ("test results", None),
    ("before deploy*", None),
    // Back to an earlier release.
    ("rollback*", Some(Stage::Rollback)),
    ("roll back", Some(Stage::Rollback)),
    ("rolling back", Some(Stage::Rollback)),
    ("revert*", Some(Stage::Rollback)),
    ("restore previous", Some(Stage::Rollback)),
    ("undo*", Some(Stage::Rollback)),
    ("switch back", Some(Stage::Rollback)),
    // After a deployment, by requests as users make them.
    ("smoke test*", Some(Stage::Smoke)),
    ("smoke*", Some(Stage::Smoke)),
    ("sanity test*", Some(Stage::Smoke)),
    ("sanity*", Some(Stage::Smoke)),
    ("synthetic test*", Some(Stage::Smoke)),
    ("synthetic*", Some(Stage::Smoke)),
    ("post deploy* test*", Some(Stage::Smoke)),
    ("test* in production", Some(Stage::Smoke)),
    ("test* deployment script*", Some(Stage::Test)),
    ("test* deployment", Some(Stage::Smoke)),
    ("test* the deployment", Some(Stage::Smoke)),
    ("test* deployed*", Some(Stage::Smoke)),
    // Whether it is up.
    ("health*", Some(Stage::Health)),
    ("readiness*", Some(Stage::Health)),
    ("liveness*", Some(Stage::Health)),
    ("wait for service*", Some(Stage::Health)),
    ("wait for app*", Some(Stage::Health)),
    ("wait until ready", Some(Stage::Health)),
    ("wait until healthy", Some(Stage::Health)),
    ("verify deploy*", Some(Stage::Health)),
    ("validate deploy*", Some(Stage::Health)),
    ("check deploy*", Some(Stage::Health)),
    ("deploy* verification", Some(Stage::Health)),
    ("deploy* validation", Some(Stage::Health)),
    ("verify service*", Some(Stage::Health)),
    ("canary analysis", Some(Stage::Health)),
    ("gate", Some(Stage::Health)),
    ("post deploy*", None),
    // The database's schema.
    ("deploy* database", Some(Stage::Migration)),
    ("deploy* migration*", Some(Stage::Migration)),
    ("migrat*", Some(Stage::Migration)),
    ("alembic*", Some(Stage::Migration)),
    ("flyway*", Some(Stage::Migration)),
    ("liquibase*", Some(Stage::Migration)),
    ("db upgrade", Some(Stage::Migration)),
    ("database upgrade", Some(Stage::Migration)),
    ("schema*", Some(Stage::Migration)),
    // An image on its way.
    ("push*", Some(Stage::Image)),
    ("publish image*", Some(Stage::Image)),
    ("publish docker*", Some(Stage::Image)),
    ("docker login", Some(Stage::Image)),
    ("log in to docker*", Some(Stage::Image)),
    ("log in to the container registry", Some(Stage::Image)),
    ("login to docker*", Some(Stage::Image)),
    ("log in to ghcr*", Some(Stage::Image)),
    ("login to ghcr*", Some(Stage::Image)),
    ("log in to amazon ecr", Some(Stage::Image)),
    ("login to amazon ecr", Some(Stage::Image)),
    ("log in to registry", Some(Stage::Image)),
    ("login to registry", Some(Stage::Image)),
    ("pull image*", Some(Stage::Image)),
    ("scan image*", Some(Stage::Image)),
    ("image scan*", Some(Stage::Image)),
    ("sign image*", Some(Stage::Image)),
    ("trivy*", Some(Stage::Image)),
    ("cosign*", Some(Stage::Image)),
    ("registry*", Some(Stage::Image)),
    ("ecr", Some(Stage::Image)),
    // From source.
    ("build test*", Some(Stage::Test)),
    ("release build*", Some(Stage::Build)),
    ("test build*", Some(Stage::Build)),
    ("build*", Some(Stage::Build)),
    ("compil*", Some(Stage::Build)),
    ("bundl*", Some(Stage::Build)),
    ("packag*", Some(Stage::Build)),
    ("dockerfile*", Some(Stage::Build)),
    ("webpack*", Some(Stage::Build)),
    // Before a deployment.
    ("deploy* test*", Some(Stage::Test)),
    ("test*", Some(Stage::Test)),
    ("pytest*", Some(Stage::Test)),
    ("jest*", Some(Stage::Test)),
    ("unit", Some(Stage::Test)),
    ("integration*", Some(Stage::Test)),
    ("e2e*", Some(Stage::Test)),
    ("end to end*", Some(Stage::Test)),
    ("lint*", Some(Stage::Test)),
    ("typecheck*", Some(Stage::Test)),
    ("type check*", Some(Stage::Test)),
    ("coverage*", Some(Stage::Test)),
    ("spec", Some(Stage::Test)),
    ("specs", Some(Stage::Test)),
    ("quality*", Some(Stage::Test)),
    // What runs is changed.
    ("deploy*", Some(Stage::Deploy)),
    ("release*", Some(Stage::Deploy)),
    ("rollout*", Some(Stage::Deploy)),
    ("roll out", Some(Stage::Deploy)),
    ("blue green", Some(Stage::Deploy)),
    ("switch traffic", Some(Stage::Deploy)),
    ("traffic*", Some(Stage::Deploy)),
    ("promot*", Some(Stage::Deploy)),
    ("cutover*", Some(Stage::Deploy)),
    ("preflight*", Some(Stage::Deploy)),
    ("provision*", Some(Stage::Deploy)),
    ("terraform*", Some(Stage::Deploy)),
    ("ansible*", Some(Stage::Deploy)),
    ("helm*", Some(Stage::Deploy)),
    ("kubectl*", Some(Stage::Deploy)),
    ("ecs", Some(Stage::Deploy)),
    ("ssh*", Some(Stage::Deploy)),
    ("restart service*", Some(Stage::Deploy)),
    ("production", Some(Stage::Deploy)),
    ("staging", Some(Stage::Deploy)),
    ("canary*", Some(Stage::Deploy)),
    ("publish*", Some(Stage::Deploy)),
    ("image*", Some(Stage::Image)),
    ("docker*", Some(Stage::Build)),
];

/// The stages that a name mentions, in the order of its words, each once.
pub(crate) fn stages(name: &str) -> Vec<Stage> {
    let mut words: Vec<Option<String>> = words(name).into_iter().map(Some).collect();
    let mut found: Vec<(usize, Stage)> = Vec::new();
    for (phrase, stage) in PHRASES {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        for start in 0..words.len() {
            if !fits(&words[start..], &phrase) {
                continue;
            }
            words[start..start + phrase.len()].fill(None);
            found.extend(stage.map(|stage| (start, stage)));
        }
    }
    found.sort_unstable_by_key(|(start, _)| *start);
    let mut stages = Vec::new();
    for (_, stage) in found {
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    stages
}

fn fits(words: &[Option<String>], phrase: &[&str]) -> bool {
    words.len() >= phrase.len()
        && words.iter().zip(phrase).all(|(word, wanted)| {
            word.as_ref()
                .is_some_and(|word| match wanted.strip_suffix('*') {
                    Some(start) => word.starts_with(start),
                    None => word == wanted,
                })
        })
}

/// In lower case; a capital after a small letter begins one, as in `runTests`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars().take(500) {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (!c.is_alphanumeric() || begins) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What the name of a job says: without what a matrix adds in parentheses, and of a job in a
/// workflow that another one calls (`caller / job`) its own name first.
pub(crate) fn of_job(name: &str) -> Vec<Stage> {
    let plain = without_parentheses(name);
    let mut parts = plain.rsplit(" / ").map(stages);
    parts.find(|stages| !stages.is_empty()).unwrap_or_default()
}

/// `test (20, ubuntu)` is `test`.
pub(crate) fn without_parentheses(name: &str) -> String {
    let mut depth = 0_u32;
    let kept = name.chars().filter(|c| {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    kept.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_for_and_not_every_word_that_it_has() {
        use Stage::{Build, Deploy, Health, Image, Migration, Rollback, Smoke, Test};
        for (name, expected) in [
            ("Smoke tests", vec![Smoke]),
            ("Run database migrations", vec![Migration]),
            ("Health checks", vec![Health]),
            ("Build and push Docker image", vec![Build, Image]),
            ("Build and test", vec![Build, Test]),
            ("Post-deployment health check", vec![Health]),
            ("Post-deploy smoke test", vec![Smoke]),
            ("Verify deployment", vec![Health]),
            ("Test deployment", vec![Smoke]),
            ("Test the deployment", vec![Smoke]),
            ("Test deployment scripts", vec![Test]),
            ("Deploy and test", vec![Deploy, Test]),
            ("Deploy to ECS", vec![Deploy]),
            ("Roll back", vec![Rollback]),
            ("Rollback on failure", vec![Rollback]),
            ("runUnitTests", vec![Test]),
            ("Set up Docker Buildx", vec![Build]),
            ("Upload test results", vec![]),
            ("Checkout repository", vec![]),
            ("contest", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(stages(name), expected, "{name}");
        }
        assert_eq!(of_job("test (deploy, 20)"), [Test]);
        assert_eq!(of_job("deploy / build"), [Build]);
        assert_eq!(of_job("deploy / main"), [Deploy]);
        assert_eq!(of_job("call / a (b (c))"), []);
    }
}

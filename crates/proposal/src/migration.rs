//! The migration that a workflow makes, as the section `migrate:`.

use migration_tools::Tool;
use survey::{Deployment, Job};

use crate::handed::StepEnv;
use yaml_edit::tree::{Map, Tree};

/// The section, where the tool is known, it runs in the job, and the job names the variable with the
/// database's URL.
pub(crate) fn section(deployment: &Deployment, job: &Job, handed: &mut StepEnv) -> Option<Map> {
    let command = &deployment.migration.as_ref()?.value;
    let words: Vec<&str> = command.split_whitespace().collect();
    let (at, key) = tool(&words)?;
    let (name, text) = url(job)?;
    handed.set(name, text);
    let mut map = Map::default();
    if name != "DATABASE_URL" {
        map.add("url-env", Tree::text(name));
    }
    // `docker compose exec -T api alembic …`: the tool and its files are in the container.
    if words[..at].contains(&"docker") {
        map.add("exec", Tree::shell(&words[..at].join(" ")));
    }
    Some(map.with(key, Tree::plain("{}")))
}

/// What of the section a person adds, where the tool alone is known.
pub(crate) fn hint(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (_, key) = tool(&words)?;
    Some(format!("`migrate: {{ {key}: {{}} }}` makes it under guard"))
}

/// Where the tool's own words begin, and its key.
fn tool(words: &[&str]) -> Option<(usize, &'static str)> {
    // A program may be named by its path.
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let calls = Tool::ALL.iter().flat_map(|tool| {
        let calls = tool.facts().calls.iter();
        calls.map(|words| (*words, tool.name()))
    });
    let mut found = calls.filter_map(|(called, key)| {
        let at = words.windows(called.len()).position(|these| {
            let mut pairs = these.iter().zip(called);
            pairs.all(|(word, wanted)| base(word) == *wanted)
        })?;
        // `python manage.py migrate`, `npx knex`: what calls the tool belongs to it.
        let by = at.checked_sub(1).map(|before| base(words[before]));
        let is_called = by.is_some_and(|by| {
            matches!(
                by.as_str(),
                "python" | "python3" | "npx" | "bundle" | "exec" | "bin"
            ) && !words[..at].ends_with(&["compose", "exec"])
        });
        Some((at - usize::from(is_called), key))
    });
    found.next()
}

/// The variable of the job that holds the database's URL, with the workflow's own text.
fn url(job: &Job) -> Option<(&str, &str)> {
    let of_steps = job.steps.iter().flat_map(|step| &step.env);
    let mut all = job.env.iter().chain(of_steps);
    all.find_map(|(name, text)| {
        let is_url = name == "DATABASE_URL" || name.ends_with("_DATABASE_URL");
        is_url.then(|| (name.as_str(), text.value.text()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &str) -> Option<(String, &'static str)> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (at, key) = tool(&words)?;
        Some((words[..at].join(" "), key))
    }

    #[test]
    fn each_tool_is_known_by_how_it_is_called() {
        for (command, before, key) in [
            ("alembic upgrade head", "", "alembic"),
            ("poetry run alembic upgrade head", "poetry run", "alembic"),
            (
                "docker compose exec -T api alembic upgrade head",
                "docker compose exec -T api",
                "alembic",
            ),
            ("python manage.py migrate --noinput", "", "django"),
            (
                "docker compose run --rm web python manage.py migrate",
                "docker compose run --rm web",
                "django",
            ),
            ("npx knex migrate:latest", "", "knex"),
            ("npx prisma migrate deploy", "", "prisma"),
            ("bin/rails db:migrate", "", "rails"),
            ("migrate -path db -database $URL up", "", "golang-migrate"),
        ] {
            assert_eq!(found(command), Some((before.to_owned(), key)), "{command}");
        }
        assert_eq!(found("npm run migrate"), None);
        assert_eq!(found("./migrate.sh"), None);
    }
}

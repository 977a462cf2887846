//! Which command lines change a database's schema, and which only speak of it.

/// Whether the words behind a program make migrations: `manage.py migrate`, `prisma migrate deploy`, `prisma db push`.
pub(crate) fn migrates(words: &[String]) -> bool {
    let pushes = words
        .windows(2)
        .any(|pair| pair[0] == "db" && pair[1] == "push");
    let names = |word: &String| word.contains("migrat") && !is_query(word);
    pushes || words.iter().any(names) && !only_tells(words)
}

/// Whether a word is a statement of SQL: `SELECT COUNT(*) FROM _prisma_migrations`.
fn is_query(word: &str) -> bool {
    let first = word.split_whitespace().next().unwrap_or_default();
    let verbs = [
        "select", "show", "insert", "update", "delete", "create", "alter", "drop",
    ];
    word.contains(' ') && verbs.contains(&first.to_ascii_lowercase().as_str())
}

/// Whether they only tell what has been made or would be, or write the files of one.
pub(crate) fn only_tells(words: &[String]) -> bool {
    const VERBS: [&str; 14] = [
        "status", "check", "show", "list", "info", "validate", "current", "history", "heads",
        "diff", "plan", "generate", "create", "version",
    ];
    const OPTIONS: [&str; 7] = [
        "--status",
        "--check",
        "--plan",
        "--list",
        "--dry-run",
        "--pretend",
        "--help",
    ];
    words.iter().any(|word| {
        // `migrate:status`, `db:migrate:status`, `migration:generate`.
        let verb = word.rsplit(':').next().unwrap_or_default();
        let of_migrations = word.contains("migrat") && word.contains(':');
        OPTIONS.contains(&word.as_str())
            || matches!(
                word.as_str(),
                "showmigrations" | "makemigrations" | "sqlmigrate"
            )
            || of_migrations && VERBS.contains(&verb)
    }) || verb_behind(words).is_some_and(|verb| VERBS.contains(&verb))
}

/// What follows the word that names migrations, or the first operand where none does: `prisma migrate status`,
/// `alembic current`.
fn verb_behind(words: &[String]) -> Option<&str> {
    let named = words.iter().position(|word| word.contains("migrat"));
    let behind = words.get(named.map_or(0, |at| at + 1)..)?;
    let mut operands = behind.iter().map(String::as_str);
    operands.find(|word| !word.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tells_of_migrations_makes_none() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        for line in [
            "manage.py migrate --noinput",
            "artisan migrate --force",
            "prisma migrate deploy",
            "run migrate up",
            "db push --accept-data-loss",
            "db:migrate",
            "migration:run",
            "web node dist/db/migrate.js",
        ] {
            assert!(migrates(&words(line)), "{line}");
        }
        for line in [
            "manage.py migrate --check",
            "manage.py showmigrations",
            "manage.py makemigrations",
            "manage.py migrate --plan",
            "artisan migrate:status",
            "prisma migrate status",
            "prisma migrate diff",
            "db:migrate:status",
            "run migration:generate",
            "backend node dist/migrate-all.js --status",
            "test",
        ] {
            assert!(!migrates(&words(line)), "{line}");
        }
        let query = "SELECT COUNT(*) FROM _prisma_migrations".to_owned();
        assert!(!migrates(&["shop_db".to_owned(), query]));
        for (line, tells) in [
            ("upgrade head", false),
            ("current", true),
            ("history --verbose", true),
        ] {
            assert_eq!(only_tells(&words(line)), tells, "{line}");
        }
    }
}

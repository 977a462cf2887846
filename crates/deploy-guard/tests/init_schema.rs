//! `deploy-guard init` where the workflow changes a database's schema.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// The first case with a step that migrates before the one that deploys: what was written.
fn written(migrates: &str) -> String {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init/cases/01-vps-ssh-compose");
    let folder = TempDir::new().unwrap();
    let path = ".github/workflows/deploy.yml";
    fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    for name in ["Dockerfile", "docker-compose.prod.yml"] {
        fs::copy(case.join(name), folder.path().join(name)).unwrap();
    }
    let workflow = fs::read_to_string(case.join(path)).unwrap();
    let marker = "      - name: Update the server\n";
    assert!(workflow.contains(marker));
    let workflow = workflow.replace(marker, &format!("{migrates}{marker}"));
    fs::write(folder.path().join(path), workflow).unwrap();
    testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes", "--patch"])
        .assert()
        .code(0);
    let config = fs::read_to_string(folder.path().join(".github/deploy-guard.yml")).unwrap();
    let workflow = fs::read_to_string(folder.path().join(path)).unwrap();
    format!("{config}\n---\n{workflow}")
}

#[test]
fn the_tool_of_the_workflow_is_configured_with_the_variable_that_holds_its_url() {
    let text = written(
        "      - env: { DATABASE_URL: \"${{ secrets.DATABASE_URL }}\" }\n        run: alembic upgrade head\n",
    );
    assert!(text.contains("migrate: { alembic: {} }\n"), "{text}");
    let other = written(
        "      - env: { SHOP_DATABASE_URL: \"${{ secrets.DB }}\" }\n        run: npx knex migrate:latest\n",
    );
    assert!(
        other.contains("migrate: { url-env: SHOP_DATABASE_URL, knex: {} }\n"),
        "{other}"
    );
}

#[test]
fn a_migration_of_a_database_that_nothing_names_is_not_guessed() {
    let text = written("      - run: alembic upgrade head\n");
    assert!(!text.contains("migrate: "), "{text}");
}

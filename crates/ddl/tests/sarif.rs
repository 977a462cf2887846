//! SARIF against the schema of its standard.

use ddl::sarif::sarif;
use ddl::{Catalog, Ignore, Linter, Migration, Options, Tool};

/// As published, with one pattern whose brackets do not match corrected when it is read.
/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json>
const SCHEMA: &str = include_str!("sarif-2.1.0.json");

#[test]
fn the_findings_are_valid_sarif() {
    let options = Options {
        ignores: vec![Ignore {
            rule: "ban-drop-table".parse().expect("a rule"),
            files: None,
            reason: "it was never used".into(),
        }],
        ..Options::default()
    };
    let sql = "DROP TABLE t;\n-- squawk-ignore ban-drop-column -- gone\nALTER TABLE t DROP COLUMN c;\nCREATE INDEX i ON é (a);\n";
    let migration = Migration::printed(Tool::Dbmate, "db/migrations/1 a.sql", sql);
    let findings = Linter::new(options)
        .lint(&migration, &mut Catalog::default())
        .expect("it is read");
    let told = sarif("1.2.3", &findings);
    let validator = validator();
    let errors: Vec<String> = validator
        .iter_errors(&told)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    // What would be none is found out.
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{}] })));
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).expect("JSON"));
}

#[test]
fn no_findings_are_valid_sarif() {
    let validator = validator();
    assert!(validator.is_valid(&sarif("1.2.3", &[])));
}

fn validator() -> jsonschema::Validator {
    let schema = SCHEMA.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}?$");
    let schema = serde_json::from_str(&schema).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("it is a schema")
}

//! Django's own migrations; it prints BEGIN and COMMIT.

use crate::facts::{FACTS as COMMON, Facts, SafeWays};

pub(crate) const FACTS: Facts = Facts {
    name: "django",
    calls: &[&["manage.py", "migrate"]],
    mentions: &["manage.py migrate"],
    own_tables: &["django_migrations"],
    ways: SafeWays {
        outside_transaction: "in a migration of its own with `atomic = False`",
        create_index: "`AddIndexConcurrently` of `django.contrib.postgres.operations`",
        drop_index: "`RemoveIndexConcurrently` of `django.contrib.postgres.operations`",
        foreign_key_not_valid: "the field with `db_constraint=False`, and `RunSQL` with `ADD FOREIGN KEY ... NOT VALID`",
        check_not_valid: "`AddConstraintNotValid` of `django.contrib.postgres.operations`",
        validate: "`ValidateConstraint` of `django.contrib.postgres.operations`",
        forget_column: "does not use it, with `RemoveField` in the `state_operations` of `SeparateDatabaseAndState`",
    },
    ..COMMON
};

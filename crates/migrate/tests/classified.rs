//! Migrations with known effects, in the words of Alembic and Django themselves: each is classified as what it is,
//! and what must not run is refused.

use serde_json::json;

use crate::bed::Bed;
use crate::projects::Kind;

/// What the release before does.
const SMOKE: &str = "psql \"$DATABASE_URL\" -v ON_ERROR_STOP=1 -qc \"INSERT INTO orders (note) VALUES ('$RELEASE')\"";

/// Both ways of a migration with a known effect, and what a rehearsal says of it.
struct Case {
    name: &'static str,
    /// In the tool's own language; of Django the operations, which know the way back.
    up: &'static str,
    down: &'static str,
    code: i32,
    told: &'static [&'static str],
}

const GOOD: &[&str] = &["reversible, compatible with the release before, not destructive"];
const BREAKS: &[&str] = &["reversible, not compatible with the release before, not destructive"];
const LOSES: &[&str] = &["not reversible, compatible with the release before, destructive"];

const ALEMBIC: [Case; 9] = [
    Case {
        name: "a column that may be empty",
        up: "op.add_column('orders', sa.Column('coupon', sa.Text()))",
        down: "op.drop_column('orders', 'coupon')",
        code: 0,
        told: GOOD,
    },
    Case {
        name: "a column that the server fills",
        up: "op.add_column('orders', sa.Column('state', sa.Text(), nullable=False, server_default='new'))",
        down: "op.drop_column('orders', 'state')",
        code: 0,
        told: GOOD,
    },
    Case {
        name: "an index",
        up: "op.create_index('orders_note', 'orders', ['note'])",
        down: "op.drop_index('orders_note')",
        code: 0,
        told: GOOD,
    },
    Case {
        name: "a column that nothing fills",
        up: "op.add_column('orders', sa.Column('state', sa.Text(), nullable=False))",
        down: "op.drop_column('orders', 'state')",
        code: 1,
        told: &["contains null values"],
    },
    Case {
        name: "a way down that forgets the index",
        up: "op.add_column('orders', sa.Column('coupon', sa.Text())); op.create_index('orders_note', 'orders', ['note'])",
        down: "op.drop_column('orders', 'coupon')",
        code: 1,
        told: &["the way down is wrong", "orders_note"],
    },
    Case {
        name: "a way down that does nothing",
        up: "op.add_column('orders', sa.Column('coupon', sa.Text()))",
        down: "pass",
        code: 1,
        told: &["the way down is wrong", "coupon"],
    },
    Case {
        name: "no way down",
        up: "op.add_column('orders', sa.Column('coupon', sa.Text()))",
        down: "raise NotImplementedError('it cannot be undone')",
        code: 0,
        told: &[
            "not reversible, compatible with the release before, not destructive",
            "it cannot be undone",
        ],
    },
    Case {
        name: "another name",
        up: "op.alter_column('orders', 'note', new_column_name='remark')",
        down: "op.alter_column('orders', 'remark', new_column_name='note')",
        code: 1,
        told: BREAKS,
    },
    Case {
        name: "a column that is taken away",
        up: "op.drop_column('orders', 'extra')",
        down: "op.add_column('orders', sa.Column('extra', sa.Text()))",
        code: 0,
        told: LOSES,
    },
];

const DJANGO: [Case; 8] = [
    Case {
        name: "a field that may be empty",
        up: "migrations.AddField('order', 'coupon', models.TextField(null=True))",
        down: "",
        code: 0,
        told: GOOD,
    },
    Case {
        name: "an index",
        up: "migrations.AddIndex('order', models.Index(fields=['note'], name='orders_note'))",
        down: "",
        code: 0,
        told: GOOD,
    },
    // Django takes the default away again, and the release before gives no value.
    Case {
        name: "a field that only Django fills",
        up: "migrations.AddField('order', 'state', models.TextField(default='new'))",
        down: "",
        code: 1,
        told: BREAKS,
    },
    Case {
        name: "another name",
        up: "migrations.RenameField('order', 'note', 'remark')",
        down: "",
        code: 1,
        told: BREAKS,
    },
    Case {
        name: "a field that is taken away",
        up: "migrations.RemoveField('order', 'extra')",
        down: "",
        code: 0,
        told: LOSES,
    },
    Case {
        name: "a way down that forgets the index",
        up: "migrations.RunSQL('CREATE INDEX orders_note ON orders (note); ALTER TABLE orders ADD coupon text', 'ALTER TABLE orders DROP coupon')",
        down: "",
        code: 1,
        told: &["the way down is wrong", "orders_note"],
    },
    Case {
        name: "no way down",
        up: "migrations.RunSQL('ALTER TABLE orders ADD coupon text')",
        down: "",
        code: 0,
        told: &[
            "not reversible, compatible with the release before, not destructive",
            "there is no way down: shop.0002_m has no way back",
        ],
    },
    Case {
        name: "no way down, as only Django knows",
        up: "type('Once', (migrations.RunSQL,), {'reversible': False})('ALTER TABLE orders ADD coupon text', 'SELECT 1')",
        down: "",
        code: 0,
        told: &[
            "not reversible, compatible with the release before, not destructive",
            "there is no way down: django.db.migrations.exceptions.IrreversibleError: Operation",
        ],
    },
];

fn alembic(bed: &Bed, nth: u32, up: &str, down: &str) {
    let below = match nth {
        1 => "None".to_owned(),
        _ => format!("'r{:04}'", nth - 1),
    };
    let text = format!(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = 'r{nth:04}'\ndown_revision = {below}\n\n\
         def upgrade():\n    {up}\n\ndef downgrade():\n    {down}\n"
    );
    bed.write(&format!("alembic/versions/r{nth:04}.py"), &text);
}

fn django(bed: &Bed, nth: u32, operations: &str) {
    let needs = match nth {
        1 => String::new(),
        _ => format!("('shop', '{:04}_m')", nth - 1),
    };
    let text = format!(
        "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [{needs}]\n    operations = [{operations}]\n"
    );
    bed.write(&format!("shop/migrations/{nth:04}_m.py"), &text);
}

/// Writes the migration with this number.
fn write(bed: &Bed, kind: Kind, nth: u32, up: &str, down: &str) {
    match kind {
        Kind::Alembic => alembic(bed, nth, up, down),
        _ => django(bed, nth, up),
    }
}

/// A bed with 500 orders, made by the tool.
fn served(kind: Kind, up: &str, down: &str) -> Bed {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    let rehearse = json!({"smoke": SMOKE, "required": true});
    kind.set_up(&bed, json!({"rehearse": rehearse, "deadline": "60s"}));
    write(&bed, kind, 1, up, down);
    let first = ["--force", "unrehearsed", "--reason", "it is the first"];
    let mut run = bed.run(&["run", "--release", "v1"]);
    run.args(first).assert().code(0);
    bed.ask("INSERT INTO orders (note, extra) SELECT 'note ' || i, 'x' || i FROM generate_series(1, 500) i");
    bed
}

fn rehearsed(bed: &Bed, kind: Kind, case: &Case) {
    let Case {
        name,
        up,
        down,
        code,
        told,
    } = case;
    write(bed, kind, 2, up, down);
    let before = bed.ask("SELECT count(*), min(extra), max(note) FROM orders");
    let ran = bed.run(&["rehearse"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let what = format!("{kind:?}, {name}: {said}");
    assert_eq!(ran.status.code(), Some(*code), "{what}");
    // What it is, is a line of its own: "not reversible" has the words of "reversible" in it.
    let is_told = |words: &str| {
        if words.contains("the release before") {
            said.lines().any(|line| line.trim() == words)
        } else {
            said.contains(words)
        }
    };
    assert!(told.iter().all(|words| is_told(words)), "{what}");
    if *code != 0 {
        let run = bed.run(&["run", "--release", "v2"]).output().unwrap();
        let refused = String::from_utf8_lossy(&run.stdout).into_owned();
        assert_eq!(run.status.code(), Some(5), "{what}{refused}");
        assert!(refused.contains("refused/unrehearsed"), "{what}{refused}");
    }
    let after = bed.ask("SELECT count(*), min(extra), max(note) FROM orders");
    assert_eq!(before, after, "{what}");
    let copies = bed.ask("SELECT count(*) FROM pg_database WHERE datname LIKE 'dg_%'");
    assert_eq!(copies, "0", "{what}");
}

#[test]
fn what_alembic_does_is_classified_as_what_it_is() {
    let bed = served(
        Kind::Alembic,
        "op.create_table('orders', sa.Column('id', sa.BigInteger(), primary_key=True), sa.Column('note', sa.Text()), sa.Column('extra', sa.Text()))",
        "op.drop_table('orders')",
    );
    for case in &ALEMBIC {
        rehearsed(&bed, Kind::Alembic, case);
    }
}

#[test]
fn what_django_does_is_classified_as_what_it_is() {
    let bed = served(
        Kind::Django,
        "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('note', models.TextField(null=True)), ('extra', models.TextField(null=True))], {'db_table': 'orders'})",
        "",
    );
    for case in &DJANGO {
        rehearsed(&bed, Kind::Django, case);
    }
}

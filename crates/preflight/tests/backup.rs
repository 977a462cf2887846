//! Backups as a user asks for them: real gzip, zstd and PostgreSQL dumps, whole, cut off and
//! damaged; here, on a host and in a bucket.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use testkit::{Moto, Postgres, Sshd};

use crate::one_check::{configured, outcome};

/// Asks for one backup.
fn asking(backup: &str, hosts: &str) -> (TempDir, assert_cmd::Command) {
    configured(&format!(
        "version: 1\n{hosts}preflight:\n  timeout: 40s\n  backup:\n    - {{ name: nightly, {backup} }}\n"
    ))
}

fn told(outcome: &serde_json::Value, key: &str) -> String {
    outcome[key].as_str().unwrap_or_default().to_owned()
}

fn check(file: &str, more: &str, code: i32, key: &str, text: &str) {
    let (_folder, mut command) = asking(&format!("file: '{file}'{more}"), "");
    let (got, outcome) = outcome(&mut command);
    assert_eq!(got, code, "{file}: {outcome}");
    assert!(
        told(&outcome, key).contains(text),
        "{file}: {text}: {outcome}"
    );
}

/// Incompressible enough that a cut takes something away.
fn content(size: u32) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

fn write(path: &Path, bytes: &[u8], hours: u64) {
    std::fs::write(path, bytes).unwrap();
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(then).unwrap();
}

/// The output of a program for these bytes.
fn through(program: &str, bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    std::fs::write(&file, bytes).unwrap();
    let output = Command::new(program).arg("-c").arg(&file).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn the_newest_of_the_files_counts_by_its_age_and_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("shop 1.dump"), &[1; 5000], 50);
    write(&at("shop 2.dump"), &[1; 2000], 20);
    write(&at("other.txt"), &[1; 10], 0);
    write(&at("shop 2.dump.sha256"), b"x", 0);
    let files = format!("{}/shop *", folder.path().display());
    check(
        &files,
        ", max-age: 26h",
        0,
        "actual",
        "shop 2.dump, 2.0 KiB, 20h",
    );
    check(&files, "", 0, "actual", "60% smaller than");
    check(&files, ", max-age: 19h", 1, "reason", "19h is allowed");
    check(&files, ", min-size: 2000", 0, "expected", "of at least");
    check(
        &files,
        ", min-size: 1MiB",
        1,
        "reason",
        "at least 1.0 MiB are expected",
    );
    // A clock that was wrong once must not make it the newest for ever.
    let future = at("shop 3.dump");
    write(&future, &[1; 2000], 0);
    let then = SystemTime::now() + Duration::from_secs(3 * 3600);
    let file = std::fs::File::options().write(true).open(&future).unwrap();
    file.set_modified(then).unwrap();
    check(&files, ", max-age: 26h", 3, "reason", "in the future");
    check(&files, ", max-age: 26h", 3, "hint", "see the clock");
    std::fs::remove_file(future).unwrap();
    let none = format!("{}/*.sql", folder.path().display());
    check(&none, "", 1, "reason", "no file matches");
    check("/no/such/folder/*", "", 1, "hint", "systemctl list-timers");
    write(&at("empty.gz"), b"", 0);
    let empty = at("empty.gz").display().to_string();
    check(&empty, "", 1, "reason", "it has 0 bytes");
    // The shell does not run any part of a path.
    check(
        "/tmp/$(touch pwned)`touch pwned`;touch pwned/*",
        "",
        1,
        "reason",
        "no file matches",
    );
}

/// Verifies in place and from a bucket.
fn verified(moto: &Moto, name: &str, bytes: &[u8], proof: &str, code: i32, reason: &str) {
    let more = format!(", verify: {proof}, max-age: 1h");
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(name), bytes, 0);
    let file = folder.path().join(name).display().to_string();
    check(
        &file,
        &more,
        code,
        if code == 0 { "actual" } else { "reason" },
        reason,
    );

    moto.put_object("backups", name, bytes);
    let file = format!("file: 's3://backups/{name}*'{more}");
    let (_folder, mut command) = asking(&file, "");
    let (got, outcome) = outcome(command.envs(moto.variables()));
    assert_eq!(got, code, "{outcome}");
    let key = if code == 0 { "actual" } else { "reason" };
    assert!(told(&outcome, key).contains(reason), "{reason}: {outcome}");
    assert!(!outcome.to_string().contains("testkit-secret-key"));
}

#[test]
fn compressed_backups_are_read_to_their_end() {
    let moto = Moto::start();
    moto.make_bucket("backups");
    for (program, proof) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let good = through(program, &content(300_000));
        let mut damaged = good.clone();
        damaged[150_000] ^= 0xff;
        let cut = &good[..good.len() - 100];
        verified(&moto, &format!("{program}-1"), &good, proof, 0, "intact");
        verified(
            &moto,
            &format!("{program}-2"),
            cut,
            proof,
            1,
            "it is damaged",
        );
        verified(
            &moto,
            &format!("{program}-3"),
            &damaged,
            proof,
            1,
            "it is damaged",
        );
        verified(
            &moto,
            &format!("{program}-4"),
            &content(100),
            proof,
            1,
            "it is damaged",
        );
    }
}

#[test]
fn a_dump_of_postgresql_is_more_than_its_list() {
    let moto = Moto::start();
    moto.make_bucket("backups");
    let postgres = Postgres::start();
    postgres.sql("create table orders as select n, md5(n::text) from generate_series(1, 20000) n");
    let good = postgres.dump();
    verified(&moto, "one.dump", &good, "pg-restore", 0, "intact");
    // The list is at the beginning: `pg_restore --list` alone accepts this file.
    let cut = &good[..good.len() / 2];
    verified(&moto, "two.dump", cut, "pg-restore", 1, "it is damaged");
    let mut damaged = good.clone();
    let middle = good.len() / 2;
    damaged[middle..middle + 64].fill(0x55);
    verified(
        &moto,
        "try.dump",
        &damaged,
        "pg-restore",
        1,
        "it is damaged",
    );
    for (half, reason) in [
        ("--data-only", "it has the rows and not the schema"),
        ("--schema-only", "it has the schema and no rows"),
    ] {
        let half = postgres.dump_with(&[half]);
        verified(
            &moto,
            &format!("half{}.dump", half.len()),
            &half,
            "pg-restore",
            1,
            reason,
        );
    }
    verified(
        &moto,
        "for.dump",
        b"-- SQL\nselect 1;\n",
        "pg-restore",
        1,
        "it is damaged",
    );
}

#[test]
fn a_checksum_beside_the_backup_must_be_its_own() {
    let moto = Moto::start();
    moto.make_bucket("backups");
    let folder = tempfile::tempdir().unwrap();
    let bytes = content(1000);
    let file = folder.path().join("a.tar");
    write(&file, &bytes, 0);
    moto.put_object("backups", "a.tar", &bytes);
    let output = Command::new("sha256sum").arg(&file).output().unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    for (sum, code, reason) in [
        (Some(sum.as_str()), 0, "intact"),
        (Some("0000  a.tar\n"), 1, "has 0000"),
        (None, 1, "there is neither"),
    ] {
        let beside = folder.path().join("a.tar.sha256");
        if let Some(sum) = sum {
            std::fs::write(&beside, sum).unwrap();
            moto.put_object("backups", "a.tar.sha256", sum.as_bytes());
        } else {
            std::fs::remove_file(&beside).unwrap();
            moto.make_bucket("bare");
            moto.put_object("bare", "a.tar", &bytes);
        }
        let bucket = if sum.is_some() { "backups" } else { "bare" };
        for place in [file.display().to_string(), format!("s3://{bucket}/a.*")] {
            let (_folder, mut command) = asking(&format!("file: '{place}', verify: checksum"), "");
            let (got, outcome) = outcome(command.envs(moto.variables()));
            assert_eq!(got, code, "{outcome}");
            let key = if code == 0 { "actual" } else { "reason" };
            assert!(told(&outcome, key).contains(reason), "{outcome}");
        }
    }
}

#[test]
fn a_bucket_that_is_not_there_and_a_service_that_is_not_are_told_apart() {
    let moto = Moto::start();
    moto.make_bucket("backups");
    let asked = |file: &str, variables: &[(&str, String)]| {
        let (_folder, mut command) = asking(&format!("file: '{file}', timeout: 5s"), "");
        outcome(command.envs(variables.iter().cloned()))
    };
    let (code, outcome) = asked("s3://nowhere-at-all/x*", &moto.variables());
    assert_eq!(code, 1, "{outcome}");
    assert!(told(&outcome, "reason").contains("`nowhere-at-all` does not exist"));
    let (code, outcome) = asked("s3://backups/x*", &moto.variables());
    assert_eq!(code, 1, "{outcome}");
    assert!(told(&outcome, "reason").contains("no file matches"));
    let mut variables = moto.variables();
    variables[0].1 = format!("http://127.0.0.1:{}", testkit::free_port());
    let (code, outcome) = asked("s3://backups/x*", &variables);
    assert_eq!(code, 4, "{outcome}");
    let (code, outcome) = asked("s3://backups/x*", &[]);
    assert_eq!(code, 4, "{outcome}");
    assert!(
        told(&outcome, "reason").contains("find AWS credentials"),
        "{outcome}"
    );
}

#[test]
fn runbook_001_backup_before_the_deployment_is_looked_at_where_it_lies() {
    let sshd = Sshd::start();
    let backups = tempfile::tempdir().unwrap();
    let good = through("gzip", &content(100_000));
    write(&backups.path().join("db-1.sql.gz"), &good, 30);
    let hosts = format!(
        "hosts:\n  db-01: {{ address: 127.0.0.1, port: {}, user: {}, key-env: KEY, known-hosts: known_hosts }}\n",
        sshd.port(),
        sshd.user()
    );
    let ask = || {
        let file = format!(
            "host: db-01, file: '{}/db-*.sql.gz', max-age: 26h, min-size: 1KiB, verify: gzip",
            backups.path().display()
        );
        let (folder, mut command) = asking(&file, &hosts);
        std::fs::write(folder.path().join("known_hosts"), sshd.known_hosts()).unwrap();
        outcome(command.env("KEY", sshd.private_key()))
    };
    let (code, outcome) = ask();
    assert_eq!(code, 1, "{outcome}");
    assert!(
        told(&outcome, "reason").contains("1d 2h is allowed"),
        "{outcome}"
    );
    write(&backups.path().join("db-2.sql.gz"), &good[..90_000], 0);
    let (code, outcome) = ask();
    assert_eq!(code, 1, "{outcome}");
    assert!(
        told(&outcome, "reason").contains("unexpected end of file"),
        "{outcome}"
    );
    assert!(told(&outcome, "hint").contains("gzip -tv"), "{outcome}");
    write(&backups.path().join("db-2.sql.gz"), &good, 0);
    let (code, outcome) = ask();
    assert_eq!(code, 0, "{outcome}");
    assert!(
        told(&outcome, "actual").contains("db-2.sql.gz"),
        "{outcome}"
    );
}

//! The failures of the runbooks, by name, as the gate meets them.

use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Compose, Postgres, Redis, Shop, SystemdHost, wait_until};

use crate::services::bed::{Bed, QUICK};
use crate::services::containers;

const UNIT: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// The backend, the frontend, the database and the cache: all of them asked at the host itself,
/// over one login, with no curl there.
#[test]
fn runbook_004_mode_4_health_checks_failing() {
    let host = SystemdHost::start(&[("backend.service", UNIT), ("frontend.service", UNIT)]);
    let (backend, frontend) = (Shop::start("v2"), Shop::start("v2"));
    let database = Postgres::listening("host all all 127.0.0.1/32 scram-sha-256", None);
    let cache = Redis::start("");
    host.must(&["systemctl", "start", "backend", "frontend"]);
    let bed = Bed::new().systemd("web-01", &host);
    let probes = format!(
        "  systemd:
    - {{ name: backend, unit: backend, host: web-01 }}
    - {{ name: frontend, unit: frontend, host: web-01 }}
  http:
    - {{ name: backend, url: '{}', jq: '.status == \"healthy\"', via: web-01 }}
    - {{ name: frontend, url: '{}', via: web-01 }}
  postgres: [{{ name: db, address: '127.0.0.1:{}', via: web-01 }}]
  redis: [{{ name: cache, address: '127.0.0.1:{}', via: web-01 }}]",
        backend.url("/health/ready"),
        frontend.url("/"),
        database.port(),
        cache.port()
    );
    bed.gate(QUICK, &probes).is(0, &[]);

    // The service was not started.
    host.must(&["systemctl", "stop", "frontend"]);
    bed.gate(QUICK, &probes).is(
        1,
        &[
            "systemd/frontend",
            "inactive (dead)",
            "systemctl status frontend",
        ],
    );
    host.must(&["systemctl", "start", "frontend"]);
    // It runs, and its health check fails.
    backend.set_health("unhealthy", 503);
    bed.gate(QUICK, &probes)
        .is(1, &["http/backend", "status 503"]);
    backend.set_health("healthy", 200);
    // The database is gone.
    drop(database);
    bed.gate(QUICK, &probes)
        .is(1, &["postgres/db", "connection refused", "pg_isready"]);
}

/// The health page names the unreachable dependency; the container restarts.
#[test]
fn runbook_000_failure_d_health_check_failure() {
    let host = containers::host();
    let bed = Bed::new().systemd("api", &host);
    let shop = Shop::start("v2");
    let database = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    containers::run(&host, "agente-api", "--restart always", "sleep 1000");
    let probes = format!(
        "  http: [{{ name: ready, url: '{}', jq: '.status == \"healthy\"' }}]
  docker: [{{ name: api, container: agente-api, host: api }}]
  postgres: [{{ name: db, address: '127.0.0.1:{}' }}]",
        shop.url("/health/ready"),
        database.port()
    );
    bed.gate(QUICK, &probes).is(0, &[]);
    shop.set_health("unhealthy", 503);
    drop(database);
    bed.gate(QUICK, &probes).is(1, &[]);
    assert_eq!(bed.report()["verdict"], "fail");
    shop.set_health("healthy", 200);

    // `docker ps`: Restarting.
    containers::run(
        &host,
        "broken-api",
        "--restart always",
        "sh -c 'sleep 1; exit 3'",
    );
    let only = "  docker: [{ name: api, container: broken-api, host: api }]";
    let policy =
        "{ interval: 200ms, timeout: 30s, success-threshold: 50, failure-limit: 0, deadline: 2m }";
    bed.gate(policy, only)
        .is(1, &["docker/api", "docker logs --tail 100 broken-api"]);
}

/// "Check migration status": the revision that the database has, asked of itself.
#[test]
fn runbook_000_failure_c_database_migration_status() {
    let database = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    database.sql("create table alembic_version (version_num text)");
    database.sql("insert into alembic_version values ('0041_users')");
    database.sql("create role agente login");
    database.sql("grant select on alembic_version to agente");
    let bed = Bed::new();
    let probe = |revision: &str| {
        format!(
            "  postgres: [{{ name: schema, address: '127.0.0.1:{}', user: agente, database: postgres, query: select version_num from alembic_version, equals: {revision} }}]",
            database.port()
        )
    };
    bed.gate(QUICK, &probe("0041_users")).is(0, &[]);
    // The migration did not arrive.
    bed.gate(QUICK, &probe("0042_orders")).is(
        1,
        &[
            "postgres/schema",
            "the query gives 0041_users: it is another value",
        ],
    );
    // "Check database connectivity".
    let gone = probe("0041_users");
    drop(database);
    bed.gate(QUICK, &gone)
        .is(1, &["postgres/schema", "connection refused", "pg_isready"]);
}

/// "Production database locked": what a person reads out of `pg_stat_activity`.
#[test]
fn runbook_001_production_database_locked() {
    let database = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    database.sql("create role shop login");
    database.sql("create table orders (id int)");
    database.sql("grant all on orders to shop");
    let port = database.port().to_string();
    let session = |statements: &str| {
        let mut psql = Command::new(testkit::tool("psql"));
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "shop",
            "-d",
            "postgres",
        ]);
        psql.args(["-c", statements]);
        psql.stdout(Stdio::null()).stderr(Stdio::null());
        psql.spawn().unwrap()
    };
    let bed = Bed::new();
    let probe = format!(
        "  postgres:
    - name: locks
      address: '127.0.0.1:{port}'
      user: shop
      database: postgres
      query: select count(*) from pg_stat_activity where wait_event_type = 'Lock'
      max: 0"
    );
    bed.gate(QUICK, &probe).is(0, &[]);
    // A migration that holds its lock, and the service that waits for it.
    let mut migration =
        session("begin; lock table orders in access exclusive mode; select pg_sleep(600)");
    assert!(wait_until(Duration::from_mins(1), || {
        let locked = "select 1 from pg_locks where relation = 'orders'::regclass and granted";
        let ask = format!("do $$ begin assert exists({locked}); end $$");
        session(&ask).wait().unwrap().success()
    }));
    let mut service = session("select * from orders");
    bed.gate(
        "{ interval: 100ms, timeout: 20s, success-threshold: 600, failure-limit: 0, deadline: 90s }",
        &probe,
    )
    .is(1, &["postgres/locks", "1 > max (0)"]);
    drop(database);
    for session in [&mut migration, &mut service] {
        session.wait().unwrap();
    }
}

/// "Common issues": which of the dependencies is not reachable.
#[test]
fn runbook_000_failure_d_each_dependency_is_named() {
    let (redis, pms) = (Redis::start(""), Shop::start("pms"));
    let bed = Bed::new();
    let probes = format!(
        "  redis: [{{ name: cache, address: '127.0.0.1:{}' }}]\n  http: [{{ name: pms, url: '{}' }}]",
        redis.port(),
        pms.url("/health/ready")
    );
    bed.gate(QUICK, &probes).is(0, &[]);
    pms.set_health("down", 503);
    bed.gate(QUICK, &probes).is(1, &["http/pms", "status 503"]);
    pms.set_health("healthy", 200);
    drop(redis);
    bed.gate(QUICK, &probes)
        .is(1, &["redis/cache", "connection refused", "redis-cli"]);
}

/// "Verify settings load": asked in the container itself; what it printed is in the report.
#[test]
fn runbook_000_failure_e_configuration_error() {
    let host = containers::host();
    let bed = Bed::new().systemd("api", &host);
    let probe = |container: &str| {
        format!(
            "  command:\n    - name: settings\n      host: api\n      run: docker exec {container} sh -c 'test -n \"$DATABASE_URL\" || {{ echo ValidationError DATABASE_URL >&2; exit 7; }}'"
        )
    };
    containers::run(&host, "without", "", "sleep 1000");
    containers::run(
        &host,
        "with",
        "-e DATABASE_URL=postgres://db/shop",
        "sleep 1000",
    );
    bed.gate(QUICK, &probe("without")).is(
        1,
        &[
            "command/settings",
            "exit status 7",
            "ValidationError DATABASE_URL",
        ],
    );
    bed.gate(QUICK, &probe("with")).is(0, &[]);
}

/// A project of Compose on the environment's host, with a service that answers 500, one that
/// ended, and none at all.
fn health_check_failed(environment: &str) {
    let host = containers::host();
    Compose::V2.install_on(&host);
    let bed = Bed::new().systemd(environment, &host);
    let shop = Shop::start("v2");
    let sh = |text: &str| host.must(&["sh", "-c", text]);
    sh(
        "mkdir -p /tmp/azora && cat >/tmp/azora/docker-compose.yml <<'END'
version: '2.4'
services:
  api: { image: 'app:v1', network_mode: host, command: sleep 1000 }
  postgres: { image: 'app:v1', network_mode: host, command: sleep 1000 }
END
cd /tmp/azora && docker compose up -d 2>&1",
    );
    let probes = format!(
        "  compose: [{{ name: azora, folder: /tmp/azora, host: {environment} }}]
  http: [{{ name: health, url: '{}' }}]",
        shop.url("/health/ready")
    );
    bed.gate(QUICK, &probes).is(0, &[]);
    shop.set_health("unhealthy", 500);
    bed.gate(QUICK, &probes)
        .is(1, &["http/health", "status 500"]);
    shop.set_health("healthy", 200);
    sh("docker kill azora-postgres-1");
    assert!(wait_until(Duration::from_mins(1), || {
        sh("docker inspect -f '{{.State.Status}}' azora-postgres-1") == "exited"
    }));
    bed.gate(QUICK, &probes).is(
        1,
        &[
            "compose/azora",
            "`azora-postgres-1`: it is exited (exit code 137)",
            "docker compose logs",
        ],
    );
}

#[test]
fn runbook_001_health_check_failed_in_staging() {
    health_check_failed("staging");
}

#[test]
fn runbook_001_health_check_failed_in_production() {
    health_check_failed("production");
}

//! Runbook 000, "Validation": what a person asks with `curl` and `watch` after a deployment.

use std::thread;
use std::time::Duration;

use crate::gating::{gate, gate_with};
use testkit::{Nginx, Shop, wait_until};

/// The service of the runbook, as far as the gate probes it.
fn service() -> Nginx {
    Nginx::serving(
        r#"log_format asked escape=json '$request_method $request_uri [$request_body]';
    access_log access.log asked;
    default_type application/json;
    server {
        listen 127.0.0.1:PORT;
        location = /health/live { return 200 '{"status":"alive"}'; }
        location = /health/ready { return 200 '{"status":"ready","checks":{"database":"ok","redis":"ok","pms":"ok"}}'; }
        location = /ready-without-redis { return 200 '{"status":"ready","checks":{"database":"ok","redis":"timeout","pms":"ok"}}'; }
        location = /api/v1/version { return 200 '{"version":"v1.2.4"}'; }
        location = /api/v1/pms/availability {
            if ($request_method != POST) { return 405; }
            proxy_pass http://127.0.0.1:PORT/rooms;
        }
        location = /rooms { access_log off; return 200 '{"rooms":[{"type":"double","free":2}]}'; }
        location = /webhook/whatsapp {
            if ($request_method != POST) { return 405; }
            proxy_pass http://127.0.0.1:PORT/taken;
        }
        location = /taken { access_log off; return 202; }
        location = /metrics { default_type text/plain; return 200 'http_requests_total{status="200"} 5\n'; }
        location = /metrics-of-another { default_type text/plain; return 200 'go_goroutines 7\n'; }
        location = /openapi.json { return 200 '{"openapi":"3.1.0","paths":{"/api/v1/pms/availability":{}}}'; }
    }"#,
    )
}

/// "1. Service health": alive, ready, the version, and every dependency in `.checks`.
#[test]
fn runbook_000_validation_1_service_health() {
    let service = service();
    let version = service.url("/api/v1/version");
    let ask = |ready: &str, release: &str| {
        let section = format!(
            "  http:
    - {{ name: live, url: '{}' }}
    - name: ready
      url: '{}'
      jq: '.status == \"ready\" and (.checks | to_entries | all(.value == \"ok\"))'
      release: {{ url: '{version}', jq: .version }}\n",
            service.url("/health/live"),
            service.url(ready)
        );
        gate(&section).args(&["--release", release]).run()
    };
    ask("/health/ready", "v1.2.4").code(0);
    // Status 200 and "ready", and yet one dependency is not.
    let ran = ask("/ready-without-redis", "v1.2.4").code(1);
    let outcome = ran.ends("http/ready", "fail", "jq");
    assert!(outcome.to_string().contains("timeout"), "{outcome}");
    // The old release answers still.
    let ran = ask("/health/ready", "v1.2.5").code(1);
    ran.ends("http/ready", "fail", "v1.2.4");
}

/// "2. Run smoke tests": the three requests of the runbook, with their bodies.
#[test]
fn runbook_000_validation_2_smoke_tests_by_hand() {
    let service = service();
    let ask = |metrics: &str| {
        let section = format!(
            "  smoke:
    - name: booking
      requests:
        - name: availability
          url: '{}'
          json: {{ hotel_id: 1, check_in: '2024-11-01', check_out: '2024-11-03' }}
          jq: '.rooms | length > 0'
        - {{ name: webhook, url: '{}', json: {{ test: true }}, status: 2xx }}
        - {{ name: metrics, url: '{}', body-regex: http_requests_total }}\n",
            service.url("/api/v1/pms/availability"),
            service.url("/webhook/whatsapp"),
            service.url(metrics)
        );
        gate(&section).run()
    };
    ask("/metrics").code(0);
    let seen = service.access_log();
    for line in [
        r#"POST /api/v1/pms/availability [{\"check_in\":\"2024-11-01\",\"check_out\":\"2024-11-03\",\"hotel_id\":1}]"#,
        r#"POST /webhook/whatsapp [{\"test\":true}]"#,
        "GET /metrics []",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line}\n{seen}");
    }
    let ran = ask("/metrics-of-another").code(1);
    ran.ends("smoke/booking", "fail", "metrics");
}

/// "3. Monitor metrics ... for 15 minutes", here until it breaks.
#[test]
fn runbook_000_validation_3_monitor_after_the_deployment() {
    let shop = Shop::start("v2");
    let policy = "{ interval: 100ms, timeout: 10s, success-threshold: 2, failure-limit: 0, deadline: 60s, soak: 15m }";
    let section = format!(
        "  http: [{{ name: ready, url: '{}' }}]\n",
        shop.url("/health/ready")
    );
    let gate = gate_with(policy, &section);
    let running = thread::spawn(move || gate.run());
    // It had passed by then.
    assert!(wait_until(Duration::from_mins(1), || shop.requests() >= 6));
    shop.set_health("unhealthy", 503);
    let ran = running.join().unwrap().code(1);
    ran.ends("http/ready", "fail", "while soaking");
}

/// Runbook 003, "Health check process" 2 to 5: alive, ready, metrics, and an answer within a second.
#[test]
fn runbook_003_health_check_process_and_response_time() {
    let shop = Shop::start("v2");
    let service = service();
    let section = format!(
        "  http:
    - {{ name: live, url: '{}', max-latency: 1s }}
    - {{ name: ready, url: '{}', jq: '.status == \"healthy\"', max-latency: 1s }}
    - {{ name: metrics, url: '{}', body-regex: '(?m)^http_requests_total' }}
    - {{ name: api, url: '{}', jq: '.openapi | startswith(\"3.\")' }}\n",
        shop.url("/health/live"),
        shop.url("/health/ready"),
        service.url("/metrics"),
        service.url("/openapi.json")
    );
    // A machine that does much else may take its time now and then.
    let policy = "{ interval: 100ms, timeout: 10s, success-threshold: 2, startup: 30s, failure-limit: 0, deadline: 60s }";
    gate_with(policy, &section).run().code(0);
    shop.set_delay(Duration::from_millis(1_200));
    let ran = gate(&section).run().code(1);
    ran.ends("http/ready", "fail", "max-latency (1000ms)");
}

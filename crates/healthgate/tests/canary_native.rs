//! Native histograms, which a real Prometheus scrapes as protobuf.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use testkit::Prometheus;

use crate::gating::{Ran, gate};

/// A service as its exporter tells of it: so many requests a second, all between 62.5 and 125 ms but for
/// one in `slow_one_in`, which is between 1 and 2 s.
#[derive(Clone, Copy)]
struct Service {
    requests: u64,
    slow_one_in: u64,
    /// 0 has a bucket from each power of two to the next, −1 from each power of four.
    schema: i64,
}

const CONTENT: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

impl Service {
    /// The `address:port` of an exporter, which ends with the test's process.
    fn export(self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let started = Instant::now();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Prometheus may hang up.
                let _ = self.answer(stream, started);
            }
        });
        address
    }

    fn answer(self, stream: TcpStream, started: Instant) -> std::io::Result<()> {
        let mut request = BufReader::new(&stream);
        let mut line = String::new();
        while request.read_line(&mut line)? > 2 {
            line.clear();
        }
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap();
        let body = self.family(self.requests * millis / 1000);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {CONTENT}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        (&stream).write_all(head.as_bytes())?;
        (&stream).write_all(&body)
    }

    /// A `MetricFamily` of Prometheus' client model, with its length before it.
    fn family(self, total: u64) -> Vec<u8> {
        let slow = total / self.slow_one_in;
        // The bucket with the index `i` ends at `2^i`, in schema −1 at `4^i`.
        let (fast_at, slow_at) = if self.schema < 0 { (-1, 1) } else { (-3, 1) };
        let span = |offset: i64| message(12, &[number(1, zigzag(offset)), number(2, 1)].concat());
        let fast = i64::try_from(total - slow).unwrap();
        let more = i64::try_from(slow).unwrap() - fast;
        let histogram = [
            number(1, total),
            number(5, zigzag(self.schema)),
            double(6, 1e-9),
            span(fast_at),
            span(slow_at - fast_at - 1),
            number(13, zigzag(fast)),
            number(13, zigzag(more)),
        ];
        let family = [
            message(1, b"duration_seconds"),
            number(3, 4),
            message(4, &message(7, &histogram.concat())),
        ]
        .concat();
        [varint(family.len() as u64), family].concat()
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

fn compared(canary: Service, stable: Service, deadline: &str) -> Ran {
    let targets = [(canary, "v2"), (stable, "v1")]
        .map(|(service, release)| (service.export(), format!("release: {release}")));
    let args = ["--enable-feature=native-histograms"];
    let prometheus = Prometheus::watching_with(&targets, &args);
    let section = format!(
        "  canary: {{ server: '{}', label: release, interval: 1s, deadline: {deadline}, metrics: [{{ name: latency, kind: histogram, buckets: 'duration_seconds{{ {{side}} }}' }}] }}\n",
        prometheus.url()
    );
    gate(&section)
        .env("LAST_KNOWN_GOOD", "v1")
        .args(&["--release", "v2"])
        .run()
}

const STABLE: Service = Service {
    requests: 900,
    slow_one_in: 1000,
    schema: 0,
};

#[test]
fn native_histograms_show_a_slow_tail_and_its_bound() {
    let canary = Service {
        requests: 100,
        slow_one_in: 10,
        schema: 0,
    };
    let ran = compared(canary, STABLE, "60s").code(1);
    // All of them are above 125 ms, and none above 2 s.
    let outcome = ran.ends("canary/latency", "fail", "");
    let told = outcome["actual"].as_str().unwrap();
    let bounds = ["125ms", "250ms", "500ms", "1s"];
    assert!(
        bounds
            .iter()
            // The scrape may meet a count of requests that is not a multiple of ten.
            .any(|bound| ["10%", "10.", "9.9"]
                .iter()
                .any(|share| told.starts_with(&format!("above {bound}: {share}")))),
        "{told}"
    );
}

#[test]
fn native_histograms_of_a_good_release_pass() {
    let canary = Service {
        requests: 600,
        ..STABLE
    };
    compared(canary, STABLE, "60s").code(0);
}

#[test]
fn native_histograms_that_are_too_coarse_are_refused_with_the_reason() {
    let coarse = Service {
        schema: -1,
        ..STABLE
    };
    let ran = compared(coarse, STABLE, "8s").code(3);
    ran.ends("canary/latency", "inconclusive", "its schema is below 0");
}

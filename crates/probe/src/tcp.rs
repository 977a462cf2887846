//! A TCP port: it takes a connection, and perhaps says the right thing.

use std::time::Duration;

use config::file::TcpProbe;
use config::value::Pattern;
use model::Verdict;
use model::text::excerpt;
use net::Place;
use net::budget::Share;
use net::party::awaited_party;
use net::{ConnectError, Endpoint, Route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::addresses::measure_every;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// What is received is looked at up to here.
const MAX_RECEIVED: usize = 64 << 10;
/// Read at a time, at least.
const MIN_READ_BYTES: usize = 1 << 10;

/// One TCP probe.
pub(crate) struct Tcp {
    probe: TcpProbe,
    place: Place,
    route: Route,
}

impl Tcp {
    pub(crate) fn new(probe: TcpProbe, around: &ProbeContext) -> Result<Self, Error> {
        let port = probe.address.port().ok_or(Error::NoPort)?;
        let place = Place::new(&probe.address, port);
        let route = Route::new(&[], probe.via.as_deref(), &around.hosts);
        Ok(Tcp {
            probe,
            place,
            route,
        })
    }

    fn expected(&self) -> String {
        match &self.probe.expect {
            Some(pattern) => format!("a connection that sends /{}/", pattern.as_str()),
            None => "a connection".to_owned(),
        }
    }

    async fn measure_endpoint(&self, end: Endpoint, timeout: Duration) -> Reading {
        let deadline = tokio::time::Instant::now() + timeout;
        let expected = self.expected();
        let not = |actual: String| Reading::unmet(Verdict::Fail, &expected, actual.clone(), actual);
        let mut stream = match self.route.open(&self.place, end).await {
            Ok(stream) => stream,
            Err(problem) => return Reading::of_problem(problem, &expected),
        };
        if let Some(text) = &self.probe.send
            && let Err(error) = stream.write_all(text.as_bytes()).await
        {
            let problem = ConnectError::broken(&error).at(&"sending failed");
            return Reading::of_problem(problem, expected);
        }
        let Some(pattern) = &self.probe.expect else {
            return Reading::pass(expected, "connected").value("connected");
        };
        let (mut received, mut heard) = (Vec::new(), BannerMatch::default());
        let mut share = Share::default();
        loop {
            // As soon as it was said: many protocols leave the connection open.
            if heard.matches_received(pattern, &received) {
                return Reading::pass(expected, excerpt(&received)).value("said");
            }
            if received.len() >= MAX_RECEIVED {
                return not(format!("it sends {}", excerpt(&received)));
            }
            share
                .room(&mut received, MIN_READ_BYTES, MAX_RECEIVED)
                .await;
            let reading = stream.read_buf(&mut received);
            let read = tokio::time::timeout_at(deadline, reading).await;
            if matches!(read, Err(_) | Ok(Ok(0))) && pattern.is_match(line(&received)) {
                return Reading::pass(expected, excerpt(&received)).value("said");
            }
            let Ok(read) = read else {
                let mut reading = not(format!(
                    "it sends {} and no more within {}",
                    excerpt(&received),
                    model::text::duration(timeout)
                ));
                reading.unanswered = Some(awaited_party());
                return reading;
            };
            match read {
                Ok(0) => return not(format!("it sends {} and closes", excerpt(&received))),
                Ok(_) => {}
                Err(error) => return Reading::of_problem(ConnectError::broken(&error), expected),
            }
        }
    }
}

/// Whether the right thing was said, however the network cuts it into parts: `^OK$` is not said by
/// the first part of `OK, but not yet`.
#[derive(Default)]
struct BannerMatch {
    /// Up to here whole lines were looked at, and how many.
    to: usize,
    lines: usize,
}

impl BannerMatch {
    /// Of what can still grow: a match that no further byte undoes, or one of the text up to the
    /// end of a line.
    fn matches_received(&mut self, pattern: &Pattern, received: &[u8]) -> bool {
        // Longer talk is searched as a whole.
        const MAX_LINES: usize = 100;
        if pattern.is_match(received) && pattern.is_match(&[received, b"a"].concat()) {
            return true;
        }
        while self.lines < MAX_LINES
            && let Some(end) = received[self.to..].iter().position(|byte| *byte == b'\n')
        {
            self.to += end + 1;
            self.lines += 1;
            if pattern.is_match(line(&received[..self.to])) {
                return true;
            }
        }
        false
    }
}

/// Without the end of its last line.
fn line(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

impl Kind for TcpProbe {
    fn subject(&self) -> String {
        self.address.to_string()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Tcp::new(self, around)?))
    }
}

impl Probe for Tcp {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            let rule = self.probe.addresses;
            // A little less, so that the output until then can be reported.
            let own = timeout.mul_f64(0.95);
            let ask = async |end| self.measure_endpoint(end, own).await;
            measure_every(&self.route, &self.place, rule, timeout, &expected, ask).await
        })
    }

    fn hint(&self) -> String {
        let Place { host, port } = &self.place;
        match &self.probe.via {
            Some(name) => format!("try it at {name}: `nc -v {host} {port}`"),
            None => format!("try it: `nc -v {host} {port}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it arrives before the peer stops sending, with this way of splitting.
    fn is_received(pattern: &str, text: &[u8], cuts: &[usize]) -> bool {
        let pattern: Pattern = pattern.parse().unwrap_or_else(|_| panic!("{pattern}"));
        let mut heard = BannerMatch::default();
        let ends = cuts.iter().copied().chain([text.len()]);
        let mut parts = ends.map(|end| heard.matches_received(&pattern, &text[..end]));
        parts.any(|said| said) || pattern.is_match(line(text))
    }

    #[test]
    fn parts_of_an_answer_mean_what_the_whole_means() {
        for (pattern, text, expected) in [
            ("ready", "220 mail ready\r\n", true),
            ("^220 .*ready$", "220 mail ready\r\n", true),
            ("^220 .*ready$", "220 mail ready", true),
            ("^220 .*ready$", "220-hello\n220 mail ready\n", false),
            (
                "(?m)^220 .*ready\\r?$",
                "220-hello\r\n220 mail ready\r\n",
                true,
            ),
            ("^OK$", "OK, but not yet\n", false),
            (r"^OK\b", "OKAY", false),
            (r"^OK\b", "OK then", true),
            ("^OK$", "OK\nand more\n", true),
            ("café", "café open\n", true),
            ("\\+PONG\\r\\n", "+PONG\r\n", true),
        ] {
            let text = text.as_bytes();
            assert_eq!(is_received(pattern, text, &[]), expected, "{pattern}");
            for cut in 1..text.len() {
                assert_eq!(
                    is_received(pattern, text, &[cut]),
                    expected,
                    "{pattern} {cut}"
                );
                let drip: Vec<usize> = (1..cut).collect();
                assert_eq!(
                    is_received(pattern, text, &drip),
                    expected,
                    "{pattern} {cut}"
                );
            }
        }
    }
}

//! A TCP port: it takes a connection, and perhaps says the right thing.

use std::time::Duration;

use config::file::TcpProbe;
use model::Verdict;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::addresses::Place;
use crate::connect::{End, Route};
use crate::kinds::{Measuring, Probe, Surroundings};
use crate::{Reading, plain_cause, shown};

/// What is received is looked at up to here.
const MAX_RECEIVED: usize = 64 << 10;

/// One TCP probe.
pub(crate) struct Tcp {
    probe: TcpProbe,
    place: Place,
    route: Route,
}

impl Tcp {
    pub(crate) fn new(probe: TcpProbe, around: &Surroundings) -> Result<Self, String> {
        let port = probe.address.port().ok_or("no port is given")?;
        let place = Place::new(&probe.address, port);
        let route = Route::new(&[], probe.via.as_deref(), around);
        Ok(Tcp {
            probe,
            place,
            route,
        })
    }

    fn expected(&self) -> String {
        match &self.probe.expect {
            Some(pattern) => format!("a connection that says /{}/", pattern.as_str()),
            None => "a connection".to_owned(),
        }
    }

    async fn one(&self, end: End, timeout: Duration) -> Reading {
        let deadline = tokio::time::Instant::now() + timeout;
        let expected = self.expected();
        let not = |actual: String| Reading::not(Verdict::Fail, &expected, actual.clone(), actual);
        let mut stream = match self.route.open(&self.place, end).await {
            Ok(stream) => stream,
            Err(problem) => return problem.reading(&expected),
        };
        if let Some(text) = &self.probe.send
            && let Err(error) = stream.write_all(text.as_bytes()).await
        {
            return not(format!("sending failed: {}", plain_cause(&error)));
        }
        let Some(pattern) = &self.probe.expect else {
            return Reading::pass(expected, "connected").value("connected");
        };
        let mut received = Vec::new();
        loop {
            // As soon as it was said: many protocols leave the connection open.
            if pattern.is_match(&received) {
                return Reading::pass(expected, shown(&received)).value("said");
            }
            if received.len() >= MAX_RECEIVED {
                return not(format!("it says {}", shown(&received)));
            }
            let reading = stream.read_buf(&mut received);
            let Ok(read) = tokio::time::timeout_at(deadline, reading).await else {
                return not(format!(
                    "it says {} and no more within {} ms",
                    shown(&received),
                    timeout.as_millis()
                ));
            };
            match read {
                Ok(0) => return not(format!("it says {} and closes", shown(&received))),
                Ok(_) => {}
                Err(error) => return not(plain_cause(&error)),
            }
        }
    }
}

impl Probe for Tcp {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            let rule = self.probe.addresses;
            // A little less, so that what was said until then can be told.
            let own = timeout.mul_f64(0.95);
            let ask = async |end| self.one(end, own).await;
            self.route
                .ask(&self.place, rule, timeout, &expected, ask)
                .await
        })
    }

    fn hint(&self) -> String {
        let Place { host, port } = &self.place;
        match &self.probe.via {
            Some(name) => format!("ask it at {name}: `nc -v {host} {port}`"),
            None => format!("ask it yourself: `nc -v {host} {port}`"),
        }
    }
}

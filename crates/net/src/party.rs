//! Whose fault it is that no answer came.
//!
//! Only the service under test can fail by not answering. What is between it and us (our
//! resolver, a proxy, a host that connections go through, this machine itself) only provides the
//! route: if it is silent or broken, the health of the service is unknown, and that is an
//! error.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use model::Verdict;
use remote::local_error;
use tokio_rustls::rustls;

/// Who owes us an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Party {
    /// The thing under test: its users see the same.
    #[default]
    Service,
    /// This machine's resolver, or where it asks.
    Resolver,
    /// A host that connections go through or that commands run on, by its name.
    Host(Arc<str>),
    /// A proxy, by its address without credentials.
    Proxy(Arc<str>),
    /// This process and its machine: limits, network, files, credentials.
    Ourselves,
}

impl Party {
    /// What its silence means.
    pub fn verdict(&self) -> Verdict {
        match self {
            Party::Service => Verdict::Fail,
            Party::Resolver | Party::Host(_) | Party::Proxy(_) | Party::Ourselves => Verdict::Error,
        }
    }

    /// What is wrong where nothing came in time.
    pub fn late(&self, timeout: Duration) -> String {
        let within = model::text::duration(timeout);
        match self {
            Party::Service | Party::Ourselves => format!("no complete answer within {within}"),
            Party::Proxy(_) => format!("no answer of or through {self} within {within}"),
            Party::Resolver | Party::Host(_) => {
                format!("{self} has not answered within {within}")
            }
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Party::Service => f.write_str("the service"),
            Party::Resolver => f.write_str(&remote::resolve::resolver()),
            Party::Host(name) => write!(f, "host `{name}`"),
            Party::Proxy(address) => write!(f, "proxy {address}"),
            Party::Ourselves => f.write_str("this machine"),
        }
    }
}

tokio::task_local! {
    /// Of the measurement that is being made, or of its part at one address.
    static AWAITED: RefCell<Party>;
}

/// Makes a measurement, in which first the service owes the answer.
pub async fn in_measurement<T>(measuring: impl Future<Output = T>) -> T {
    AWAITED.scope(RefCell::new(Party::Service), measuring).await
}

/// From here on this one owes the answer.
pub fn now_awaiting(party: Party) {
    // Outside of a measurement it is not asked.
    let _ = AWAITED.try_with(|awaited| awaited.replace(party));
}

/// This one owes an answer of its own, before the one that owed it until now does again.
pub async fn awaiting<T>(party: Party, answering: impl Future<Output = T>) -> T {
    let before = awaited_party();
    now_awaiting(party);
    let answer = answering.await;
    now_awaiting(before);
    answer
}

/// Who owes the answer at this moment.
pub fn awaited_party() -> Party {
    AWAITED
        .try_with(|awaited| awaited.borrow().clone())
        .unwrap_or_default()
}

/// The connection ended on its way, at this one.
#[derive(Debug, thiserror::Error)]
#[error("{party}: {reason}")]
pub struct Severed {
    pub party: Party,
    pub reason: String,
}

/// Who broke a connection, or kept it from being made; `None` where it is not known from the error.
pub fn blamed_party(error: &(dyn Error + 'static)) -> Option<(Party, String)> {
    for link in local_error::links(error) {
        if let Some(Severed { party, reason }) = link.downcast_ref() {
            return Some((party.clone(), format!("{party}: {reason}")));
        }
        if let Some(fault) = link
            .downcast_ref::<io::Error>()
            .and_then(local_error::fault)
        {
            return Some((Party::Ourselves, fault.to_owned()));
        }
        // The peer at the other end of the encryption reported it.
        if let Some(told) = link.downcast_ref::<rustls::Error>()
            && !matches!(told, rustls::Error::InvalidMessage(_))
        {
            return Some((Party::Service, crate::cause::plain_cause(error)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_service_fails_by_silence() {
        assert_eq!(Party::Service.verdict(), Verdict::Fail);
        for party in [
            Party::Resolver,
            Party::Host("web-01".into()),
            Party::Proxy("http://10.0.0.1:3128".into()),
            Party::Ourselves,
        ] {
            assert_eq!(party.verdict(), Verdict::Error, "{party}");
        }
    }

    #[test]
    fn the_one_that_is_awaited_owes_the_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            assert_eq!(awaited_party(), Party::Service);
            in_measurement(async {
                awaiting(Party::Resolver, async {
                    assert_eq!(awaited_party(), Party::Resolver);
                    // One address beside others has its own.
                    in_measurement(async { assert_eq!(awaited_party(), Party::Service) }).await;
                })
                .await;
                assert_eq!(awaited_party(), Party::Service);
                // What is given up in the middle is still owed.
                let silent = awaiting(Party::Resolver, std::future::pending::<()>());
                let mut silent = std::pin::pin!(silent);
                std::future::poll_fn(|context| {
                    assert!(silent.as_mut().poll(context).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                assert_eq!(awaited_party(), Party::Resolver);
            })
            .await;
        });
    }

    #[test]
    fn an_error_names_who_broke_the_connection() {
        let severed = Severed {
            party: Party::Host("web-01".into()),
            reason: "it broke".to_owned(),
        };
        let deep = io::Error::other(io::Error::new(io::ErrorKind::ConnectionAborted, severed));
        let (party, reason) = blamed_party(&deep).unwrap();
        assert_eq!(party, Party::Host("web-01".into()));
        assert_eq!(reason, "host `web-01`: it broke");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(blamed_party(&reset), None);
        let told = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let told = blamed_party(&io::Error::new(io::ErrorKind::InvalidData, told));
        assert_eq!(told.map(|(party, _)| party), Some(Party::Service));
    }
}

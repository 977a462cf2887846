//! The state, independent of its backend: read, compared, swapped, leased.
//!
//! A change is a compare-and-swap of the whole document: read, changed, and written only if there
//! was no other write in between; otherwise it starts again. The lease for a whole operation is
//! `lock` in the document itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::value::StateAddress;
use jiff::{SignedDuration, Timestamp};
use model::release::Match;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, BackendError, Blob, File, Part};
use crate::document::{Document, Lock};
use crate::parse::{self, ParseError};
use crate::store_context::StoreContext;
use crate::{Error, Holder};

/// A state that grows beyond this forgets its oldest releases; in bytes.
const READABLE: usize = 1 << 20;

/// A state, wherever it is kept. A clone is the same store over the same connection.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) backend: Arc<Backend>,
    /// How names of releases are compared in its documents.
    rule: Match,
    /// A lease that a larger operation holds: what this store acquires and releases is a part of
    /// that operation.
    within: Option<Within>,
}

/// The lease of a larger operation, and what it is for. As JSON in a variable it goes to the
/// programs that the operation starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    pub lease: Lease,
    pub operation: String,
    pub holder: Holder,
}

impl Within {
    /// Whether this lock is that lease. Another state may have given out the same number.
    pub fn is(&self, lock: &Lock) -> bool {
        lock.token == self.lease.token && lock.holder == self.holder
    }
}

/// What lay there at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(Option<Blob>);

impl Snapshot {
    /// `None` where there was nothing.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|blob| blob.bytes.as_slice())
    }
}

/// The right to change the service until it is released or expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub token: u64,
}

/// What a lease is for.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub holder: Holder,
    pub operation: &'a str,
    pub ttl: Duration,
    /// The token of a lock whose holder is gone, according to a queried source.
    pub gone: Option<u64>,
}

impl Store {
    /// A file of this machine.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Store {
            backend: Arc::new(Backend::File(File::new(path.into()))),
            rule: Match::default(),
            within: None,
        }
    }

    /// The store at an address; nothing is asked yet.
    pub fn open(address: &StateAddress, around: &StoreContext) -> Result<Self, Error> {
        let backend = Backend::of(address, around)
            .map_err(|error| Error::read(address.to_string(), error))?;
        Ok(Store {
            backend: Arc::new(backend),
            rule: Match::default(),
            within: None,
        })
    }

    /// The same store; names of releases in its documents are compared by this rule.
    #[must_use]
    pub fn comparing(mut self, rule: Match) -> Self {
        self.rule = rule;
        self
    }

    /// The same store for a part of an operation that holds the lease already.
    #[must_use]
    pub fn in_operation(mut self, operation: Option<Within>) -> Self {
        self.within = operation;
        self
    }

    /// What people call it: `state.json`, `ssh://web-01/var/lib/shop/state.json`.
    pub fn place(&self) -> String {
        self.backend.name(&Part::State)
    }

    /// What people call the version before the present one.
    pub fn backup(&self) -> String {
        self.backend.name(&Part::Backup)
    }

    /// The document; `None` if it does not exist yet. If only the document is missing and its
    /// neighbours exist, that is an error and not a new state.
    pub async fn read(&self) -> Result<Option<Document>, Error> {
        match self.blob_or_fresh().await? {
            Some(blob) => self.parse(&blob.bytes).await.map(Some),
            None => Ok(None),
        }
    }

    /// Proves that the state and its journals can be written, by files that are made beside them
    /// and taken away.
    pub async fn prove_writable(&self) -> Result<(), Error> {
        let proved = self.backend.prove_writable().await;
        proved.map_err(|error| self.not_written(error))
    }

    /// What lies there, whatever it is.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(self.blob().await?))
    }

    /// Puts a document in the place of what was seen there, which is kept aside under this ending
    /// of its name: `damaged-1764000000`. What another wrote meanwhile stays.
    pub async fn put_in_place(
        &self,
        seen: &Snapshot,
        document: &Document,
        ending: &str,
    ) -> Result<(), Error> {
        let bytes = self.bytes(document)?;
        let keep = Part::Aside(ending.to_owned());
        match self.backend.swap(seen.0.as_ref(), &bytes, &keep).await {
            Ok(()) => Ok(()),
            Err(BackendError::Unsure(reason)) => Err(Error::Unsure {
                place: self.place(),
                reason,
            }),
            Err(error) => Err(self.not_written(error)),
        }
    }

    /// What lies there; `None` only where nothing tells that there was ever more.
    async fn blob_or_fresh(&self) -> Result<Option<Blob>, Error> {
        let blob = self.blob().await?;
        if blob.is_some() {
            return Ok(blob);
        }
        let read = |error| Error::read(self.backup(), error);
        let mut left = Vec::new();
        // A backup that cannot be read is there as well.
        match self.backend.get(&Part::Backup).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(BackendError::Unusable(_)) => left.push(self.backup()),
            Err(error) => return Err(read(error)),
        }
        if self.has_journals().await? {
            left.push(format!("{}.journals", self.place()));
        }
        if left.is_empty() {
            return Ok(None);
        }
        // The first state of all may have been written since.
        match self.blob().await? {
            None => Err(Error::Gone {
                place: self.place(),
                left: left.join(" or "),
            }),
            written => Ok(written),
        }
    }

    async fn blob(&self) -> Result<Option<Blob>, Error> {
        match self.backend.get(&Part::State).await {
            Ok(blob) => Ok(blob),
            Err(BackendError::Unusable(reason)) => Err(self.damaged(reason).await),
            Err(error) => Err(Error::read(self.place(), error)),
        }
    }

    async fn damaged(&self, reason: String) -> Error {
        Error::Damaged {
            place: self.place(),
            reason,
            backup: self.retained_backup().await,
        }
    }

    async fn retained_backup(&self) -> Option<String> {
        let kept = self.backend.get(&Part::Backup).await;
        matches!(kept, Ok(Some(_))).then(|| self.backup())
    }

    async fn parse(&self, bytes: &[u8]) -> Result<Document, Error> {
        match parse::document(bytes) {
            Ok(document) => Ok(document.comparing(self.rule)),
            Err(ParseError::Damaged(reason)) => Err(self.damaged(reason).await),
            Err(ParseError::Older) => Err(Error::Older {
                place: self.place(),
            }),
            Err(ParseError::Newer(schema)) => Err(Error::Newer {
                place: self.place(),
                schema,
                backup: self.retained_backup().await,
            }),
        }
    }

    /// Changes the document in one swap. With a lease, only while the lease is held. `change` is
    /// made again on what another wrote meanwhile.
    pub async fn update<T>(
        &self,
        lease: Option<&Lease>,
        mut change: impl FnMut(&mut Document) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let until = Instant::now() + self.backend.patience();
        // The last write, if it is unknown whether it arrived.
        let mut tried: Option<(Vec<u8>, T, BackendError)> = None;
        loop {
            let old = match self.blob_or_fresh().await {
                Ok(old) => old,
                Err(error) => {
                    return Err(match tried {
                        Some((_, _, BackendError::Unsure(reason))) => Error::Unsure {
                            place: self.place(),
                            reason,
                        },
                        _ => error,
                    });
                }
            };
            if let Some((bytes, result, error)) = tried.take() {
                // A request that was sent twice meets what it wrote the first time; no other
                // process writes the same, because each write has its own word.
                if old.as_ref().is_some_and(|old| old.bytes == bytes) {
                    return Ok(result);
                }
                self.check_retry(error, until)?;
            }
            let mut document = match &old {
                Some(old) => self.parse(&old.bytes).await?,
                None => Document::new(None, None).comparing(self.rule),
            };
            if let Some(lease) = lease
                && document.lock.as_ref().map(|lock| lock.token) != Some(lease.token)
            {
                return Err(Error::Lost { token: lease.token });
            }
            let result = change(&mut document)?;
            document.generation += 1;
            document.write = Some(format!("{:016x}", rand::random::<u64>()));
            let mut bytes = self.bytes(&document)?;
            while bytes.len() > READABLE {
                // So many as fit if each is as long as the others, and one less each time.
                let fit = document.history.len() * READABLE / bytes.len();
                let fewer = document.history.len().saturating_sub(1);
                if !document.forget_oldest(fit.min(fewer)) {
                    break;
                }
                bytes = self.bytes(&document)?;
            }
            match self.backend.swap(old.as_ref(), &bytes, &Part::Backup).await {
                Ok(()) => return Ok(result),
                Err(
                    error @ (BackendError::Conflict
                    | BackendError::Busy(_)
                    | BackendError::Unsure(_)),
                ) => {
                    tried = Some((bytes, result, error));
                    self.backend.pause().await;
                }
                Err(error) => return Err(self.not_written(error)),
            }
        }
    }

    /// Whether what was not written is worth another try.
    fn check_retry(&self, error: BackendError, until: Instant) -> Result<(), Error> {
        let place = self.place();
        match error {
            BackendError::Unsure(reason) => Err(Error::Unsure { place, reason }),
            BackendError::Busy(reason) if Instant::now() >= until => {
                Err(Error::Busy { place, reason })
            }
            BackendError::Conflict if Instant::now() >= until => Err(Error::Busy {
                place,
                reason: "others wrote before us each time".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn bytes(&self, document: &Document) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec_pretty(document)
            .map_err(|error| self.not_written(BackendError::failed(error)))?;
        bytes.push(b'\n');
        // The next reader must be able to read it.
        let unfit = if bytes.len() > Part::State.limit() {
            Some(format!("it would have {} MiB", bytes.len() >> 20))
        } else {
            parse::numbers(document)
                .err()
                .map(|error| error.to_string())
        };
        match unfit {
            None => Ok(bytes),
            Some(reason) => Err(self.not_written(BackendError::Failed {
                reason,
                hint: Some(
                    "it could not be read back; see what is recorded: `rollback state validate`"
                        .to_owned(),
                ),
            })),
        }
    }

    fn not_written(&self, error: BackendError) -> Error {
        let (reason, hint) =
            error.reason_and_hint("check the disk's free space and the folder's permissions");
        Error::Write {
            place: self.place(),
            reason,
            hint,
        }
    }

    /// Takes the lease. A lease whose holder is certainly gone, or that has expired, is taken
    /// over with a higher fencing token; one whose holder may be alive never is.
    ///
    /// `prepare` sees the document before the lock is in it: it may fill in the lock, or refuse.
    pub async fn acquire<T>(
        &self,
        claim: &Claim<'_>,
        mut prepare: impl FnMut(&mut Document, &mut Lock) -> T,
    ) -> Result<(Lease, T), Error> {
        let shared = self.backend.is_remote();
        self.update(None, |document| {
            let now = Timestamp::now();
            let mut last = document.last_token;
            if let Some(within) = &self.within
                && let Some(mut lock) = document.lock.take_if(|lock| within.is(lock))
            {
                claim.operation.clone_into(&mut lock.operation);
                lock.expires = lock.expires.max(after(now, claim.ttl));
                let prepared = prepare(document, &mut lock);
                document.lock = Some(lock);
                return Ok((within.lease.clone(), prepared));
            }
            if let Some(lock) = &document.lock {
                if !is_free(lock, now, shared) && claim.gone != Some(lock.token) {
                    return Err(Error::Held {
                        lock: Box::new(lock.clone()),
                    });
                }
                // Whatever a person wrote there, tokens only grow.
                last = last.max(lock.token);
            }
            let token = last + 1;
            document.last_token = token;
            let mut lock = Lock {
                holder: claim.holder.clone(),
                operation: claim.operation.to_owned(),
                destination: None,
                forced: Vec::new(),
                unjudged: false,
                acquired: now,
                expires: after(now, claim.ttl),
                token,
            };
            let prepared = prepare(document, &mut lock);
            document.lock = Some(lock);
            Ok((Lease { token }, prepared))
        })
        .await
    }

    /// Proves that the lease is still held, and extends it to `ttl` from now. Called before each act
    /// of a long operation: an operation that lost the lease must stop acting. If more than half of
    /// `ttl` is left, nothing is written.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        let lock = self.read().await?.and_then(|document| document.lock);
        let enough = after(Timestamp::now(), ttl / 2);
        if lock.is_some_and(|lock| lock.token == lease.token && lock.expires > enough) {
            return Ok(());
        }
        self.update(Some(lease), |document| {
            if let Some(lock) = &mut document.lock {
                lock.expires = after(Timestamp::now(), ttl);
            }
            Ok(())
        })
        .await
    }

    /// Gives the lease back, with a last change in the same write. A part of a larger operation
    /// gives it back to that one.
    pub async fn release(
        &self,
        lease: &Lease,
        mut change: impl FnMut(&mut Document),
    ) -> Result<(), Error> {
        self.update(Some(lease), |document| {
            change(document);
            document.lock = match (&self.within, document.lock.take()) {
                (Some(within), Some(lock)) if within.is(&lock) => Some(Lock {
                    operation: within.operation.clone(),
                    destination: None,
                    forced: Vec::new(),
                    unjudged: false,
                    ..lock
                }),
                _ => None,
            };
            Ok(())
        })
        .await
    }

    /// Gives the lease back where none of the operation's parts is still under way: what such a
    /// one left in the lock says how it can be resumed.
    pub async fn finish(&self, lease: &Lease, operation: &str) -> Result<(), Error> {
        self.update(Some(lease), |document| {
            let parts_ended = |lock: &mut Lock| lock.operation == operation;
            document.lock.take_if(parts_ended);
            Ok(())
        })
        .await
    }
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// Whether a lease may be taken over; `shared`: see [`Holder::is_gone`].
fn is_free(lock: &Lock, now: Timestamp, shared: bool) -> bool {
    lock.is_over(now) || lock.holder.is_gone(shared)
}

//! Where the bytes are stored. The same few operations on a file, on a host and in a bucket; the
//! code that interprets the bytes is above.

mod bucket;
mod file;
mod host;
mod part;

use std::time::Duration;

use config::value::StateAddress;

pub(crate) use bucket::Bucket;
pub(crate) use file::File;
pub(crate) use host::Host;
pub(crate) use part::{BackendError, Blob, Part, Series};

use crate::store_context::StoreContext;

#[derive(Debug)]
pub(crate) enum Backend {
    File(File),
    Host(Box<Host>),
    Bucket(Box<Bucket>),
}

impl Backend {
    pub(crate) fn of(
        address: &StateAddress,
        around: &StoreContext,
    ) -> Result<Backend, BackendError> {
        Ok(match address {
            StateAddress::File(path) => Backend::File(File::new(path.clone())),
            StateAddress::Host { host, path } => {
                Backend::Host(Box::new(Host::new(host, path, around)?))
            }
            StateAddress::Bucket { bucket, key } => {
                Backend::Bucket(Box::new(Bucket::new(bucket, key, around)))
            }
        })
    }

    /// What people call it.
    pub(crate) fn name(&self, part: &Part) -> String {
        let state = match self {
            Backend::File(file) => file.name(),
            Backend::Host(host) => host.name(),
            Backend::Bucket(bucket) => bucket.name(),
        };
        state + &part.suffix()
    }

    /// Whether asking costs a network's round trip.
    pub(crate) fn is_remote(&self) -> bool {
        !matches!(self, Backend::File(_))
    }

    /// How long one writer tries against others.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(if self.is_remote() { 45 } else { 10 })
    }

    /// A pause between two tries, so that those who collided do not collide again.
    pub(crate) async fn pause(&self) {
        let most = Duration::from_millis(if self.is_remote() { 120 } else { 6 });
        tokio::time::sleep(most.mul_f64(rand::random())).await;
    }

    pub(crate) async fn get(&self, part: &Part) -> Result<Option<Blob>, BackendError> {
        match self {
            Backend::File(file) => file.get(part),
            Backend::Host(host) => host.get(part).await,
            Backend::Bucket(bucket) => bucket.get(part).await,
        }
    }

    /// Proves that the state and its journals can be written.
    pub(crate) async fn prove_writable(&self) -> Result<(), BackendError> {
        match self {
            Backend::File(file) => file.prove_writable(),
            Backend::Host(host) => host.prove_writable().await,
            Backend::Bucket(bucket) => bucket.prove_writable().await,
        }
    }

    /// Replaces the state whole, if it is still `old`, which is kept as `keep`.
    pub(crate) async fn swap(
        &self,
        old: Option<&Blob>,
        new: &[u8],
        keep: &Part,
    ) -> Result<(), BackendError> {
        match self {
            Backend::File(file) => file.swap(old, new, keep).await,
            Backend::Host(host) => host.swap(old, new, keep).await,
            Backend::Bucket(bucket) => bucket.swap(old, new, keep).await,
        }
    }

    /// The numbers of a series' files, in their order.
    pub(crate) async fn numbers(&self, series: Series) -> Result<Vec<u64>, BackendError> {
        let mut numbers = match self {
            Backend::File(file) => file.numbers(series)?,
            Backend::Host(host) => host.numbers(series).await?,
            Backend::Bucket(bucket) => bucket.numbers(series).await?,
        };
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Begins a file of lines; a conflict where there is one of this number.
    pub(crate) async fn create(
        &self,
        series: Series,
        number: u64,
        lines: &[u8],
    ) -> Result<Blob, BackendError> {
        let etag = match self {
            Backend::File(file) => file.create(series, number, lines).await?,
            Backend::Host(host) => host.create(series, number, lines).await?,
            Backend::Bucket(bucket) => bucket.create(series, number, lines).await?,
        };
        Ok(Blob {
            bytes: lines.to_vec(),
            etag,
        })
    }

    /// Appends lines to a file that is still as it was `seen`, of which the first `whole`
    /// bytes are good; what a kill left after them goes away.
    pub(crate) async fn append(
        &self,
        series: Series,
        number: u64,
        seen: &Blob,
        whole: usize,
        lines: &[u8],
    ) -> Result<Blob, BackendError> {
        let mut bytes = seen.bytes[..whole].to_vec();
        bytes.extend_from_slice(lines);
        let length = seen.bytes.len();
        let etag = match self {
            Backend::File(file) => file.append(series, number, length, whole, lines).await?,
            Backend::Host(host) => host.append(series, number, length, whole, lines).await?,
            Backend::Bucket(bucket) => bucket.replace(series, number, seen, &bytes).await?,
        };
        Ok(Blob { bytes, etag })
    }

    pub(crate) async fn remove(&self, series: Series, number: u64) -> Result<(), BackendError> {
        match self {
            Backend::File(file) => file.remove(series, number),
            Backend::Host(host) => host.remove(series, number).await,
            Backend::Bucket(bucket) => bucket.remove(series, number).await,
        }
    }
}

//! The state in a bucket: conditional writes are what keeps two writers apart, so a service that
//! does not know them is found out before anything is written.

use std::future::Future;
use std::time::Duration;

use aws::{Address, Client, Condition, Error, Renewing};
use model::Env;
use model::text::duration;
use tokio::sync::OnceCell;

use super::part::{BackendError, Blob, Part, Series, file_number};
use crate::store_context::StoreContext;

/// One question with its retries.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The key, beside the state's, on which a service shows that it honours conditions.
const PROOF: &str = ".conditions";
/// The key, beside the state's, that is put to see whether it can be.
const WRITABLE: &str = ".writable";

#[derive(Debug)]
pub(crate) struct Bucket {
    state: Address,
    env: Env,
    client: Renewing,
    proven: OnceCell<()>,
}

impl Bucket {
    pub(super) fn new(bucket: &str, key: &str, around: &StoreContext) -> Bucket {
        Bucket {
            state: Address {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            },
            env: around.env.clone(),
            client: Renewing::new(&around.env, None, &around.redactor),
            proven: OnceCell::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("s3://{}/{}", self.state.bucket, self.state.key)
    }

    fn at(&self, suffix: &str) -> Address {
        Address {
            bucket: self.state.bucket.clone(),
            key: format!("{}{suffix}", self.state.key),
        }
    }

    async fn client(&self) -> Result<Client, BackendError> {
        self.client.client().await.map_err(failed)
    }

    pub(super) async fn get(&self, part: &Part) -> Result<Option<Blob>, BackendError> {
        let client = self.client().await?;
        in_time(self.fetch(&client, &self.at(&part.suffix()), part.limit())).await
    }

    async fn fetch(
        &self,
        client: &Client,
        at: &Address,
        limit: usize,
    ) -> Result<Option<Blob>, BackendError> {
        let mut download = match client.get(at, None).await {
            Ok(download) => download,
            // A missing bucket is not a state that was never written.
            Err(Error::Absent { code, .. }) if code != "NoSuchBucket" => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let large = || BackendError::Unusable(format!("it is larger than {} MiB", limit >> 20));
        if download.object.size > limit as u64 {
            return Err(large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = download.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(chunk.as_ref());
            if bytes.len() > limit {
                return Err(large());
            }
        }
        if bytes.len() as u64 != download.object.size {
            return Err(BackendError::failed("the answer was cut off"));
        }
        Ok(Some(Blob {
            bytes,
            etag: download.object.etag,
        }))
    }

    pub(super) async fn swap(
        &self,
        old: Option<&Blob>,
        new: &[u8],
        keep: &Part,
    ) -> Result<(), BackendError> {
        self.prove().await?;
        if let Some(old) = old {
            let kept = self.at(&keep.suffix());
            self.put(&kept, &old.bytes, None).await?;
        }
        let condition = match old {
            None => Condition::Absent,
            Some(old) => unchanged(old)?,
        };
        self.put(&self.at(""), new, Some(&condition))
            .await
            .map(drop)
    }

    async fn put(
        &self,
        at: &Address,
        content: &[u8],
        condition: Option<&Condition>,
    ) -> Result<Option<String>, BackendError> {
        let client = self.client().await?;
        let put = async {
            match client.put(at, content, condition).await {
                Ok(put) => Ok(put.etag),
                Err(Error::Conflict { .. }) => Err(BackendError::Conflict),
                // The answer is missing, not the deed.
                Err(error @ (Error::Transport { .. } | Error::Status { .. })) => {
                    Err(BackendError::Unsure(error.to_string()))
                }
                Err(error) => Err(failed(error)),
            }
        };
        let timeout = tokio::time::timeout(TIMEOUT, put);
        timeout.await.unwrap_or_else(|_| {
            let reason = format!("no answer within {}", duration(TIMEOUT));
            Err(BackendError::Unsure(reason))
        })
    }

    /// AWS honours conditions. A compatible service may ignore them, and two writers would overwrite
    /// one another: it must first refuse a write to an object made for this test.
    async fn prove(&self) -> Result<(), BackendError> {
        let env = &self.env;
        let own = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
        if own.iter().all(|name| env.non_empty(name).is_none()) {
            return Ok(());
        }
        let prove = || async {
            let at = self.at(PROOF);
            self.put(&at, b"deploy-guard\n", None).await?;
            let stale = Condition::Unchanged("\"00000000000000000000000000000000\"".to_owned());
            for (condition, header) in [(Condition::Absent, "If-None-Match"), (stale, "If-Match")] {
                match self.put(&at, b"deploy-guard\n", Some(&condition)).await {
                    Err(BackendError::Conflict) => {}
                    Ok(_) => {
                        return Err(BackendError::Failed {
                            reason: format!(
                                "the service passes over `{header}`, so two writers would overwrite one another"
                            ),
                            hint: Some(
                                "keep the state in S3 itself, in a newer MinIO, or on a host: `ssh://host/path`"
                                    .to_owned(),
                            ),
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        self.proven.get_or_try_init(prove).await.map(drop)
    }

    /// An object beside the state is put and deleted.
    pub(super) async fn prove_writable(&self) -> Result<(), BackendError> {
        self.prove().await?;
        let at = self.at(WRITABLE);
        self.put(&at, b"deploy-guard\n", None).await?;
        let client = self.client().await?;
        in_time(async { client.delete(&at).await.map_err(failed) }).await
    }

    pub(super) async fn numbers(&self, series: Series) -> Result<Vec<u64>, BackendError> {
        let client = self.client().await?;
        let folder = self.at(series.folder());
        let listed = in_time(async { client.list(&folder).await.map_err(failed) }).await?;
        let names = listed.iter().filter_map(|object| {
            let name = object.key.strip_prefix(&folder.key)?;
            file_number(name)
        });
        Ok(names.collect())
    }

    pub(super) async fn create(
        &self,
        series: Series,
        number: u64,
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        self.prove().await?;
        let at = self.at(&Part::Lines(series, number).suffix());
        self.put(&at, lines, Some(&Condition::Absent)).await
    }

    /// A bucket cannot append: a file is written anew with each line.
    pub(super) async fn replace(
        &self,
        series: Series,
        number: u64,
        seen: &Blob,
        bytes: &[u8],
    ) -> Result<Option<String>, BackendError> {
        self.prove().await?;
        let at = self.at(&Part::Lines(series, number).suffix());
        self.put(&at, bytes, Some(&unchanged(seen)?)).await
    }

    pub(super) async fn remove(&self, series: Series, number: u64) -> Result<(), BackendError> {
        let client = self.client().await?;
        let at = self.at(&Part::Lines(series, number).suffix());
        in_time(async { client.delete(&at).await.map_err(failed) }).await
    }
}

fn unchanged(old: &Blob) -> Result<Condition, BackendError> {
    match &old.etag {
        Some(etag) => Ok(Condition::Unchanged(etag.clone())),
        None => Err(BackendError::failed(
            "the service gives no ETag, without which no write can be conditional",
        )),
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let timeout = tokio::time::timeout(TIMEOUT, asking);
    timeout.await.unwrap_or_else(|_| {
        Err(BackendError::failed(format!(
            "no answer within {}",
            duration(TIMEOUT)
        )))
    })
}

fn failed(error: Error) -> BackendError {
    let hint = match &error {
        Error::Denied { .. } => {
            "the role needs s3:GetObject, s3:PutObject, s3:DeleteObject on the key and what is beside it, and s3:ListBucket: without it, S3 does not distinguish missing from forbidden"
                .to_owned()
        }
        error => error.hint(),
    };
    BackendError::Failed {
        reason: error.to_string(),
        hint: Some(hint),
    }
}

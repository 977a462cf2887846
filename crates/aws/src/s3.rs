//! S3: what lies under a prefix, an object's content, and writes that must not overtake others.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use url::Url;

use crate::answer::{read_success, service_error, transport};
use crate::client::{Client, Request, Service};
use crate::{Error, xml};

/// A thousand objects a page.
const PAGES: usize = 50;
/// Characters that a signed query contains unescaped.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const KEY: &AsciiSet = &QUERY.remove(b'/');

/// `s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub bucket: String,
    pub key: String,
}

/// Why a text is not an address in S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it does not begin with `s3://`")]
    Scheme,
    #[error("`{0}` is not a bucket name")]
    Bucket(String),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("s3://").ok_or(AddressError::Scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(good) {
            return Err(AddressError::Bucket(bucket.to_owned()));
        }
        Ok(Address {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

/// One object, as a list or a head reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub size: u64,
    pub modified: Timestamp,
    pub etag: Option<String>,
}

/// An object's content, piece by piece.
#[derive(Debug)]
pub struct Download {
    response: Response,
    pub object: Object,
}

impl Download {
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Error> {
        let url = self.response.url().clone();
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| transport(&url, &error))
    }
}

/// What must hold for a write to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is there yet.
    Absent,
    /// What is there has this ETag.
    Unchanged(String),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub etag: Option<String>,
}

impl Client {
    /// Every object under a prefix. More than fifty thousand are an error, not a part of them.
    pub async fn list(&self, at: &Address) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES {
            let mut query = String::new();
            if let Some(token) = &next {
                let token = utf8_percent_encode(token, QUERY);
                query.push_str(&format!("continuation-token={token}&"));
            }
            let prefix = utf8_percent_encode(&at.key, QUERY);
            query.push_str(&format!("list-type=2&max-keys=1000&prefix={prefix}"));
            let response = self.s3(Method::GET, &at.bucket, "", Some(&query), &[], Vec::new());
            let text = read_success("S3", response.await?).await?;
            next = page(&text, &mut objects)?;
            if next.is_none() {
                return Ok(objects);
            }
        }
        Err(Error::Malformed {
            service: "S3",
            reason: format!("more than {} objects: name a longer prefix", PAGES * 1000),
        })
    }

    pub async fn head(&self, at: &Address) -> Result<Object, Error> {
        let response = self.s3(Method::HEAD, &at.bucket, &at.key, None, &[], Vec::new());
        let response = response.await?;
        let status = response.status().as_u16();
        if status == 200 {
            return object(&at.key, response.headers());
        }
        Err(service_error("S3", status, ""))
    }

    /// The content, all of it or one range: `bytes=0-1023`.
    pub async fn get(&self, at: &Address, range: Option<&str>) -> Result<Download, Error> {
        let headers: Vec<_> = range
            .iter()
            .map(|range| ("range", (*range).to_owned()))
            .collect();
        let response = self.s3(Method::GET, &at.bucket, &at.key, None, &headers, Vec::new());
        let response = response.await?;
        if matches!(response.status().as_u16(), 200 | 206) {
            let object = object(&at.key, response.headers())?;
            return Ok(Download { response, object });
        }
        match read_success("S3", response).await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Malformed {
                service: "S3",
                reason: "it has no content".to_owned(),
            }),
        }
    }

    /// Writes; where a condition is given and does not hold, nothing is and it is a
    /// [`Error::Conflict`].
    pub async fn put(
        &self,
        at: &Address,
        content: &[u8],
        condition: Option<&Condition>,
    ) -> Result<Put, Error> {
        let headers = match condition {
            None => Vec::new(),
            Some(Condition::Absent) => vec![("if-none-match", "*".to_owned())],
            Some(Condition::Unchanged(etag)) => vec![("if-match", etag.clone())],
        };
        let response = self.s3(
            Method::PUT,
            &at.bucket,
            &at.key,
            None,
            &headers,
            content.to_vec(),
        );
        let response = response.await?;
        let etag = header(response.headers(), "etag");
        read_success("S3", response).await?;
        Ok(Put { etag })
    }

    /// Deletes an object; a missing one is not an error.
    pub async fn delete(&self, at: &Address) -> Result<(), Error> {
        let response = self.s3(Method::DELETE, &at.bucket, &at.key, None, &[], Vec::new());
        let response = response.await?;
        match response.status().as_u16() {
            200 | 204 => Ok(()),
            _ => read_success("S3", response).await.map(drop),
        }
    }

    /// One request, sent again to the bucket's own region where S3 names another.
    async fn s3(
        &self,
        method: Method,
        bucket: &str,
        key: &str,
        query: Option<&str>,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        let url = self.place(bucket, key, query)?;
        let mut request = Request {
            service: Service::S3,
            method,
            url,
            headers,
            body,
        };
        let response = self.send(&request).await?;
        let (_, named) = self.base(Service::S3)?;
        let region = header(response.headers(), "x-amz-bucket-region");
        match (response.status().as_u16(), region) {
            (301 | 307 | 400, Some(region)) if !named && region != self.region => {
                let there = self.in_region(region);
                request.url = there.place(bucket, key, query)?;
                there.send(&request).await
            }
            _ => Ok(response),
        }
    }

    /// AWS has a host for each bucket. Compatible services, and names with dots, which no certificate
    /// covers, use a path.
    fn place(&self, bucket: &str, key: &str, query: Option<&str>) -> Result<Url, Error> {
        let (mut url, named) = self.base(Service::S3)?;
        let key = utf8_percent_encode(key, KEY).to_string();
        let setup = |reason: &str| Error::Setup {
            reason: reason.to_owned(),
        };
        if named || bucket.contains('.') {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{bucket}/{key}"));
        } else {
            let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
            url.set_host(Some(&host))
                .map_err(|_| setup("the bucket's host"))?;
            url.set_path(&format!("/{key}"));
        }
        url.set_query(query);
        Ok(url)
    }
}

/// One page of a list, and where the next one begins.
fn page(text: &str, objects: &mut Vec<Object>) -> Result<Option<String>, Error> {
    let malformed = |reason: &str| Error::Malformed {
        service: "S3",
        reason: reason.to_owned(),
    };
    let document = xml::parse("S3", text)?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return Err(malformed("it is not a list of objects"));
    }
    for node in root
        .children()
        .filter(|node| node.tag_name().name() == "Contents")
    {
        let part = |name: &str| xml::text(node, name);
        let (Some(key), Some(size), Some(modified)) = (
            part("Key"),
            part("Size").and_then(|size| size.parse().ok()),
            part("LastModified").and_then(|time| time.parse().ok()),
        ) else {
            return Err(malformed("an object has no name, size or time"));
        };
        objects.push(Object {
            key: key.to_owned(),
            size,
            modified,
            etag: part("ETag").map(str::to_owned),
        });
    }
    let truncated = xml::text(root, "IsTruncated") == Some("true");
    let next = xml::text(root, "NextContinuationToken").map(str::to_owned);
    match (truncated, next) {
        (false, _) => Ok(None),
        (true, Some(next)) => Ok(Some(next)),
        (true, None) => Err(malformed(
            "it is cut off, without the marker of the next page",
        )),
    }
}

fn object(key: &str, headers: &HeaderMap) -> Result<Object, Error> {
    let malformed = |reason: &str| Error::Malformed {
        service: "S3",
        reason: reason.to_owned(),
    };
    let modified = header(headers, "last-modified")
        .and_then(|date| {
            let parser = jiff::fmt::rfc2822::DateTimeParser::new();
            parser.parse_timestamp(date).ok()
        })
        .ok_or_else(|| malformed("it has no time"))?;
    // A range comes with the size of the whole.
    let whole = header(headers, "content-range")
        .and_then(|range| range.rsplit('/').next().map(str::to_owned));
    let size = whole.or_else(|| header(headers, "content-length"));
    let size = size.and_then(|size| size.parse().ok());
    Ok(Object {
        key: key.to_owned(),
        size: size.ok_or_else(|| malformed("it has no size"))?,
        modified,
        etag: header(headers, "etag"),
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

//! The demo's own servers: a small shop in two colours, and a router before it.
//!
//! They read what they are from files, as a deployment changes them: a colour's release from
//! `<colour>/release`, the router's colour from `router/live`, or the percentage of green from
//! `router/share`. The router writes `router/access.log`.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::{Arg, ArgMatches, Command};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::ExitCode;
use tokio::net::TcpListener;

/// The release that is not ready, and says 200 all the same.
const BAD: &str = "v2";
/// The release that says that it is healthy, and is not.
const LIAR: &str = "v3";
/// One in this many requests to one of them fails.
const FAILS_EVERY: u32 = 4;

type Answer = Response<Full<Bytes>>;

/// `deploy-guard serve FOLDER`: both colours and the router, until killed.
pub(crate) fn command() -> Command {
    Command::new("serve").hide(true).arg(
        Arg::new("folder")
            .required(true)
            .value_parser(clap::value_parser!(PathBuf)),
    )
}

pub(crate) fn main(matches: &ArgMatches) -> ExitCode {
    let Some(folder) = matches.get_one::<PathBuf>("folder") else {
        return ExitCode::Usage;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(serve(folder))) {
        Ok(()) => ExitCode::Pass,
        Err(error) => {
            tracing::error!("failed to serve: {error}");
            ExitCode::Error
        }
    }
}

/// Binds free ports, writes them to `<name>/address`, and serves.
async fn serve(folder: &Path) -> std::io::Result<()> {
    let folder = folder.to_owned();
    for colour in ["blue", "green"] {
        let listener = bind(&folder, colour).await?;
        let release = folder.join(colour).join("release");
        let requests = Arc::new(AtomicU32::new(0));
        tokio::spawn(accept(listener, move |path| {
            let (release, requests) = (release.clone(), Arc::clone(&requests));
            async move {
                shop(
                    &path,
                    &read(&release),
                    requests.fetch_add(1, Ordering::Relaxed),
                )
            }
        }));
    }
    let listener = bind(&folder, "router").await?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build();
    let client = client.map_err(std::io::Error::other)?;
    let requests = Arc::new(AtomicU32::new(0));
    accept(listener, move |path| {
        let (client, folder) = (client.clone(), folder.clone());
        let side = side(&folder, requests.fetch_add(1, Ordering::Relaxed));
        async move {
            let address = read(&folder.join(&side).join("address"));
            let answer = forward(&client, &address, &path).await;
            let line = format!(
                "{{\"side\": \"{side}\", \"status\": {}}}\n",
                answer.status().as_u16()
            );
            // A log that cannot be written is no reason not to answer.
            let _ = log(&folder.join("router/access.log"), &line);
            answer
        }
    })
    .await;
    Ok(())
}

/// The colour that gets this request. A share is spread evenly: each hundred requests have it.
fn side(folder: &Path, request: u32) -> String {
    let Ok(share) = read(&folder.join("router/share")).parse::<u32>() else {
        return read(&folder.join("router/live"));
    };
    let nth = request % 100;
    let is_greens = (nth + 1) * share / 100 > nth * share / 100;
    if is_greens { "green" } else { "blue" }.to_owned()
}

fn log(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

async fn bind(folder: &Path, name: &str) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?.to_string();
    state::atomic::replace(&folder.join(name).join("address"), address.as_bytes())?;
    Ok(listener)
}

async fn accept<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(String) -> A + Clone + Send + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    loop {
        // One connection that cannot be accepted is not a reason to stop serving the others.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answering = answer(request.uri().path().to_owned());
                async move { Ok::<_, Infallible>(answering.await) }
            });
            // A client that goes away ends its own connection.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// What a release of the shop answers.
fn shop(path: &str, release: &str, request: u32) -> Answer {
    let bad = release == BAD;
    let fails = bad || release == LIAR;
    match path {
        "/health/ready" => {
            let status = if bad { "degraded" } else { "healthy" };
            json(
                200,
                &format!(r#"{{"status": "{status}", "version": "{release}"}}"#),
            )
        }
        "/api/v1/version" => json(200, &format!(r#"{{"version": "{release}"}}"#)),
        _ if fails && request.is_multiple_of(FAILS_EVERY) => {
            json(500, r#"{"error": "out of stock"}"#)
        }
        _ => json(
            200,
            &format!(r#"{{"basket": [], "served_by": "{release}"}}"#),
        ),
    }
}

async fn forward(client: &reqwest::Client, address: &str, path: &str) -> Answer {
    let answer = async {
        let response = client.get(format!("http://{address}{path}")).send().await?;
        let status = response.status().as_u16();
        Ok::<_, reqwest::Error>((status, response.bytes().await?))
    };
    match answer.await {
        Ok((status, body)) => respond(status, body),
        Err(_) => json(502, r#"{"error": "bad gateway"}"#),
    }
}

fn json(status: u16, body: &str) -> Answer {
    respond(status, Bytes::from(body.to_owned()))
}

fn respond(status: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/json"),
    );
    answer
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

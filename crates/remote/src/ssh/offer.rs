//! What a server offers to agree on, where nothing could be agreed on: its first message is read
//! without a library, which keeps it to itself (RFC 4253, sections 4.2 and 7.1).

use std::time::Duration;

use ssh2::MethodType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server may greet before it names itself.
const GREETING: usize = 16 * 1024;
/// The longest packet that every side must take.
const PACKET: usize = 35_000;
const KEXINIT: u8 = 20;

/// Names of one kind of method, of which each side has others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// `key exchange`, `host key`, `cipher` or `MAC`.
    pub kind: &'static str,
    /// The host's, the first few.
    pub theirs: String,
    pub ours: String,
}

/// The first kind of which both sides have nothing in common; `None` where it cannot be found out.
pub(super) async fn find_mismatch(
    address: &str,
    port: u16,
    ours: &str,
    within: Duration,
) -> Option<Apart> {
    let lists = tokio::time::timeout(within, lists(address, port)).await;
    let lists = lists.ok().flatten()?;
    let session = ssh2::Session::new().ok()?;
    let kinds = [
        ("key exchange", MethodType::Kex),
        ("host key", MethodType::HostKey),
        ("cipher", MethodType::CryptCs),
        // The list after that is of the other direction.
        ("cipher", MethodType::CryptSc),
        ("MAC", MethodType::MacCs),
    ];
    kinds
        .into_iter()
        .zip(lists)
        .find_map(|((kind, method), theirs)| {
            let mut known: Vec<&str> = session.supported_algs(method).unwrap_or_default();
            if kind == "key exchange" {
                known = ours.split(',').collect();
            }
            let common = theirs.split(',').any(|name| known.contains(&name));
            (!common).then(|| Apart {
                kind,
                theirs: join_offered(theirs.split(',')),
                ours: join_offered(known.into_iter()),
            })
        })
}

/// The name lists of the server's first packet.
async fn lists(address: &str, port: u16) -> Option<Vec<String>> {
    let mut stream = TcpStream::connect((address, port)).await.ok()?;
    stream.write_all(b"SSH-2.0-deploy-guard\r\n").await.ok()?;
    let mut read = 0;
    let mut line = Vec::new();
    while !(line.starts_with(b"SSH-") && line.ends_with(b"\n")) {
        if line.ends_with(b"\n") {
            line.clear();
        }
        line.push(stream.read_u8().await.ok()?);
        read += 1;
        if read > GREETING {
            return None;
        }
    }
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?;
    if length > PACKET {
        return None;
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await.ok()?;
    // The length of the padding, the kind of the message, a cookie of 16 bytes.
    if *packet.get(1)? != KEXINIT {
        return None;
    }
    let mut rest = packet.get(18..)?;
    let mut lists = Vec::new();
    for _ in 0..5 {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (list, after) = after.split_at_checked(length)?;
        lists.push(String::from_utf8_lossy(list).into_owned());
        rest = after;
    }
    Some(lists)
}

fn join_offered<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const MAX_SHOWN: usize = 6;
    let printable = |name: &&str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
    let names: Vec<&str> = names.filter(printable).collect();
    let shown = names
        .iter()
        .take(MAX_SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(MAX_SHOWN) {
        0 if shown.is_empty() => "nothing".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

//! An image registry, open or with a password.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{Answer, Certificate, Process, free_port, request, tool};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Docker's registry, with its images in a temporary folder.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    folder: TempDir,
    port: u16,
    login: Option<(String, String)>,
}

/// The images of a [`Registry`] behind TLS.
#[derive(Debug)]
pub struct TlsRegistry {
    _process: Process,
    port: u16,
}

impl TlsRegistry {
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Registry {
    /// A registry with anonymous read and write access.
    pub fn start() -> Registry {
        Registry::start_with(None)
    }

    /// A registry that asks for Basic credentials.
    pub fn start_private(user: &str, password: &str) -> Registry {
        Registry::start_with(Some((user.to_owned(), password.to_owned())))
    }

    fn start_with(login: Option<(String, String)>) -> Registry {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut config = serde_json::json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("images")}},
            "http": {"addr": format!("127.0.0.1:{port}"), "secret": "testkit"},
        });
        if let Some((user, password)) = &login {
            let file = folder.path().join("htpasswd");
            let made = Command::new(tool("htpasswd"))
                .args(["-Bbn", user, password])
                .output();
            let made = made.expect("htpasswd can be started");
            fs::write(&file, made.stdout).expect("the password file can be written");
            config["auth"] = serde_json::json!({"htpasswd": {"realm": "testkit", "path": file}});
        }
        // JSON is YAML, so nothing needs quoting.
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string()).expect("the configuration can be written");
        let mut command = Command::new(tool("docker-registry"));
        command.arg("serve").arg(&path);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        Registry {
            process,
            folder,
            port,
            login,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`, the prefix of a repository's name.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where the images lie, for a test that damages one.
    pub fn images(&self) -> std::path::PathBuf {
        self.folder.path().join("images")
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Pushes a tiny image for one platform, such as `linux/amd64`; returns the manifest's digest.
    pub fn push(&self, repository: &str, tag: &str, platform: &str) -> String {
        let manifest = self.manifest(repository, platform, None);
        self.put_manifest(repository, tag, MANIFEST, &manifest)
    }

    /// The same with a date of its own in the image's configuration, as a build writes it.
    pub fn push_made(&self, repository: &str, tag: &str, platform: &str, created: &str) -> String {
        let manifest = self.manifest(repository, platform, Some(created));
        self.put_manifest(repository, tag, MANIFEST, &manifest)
    }

    /// Pushes an index over one tiny image for each platform; returns the index's digest.
    pub fn push_index(&self, repository: &str, tag: &str, platforms: &[&str]) -> String {
        let entries: Vec<_> = platforms
            .iter()
            .map(|platform| {
                let manifest = self.manifest(repository, platform, None);
                let digest = digest_of(&manifest);
                self.put_manifest(repository, &digest, MANIFEST, &manifest);
                serde_json::json!({
                    "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
                    "platform": platform_json(platform),
                })
            })
            .collect();
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
        });
        self.put_manifest(repository, tag, INDEX, index.to_string().as_bytes())
    }

    /// Pushes an index with these descriptors, as odd as they may be; returns its descriptor.
    pub fn push_entries(
        &self,
        repository: &str,
        tag: &str,
        entries: &[serde_json::Value],
    ) -> serde_json::Value {
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
        });
        let text = index.to_string();
        let digest = self.put_manifest(repository, tag, INDEX, text.as_bytes());
        serde_json::json!({"mediaType": INDEX, "digest": digest, "size": text.len()})
    }

    /// Pushes a tiny image under a tag; returns its descriptor, which has no platform.
    pub fn push_entry(&self, repository: &str, tag: &str, platform: &str) -> serde_json::Value {
        let manifest = self.manifest(repository, platform, None);
        let digest = self.put_manifest(repository, tag, MANIFEST, &manifest);
        serde_json::json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len()})
    }

    /// Serves the same images with TLS, on its own port.
    pub fn with_tls(&self, certificate: &Certificate) -> TlsRegistry {
        let port = free_port();
        let path = self.folder.path().join("config.yml");
        let text = fs::read_to_string(path).expect("the configuration can be read");
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("it is ours");
        config["http"]["addr"] = format!("127.0.0.1:{port}").into();
        config["http"]["tls"] = serde_json::json!({
            "certificate": certificate.certificate, "key": certificate.key,
        });
        let path = self.folder.path().join(format!("config-{port}.yml"));
        fs::write(&path, config.to_string()).expect("the configuration can be written");
        let mut command = Command::new(tool("docker-registry"));
        command.arg("serve").arg(&path);
        let process = Process::start(self.folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        TlsRegistry {
            _process: process,
            port,
        }
    }

    fn manifest(&self, repository: &str, platform: &str, created: Option<&str>) -> Vec<u8> {
        let mut config = platform_json(platform);
        if let Some(created) = created {
            config["created"] = created.into();
        }
        config["rootfs"] = serde_json::json!({"type": "layers", "diff_ids": []});
        let config = config.to_string();
        let digest = self.put_blob(repository, config.as_bytes());
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": CONFIG, "digest": digest, "size": config.len()},
        });
        manifest.to_string().into_bytes()
    }

    fn put_blob(&self, repository: &str, blob: &[u8]) -> String {
        let digest = digest_of(blob);
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.send("POST", &path, "text/plain", b"");
        let place = begun
            .header("location")
            .expect("the registry names the upload's place");
        let path = place
            .strip_prefix(&format!("http://{}", self.address()))
            .unwrap_or(place);
        let sign = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{sign}digest={digest}");
        self.send("PUT", &path, "application/octet-stream", blob);
        digest
    }

    fn put_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &[u8]) -> String {
        self.send(
            "PUT",
            &format!("/v2/{repository}/manifests/{tag}"),
            kind,
            manifest,
        );
        digest_of(manifest)
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let url = format!("http://{}{path}", self.address());
        let authorization = self.login.as_ref().map(|(user, password)| {
            let text = format!("{user}:{password}");
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(text)
            )
        });
        let mut headers = vec![("Content-Type", kind)];
        headers.extend(
            authorization
                .as_deref()
                .map(|value| ("Authorization", value)),
        );
        let answer = request(method, &url, &headers, body).expect("the registry answers");
        let good = (200..300).contains(&answer.status);
        assert!(good, "{method} {path}: {} {}", answer.status, answer.text());
        answer
    }
}

fn platform_json(platform: &str) -> serde_json::Value {
    let (os, rest) = platform
        .split_once('/')
        .expect("a platform is os/architecture");
    match rest.split_once('/') {
        None => serde_json::json!({"os": os, "architecture": rest}),
        Some((architecture, variant)) => {
            serde_json::json!({"os": os, "architecture": architecture, "variant": variant})
        }
    }
}

fn digest_of(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

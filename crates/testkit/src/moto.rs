//! AWS, played by moto: S3, ECR, STS. It takes any credentials.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Answer, Process, free_port, request, tool};

/// moto's server; what is put into it lives as long as it does.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    _folder: TempDir,
    port: u16,
}

impl Moto {
    pub fn start() -> Moto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new(tool("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(folder.path(), &mut command);
        // Python reads a few hundred modules first.
        process.wait_for_port(port, Duration::from_mins(2));
        Moto {
            process,
            _folder: folder,
            port,
        }
    }

    /// As in `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables by which a program takes this for AWS.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "testkit".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testkit-secret-key".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    pub fn make_bucket(&self, name: &str) {
        self.put(&format!("/{name}"), b"");
    }

    pub fn put_object(&self, bucket: &str, key: &str, content: &[u8]) {
        self.put(&format!("/{bucket}/{key}"), content);
    }

    /// moto reads no signature, but the service and the region in one.
    fn put(&self, path: &str, content: &[u8]) {
        let authorization = "AWS4-HMAC-SHA256 Credential=testkit/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0";
        let url = format!("{}{path}", self.url());
        let headers = [("Authorization", authorization)];
        let answer: Answer = request("PUT", &url, &headers, content).expect("moto answers");
        assert_eq!(answer.status, 200, "PUT {path}: {}", answer.text());
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

//! AWS, played by moto: S3, ECR, ECS, STS, EC2, Elastic Load Balancing. It takes any credentials.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Answer, Process, free_port, request, tool};

/// moto's server; its objects live as long as it does.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    _folder: TempDir,
    port: u16,
}

/// moto serves requests in parallel and compares and writes in two steps; on S3 that is atomic.
const ONE_AT_A_TIME: &str = "
import sys, threading
import moto.server as server

lock, serve = threading.Lock(), server.run_simple

def one_at_a_time(host, port, moto, **rest):
    def alone(environ, start):
        with lock:
            return list(moto(environ, start))
    serve(host, port, alone, **rest)

server.run_simple = one_at_a_time
server.main(sys.argv[1:])
";

impl Moto {
    pub fn start() -> Moto {
        Moto::start_with(&[])
    }

    /// With variables that change what it plays.
    pub fn start_with(variables: &[(&str, &str)]) -> Moto {
        let mut command = Command::new(tool("moto_server"));
        command.envs(variables.iter().copied());
        Moto::started(command)
    }

    /// For writers in a race: a condition and its write are one step.
    pub fn one_at_a_time() -> Moto {
        let mut command = Command::new(tool("moto_server").with_file_name("python"));
        command.args(["-c", ONE_AT_A_TIME]);
        Moto::started(command)
    }

    fn started(mut command: Command) -> Moto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
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
        self.put(&format!("/{bucket}/{}", encode(key)), content);
    }

    /// An object's content; `None` if it does not exist.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let answer = self.send_request("GET", &format!("/{bucket}/{}", encode(key)), b"");
        (answer.status == 200).then_some(answer.body)
    }

    fn put(&self, path: &str, content: &[u8]) {
        let answer = self.send_request("PUT", path, content);
        assert_eq!(answer.status, 200, "PUT {path}: {}", answer.text());
    }

    /// Asks ECS, as `aws ecs` would: `CreateService` with its JSON.
    pub fn ecs(&self, action: &str, question: &serde_json::Value) -> serde_json::Value {
        let authorization = "AWS4-HMAC-SHA256 Credential=testkit/20260101/us-east-1/ecs/aws4_request, \
                             SignedHeaders=host, Signature=0";
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let headers = [
            ("Authorization", authorization),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", &target),
        ];
        let body = question.to_string();
        let answer = request("POST", &self.url(), &headers, body.as_bytes()).expect("moto answers");
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("ECS answers JSON")
    }

    /// Asks a service of the query protocol, such as `elasticloadbalancing`; the answer's XML.
    pub fn query(&self, (service, version): (&str, &str), fields: &[(&str, &str)]) -> String {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=testkit/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let mut body = format!("Version={version}");
        for (name, value) in fields {
            body.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let answer = request("POST", &self.url(), &headers, body.as_bytes()).expect("moto answers");
        assert_eq!(answer.status, 200, "{fields:?}: {}", answer.text());
        answer.text()
    }

    /// moto reads no signature, but the service and the region in one.
    fn send_request(&self, method: &str, path: &str, content: &[u8]) -> Answer {
        let authorization = "AWS4-HMAC-SHA256 Credential=testkit/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0";
        let url = format!("{}{path}", self.url());
        let headers = [("Authorization", authorization)];
        request(method, &url, &headers, content).expect("moto answers")
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// A key as a path.
fn encode(key: &str) -> String {
    key.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    })
}

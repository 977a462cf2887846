//! A gRPC server with the standard health service.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Certificate, Process, free_port, tool};

/// grpcio's own server and health service. `shop.Good` is serving, `shop.Bad` is not, and the
/// server as a whole is; `shop.Newer` is serving, and reports it in a message with more fields.
#[derive(Debug)]
pub struct GrpcHealth {
    _process: Process,
    _folder: TempDir,
    port: u16,
}

const SERVER: &str = r"
import sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

class Newer(health.HealthServicer):
    # As a server answers whose message has grown: fields that older clients do not know.
    def Check(self, request, context):
        if request.service != 'shop.Newer':
            return super().Check(request, context)
        more = b'\x12\x02ok\x1d\x01\x02\x03\x04\xa0\x06\xac\x02'
        return health_pb2.HealthCheckResponse.FromString(more + b'\x08\x01')

port, health_on, *tls = sys.argv[1:]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
if health_on == 'yes':
    servicer = Newer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name, status in [('', 'SERVING'), ('shop.Good', 'SERVING'), ('shop.Bad', 'NOT_SERVING')]:
        servicer.set(name, getattr(health_pb2.HealthCheckResponse, status))
if tls:
    key, certificate, authority = [open(name, 'rb').read() for name in tls]
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority, True)
    assert server.add_secure_port(f'127.0.0.1:{port}', credentials)
else:
    assert server.add_insecure_port(f'127.0.0.1:{port}')
server.start()
server.wait_for_termination()
";

impl GrpcHealth {
    pub fn start() -> GrpcHealth {
        GrpcHealth::start_with("yes", &[])
    }

    /// A server that does not know the health service.
    pub fn start_without() -> GrpcHealth {
        GrpcHealth::start_with("no", &[])
    }

    /// With TLS, for clients with a certificate of this authority.
    pub fn start_tls(certificate: &Certificate, authority: &Path) -> GrpcHealth {
        let files = [&certificate.key, &certificate.certificate, authority];
        GrpcHealth::start_with("yes", &files)
    }

    fn start_with(health: &str, files: &[&Path]) -> GrpcHealth {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let script = folder.path().join("server.py");
        fs::write(&script, SERVER).expect("the script can be written");
        let mut command = Command::new(tool("python3"));
        command.arg(script).arg(port.to_string()).arg(health);
        command.args(files);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_mins(1));
        GrpcHealth {
            _process: process,
            _folder: folder,
            port,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

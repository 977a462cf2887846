//! Real servers for tests: started on loopback and a free port, with their data in a temporary
//! folder, and stopped by process id. Also the binaries of the workspace as a user runs them.
//!
//! What is missing is a panic with the command that installs it, never a skip: a test that did
//! not run must not look like one that passed. This crate is only a dev-dependency.

#![allow(
    clippy::missing_panics_doc,
    reason = "a fixture that cannot be set up fails its test"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "fixtures are the tests' own files and processes"
)]

mod alertmanager;
mod balancer;
mod binary;
pub mod browser;
mod caddy;
mod docker;
mod end;
mod grpc;
mod haproxy;
mod hostile;
mod http;
mod load;
mod mail;
mod mariadb;
mod markdown;
mod moto;
mod nginx;
mod postgres;
mod prism;
mod process;
mod prometheus;
mod pushgateway;
mod receiver;
mod redis;
mod registry;
mod repository;
mod shop;
mod ssh_identity;
mod sshd;
mod systemd_host;
mod terminal;
mod testbed;
mod tinyproxy;
mod tls;

pub use alertmanager::Alertmanager;
pub use balancer::{Balancer, ELB, xml_text};
pub use binary::{bin, bin_path, clear_environment, target_dir, workspace};
pub use caddy::{Caddy, CaddyBuild};
pub use docker::{Compose, Docker};
pub use end::End;
pub use grpc::GrpcHealth;
pub use haproxy::Haproxy;
pub use hostile::HOSTILE;
pub use http::{Answer, get, request};
pub use load::Load;
pub use mail::{MailServer, MailTls};
pub use mariadb::MariaDb;
pub use markdown::{markdown, mention};
pub use moto::Moto;
pub use nginx::Nginx;
pub use postgres::Postgres;
pub use prism::Prism;
pub use process::{Process, any_process_with, end_all_with, free_port, wait_until};
pub use prometheus::Prometheus;
pub use pushgateway::Pushgateway;
pub use receiver::{Call, Receiver, Reply};
pub use redis::Redis;
pub use registry::Registry;
pub use repository::repository;
pub use shop::{DOWNLOAD_BYTES, Shop};
pub use ssh_identity::{SshAgent, SshAuthority};
pub use sshd::{HostCertificate, Sshd, SshdSetup};
pub use systemd_host::SystemdHost;
pub use terminal::{Terminal, screens};
pub use testbed::{testbed, tool};
pub use tinyproxy::Tinyproxy;
pub use tls::{Authority, Certificate, FaultyServers, TlsFault, TlsServer};

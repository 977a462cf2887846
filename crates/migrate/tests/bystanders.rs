//! Clients of a database that read all the time, each on a connection that stays, and how long they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

use crate::bed::Bed;

const CLIENTS: u32 = 20;
/// Each client asks so often, whether it was answered in time or not: a wait counts for everyone who comes
/// while it lasts.
const PERIOD: Duration = Duration::from_millis(50);

pub(crate) struct Bystanders {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

/// From when an answer was wanted until it came, in order of their length.
pub(crate) struct Waits(Vec<Duration>);

impl Waits {
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100) - 1]
    }

    pub(crate) fn longest(&self) -> Duration {
        self.percentile(100)
    }
}

fn block_on<T>(doing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, doing)
}

async fn connect(port: u16) -> Client {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("shop");
    let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Asks until it is stopped; what it waited each time.
async fn ask(port: u16, sql: String, first: Duration, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let client = connect(port).await;
    let mut waits = Vec::new();
    let mut wanted = Instant::now() + first;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(wanted).await;
        client.simple_query(&sql).await.unwrap();
        waits.push(wanted.elapsed());
        wanted += PERIOD;
    }
    waits
}

impl Bystanders {
    /// Twenty that read this table.
    pub(crate) fn start(bed: &Bed, table: &str) -> Bystanders {
        let stop = Arc::new(AtomicBool::new(false));
        let (port, stopped) = (bed.postgres.port(), stop.clone());
        let sql = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) one");
        let thread = std::thread::spawn(move || {
            block_on(async {
                let clients = (0..CLIENTS).map(|nth| {
                    let first = PERIOD * nth / CLIENTS;
                    tokio::spawn(ask(port, sql.clone(), first, stopped.clone()))
                });
                let clients: Vec<_> = clients.collect();
                let mut all = Vec::new();
                for client in clients {
                    all.extend(client.await.unwrap());
                }
                all.sort();
                all
            })
        });
        Bystanders { stop, thread }
    }

    pub(crate) fn end(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        Waits(self.thread.join().unwrap())
    }
}

/// Does something in a transaction that it leaves open for so long; returns when it is open.
pub(crate) fn transaction(bed: &Bed, sql: &str, open_for: Duration) -> JoinHandle<()> {
    let (port, sql) = (bed.postgres.port(), format!("BEGIN; {sql}"));
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        block_on(async {
            let client = connect(port).await;
            client.batch_execute(&sql).await.unwrap();
            tell.send(()).unwrap();
            tokio::time::sleep(open_for).await;
            client.batch_execute("COMMIT").await.unwrap();
        });
    });
    told.recv().unwrap();
    thread
}

/// A session that reads a table and stays.
pub(crate) fn reader(bed: &Bed, table: &str, stays: Duration) -> JoinHandle<()> {
    transaction(bed, &format!("SELECT count(*) FROM {table}"), stays)
}

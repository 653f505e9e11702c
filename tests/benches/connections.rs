//! Memory of the server for open connections, and what it keeps when they have closed: in KiB, over three rounds in one run.
//! `cargo build --release -p latchkey-server && cargo bench -p latchkey-tests --bench connections`.

use std::time::Duration;

use latchkey_tests::Place;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CONNECTIONS: u32 = 4_000;
const ROUNDS: u32 = 3;

#[tokio::main]
async fn main() {
    let place = Place::sqlite();
    let server = place.start();
    let address = server.url.trim_start_matches("http://").to_owned();
    let memory = || f64::from(u32::try_from(server.memory_kib().0).unwrap_or(u32::MAX));
    let before = memory();
    for round in 1..=ROUNDS {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a request");
            let mut answer = [0; 1_024];
            assert!(stream.read(&mut answer).await.expect("an answer") > 0);
            open.push(stream);
        }
        let each = (memory() - before) / f64::from(CONNECTIONS);
        drop(open);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let kept = (memory() - before) / f64::from(CONNECTIONS);
        println!("round {round}: {each:.1} KiB an open connection, {kept:.1} KiB kept when it has closed");
    }
}

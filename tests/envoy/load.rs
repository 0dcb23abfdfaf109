//! The load generator: what a Scenario's load says, in real time, bounded by its count.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use towtank::config::scenario::{ArrivalKind, HeaderValue, Load, LoadStyle};

use crate::http1::{Connection, request};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most requests of one load.
const REQUESTS_MAX: u64 = 5000;

/// What a client sends, and for how long it waits.
struct Client {
    from: IpAddr,
    to: SocketAddr,
    text: String,
    timeout: Option<Duration>,
    /// Every request has a connection of its own.
    tcp: bool,
    /// The name to ask for under TLS.
    name: Option<String>,
}

/// Plays one load; the thread ends when every request was answered.
pub(crate) fn play(load: &Load, from: IpAddr, to: SocketAddr, tcp: bool) -> JoinHandle<()> {
    let client = Arc::new(Client {
        from,
        to,
        text: request_text(load),
        timeout: load.timeout.map(|t| Duration::from_nanos(t.ns())),
        tcp,
        name: (&*load.url.scheme == "https").then(|| load.url.host.to_string()),
    });
    match &load.style {
        LoadStyle::Closed {
            connections,
            requests,
            think,
            ..
        } => {
            assert!(think.is_none(), "think times are not played");
            closed(&client, *connections, count(*requests))
        }
        LoadStyle::Open {
            rate,
            arrivals,
            requests,
        } => {
            let constant = *arrivals == ArrivalKind::Constant;
            assert!(constant, "only constant arrivals are played");
            let gap = Duration::from_secs_f64(1.0 / rate.as_f64());
            open(client, gap, count(*requests))
        }
    }
}

/// Number of requests a load makes.
pub(crate) fn count_of(load: &Load) -> u64 {
    match &load.style {
        LoadStyle::Closed { requests, .. } | LoadStyle::Open { requests, .. } => count(*requests),
    }
}

fn count(requests: Option<u64>) -> u64 {
    let count = requests.expect("loads of cases stop by `requests`");
    assert!(count <= REQUESTS_MAX, "cases are small: {count} requests");
    count
}

fn request_text(load: &Load) -> String {
    let mut host = load.url.authority();
    let mut headers = vec![("x-load".to_owned(), load.name.to_string())];
    for (name, value) in &load.headers {
        let HeaderValue::Text(value) = value else {
            panic!("drawn header values are not played");
        };
        if name.eq_ignore_ascii_case("host") {
            host = value.to_string();
        } else {
            headers.push((name.to_string(), value.to_string()));
        }
    }
    request(&load.method, &host, &load.url.path, &headers)
}

fn closed(client: &Arc<Client>, connections: u32, requests: u64) -> JoinHandle<()> {
    let left = Arc::new(AtomicU64::new(requests));
    let user = move |client: &Client, left: &AtomicU64| {
        let mut connection = None;
        let take = |left: u64| left.checked_sub(1);
        while left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
        {
            connection = client.send(connection);
        }
    };
    let users: Vec<JoinHandle<()>> = (0..connections)
        .map(|_| {
            let (client, left) = (client.clone(), left.clone());
            thread::spawn(move || user(&client, &left))
        })
        .collect();
    join_all(users)
}

fn open(client: Arc<Client>, gap: Duration, requests: u64) -> JoinHandle<()> {
    thread::spawn(move || {
        let start = Instant::now();
        let sent = (0..requests).map(|number| {
            let due = start + gap * u32::try_from(number).expect("bounded above");
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let client = client.clone();
            thread::spawn(move || drop(client.send(None)))
        });
        let sent: Vec<JoinHandle<()>> = sent.collect();
        for thread in sent {
            thread.join().expect("a client");
        }
    })
}

fn join_all(threads: Vec<JoinHandle<()>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for thread in threads {
            thread.join().expect("a client");
        }
    })
}

impl Client {
    /// One request; hands the connection back when it can be used again.
    fn send(&self, connection: Option<Connection>) -> Option<Connection> {
        let mut connection = if let Some(connection) = connection {
            connection
        } else {
            let plain = Connection::connect_from(self.from, self.to, PATIENCE)
                .expect("Envoy accepts connections");
            match &self.name {
                Some(name) => plain.secured(name).expect("a name"),
                None => plain,
            }
        };
        let patience = self.timeout.unwrap_or(PATIENCE);
        let _ = connection.stream().set_read_timeout(Some(patience));
        connection.send(self.text.as_bytes()).ok()?;
        let answer = connection.receive().ok()??;
        let keeps = !self.tcp && answer.header("connection") != Some("close");
        keeps.then_some(connection)
    }
}

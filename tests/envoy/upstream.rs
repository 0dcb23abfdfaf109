//! Scripted upstreams: one listening socket per pod and port, doing what the Model says.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use towtank::config::scenario::{AppError, Connections, ErrorKind, Model, WorkloadModel};
use towtank::engine::{Draws, Sampler};
use towtank::units::Fraction;
use towtank::xds::{Snapshot, WorkloadId};

use crate::case::Case;
use crate::http1::Connection;
use crate::{http2, sidecars};

/// All upstreams of a case.
pub(crate) struct Upstreams {
    /// Pod name by the address that clients know.
    pub(crate) pods: BTreeMap<String, String>,
    /// Requests by pod name.
    pub(crate) hits: BTreeMap<String, Arc<AtomicU64>>,
    /// Where they listen.
    places: Vec<SocketAddr>,
    over: Arc<AtomicBool>,
    accepting: Vec<JoinHandle<()>>,
    /// Sockets that only exist.
    held: Vec<Socket>,
}

impl Upstreams {
    /// Listens where the endpoints of every cluster are; their addresses are loopback addresses.
    pub(crate) fn start(case: &Case) -> Self {
        let (snapshot, model) = (&case.snapshot, &case.model);
        let mut upstreams = Self {
            pods: BTreeMap::new(),
            hits: BTreeMap::new(),
            places: Vec::new(),
            over: Arc::default(),
            accepting: Vec::new(),
            held: Vec::new(),
        };
        for endpoint in snapshot.clusters.iter().flat_map(|c| c.endpoints.iter()) {
            let (key, Some(id)) = (endpoint.key(), endpoint.pod) else {
                continue;
            };
            let pod = &snapshot.pods[id];
            let address = key.parse::<SocketAddr>().ok();
            if address.is_none_or(|a| !a.ip().is_loopback()) {
                continue;
            }
            let place = if sidecars::has_one(case, id) {
                sidecars::behind(&key)
            } else {
                key.clone()
            };
            let fresh = upstreams.pods.insert(key, pod.name.to_string());
            if fresh.is_none() {
                let mut app = behaviour(snapshot, model, pod.workload);
                if sidecars::has_one(case, id) && refuses_all(&app) {
                    // What its sidecar finds is a closed port; HTTP/2 streams are refused elsewhere.
                    app.connections = Connections::Refuse;
                }
                let address = place.parse().expect("an address");
                upstreams.places.push(address);
                upstreams.listen(address, &pod.name, app);
            }
        }
        upstreams
    }

    fn listen(&mut self, address: SocketAddr, pod: &str, app: WorkloadModel) {
        let hits = self.hits.entry(pod.to_owned()).or_default().clone();
        match app.connections {
            // Nobody listens: the kernel refuses.
            Connections::Refuse => {}
            Connections::Blackhole => self.held.extend(blackhole(address)),
            Connections::Accept => {
                let listener = TcpListener::bind(address)
                    .unwrap_or_else(|why| panic!("cannot listen on {address}: {why}"));
                let over = self.over.clone();
                let accepting = move || accept(&listener, &Arc::new(app), &hits, &over);
                self.accepting.push(thread::spawn(accepting));
            }
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for address in &self.places {
            // Wakes the accepting thread, which sees that it is over.
            let _ = TcpStream::connect_timeout(address, Duration::from_millis(50));
        }
        // The next case uses the same addresses.
        for thread in self.accepting.drain(..) {
            let _ = thread.join();
        }
    }
}

/// An application that refuses its sidecar every time; a share of the times cannot be played.
fn refuses_all(app: &WorkloadModel) -> bool {
    let always = |e: &AppError| e.rate == Fraction::ONE;
    (app.errors.iter()).any(|e| e.kind == ErrorKind::Refuse && always(e))
}

fn behaviour(snapshot: &Snapshot, model: &Model, workload: WorkloadId) -> WorkloadModel {
    let name = snapshot.workloads[workload].full_name();
    let own = model.workloads.get(name.as_str());
    let app = own.unwrap_or(&model.defaults).clone();
    assert!(
        app.concurrency.is_none() && app.queue.is_none() && app.calls.is_empty(),
        "{name}: limits and calls of applications are not played"
    );
    app
}

/// A full queue of connections that nobody accepts: the kernel drops every further SYN.
fn blackhole(address: SocketAddr) -> Vec<Socket> {
    let make = || -> io::Result<Vec<Socket>> {
        let listening = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        listening.set_reuse_address(true)?;
        listening.bind(&address.into())?;
        listening.listen(0)?;
        let filling = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        filling.connect(&address.into())?;
        Ok(vec![listening, filling])
    };
    make().unwrap_or_else(|why| panic!("cannot hold {address}: {why}"))
}

fn accept(
    listener: &TcpListener,
    app: &Arc<WorkloadModel>,
    hits: &Arc<AtomicU64>,
    over: &Arc<AtomicBool>,
) {
    // Draws need not be those of the simulation, only follow the same law; every start has its own.
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let start = STARTS.fetch_add(1, Ordering::SeqCst);
    let draws = Arc::new(Mutex::new(Draws::of(u64::from(std::process::id()), start)));
    let sampler = app.service_time.sampler();
    for stream in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let server = Server {
            app: app.clone(),
            hits: hits.clone(),
            over: over.clone(),
            draws: draws.clone(),
            sampler: sampler.clone(),
        };
        thread::spawn(move || {
            if http2::begins(&stream) {
                http2::serve(server, stream);
            } else {
                server.serve(Connection::new(stream));
            }
        });
    }
}

/// One connection's server.
pub(crate) struct Server {
    pub(crate) app: Arc<WorkloadModel>,
    hits: Arc<AtomicU64>,
    pub(crate) over: Arc<AtomicBool>,
    draws: Arc<Mutex<Draws>>,
    sampler: Sampler,
}

impl Server {
    fn serve(&self, mut connection: Connection) {
        while let Ok(Some(_)) = connection.receive() {
            let (work, failure) = self.draw();
            thread::sleep(work);
            let status = match failure.map(|f| f.kind) {
                // A closed connection; unread bytes would make the kernel send RST.
                Some(ErrorKind::Reset | ErrorKind::Refuse) => return,
                Some(ErrorKind::Hang) => return self.hang(&connection),
                Some(ErrorKind::Grpc(_)) => 200,
                Some(ErrorKind::Status(status)) => status,
                None => self.app.status,
            };
            let headers = lines(failure)
                .iter()
                .fold(String::new(), |all, (name, value)| {
                    all + name + ": " + value + "\r\n"
                });
            // A gRPC status in the headers comes without a body.
            let body = if is_trailers_only(failure) { "" } else { "ok" };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
            if connection.send(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// A request came: how long it takes, and what goes wrong.
    pub(crate) fn draw(&self) -> (Duration, Option<&AppError>) {
        self.hits.fetch_add(1, Ordering::SeqCst);
        let mut draws = self.draws.lock().expect("no thread panics here");
        let work = Duration::from_nanos(self.sampler.sample(&mut draws).ns());
        let random = draws.next_u64() % 1_000_000;
        let mut below = 0;
        let failure = self.app.errors.iter().find(|error| {
            below += u64::from(error.rate.ppm());
            random < below
        });
        (work, failure)
    }

    /// Says nothing until the other side gives up or the case is over.
    fn hang(&self, connection: &Connection) {
        let patience = Some(Duration::from_millis(50));
        let _ = connection.stream().set_read_timeout(patience);
        let mut byte = [0];
        while !self.over.load(Ordering::SeqCst) {
            match connection.stream().peek(&mut byte) {
                Ok(0) => return,
                Err(error) if !is_timeout(&error) => return,
                _ => {}
            }
        }
    }
}

/// A gRPC status in the headers of an answer without a body.
pub(crate) fn is_trailers_only(failure: Option<&AppError>) -> bool {
    matches!(failure.map(|f| f.kind), Some(ErrorKind::Grpc(_)))
}

/// Header lines of an answer, as the Model writes them.
pub(crate) fn lines(failure: Option<&AppError>) -> Vec<(String, String)> {
    let Some(failure) = failure else {
        return Vec::new();
    };
    let written = failure.headers.iter();
    let mut lines: Vec<_> = written
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    if let ErrorKind::Grpc(status) = failure.kind {
        lines.push(("grpc-status".to_owned(), status.to_string()));
    }
    lines
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

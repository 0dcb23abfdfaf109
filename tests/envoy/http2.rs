//! Upstreams that speak HTTP/2, each connection on a thread of its own like those of HTTP/1.1.

use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use towtank::config::scenario::{AppError, ErrorKind};

use crate::upstream::{Server, is_trailers_only, lines};

/// What a client that knows to speak HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// How often an upstream that hangs looks whether the case is over.
const TICK: Duration = Duration::from_millis(20);

type Sender = SendResponse<&'static [u8]>;

/// Does the client begin with the preface of HTTP/2?
pub(crate) fn begins(stream: &TcpStream) -> bool {
    let mut seen = [0; PREFACE.len()];
    while let Ok(count) = stream.peek(&mut seen) {
        if count == 0 || !PREFACE.starts_with(&seen[..count]) {
            return false;
        }
        if count == PREFACE.len() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Answers every stream of a connection until the client closes it.
pub(crate) fn serve(server: Server, stream: TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, connection(Rc::new(server), stream));
}

async fn connection(server: Rc<Server>, stream: TcpStream) {
    let ready = stream.set_nodelay(true).is_ok() && stream.set_nonblocking(true).is_ok();
    let Some(stream) = ready.then(|| tokio::net::TcpStream::from_std(stream)) else {
        return;
    };
    let stream = stream.expect("inside a runtime");
    let Ok(mut connection) = h2::server::Builder::new().handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, sender))) = connection.accept().await {
        let server = server.clone();
        tokio::task::spawn_local(async move { answer(&server, &request, sender).await });
    }
}

async fn answer(server: &Server, request: &Request<RecvStream>, mut sender: Sender) {
    let (work, failure) = server.draw();
    tokio::time::sleep(work).await;
    let status = match failure.map(|f| f.kind) {
        Some(ErrorKind::Reset) => return sender.send_reset(Reason::CANCEL),
        Some(ErrorKind::Refuse) => return sender.send_reset(Reason::REFUSED_STREAM),
        Some(ErrorKind::Hang) => {
            while !server.over.load(std::sync::atomic::Ordering::SeqCst) {
                tokio::time::sleep(TICK).await;
            }
            return;
        }
        Some(ErrorKind::Grpc(_)) => 200,
        Some(ErrorKind::Status(status)) => status,
        None => server.app.status,
    };
    // A stream that its client has reset cannot be answered.
    let _ = respond(request, &mut sender, status, failure);
}

/// An answer with a body; that of a gRPC call ends with `grpc-status: 0`.
fn respond(
    request: &Request<RecvStream>,
    sender: &mut Sender,
    status: u16,
    failure: Option<&AppError>,
) -> Result<(), h2::Error> {
    let kind = request.headers().get("content-type");
    let grpc = kind.is_some_and(|k| k.as_bytes().starts_with(b"application/grpc"));
    let mut response = Response::builder().status(status);
    if grpc {
        response = response.header("content-type", "application/grpc");
    }
    for (name, value) in lines(failure) {
        response = response.header(name, value);
    }
    let response = response.body(()).expect("a status");
    if is_trailers_only(failure) {
        return sender.send_response(response, true).map(drop);
    }
    let mut body = sender.send_response(response, false)?;
    if !grpc {
        return body.send_data(b"ok", true);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // An empty message.
    body.send_data(&[0, 0, 0, 0, 0], false)?;
    body.send_trailers(trailers)
}

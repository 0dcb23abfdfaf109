//! As much HTTP/1.1 as scripted upstreams and clients need.
//!
//! Blocking sockets and one thread per connection: the bytes, the moment they are sent and the
//! way a connection ends are part of the cases, and a library would decide them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::tls::{self, TlsStream};

/// Largest head or body that is read.
const BYTES_MAX: usize = 1 << 20;

/// First line, headers (names in lower case) and body of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Status of a response.
    pub(crate) fn status(&self) -> u16 {
        let word = self.first.split(' ').nth(1);
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// Bytes as they are, or under TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

/// One end of a connection.
pub(crate) struct Connection {
    reader: BufReader<Stream>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            reader: BufReader::new(Stream::Plain(stream)),
        }
    }

    /// The same under TLS, asking for a name.
    pub(crate) fn secured(self, name: &str) -> io::Result<Self> {
        let stream = match self.reader.into_inner() {
            Stream::Plain(stream) => tls::ask_for(name, stream)?,
            Stream::Tls(_) => return Err(io::Error::other("it is secured already")),
        };
        Ok(Self {
            reader: BufReader::new(Stream::Tls(Box::new(stream))),
        })
    }

    pub(crate) fn connect(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        Self::connect_from([127, 0, 0, 1].into(), to, patience)
    }

    /// From an address of this machine, which the other side sees.
    pub(crate) fn connect_from(
        from: IpAddr,
        to: SocketAddr,
        patience: Duration,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&to.into(), patience)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(patience))?;
        Ok(Self::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.reader.get_mut() {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        match self.reader.get_ref() {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// The next message; `None` when the other side has closed in between.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Message>> {
        let Some(first) = self.line()? else {
            return Ok(None);
        };
        let mut message = Message {
            first,
            ..Message::default()
        };
        loop {
            let line = self.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                let line = (name.to_ascii_lowercase(), value.trim().to_owned());
                message.headers.push(line);
            }
        }
        let chunked = message
            .header("transfer-encoding")
            .is_some_and(|v| v.contains("chunked"));
        let length = message.header("content-length").map(str::to_owned);
        if chunked {
            message.body = self.chunks()?;
        } else if let Some(length) = length {
            let length: usize = length.parse().unwrap_or(0);
            message.body = vec![0; length.min(BYTES_MAX)];
            self.reader.read_exact(&mut message.body)?;
        }
        Ok(Some(message))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16);
            let size = size.map_err(io::Error::other)?.min(BYTES_MAX);
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let limit = BYTES_MAX as u64;
        (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// A request as text.
pub(crate) fn request(
    method: &str,
    host: &str,
    path: &str,
    headers: &[(String, String)],
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text
}

/// One GET on a connection of its own.
pub(crate) fn get(to: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut connection = Connection::connect(to, Duration::from_secs(5))?;
    let close = ("connection".to_owned(), "close".to_owned());
    connection.send(request("GET", "towtank", path, &[close]).as_bytes())?;
    let answer = connection.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((answer.status(), answer.body))
}

//! A small HTTP client, which can also send what a good one would not.

use std::{io, time::Duration};

use crate::EventStream;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long an answer may take, a long poll included.
const ANSWER_MAX: Duration = Duration::from_secs(75);

const ACCEPT_EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// A client of one server on loopback, with a token or without. A connection for each request.
#[derive(Clone, Debug)]
pub struct Http {
    port: u16,
    base: String,
    token: Option<String>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON. Panics with it if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.body))
    }

    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|it| it.0 == name).map_or("", |it| &it.1)
    }
}

impl Http {
    /// A client for the server at a port, whose paths begin with `base`.
    pub fn new(port: u16, base: &str) -> Self {
        Self { port, base: base.to_owned(), token: None }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, &[], b"").await
    }

    /// Posts JSON to a path.
    pub async fn post(&self, path: &str, body: &Value) -> io::Result<Answer> {
        self.post_with(path, &[], body).await
    }

    /// Posts JSON to a path, with headers.
    pub async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> io::Result<Answer> {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("POST", path, &headers, body.to_string().as_bytes()).await
    }

    /// Sends anything to a path.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let head = self.head(method, path, headers, body.len());
        let exchange = exchange(self.port, head, body);
        tokio::time::timeout(ANSWER_MAX, exchange).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Begins a request whose body is to have so many bytes, and sends the first of them.
    pub async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
        begun: &[u8],
    ) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(self.head(method, path, headers, length).as_bytes()).await?;
        stream.write_all(begun).await?;
        Ok(stream)
    }

    /// Posts JSON to a path, and follows the events that it answers.
    pub async fn post_to_follow(&self, path: &str, body: &Value) -> io::Result<EventStream> {
        let headers = [("content-type", "application/json"), ACCEPT_EVENTS];
        let body = body.to_string();
        let head = self.head("POST", path, &headers, body.len());
        EventStream::open(self.port, head + &body).await
    }

    /// Follows the events of a path, after the one of an id.
    pub async fn follow(&self, path: &str, after: Option<&str>) -> io::Result<EventStream> {
        let after = after.map(|id| ("last-event-id", id));
        let headers: Vec<_> = [ACCEPT_EVENTS].into_iter().chain(after).collect();
        EventStream::open(self.port, self.head("GET", path, &headers, 0)).await
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
        let mut head = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\
             content-length: {}\r\n",
            self.base, self.port, length
        );
        if let Some(token) = &self.token {
            head.extend(["authorization: Bearer ", token, "\r\n"]);
        }
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

async fn exchange(port: u16, head: String, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(head.as_bytes()).await?;
    // A server may refuse a body before it has read it all: what it says is read all the same.
    let sent = stream.write_all(body).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    if answer.is_empty() {
        sent?;
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let split = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..split]).ok()?;
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = rest
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &answer[split + 4..];
    let chunked = headers.iter().any(|it| it.0 == "transfer-encoding" && it.1 == "chunked");
    let length = headers.iter().find(|it| it.0 == "content-length").map(|it| it.1.parse::<usize>());
    let body = match length {
        _ if chunked => join_chunks(body)?,
        // Cut short is no answer.
        Some(Ok(length)) if length == body.len() => body.to_vec(),
        Some(_) => return None,
        None => body.to_vec(),
    };
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let text = head.to_owned() + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let answer = parse(text.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "abcde"));
    }

    #[test]
    fn an_answer_cut_short_is_none() {
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc").is_none());
    }
}

//! A collector of traces: a real HTTP server that takes what OTLP exporters send.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span as Sent, status::StatusCode},
};
use prost::Message;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{background::Background, request::Request, until};

/// A span as it came. Ids are in hexadecimal digits.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Its parent's id; empty if it is the root of its trace.
    pub parent: String,
    /// What it is of.
    pub name: String,
    /// `SPAN_KIND_SERVER`, …
    pub kind: &'static str,
    /// What is told of it.
    pub attributes: BTreeMap<String, Value>,
    /// The ids of the spans that it points to.
    pub links: Vec<String>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// The service that it is of.
    pub service: String,
}

impl Span {
    /// An attribute; null if there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    headers: Vec<(String, String)>,
}

/// A collector on loopback. Gone when dropped.
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    _background: Background,
}

impl Collector {
    /// One on a port; 0 for any.
    pub fn at(port: u16) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::new(Mutex::default());
        let background = Background::run({
            let taken = Arc::clone(&taken);
            move || accept(listener, taken)
        });
        Self { address, taken, _background: background }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that came, oldest first.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// A header of the last request; empty if there was none.
    pub fn header(&self, name: &str) -> String {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.headers.iter().find(|it| it.0 == name).map(|it| it.1.clone()).unwrap_or_default()
    }

    /// Waits until so many spans have come whose names begin so, and gives them. Panics after
    /// `within`.
    pub async fn until(&self, begin: &str, count: usize, within: Duration) -> Vec<Span> {
        let what = format!("{count} spans `{begin}…`");
        until(&what, within, async || {
            let mut found = self.spans();
            found.retain(|it| it.name.starts_with(begin));
            (found.len() >= count).then_some(found)
        })
        .await
    }
}

async fn accept(listener: std::net::TcpListener, taken: Arc<Mutex<Taken>>) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = TcpListener::from_std(listener).expect("a listener");
    // Gone with the runtime, like everything spawned here.
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&taken)));
    }
}

/// Takes the requests of one connection; none at its end.
async fn serve(stream: TcpStream, taken: Arc<Mutex<Taken>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = Request::read(&mut stream).await?;
        let sent = ExportTraceServiceRequest::decode(request.body.as_slice());
        let status = match sent {
            Ok(sent) if request.path == "/v1/traces" => {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.spans.extend(spans(sent));
                taken.headers = request.headers;
                "200 OK"
            }
            Ok(_) | Err(_) => "400 Bad Request",
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        );
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

fn spans(sent: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all = Vec::new();
    for of_resource in sent.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").and_then(Value::as_str).unwrap_or_default();
        let sent = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
        all.extend(sent.map(|it| span(it, service)));
    }
    all
}

fn span(sent: Sent, service: &str) -> Span {
    Span {
        kind: sent.kind().as_str_name(),
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: hex(&sent.parent_span_id),
        failed: sent.status.is_some_and(|it| it.code() == StatusCode::Error),
        name: sent.name,
        attributes: attributes(sent.attributes),
        links: sent.links.iter().map(|it| hex(&it.span_id)).collect(),
        service: service.to_owned(),
    }
}

fn attributes(sent: Vec<KeyValue>) -> BTreeMap<String, Value> {
    sent.into_iter().map(|it| (it.key, it.value.map_or(Value::Null, value))).collect()
}

fn value(sent: AnyValue) -> Value {
    match sent.value {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(flag)) => json!(flag),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(list)) => list.values.into_iter().map(value).collect(),
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

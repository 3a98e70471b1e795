//! An OpenAI-compatible endpoint that does as a test tells it, also the wrong thing.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::{
    background::Background,
    lm_answer,
    lm_stream::{Halves, Midway},
    request::Request,
};

/// The most calls whose bodies are kept; later ones are only counted.
const CALLS_KEPT: usize = 20_000;

/// What the endpoint does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Says this.
    Text(String),
    /// Says what fits the prompt: every field that it asks for, with a value of its type.
    Fitting,
    /// Says this, or what fits, in pieces to who asks for a stream; to others as it is.
    Stream(Option<String>, Midway),
    /// Answers with a status, headers and a body.
    Status(u16, Vec<(String, String)>, String),
    /// Answers 200 with something that is not JSON.
    Garbage,
    /// Answers 200 with no body.
    Empty,
    /// Never answers.
    Nothing,
    /// Cuts the connection when it has read the request.
    Cut,
    /// Cuts the connection in the middle of the answer.
    CutMidway,
    /// Does the other thing later.
    After(Duration, Box<Reply>),
    /// Does the other thing when [`StubLm::open_gate`] was called.
    Gate(Box<Reply>),
}

impl Reply {
    /// Says these fields, each below its header, as DSPy's ChatAdapter asks for.
    ///
    /// # Panics
    ///
    /// If they are no object.
    pub fn fields(fields: &Value) -> Self {
        let section = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("[[ ## {name} ## ]]\n{value}\n\n")
        };
        let sections: String =
            fields.as_object().expect("fields by name").iter().map(section).collect();
        Self::Text(sections + "[[ ## completed ## ]]")
    }

    /// Answers 429, and tells when to come back.
    pub fn too_many(retry_after_seconds: u32) -> Self {
        let headers = vec![("retry-after".to_owned(), retry_after_seconds.to_string())];
        let body = json!({ "error": { "message": "slow down", "code": "rate_limit_exceeded" } });
        Self::Status(429, headers, body.to_string())
    }

    /// Answers with an error of a status.
    pub fn error(status: u16) -> Self {
        let body = json!({ "error": { "message": "out of order", "type": "server_error" } });
        Self::Status(status, Vec::new(), body.to_string())
    }

    /// Does this later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }

    /// Does this when the gate is opened.
    #[must_use]
    pub fn at_gate(self) -> Self {
        Self::Gate(Box::new(self))
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// When its last byte came.
    pub at: Instant,
    /// Its path.
    pub path: String,
    /// Its `Authorization` header; empty if it has none.
    pub authorization: String,
    /// Its body; null if it was no JSON.
    pub body: Value,
}

#[derive(Default)]
struct Script {
    usual: Option<Reply>,
    next: VecDeque<Reply>,
    calls: Vec<Call>,
    count: usize,
    open: bool,
}

#[derive(Default)]
struct Stage {
    script: Mutex<Script>,
    gate: Notify,
}

/// A real HTTP server on loopback in the place of a language model. Gone when dropped.
pub struct StubLm {
    address: SocketAddr,
    stage: Arc<Stage>,
    _background: Background,
}

impl StubLm {
    /// Listens, and answers every request with the usual reply.
    pub fn new(usual: Reply) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stage = Arc::new(Stage::default());
        stage.script().usual = Some(usual);
        let background = Background::run({
            let stage = Arc::clone(&stage);
            move || accept(listener, stage)
        });
        Self { address, stage, _background: background }
    }

    /// Its base URL, with `/v1` at the end.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers the next request with this, those after it with the replies given later, then as
    /// usual.
    pub fn then(&self, reply: Reply) -> &Self {
        self.stage.script().next.push_back(reply);
        self
    }

    /// Changes the usual reply.
    pub fn usually(&self, reply: Reply) {
        self.stage.script().usual = Some(reply);
    }

    /// Lets go every request that waits at the gate, and those that come there later.
    pub fn open_gate(&self) {
        self.stage.script().open = true;
        self.stage.gate.notify_waiters();
    }

    /// How many requests came.
    pub fn calls(&self) -> usize {
        self.stage.script().count
    }

    /// The requests that came, oldest first.
    pub fn requests(&self) -> Vec<Call> {
        self.stage.script().calls.clone()
    }
}

impl Stage {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take(&self, call: Call) -> Reply {
        let mut script = self.script();
        script.count += 1;
        if script.calls.len() < CALLS_KEPT {
            script.calls.push(call);
        }
        let usual = script.usual.clone();
        script.next.pop_front().or(usual).unwrap_or(Reply::Fitting)
    }

    async fn gate_opens(&self) {
        let opened = self.gate.notified();
        tokio::pin!(opened);
        // Registered before the look, so that an opening in between is not missed.
        opened.as_mut().enable();
        if !self.script().open {
            opened.await;
        }
    }
}

async fn accept(listener: std::net::TcpListener, stage: Arc<Stage>) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = TcpListener::from_std(listener).expect("a listener");
    // Gone with the runtime, like everything spawned here.
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&stage)));
    }
}

/// Answers the requests of one connection; none at its end.
async fn serve(stream: TcpStream, stage: Arc<Stage>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let (call, last) = read_call(&mut stream).await?;
        let body = call.body.clone();
        let reply = stage.take(call);
        say(&mut stream, &stage, reply, &body).await?;
        if last {
            return None;
        }
    }
}

async fn say(
    stream: &mut BufReader<TcpStream>,
    stage: &Stage,
    reply: Reply,
    request: &Value,
) -> Option<()> {
    let text = match reply {
        Reply::Text(text) => response(200, &[], &completion(request, &text)),
        Reply::Fitting => response(200, &[], &completion(request, &lm_answer::answer(request))),
        Reply::Stream(text, midway) => {
            let text = text.unwrap_or_else(|| lm_answer::answer(request));
            if request["stream"] == true {
                return flow(stream, stage, Halves::of(&request["model"], &text, midway), midway)
                    .await;
            }
            response(200, &[], &completion(request, &text))
        }
        Reply::Status(status, headers, body) => response(status, &headers, &body),
        Reply::Garbage => response(200, &[], "<html>It works!</html>"),
        Reply::Empty => response(200, &[], ""),
        Reply::Cut => return None,
        Reply::CutMidway => {
            let whole = response(200, &[], &completion(request, &lm_answer::answer(request)));
            stream.get_mut().write_all(&whole.as_bytes()[..whole.len() / 2]).await.ok()?;
            return None;
        }
        Reply::Nothing => {
            // Until the client gives up: then the read ends.
            drop(stream.read_u8().await);
            return None;
        }
        Reply::After(delay, then) => {
            tokio::time::sleep(delay).await;
            return Box::pin(say(stream, stage, *then, request)).await;
        }
        Reply::Gate(then) => {
            stage.gate_opens().await;
            return Box::pin(say(stream, stage, *then, request)).await;
        }
    };
    stream.get_mut().write_all(text.as_bytes()).await.ok()
}

/// Streams a text; none if the connection has no use after it.
async fn flow(
    stream: &mut BufReader<TcpStream>,
    stage: &Stage,
    halves: Halves,
    midway: Midway,
) -> Option<()> {
    stream.get_mut().write_all(halves.first.as_bytes()).await.ok()?;
    match midway {
        Midway::Gate => stage.gate_opens().await,
        // Until the client gives up: then the read ends.
        Midway::Stall => drop(stream.read_u8().await),
        Midway::GoesOn | Midway::Cut | Midway::Ends | Midway::Error | Midway::Garbage => {}
    }
    stream.get_mut().write_all(halves.second.as_bytes()).await.ok()?;
    (midway != Midway::Cut).then_some(())
}

pub(crate) fn response(status: u16, headers: &[(String, String)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Stub\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + &format!("content-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn completion(request: &Value, text: &str) -> String {
    json!({
        "id": "chatcmpl-stub", "object": "chat.completion", "created": 1_700_000_000,
        "model": request["model"],
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": text },
        }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12 },
    })
    .to_string()
}

/// Reads one request, and whether it is the last; none at the end of the stream.
async fn read_call(stream: &mut BufReader<TcpStream>) -> Option<(Call, bool)> {
    let request = Request::read(stream).await?;
    let (authorization, last) = (request.header("authorization").to_owned(), request.is_last());
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    Some((Call { at: Instant::now(), path: request.path, authorization, body }, last))
}

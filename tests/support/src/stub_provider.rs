//! A provider of models with batches of its own, as OpenAI's API reference describes them: files,
//! batches, and calls beside them. What comes is checked; what a test wants to go wrong does.
//!
//! Source: <https://platform.openai.com/docs/api-reference/batch>, `/files`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    background::Background,
    lm_answer,
    provider_batch::{Batch, Course, File, read_form},
    request::Request,
    stub_lm::{completion, response},
};

/// What happens to one request instead of its usual answer.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// It is refused with a status, and told when to come back.
    Status(u16, u32),
    /// It is done, and nobody hears of it: the connection stays open without an answer.
    Silence,
    /// It is done, and the connection is cut before the answer.
    Cut,
}

#[derive(Default)]
struct Shop {
    files: Vec<File>,
    batches: Vec<Batch>,
    mishaps: Vec<(String, Mishap)>,
    seen: Vec<String>,
    course: Course,
    is_held: bool,
    is_without_batches: bool,
}

/// A real HTTP server on loopback in the place of a provider. Gone when dropped.
pub struct StubProvider {
    address: SocketAddr,
    shop: Arc<Mutex<Shop>>,
    _background: Background,
}

impl StubProvider {
    /// Listens. Every batch takes this course, a step with each look at it.
    pub fn new(course: Course) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shop = Arc::new(Mutex::new(Shop { course, ..Shop::default() }));
        let background = Background::run({
            let shop = Arc::clone(&shop);
            move || accept(listener, shop)
        });
        Self { address, shop, _background: background }
    }

    /// Its base URL, with `/v1` at the end.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Has no batches: their paths are not found.
    pub fn has_no_batches(&self) {
        lock(&self.shop).is_without_batches = true;
    }

    /// Leaves batches where they are, until they are let go on.
    pub fn hold(&self) {
        lock(&self.shop).is_held = true;
    }

    /// Lets batches go on.
    pub fn go_on(&self) {
        lock(&self.shop).is_held = false;
    }

    /// Has this happen to the next request of that method and path, like `POST /v1/batches`.
    pub fn then(&self, request: &str, mishap: Mishap) {
        lock(&self.shop).mishaps.push((request.to_owned(), mishap));
    }

    /// The requests that came, as method and path, oldest first.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.shop).seen.clone()
    }

    /// How many requests of that method and path came.
    pub fn count(&self, request: &str) -> usize {
        self.seen().iter().filter(|it| *it == request).count()
    }

    /// The lines of each file that was sent.
    pub fn files(&self) -> Vec<Vec<Value>> {
        let shop = lock(&self.shop);
        shop.files.iter().filter(|it| it.purpose == "batch").map(File::parsed).collect()
    }

    /// The status of each batch.
    pub fn batches(&self) -> Vec<&'static str> {
        lock(&self.shop).batches.iter().map(|it| it.status).collect()
    }
}

fn lock(shop: &Mutex<Shop>) -> MutexGuard<'_, Shop> {
    shop.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, shop: Arc<Mutex<Shop>>) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shop)));
    }
}

/// Answers the requests of one connection; none at its end.
async fn serve(stream: TcpStream, shop: Arc<Mutex<Shop>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = Request::read(&mut stream).await?;
        let (answer, mishap) = lock(&shop).answer(&request);
        match mishap {
            Some(Mishap::Cut) => return None,
            // Until the client gives up: then the read ends.
            Some(Mishap::Silence) => {
                drop(stream.read_u8().await);
                return None;
            }
            Some(Mishap::Status(..)) | None => {}
        }
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

fn refusal(status: u16, message: &str) -> String {
    response(status, &[], &json!({"error": {"message": message, "code": null}}).to_string())
}

impl Shop {
    fn answer(&mut self, request: &Request) -> (String, Option<Mishap>) {
        let (path, _query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let what = format!("{} {path}", request.method);
        self.seen.push(what.clone());
        let at = self.mishaps.iter().position(|(it, _)| *it == what);
        let mishap = at.map(|at| self.mishaps.remove(at).1);
        if let Some(Mishap::Status(status, retry_after)) = mishap {
            let headers = [("retry-after".to_owned(), retry_after.to_string())];
            let body = json!({"error": {"message": "not now"}}).to_string();
            return (response(status, &headers, &body), mishap);
        }
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let answer = match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["chat", "completions"]) => said(&request.body),
            _ if self.is_without_batches => refusal(404, "Not Found"),
            ("POST", ["files"]) => self.take_file(request),
            ("GET", ["files"]) => list(self.files.iter().rev().map(File::view)),
            ("GET", ["files", id, "content"]) => self.content(id),
            ("POST", ["batches"]) => self.take_batch(&request.body),
            ("GET", ["batches"]) => list(self.batches.iter().rev().map(Batch::view)),
            ("GET", ["batches", id]) => self.look(id),
            ("POST", ["batches", id, "cancel"]) => self.cancel(id),
            _ => refusal(404, "Not Found"),
        };
        (answer, mishap)
    }

    fn take_file(&mut self, request: &Request) -> String {
        let form = read_form(request.header("content-type"), &request.body);
        let Some((purpose, filename, content)) = form else {
            return refusal(400, "a form with `purpose` and `file` is needed");
        };
        if purpose != "batch" {
            return refusal(400, "the purpose must be batch");
        }
        let view = self.keep(File { id: String::new(), purpose, filename, content });
        response(200, &[], &view.to_string())
    }

    fn keep(&mut self, file: File) -> Value {
        let id = format!("file-{}", self.files.len() + 1);
        let file = File { id, ..file };
        let view = file.view();
        self.files.push(file);
        view
    }

    fn content(&self, id: &str) -> String {
        let file = self.files.iter().find(|it| it.id == id);
        file.map_or_else(|| refusal(404, "no such file"), |it| response(200, &[], &it.content))
    }

    fn take_batch(&mut self, body: &[u8]) -> String {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let file = self.files.iter().find(|it| asked["input_file_id"] == it.id.as_str());
        let Some(file) = file else { return refusal(400, "no such file") };
        let pairs = asked["metadata"].as_object().map_or(0, serde_json::Map::len);
        if asked["completion_window"] != "24h" || pairs > 16 {
            return refusal(400, "the window must be 24h, the metadata at most 16 pairs");
        }
        let id = format!("batch_{}", self.batches.len() + 1);
        let batch = Batch::new(id, &asked, file, &self.course);
        let view = batch.view();
        self.batches.push(batch);
        response(200, &[], &view.to_string())
    }

    fn look(&mut self, id: &str) -> String {
        let Some(at) = self.batches.iter().position(|it| it.id == id) else {
            return refusal(404, "no such batch");
        };
        if !self.is_held || self.batches[at].status == "cancelling" {
            let made = self.batches[at].go_on(&self.course);
            for (is_output, content) in made {
                let file = self.keep(File {
                    id: String::new(),
                    purpose: "batch_output".to_owned(),
                    filename: format!("{id}.jsonl"),
                    content,
                });
                let id = file["id"].as_str().map(str::to_owned);
                let batch = &mut self.batches[at];
                let place = if is_output { &mut batch.output } else { &mut batch.errors };
                *place = id;
            }
        }
        response(200, &[], &self.batches[at].view().to_string())
    }

    fn cancel(&mut self, id: &str) -> String {
        let Some(batch) = self.batches.iter_mut().find(|it| it.id == id) else {
            return refusal(404, "no such batch");
        };
        if !batch.cancel() {
            return refusal(409, "it is over");
        }
        response(200, &[], &batch.view().to_string())
    }
}

fn said(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    response(200, &[], &completion(&request, &lm_answer::answer(&request)))
}

fn list(views: impl Iterator<Item = Value>) -> String {
    let data: Vec<Value> = views.take(100).collect();
    response(200, &[], &json!({"object": "list", "data": data, "has_more": false}).to_string())
}

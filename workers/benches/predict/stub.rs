//! An endpoint that says one and the same to everybody, as fast as it can.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The longest request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Prints its address and answers until the standard input ends.
pub(crate) async fn serve(delay: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, delay));
        }
    };
    let mut input = tokio::io::stdin();
    let mut line = Vec::new();
    tokio::select! {
        () = accept => {}
        _ = input.read_to_end(&mut line) => {}
    }
}

async fn answer(mut stream: TcpStream, delay: Duration) {
    stream.set_nodelay(true).unwrap();
    let reply = reply();
    let mut buffer = Vec::new();
    while let Some(length) = request(&mut stream, &mut buffer).await {
        buffer.drain(..length);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The length of the next request, once it is there; none when the other side has gone.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(head) = buffer.windows(4).position(|it| it == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.split("content-length:").nth(1)?.split_whitespace().next()?;
            let end = head + 4 + length.parse::<usize>().ok()?;
            if buffer.len() >= end {
                return Some(end);
            }
        }
        let read = stream.read_buf(buffer).await.ok()?;
        if read == 0 || buffer.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
}

fn reply() -> String {
    let body = json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant",
            "content": "[[ ## reasoning ## ]]\nIt is.\n\n[[ ## answer ## ]]\nParis\n\n\
                        [[ ## completed ## ]]",
        }}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    })
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
    format!("{head}: {}\r\n\r\n{body}", body.len())
}

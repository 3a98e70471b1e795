//! What processes print: log lines, and the last words of one that died.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tracing::info;

/// The longest part of a line that is kept.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// How many lines an error quotes.
const LAST_LINES: usize = 60;

/// How many lines of one process are logged; it is recycled long before it has said so much.
const LINES_MAX: u64 = 100_000;

/// The last lines of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines, as the end of a sentence; nothing if there are none.
    pub(super) fn quote(&self) -> String {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return String::new();
        }
        let all: Vec<String> = lines.make_contiguous().to_vec();
        format!("; its last words:\n{}", all.join("\n"))
    }
}

/// Logs what comes from a pipe, line by line, until its end. A process that says too much is read
/// on, so that it does not stop, and not logged.
pub(super) async fn follow(
    pipe: impl AsyncRead + Unpin,
    program: String,
    stream: &'static str,
    words: LastWords,
) {
    let mut pipe = BufReader::new(pipe);
    let mut count: u64 = 0;
    while let Some(line) = line(&mut pipe).await {
        count += 1;
        if count <= LINES_MAX {
            info!(target: "dspyx::program", %program, stream, "{line}");
        }
        words.push(line);
    }
}

/// The next line, or the beginning of one that is too long.
async fn line(pipe: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let read = (&mut *pipe).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.ok()?;
    if read == 0 {
        return None;
    }
    if line.last() != Some(&b'\n') {
        skip_line(pipe).await;
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Reads to the end of a line without keeping it.
async fn skip_line(pipe: &mut (impl AsyncBufRead + Unpin)) {
    loop {
        let Ok(part) = pipe.fill_buf().await else { return };
        let (size, end) = match part.iter().position(|it| *it == b'\n') {
            Some(at) => (at + 1, true),
            None => (part.len(), part.is_empty()),
        };
        pipe.consume(size);
        if end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_is_cut_and_what_follows_is_read() {
        let long = "x".repeat(1 << 20);
        let text = format!("first\n{long}\nlast");
        let mut pipe = BufReader::new(text.as_bytes());

        let mut lengths = Vec::new();
        while let Some(line) = line(&mut pipe).await {
            lengths.push(line.len());
        }

        assert_eq!(lengths, [5, 8192, 4]);
    }

    #[tokio::test]
    async fn only_the_last_lines_are_quoted() {
        let lines: Vec<String> = (0..1000).map(|it| format!("line {it}")).collect();
        let text = lines.join("\n");
        let words = LastWords::default();

        follow(text.as_bytes(), "p".to_owned(), "stderr", words.clone()).await;

        let quote = words.quote();
        assert!(quote.ends_with("line 998\nline 999"), "{quote}");
        assert_eq!(quote.lines().count(), 1 + LAST_LINES);
    }
}

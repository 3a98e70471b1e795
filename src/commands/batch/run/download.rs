//! Appends the outcomes of a batch to a file, in the order of its items, as they come.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::super::LINE_BYTES_MAX;
use crate::client::{Client, WAIT_SECONDS_MAX, escape};

/// How long the next outcome is waited for with one request.
const WAIT_SECONDS: u64 = 20;
/// How long a piece may take at most: longer than it is waited for.
const PIECE_TIMEOUT: Duration = Duration::from_secs(WAIT_SECONDS_MAX);
/// How long to wait when nothing had come, or an answer was cut off.
const PAUSE: Duration = Duration::from_millis(100);
/// How many answers in a row may be cut off before their first whole line.
const CUTS_MAX: u32 = 50;

/// A file that holds whole lines, one for each item from the first on.
pub(super) struct Outcomes {
    file: File,
    /// How many lines it has.
    pub(super) lines: watch::Sender<u64>,
}

impl Outcomes {
    /// The file with what is in it, but for a line that was not written to its end.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = open.with_context(|| format!("cannot write {}", path.display()))?;
        let (mut lines, mut whole, mut line) = (0, 0, Vec::new());
        let mut reader = BufReader::new(&file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            lines += 1;
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        Ok(Self { file, lines: watch::Sender::new(lines) })
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0)?;
        self.lines.send_replace(0);
        Ok(())
    }

    /// Appends until there are as many lines as the batch has items, once that is known.
    pub(super) async fn fill(
        &mut self,
        client: &Client,
        batch: &str,
        total: &watch::Receiver<Option<u64>>,
    ) -> Result<()> {
        let results = format!("/batch/{}/results?format=outcome", escape(batch));
        let mut cuts = 0;
        loop {
            let lines = *self.lines.borrow();
            if *total.borrow() == Some(lines) {
                return Ok(self.file.sync_all()?);
            }
            let path = format!("{results}&wait={WAIT_SECONDS}&cursor={lines}");
            let whole = self.append(client, &path).await?;
            if *self.lines.borrow() > lines {
                cuts = 0;
                continue;
            }
            if let Err(why) = whole {
                cuts += 1;
                if cuts == CUTS_MAX {
                    bail!("the outcome of item {lines} cannot be read, {cuts} times: {why}");
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Appends the whole lines of one answer, also of one that is cut off: then it says by what.
    async fn append(&mut self, client: &Client, path: &str) -> Result<Result<(), String>> {
        let mut response = client.stream_patiently(path).await?;
        let mut rest = Vec::new();
        loop {
            let piece = match timeout(PIECE_TIMEOUT, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return Ok(Ok(())),
                Ok(Err(error)) => return Ok(Err(error.to_string())),
                Err(_) => return Ok(Err("nothing came for a minute".to_owned())),
            };
            rest.extend_from_slice(&piece);
            let Some(end) = rest.iter().rposition(|it| *it == b'\n') else {
                if rest.len() > LINE_BYTES_MAX {
                    bail!("a result is longer than {LINE_BYTES_MAX} bytes; read it by its own id");
                }
                continue;
            };
            self.file.write_all(&rest[..=end]).context("cannot write the outputs")?;
            let more = rest[..=end].split_inclusive(|it| *it == b'\n').count() as u64;
            self.lines.send_modify(|lines| *lines += more);
            rest.drain(..=end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_that_was_not_written_to_its_end_is_fetched_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"index\":0}\n{\"index\":1}\n{\"ind").unwrap();

        let outcomes = Outcomes::open(file.path()).unwrap();

        assert_eq!(*outcomes.lines.borrow(), 2);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "{\"index\":0}\n{\"index\":1}\n");
    }
}

//! A file that is fetched piece by piece.

use std::path::{Path, PathBuf};

use tokio::{fs::File, io::AsyncWriteExt};

use super::{SourceError, budget::Budget};

/// A file that is fetched.
pub(super) struct Landing<'a> {
    file: File,
    path: PathBuf,
    bytes: u64,
    budget: &'a mut Budget,
}

impl<'a> Landing<'a> {
    /// Makes the file, and the folders above it.
    pub(super) async fn new(path: &Path, budget: &'a mut Budget) -> Result<Self, SourceError> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(|it| unwritable(path, &it))?;
        }
        let file = File::create(path).await.map_err(|it| unwritable(path, &it))?;
        Ok(Self { file, path: path.to_owned(), bytes: 0, budget })
    }

    /// Takes the next piece.
    pub(super) async fn take(&mut self, piece: &[u8]) -> Result<(), SourceError> {
        self.bytes += piece.len() as u64;
        self.budget.bytes(piece.len() as u64)?;
        self.file.write_all(piece).await.map_err(|it| unwritable(&self.path, &it))
    }

    /// Closes it: all has come that was said to, if that was said.
    pub(super) async fn close(self, expected: Option<u64>, from: &str) -> Result<(), SourceError> {
        self.file.sync_all().await.map_err(|it| unwritable(&self.path, &it))?;
        let Some(expected) = expected.filter(|it| *it != self.bytes) else { return Ok(()) };
        let (bytes, name) = (self.bytes, self.path.file_name().unwrap_or_default().display());
        let text = format!("{from} sent {bytes} of the {expected} bytes of {name}");
        Err(SourceError::Unavailable(text))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::disk(&format!("{} cannot be written", path.display()), error)
}

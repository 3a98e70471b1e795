//! How much of one source may still be fetched.

use super::SourceError;

/// The most files of one source.
pub(super) const FILES_MAX: usize = 10_000;

/// How much of one source may still be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    files_left: usize,
    bytes_left: u64,
    bytes_max: u64,
}

impl Budget {
    /// So many bytes, and as many files as any source may have.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { files_left: FILES_MAX, bytes_left: bytes_max, bytes_max }
    }

    /// Takes a file off.
    pub(super) fn file(&mut self) -> Result<(), SourceError> {
        let too_many = format!("it has more than {FILES_MAX} files; name a smaller `path` in it");
        self.files_left = self.files_left.checked_sub(1).ok_or(SourceError::Refused(too_many))?;
        Ok(())
    }

    /// Takes bytes off.
    pub(super) fn bytes(&mut self, count: u64) -> Result<(), SourceError> {
        self.bytes_left = self.bytes_left.checked_sub(count).ok_or_else(|| {
            SourceError::Refused(format!(
                "it is larger than {} bytes; name a smaller `path` in it, or raise \
                 SOURCE_BYTES_MAX",
                self.bytes_max
            ))
        })?;
        Ok(())
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.bytes_left
    }

    /// How many were taken.
    pub(super) fn taken(&self) -> u64 {
        self.bytes_max - self.bytes_left
    }
}

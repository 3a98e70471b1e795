//! Lines of a text that may be of any length, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use sha2::{Digest, Sha256, digest::Output};

/// Reads lines, and counts them from 1.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line_bytes_max: usize,
    number: u64,
    bytes: u64,
    line: Vec<u8>,
    digest: Option<Sha256>,
}

/// A line that is not blank.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Line<'a> {
    /// Its number; blank ones are counted too.
    pub(crate) number: u64,
    /// What it says, without its end; none if it is too long.
    pub(crate) text: Option<&'a [u8]>,
}

impl<R: Read> Lines<R> {
    /// Lines of at most so many bytes, hashed if somebody will compare them.
    pub(crate) fn new(reader: R, line_bytes_max: usize, hashed: bool) -> Self {
        let (reader, digest) = (BufReader::with_capacity(1 << 16, reader), None);
        let digest = if hashed { Some(Sha256::new()) } else { digest };
        Self { reader, line_bytes_max, number: 0, bytes: 0, line: Vec::new(), digest }
    }

    /// The next line that is not blank; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some(whole) = self.read_line()? else { return Ok(None) };
            if !whole {
                return Ok(Some(Line { number: self.number, text: None }));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let mut text = self.line.as_slice();
        if self.number == 1 {
            // Some programs begin a text with a byte order mark.
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        Ok(Some(Line { number: self.number, text: Some(text.trim_ascii()) }))
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of all that was read, if it was asked for, and the reader.
    pub(crate) fn finish(self) -> (Option<Output<Sha256>>, R) {
        (self.digest.map(Sha256::finalize), self.reader.into_inner())
    }

    /// Reads a line, and says whether it was whole; none at the end.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut whole, mut any) = (true, false);
        loop {
            let read = self.reader.fill_buf()?;
            if read.is_empty() {
                break;
            }
            any = true;
            let end = read.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(read.len(), |at| at + 1);
            let text = &read[..end.unwrap_or(length)];
            whole &= self.line.len() + text.len() <= self.line_bytes_max;
            if whole {
                self.line.extend_from_slice(text);
            }
            if let Some(digest) = &mut self.digest {
                digest.update(&read[..length]);
            }
            self.bytes += length as u64;
            self.reader.consume(length);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        Ok(any.then_some(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, Option<String>)> {
        let (mut lines, mut found) = (Lines::new(text.as_bytes(), 8, true), Vec::new());
        while let Some(line) = lines.next().unwrap() {
            let text = line.text.map(|it| String::from_utf8(it.to_vec()).unwrap());
            found.push((line.number, text));
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        let (digest, _) = lines.finish();
        assert_eq!(digest.unwrap(), Sha256::digest(text));
        found
    }

    fn some(number: u64, text: &str) -> (u64, Option<String>) {
        (number, Some(text.to_owned()))
    }

    #[test]
    fn blank_lines_are_counted_and_left_out() {
        assert_eq!(all("a\n\n \t\r\nb\r\nc"), [some(1, "a"), some(4, "b"), some(5, "c")]);
        assert_eq!(all(""), []);
        assert_eq!(all("\n\n"), []);
    }

    #[test]
    fn long_line_is_told_and_the_next_is_read() {
        assert_eq!(all("12345678\n123456789\nb\n"), [some(1, "12345678"), (2, None), some(3, "b")]);
    }

    #[test]
    fn byte_order_mark_is_no_text() {
        assert_eq!(all("\u{feff}a\n"), [some(1, "a")]);
    }
}

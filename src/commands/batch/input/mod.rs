//! The inputs of a batch, whatever file they are in, as lines of JSON that the API takes.

mod columns;
mod csv;
mod parquet;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::LINE_BYTES_MAX;

pub(super) use self::columns::Columns;
use crate::{config::Usage, output};

/// Lines of JSON, an item each, without their ends.
pub(super) type Lines = Box<dyn Iterator<Item = Result<Vec<u8>>> + Send>;

/// What a file of inputs is, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A JSON object a line; plain, or compressed.
    Lines(Packing),
    /// A table with a row of names above; plain, or compressed.
    Csv(Packing),
    /// A Parquet file.
    Parquet,
}

/// How a file is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        if path == Path::new(STDIN) {
            return Ok(Self::Lines(Packing::Plain));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let (name, packing) = match name.rsplit_once('.') {
            Some((name, "gz")) => (name.to_owned(), Packing::Gzip),
            Some((name, "zst")) => (name.to_owned(), Packing::Zstd),
            _ => (name, Packing::Plain),
        };
        match name.rsplit_once('.').map(|(_, kind)| kind) {
            Some("jsonl" | "ndjson" | "json") => Ok(Self::Lines(packing)),
            Some("csv") => Ok(Self::Csv(packing)),
            Some("parquet") if packing == Packing::Plain => Ok(Self::Parquet),
            _ => Err(Usage(format!(
                "{} is none of the files that can be read: .jsonl, .ndjson or .csv, also with .gz \
                 or .zst behind it, and .parquet",
                path.display()
            ))
            .into()),
        }
    }
}

/// What stands for standard input in the place of a file.
const STDIN: &str = "-";

/// Refuses what cannot be read, before anybody is asked anything.
pub(super) fn check(path: &Path) -> Result<()> {
    Kind::of(path)?;
    file(path).map(drop)
}

fn file(path: &Path) -> Result<File> {
    let from = if path == Path::new(STDIN) { Path::new("/dev/stdin") } else { path };
    File::open(from).with_context(|| Usage(format!("cannot read {}", path.display())))
}

/// The items of a file. Columns of a table are read as the program takes its inputs.
pub(super) fn open(path: &Path, columns: Columns) -> Result<Lines> {
    let (kind, file) = (Kind::of(path)?, file(path)?);
    let items: Lines = match kind {
        Kind::Lines(packing) => of_json(unpacked(file, packing)?)?,
        Kind::Csv(packing) => csv::items(unpacked(file, packing)?, columns)?,
        Kind::Parquet => parquet::items(file)?,
    };
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Err(Usage(format!("there are no inputs in {}", path.display())).into());
    }
    Ok(Box::new(items))
}

fn unpacked(file: File, packing: Packing) -> Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    })
}

/// Objects, a line each, or in one list.
fn of_json(reader: impl Read + Send + 'static) -> Result<Lines> {
    let mut reader = BufReader::new(reader);
    if reader.fill_buf()?.trim_ascii_start().first() != Some(&b'[') {
        return Ok(Box::new(lines(reader)));
    }
    let list: Vec<Value> = serde_json::from_reader(reader)
        .map_err(|error| Usage(format!("the list of inputs is not JSON: {error}")))?;
    Ok(Box::new(list.into_iter().map(|it| Ok(serde_json::to_vec(&it)?))))
}

/// The lines that are not blank, as they are: the server says what is wrong with one.
fn lines(mut reader: impl BufRead + Send) -> impl Iterator<Item = Result<Vec<u8>>> + Send {
    let mut number = 0_u64;
    std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            number += 1;
            match reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.len() == LINE_BYTES_MAX => {
                    return Some(Err(anyhow!(
                        "line {number} is longer than {LINE_BYTES_MAX} bytes"
                    )));
                }
                Ok(_) => {}
                Err(error) => {
                    let words = format!("cannot read line {number} of the inputs");
                    return Some(Err(anyhow::Error::from(error).context(words)));
                }
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Some(Ok(text.to_vec()));
            }
        }
    })
}

/// An item of a table, whose row may carry a name of its own.
fn item(mut inputs: serde_json::Map<String, Value>, named: bool) -> Result<Vec<u8>> {
    let id = if named { inputs.remove(CUSTOM_ID) } else { None };
    let id = id.filter(|it| !it.is_null()).map(|it| output::plain(&it));
    let item = match id {
        Some(id) => serde_json::json!({CUSTOM_ID: id, "inputs": inputs}),
        None => serde_json::json!({"inputs": inputs}),
    };
    Ok(serde_json::to_vec(&item)?)
}

/// The column that names an item.
const CUSTOM_ID: &str = "custom_id";

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let lines = open(&path, Columns::default()).unwrap();
        lines.map(|it| String::from_utf8(it.unwrap()).unwrap()).collect()
    }

    #[test]
    fn lines_are_read_plain_or_compressed() {
        let text = b"{\"a\": 1}\n\n  {\"a\": 2}\r\nnope";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();

        let plain = read("in.jsonl", text);

        assert_eq!(plain, ["{\"a\": 1}", "{\"a\": 2}", "nope"]);
        assert_eq!(read("in.ndjson.gz", &gzip.finish().unwrap()), plain);
        assert_eq!(read("in.json", b" [{\"a\": 1},\n 7]"), ["{\"a\":1}", "7"]);
        assert_eq!(read("in.JSONL.zst", &zstd::encode_all(&text[..], 1).unwrap()), plain);
    }

    #[test]
    fn file_that_cannot_be_read_is_named_with_those_that_can() {
        let error = Kind::of(Path::new("in.xlsx")).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains(".parquet"), "{error}");
    }
}

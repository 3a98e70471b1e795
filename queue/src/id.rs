//! The names of things: executions, batches, worker incarnations.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use uuid::Uuid;

use crate::Error;

/// Names a batch. Time-ordered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(Uuid);

/// Names an execution: a UUIDv7, or `{batch}-{index}` for an item of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExecutionId {
    uuid: Uuid,
    index: Option<u32>,
}

/// Names one life of a worker process. A restarted or declared-dead worker takes another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(String);

impl BatchId {
    /// A fresh id.
    #[expect(clippy::new_without_default, reason = "each call gives another value")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The name of the item at `index`, counted from 0.
    pub fn item(self, index: u32) -> ExecutionId {
        ExecutionId { uuid: self.0, index: Some(index) }
    }

    /// The name under which is kept what concerns the batch as a whole. No execution has it.
    pub fn whole(self) -> ExecutionId {
        ExecutionId { uuid: self.0, index: None }
    }
}

impl ExecutionId {
    /// A fresh id.
    #[expect(clippy::new_without_default, reason = "each call gives another value")]
    pub fn new() -> Self {
        Self { uuid: Uuid::now_v7(), index: None }
    }

    /// The batch it belongs to and its place there, if it is an item.
    pub fn item_of(self) -> Option<(BatchId, u32)> {
        self.index.map(|index| (BatchId(self.uuid), index))
    }
}

impl WorkerId {
    /// A fresh incarnation of the process `pid` on `host`.
    pub fn new(host: &str, pid: u32) -> Self {
        let salt = Uuid::new_v4().simple().to_string();
        Self(format!("{host}-{pid}-{}", &salt[..8]))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for WorkerId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}-{index}", self.uuid),
            None => self.uuid.fmt(f),
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BatchId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        uuid(text).map(Self).ok_or(Error::NotFound("batch"))
    }
}

impl FromStr for ExecutionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let missing = Error::NotFound("execution");
        let (head, tail) = text.split_at_checked(UUID_CHARS).unwrap_or((text, ""));
        let index = match tail.strip_prefix('-') {
            Some(digits) if canonical(digits) => digits.parse().ok(),
            None if tail.is_empty() => {
                return Ok(Self { uuid: uuid(head).ok_or(missing)?, index: None });
            }
            Some(_) | None => None,
        };
        let (Some(uuid), Some(_)) = (uuid(head), index) else { return Err(missing) };
        Ok(Self { uuid, index })
    }
}

const UUID_CHARS: usize = 36;

/// Only the hyphenated form, so that one thing has one name.
fn uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().to_string() == text).then_some(uuid)
}

fn canonical(digits: &str) -> bool {
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

impl Serialize for ExecutionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExecutionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not an execution id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_written() {
        let (one, item) = (ExecutionId::new(), BatchId::new().item(7));
        assert_eq!(one.to_string().parse::<ExecutionId>().unwrap(), one);
        assert_eq!(item.to_string().parse::<ExecutionId>().unwrap(), item);
        assert_eq!(item.item_of().unwrap().1, 7);
    }

    #[test]
    fn a_thing_has_one_name() {
        let id = ExecutionId::new().to_string();
        let other = [
            id.to_uppercase(),
            format!("{id}-"),
            format!("{id}-01"),
            format!("{id}-+1"),
            id.replace('-', ""),
            String::new(),
            "é".repeat(40),
        ];
        for text in other {
            assert!(text.parse::<ExecutionId>().is_err(), "{text}");
        }
    }
}

//! Which custom ids a batch has used, in little memory: a hash of each, and its item's index.

use std::collections::{HashMap, hash_map::Entry};

use sha2::{Digest, Sha256};

use crate::BatchItem;

/// The most that [`Intake::custom_ids`](crate::Intake::custom_ids) gives at once.
pub const CUSTOM_IDS_PAGE: usize = 100_000;

/// How many bytes a store needs for one.
pub(crate) const RECORD_BYTES: usize = 12;

/// The custom ids of a batch: about 20 bytes each. Two of a billion batches of a million take two
/// different ids for the same.
#[derive(Clone, Debug, Default)]
pub struct CustomIds {
    first: HashMap<[u8; 8], u32>,
    seen: u64,
}

impl CustomIds {
    /// Notes an id; the index of its first use, if that was another item.
    pub fn insert(&mut self, custom_id: &str, index: u32) -> Option<u32> {
        self.note(hash(custom_id), index)
    }

    /// Notes what a store gave, in its order.
    pub fn extend(&mut self, records: impl IntoIterator<Item = (u64, u32)>) {
        for (hash, index) in records {
            self.note(hash, index);
        }
    }

    /// How many were noted, the repeated ones too.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    fn note(&mut self, hash: u64, index: u32) -> Option<u32> {
        self.seen += 1;
        match self.first.entry(hash.to_be_bytes()) {
            Entry::Occupied(first) => Some(*first.get()).filter(|first| *first != index),
            Entry::Vacant(place) => {
                place.insert(index);
                None
            }
        }
    }
}

/// What a store keeps of the custom ids of items, the first of which has the index `first`.
pub(crate) fn records(first: u32, items: &[BatchItem]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, item) in (first..).zip(items) {
        if let Some(custom_id) = &item.custom_id {
            bytes.extend_from_slice(&hash(custom_id).to_be_bytes());
            bytes.extend_from_slice(&index.to_be_bytes());
        }
    }
    bytes
}

/// What [`records`] wrote.
pub(crate) fn read(bytes: &[u8]) -> Vec<(u64, u32)> {
    let record = |it: &[u8; RECORD_BYTES]| {
        let ([high @ .., _, _, _, _], [.., a, b, c, d]) = (*it, *it);
        (u64::from_be_bytes(high), u32::from_be_bytes([a, b, c, d]))
    };
    bytes.as_chunks().0.iter().map(record).collect()
}

fn hash(custom_id: &str) -> u64 {
    let digest = Sha256::digest(custom_id);
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fields;

    fn item(custom_id: &str) -> BatchItem {
        let custom_id = Some(custom_id.to_owned());
        BatchItem { inputs: Fields::new(), custom_id, fingerprint: None, invalid: None }
    }

    #[test]
    fn second_use_tells_the_first() {
        let mut ids = CustomIds::default();
        assert_eq!(ids.insert("a", 3), None);
        assert_eq!(ids.insert("b", 4), None);
        assert_eq!(ids.insert("a", 9), Some(3));
        assert_eq!(ids.seen(), 3);
    }

    #[test]
    fn stores_read_back_what_they_were_given() {
        let bytes = records(7, &[item("a"), item("b")]);
        assert_eq!(bytes.len(), 2 * RECORD_BYTES);
        let mut ids = CustomIds::default();
        ids.extend(read(&bytes));
        assert_eq!((ids.insert("b", 99), ids.insert("c", 100)), (Some(8), None));
    }
}

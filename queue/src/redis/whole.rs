//! A chunk whose items all ended, as it is kept: the documents packed, and what they add up to.

use std::collections::BTreeMap;

use redis::ScriptInvocation;

use super::{
    document::{corrupt, ended},
    packs,
    written::{Written, words},
};
use crate::{BatchId, CHUNK_ITEMS, Result, State, Used, lease::Token};

/// A full chunk, each item of which ended in its first attempt.
pub(super) struct Whole {
    token: Token,
    batch: BatchId,
    program: String,
    finished_ms: i64,
    packed: Vec<u8>,
    /// Which items ended so.
    succeeded: Vec<u32>,
    failed: Vec<u32>,
    micros: u64,
    shortest: u64,
    longest: u64,
    /// How many ran how long, by the buckets of [`crate::Histogram`].
    buckets: BTreeMap<u32, u32>,
    used: Used,
    /// Under which fingerprint, and for how long, items can be found.
    cached: Vec<(u32, String)>,
}

impl Whole {
    /// Packs what came of a chunk's items; an error if one of them is missing. Takes as long as
    /// compressing it.
    pub(super) fn new(items: &[Written], finished_ms: i64) -> Result<Self> {
        let none = || corrupt("a chunk without items");
        let first = items.first().ok_or_else(none)?;
        let (batch, _) = first.id.item_of().ok_or_else(none)?;
        let mut whole = Self {
            token: first.token.clone(),
            batch,
            program: first.program.clone(),
            finished_ms,
            packed: Vec::new(),
            succeeded: Vec::new(),
            failed: Vec::new(),
            micros: 0,
            shortest: u64::MAX,
            longest: 0,
            buckets: BTreeMap::new(),
            used: Used::default(),
            cached: Vec::new(),
        };
        let (mut documents, mut there) = (Vec::with_capacity(items.len()), [false; CHUNK_ITEMS]);
        for item in items {
            let (_, index) = item.id.item_of().ok_or_else(none)?;
            there[index as usize % CHUNK_ITEMS] = true;
            let state = whole.count(index, item);
            documents.push((index.to_string(), ended(state, finished_ms, &item.tail)));
        }
        if there.contains(&false) {
            return Err(corrupt("a chunk that is not whole"));
        }
        whole.packed = packs::pack(documents, packs::BYTES_MAX)?.join();
        Ok(whole)
    }

    fn count(&mut self, index: u32, item: &Written) -> State {
        self.micros = self.micros.saturating_add(item.micros);
        self.shortest = self.shortest.min(item.micros);
        self.longest = self.longest.max(item.micros);
        *self.buckets.entry(item.bucket).or_default() += 1;
        self.used.add(item.used);
        let state = item.state();
        if state == State::Failed {
            self.failed.push(index);
            return state;
        }
        self.succeeded.push(index);
        if !item.cache.is_empty() {
            self.cached.push((index, item.cache.clone()));
        }
        state
    }

    pub(super) fn put(&self, call: &mut ScriptInvocation<'_>, takes_out: bool) {
        let buckets = self.buckets.iter().map(|(bucket, n)| format!("{bucket}:{n}"));
        call.arg("w").arg(&*self.token.lane).arg(&*self.token.entry).arg(self.batch.to_string());
        call.arg(self.token.chunk).arg(&self.program).arg(self.packed.as_slice());
        call.arg(self.finished_ms).arg(u8::from(takes_out));
        call.arg(listed(&self.succeeded)).arg(listed(&self.failed));
        call.arg(self.micros).arg(self.shortest).arg(self.longest);
        call.arg(buckets.collect::<Vec<_>>().join(",")).arg(words(self.used));
        call.arg(self.cached.len());
        for (index, cache) in &self.cached {
            call.arg(index).arg(cache);
        }
    }
}

fn listed(indexes: &[u32]) -> String {
    indexes.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

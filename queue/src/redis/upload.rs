//! Batches as they come in: opened, filled part by part, sealed.

use std::time::Duration;

use super::{
    RedisQueue,
    document::{Shared, Tail},
    lend::Rounds,
    millis, payloads,
};
use crate::{
    BatchId, BatchItem, CHUNK_ITEMS, Error, NewBatch, Part, Policy, Release, Report, Result, Seal,
    State, Submitted, custom_ids,
    pack::{pack, unpack},
};

/// How many items go into the store with one call; a part may have more, and is cut then.
const CALL_ITEMS: usize = 64 * CHUNK_ITEMS;

impl RedisQueue {
    /// Accepts a batch in one piece: what a crash leaves halfway was never seen, and is forgotten.
    pub(super) async fn accept_batch(&self, mut new: NewBatch) -> Result<Submitted<BatchId>> {
        let (id, idempotency) = (new.id, new.idempotency.clone());
        let items = std::mem::take(&mut new.items);
        let opened = self.begin_batch(new, Release::Whole, items.len()).await?;
        if opened.replayed {
            return Ok(opened);
        }
        let mut first = 0;
        for items in items.chunks(CALL_ITEMS) {
            let part = Part { first, items: items.to_vec(), digest: String::new() };
            match self.put_part(id, part).await {
                Err(Error::Sealed { .. }) => return Ok(opened), // an earlier call brought it in
                received => received?,
            };
            first = first.saturating_add(u32::try_from(items.len()).unwrap_or(u32::MAX));
        }
        self.close_batch(id, Seal { total: None, idempotency }).await
    }

    pub(super) async fn begin_batch(
        &self,
        new: NewBatch,
        release: Release,
        items_min: usize,
    ) -> Result<Submitted<BatchId>> {
        let store = &self.store;
        let shared = Shared {
            cache_ttl_ms: new.cache_ttl.map(millis),
            created_ms: store.clock_ms(),
            spec: new.spec,
        };
        let (now, limits, spec) = (store.now(), &store.limits, &shared.spec);
        let (id, class, packed) = (new.id.to_string(), spec.class.letter(), pack(&shared)?);
        let age = word(shared.cache_ttl_ms);
        let (key, digest) = new.idempotency.map(|it| (it.key, it.digest)).unwrap_or_default();
        let held = release == Release::Whole;
        let ttl = if held { limits.held_ttl() } else { limits.upload_ttl };
        let Policy { concurrency, errors_max } = new.policy;
        let mut call = store.scripts.open_batch.key(store.prefix());
        call.arg(&now).arg(millis(ttl)).arg(limits.waiting_max);
        call.arg(millis(limits.idempotency_ttl)).arg(&id).arg(class.to_string());
        call.arg(&spec.owner).arg(&spec.program).arg(packed.as_slice()).arg(&age);
        call.arg(&key).arg(&digest).arg(word(spec.deadline.map(|at| at.timestamp_millis())));
        call.arg(word(concurrency)).arg(word(errors_max)).arg(items_min).arg(u8::from(held));
        call.arg(spec.tells()).arg(u8::from(store.objects.is_some()));
        let (word, id): (String, String) = store.home.call(&call).await?;
        match word.as_str() {
            "full" => Err(Error::Full {
                limit: "the queue is full",
                most: limits.waiting_max,
                retry_after: Duration::from_secs(2),
            }),
            "none" => Err(Error::NotFound("batch")),
            _ => submitted(&word, &id),
        }
    }

    pub(super) async fn put_part(&self, id: BatchId, part: Part) -> Result<u64> {
        let store = &self.store;
        let inside = part.first as usize % CHUNK_ITEMS;
        let begun = if inside > 0 { self.begun_chunk(id, part.first, inside).await? } else { None };
        let packed = tokio::task::spawn_blocking(move || Packed::new(part, begun));
        let mut packed = packed.await.map_err(|error| Error::Unavailable(error.to_string()))??;
        let items = packed.first as usize + packed.count;
        store.take_out((id, items), packed.chunks.iter_mut().map(|it| &mut it.1)).await?;
        let is_out = packed.chunks.iter().any(|it| payloads::is_away(&it.1));
        let (now, ttl, batch) = (store.now(), store.ttl(), id.to_string());
        let mut call = store.scripts.add_part.key(store.prefix());
        call.arg(&now).arg(ttl).arg(millis(store.limits.upload_ttl));
        call.arg(millis(store.limits.held_ttl())).arg(&batch);
        call.arg(packed.first).arg(packed.count).arg(&packed.digest).arg(packed.names.as_slice());
        call.arg(u8::from(is_out)).arg(packed.chunks.len());
        for (number, inputs) in &packed.chunks {
            call.arg(number).arg(inputs.as_slice());
        }
        call.arg(packed.invalid.len());
        for (index, tail) in &packed.invalid {
            call.arg(index).arg(tail.as_slice());
        }
        for (index, fingerprint) in &packed.fingerprints {
            call.arg(index).arg(fingerprint);
        }
        let mut rounds = Rounds::default();
        loop {
            let (word, received, equal): (String, u64, Vec<String>) =
                store.home.call(&call).await?;
            return match word.as_str() {
                "packed" => {
                    rounds.lend(store, &equal).await?;
                    continue;
                }
                "none" => Err(Error::NotFound("batch")),
                "step" => Err(Error::OutOfStep { received }),
                "sealed" => Err(Error::Sealed { received }),
                _ => Ok(received),
            };
        }
    }

    /// The items before `first` of a chunk that is begun; none if they are not there.
    async fn begun_chunk(
        &self,
        id: BatchId,
        first: u32,
        inside: usize,
    ) -> Result<Option<Vec<BatchItem>>> {
        let mut pipe = redis::pipe();
        pipe.get(self.store.keys.chunk(id, first as usize / CHUNK_ITEMS));
        let (inputs,): (Option<Vec<u8>>,) = self.store.home.query(&pipe).await?;
        let Some(inputs) = inputs else { return Ok(None) };
        let items: Vec<BatchItem> = unpack(&self.store.bring(id, inputs).await?)?;
        // If it has more or fewer, the part is out of step, and the script says so.
        Ok(Some(items).filter(|items| items.len() == inside))
    }

    pub(super) async fn close_batch(&self, id: BatchId, seal: Seal) -> Result<Submitted<BatchId>> {
        let store = &self.store;
        let (now, ttl, batch) = (store.now(), store.ttl(), id.to_string());
        let (key, digest) = seal.idempotency.map(|it| (it.key, it.digest)).unwrap_or_default();
        let mut call = store.scripts.seal_batch.key(store.prefix());
        call.arg(&now).arg(ttl).arg(millis(store.limits.idempotency_ttl)).arg(&batch);
        call.arg(word(seal.total)).arg(&key).arg(&digest);
        let (word, first, received): (String, String, u64) = store.home.call(&call).await?;
        match word.as_str() {
            "none" => Err(Error::NotFound("batch")),
            "step" => Err(Error::OutOfStep { received }),
            _ => submitted(&word, &first),
        }
    }

    pub(super) async fn drop_batch(&self, id: BatchId) -> Result<()> {
        let store = &self.store;
        let (now, batch) = (store.now(), id.to_string());
        let mut call = store.scripts.discard_batch.key(store.prefix());
        call.arg(&now).arg(&batch);
        store.home.call(&call).await
    }

    pub(super) async fn read_custom_ids(&self, id: BatchId, from: u64) -> Result<Vec<(u64, u32)>> {
        let start = isize::try_from(from).unwrap_or(isize::MAX / 64)
            * custom_ids::RECORD_BYTES.cast_signed();
        let bytes = (custom_ids::RECORD_BYTES * crate::CUSTOM_IDS_PAGE).cast_signed();
        let mut pipe = redis::pipe();
        pipe.getrange(self.store.keys.custom_ids(id), start, start + bytes - 1);
        let (records,): (Vec<u8>,) = self.store.home.query(&pipe).await?;
        Ok(custom_ids::read(&records))
    }
}

/// What became of a batch, by the scripts' words for it.
fn submitted(word: &str, id: &str) -> Result<Submitted<BatchId>> {
    if word == "conflict" {
        return Err(Error::KeyReused);
    }
    Ok(Submitted { id: id.parse()?, state: State::Queued, replayed: word == "replayed" })
}

/// A number as scripts take it: nothing for none.
fn word(number: Option<impl ToString>) -> String {
    number.map(|it| it.to_string()).unwrap_or_default()
}

/// A part as the script takes it.
struct Packed {
    first: u32,
    count: usize,
    digest: String,
    names: Vec<u8>,
    chunks: Vec<(usize, Vec<u8>)>,
    invalid: Vec<(u32, Vec<u8>)>,
    fingerprints: Vec<(u32, String)>,
}

impl Packed {
    /// Packs what was sent. Takes as long as compressing it does.
    fn new(part: Part, begun: Option<Vec<BatchItem>>) -> Result<Self> {
        let Part { first, mut items, digest } = part;
        let (names, count) = (custom_ids::records(first, &items), items.len());
        let (mut invalid, mut fingerprints) = (Vec::new(), Vec::new());
        for (index, item) in (first..).zip(&items) {
            if let Some(failure) = &item.invalid {
                let report = Report { failure: Some(failure.clone()), ..Report::default() };
                let tail = Tail { report, micros: Some(0), ..Tail::default() };
                invalid.push((index, tail.write()?));
            }
            fingerprints.extend(item.fingerprint.clone().map(|it| (index, it)));
        }
        let number = first as usize / CHUNK_ITEMS;
        if let Some(mut begun) = begun {
            begun.append(&mut items);
            items = begun;
        }
        let chunks = (number..).zip(items.chunks(CHUNK_ITEMS));
        let chunks = chunks.map(|(number, items)| Ok((number, pack(&items)?)));
        let chunks = chunks.collect::<Result<_>>()?;
        Ok(Self { first, count, digest, names, chunks, invalid, fingerprints })
    }
}

//! Documents of packed items, lent to the scripts that look for equal ones: they cannot unpack.

use std::collections::BTreeMap;

use tracing::warn;

use super::{Store, packs};
use crate::{BatchId, CHUNK, Error, ExecutionId, Result};

/// How long a document is lent, in ms.
const LENT_MS: u64 = 60_000;
/// How often a caller lends before it gives up: only what is packed meanwhile is asked for again.
const ROUNDS_MAX: usize = 5;

/// How often documents were lent for one call.
#[derive(Default)]
pub(super) struct Rounds(usize);

impl Rounds {
    /// Lends the documents of some items, so that the script finds them when it is called again.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if it was tried too often.
    pub(super) async fn lend(&mut self, store: &Store, items: &[String]) -> Result<()> {
        self.0 += 1;
        if self.0 > ROUNDS_MAX {
            return Err(Error::Unavailable("equal items are packed again and again".to_owned()));
        }
        let mut chunks: BTreeMap<(BatchId, u32), Vec<u32>> = BTreeMap::new();
        for item in items {
            let id: ExecutionId = item.parse()?;
            let Some((batch, index)) = id.item_of() else { continue };
            let chunk = index / CHUNK;
            chunks.entry((batch, chunk)).or_default().push(index);
        }
        for ((batch, chunk), indexes) in chunks {
            let mut documents = match packs::read_chunk(store, batch, chunk).await {
                Ok(documents) => documents,
                Err(error) => {
                    // An empty document is no result: the item runs, as if there were no equal one.
                    warn!(%error, "cannot read results of batch {batch} for equal items: {error}");
                    Some(packs::Documents::new())
                }
            };
            // Without a pack it was unpacked meanwhile, and the script finds it there.
            let Some(documents) = &mut documents else { continue };
            let mut pipe = redis::pipe();
            for index in indexes {
                let document = documents.remove(&index.to_string()).unwrap_or_default();
                let key = store.keys.lent(batch.item(index));
                pipe.cmd("SET").arg(key).arg(document).arg("PX").arg(LENT_MS).ignore();
            }
            store.home.query::<()>(&pipe).await?;
        }
        Ok(())
    }
}

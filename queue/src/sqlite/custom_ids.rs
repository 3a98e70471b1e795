//! Hashes of the custom ids of a batch, while it is uploaded: a row of records for each part.

use rusqlite::Connection;

use super::{
    row::BatchRow,
    sql::sql,
    step::{Step, count, int, one},
};
use crate::{BatchId, CUSTOM_IDS_PAGE, Error, Result, custom_ids as names};

/// Notes the records of a part behind those that are there.
pub(super) fn note_custom_ids(step: &Step<'_>, batch: i64, records: &[u8]) -> Result<()> {
    if !records.is_empty() {
        let bytes = int(names::RECORD_BYTES);
        step.run(sql!("batch.sql", "note_custom_ids"), (batch, records, bytes))?;
    }
    Ok(())
}

/// A page of hashes of the custom ids of a batch with their items, without the first `from`.
pub(super) fn custom_ids(db: &Connection, id: BatchId, from: u64) -> Result<Vec<(u64, u32)>> {
    let batch = one(db, sql!("batch.sql", "find_upload"), [id.to_string()], BatchRow::read)?;
    let batch = batch.ok_or(Error::NotFound("batch"))?;
    let mut found = Vec::new();
    while found.len() < CUSTOM_IDS_PAGE {
        let next = from + found.len() as u64;
        let row = one(db, sql!("batch.sql", "custom_ids"), (batch.key, int(next)), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let Some((start, records)) = row else { break };
        let records = names::read(&records);
        let known = usize::try_from(next.saturating_sub(count(start))).unwrap_or(usize::MAX);
        if known >= records.len() {
            break; // the last row has no more
        }
        found.extend(records.into_iter().skip(known));
    }
    found.truncate(CUSTOM_IDS_PAGE);
    Ok(found)
}

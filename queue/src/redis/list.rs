//! Pages of what there is, from the indexes of executions and batches.

use std::collections::HashMap;

use redis::streams::StreamRangeReply;

use super::{RedisQueue, document::corrupt};
use crate::{Error, Execution, ExecutionId, Filter, PAGE_MAX, Page, Result};

/// How many entries of an index one call looks at; a page may come short, with a cursor.
const SCAN_MAX: usize = 5000;
/// How many entries are read with one round trip.
const SCAN_STEP: usize = 500;

/// An entry of an index.
pub(super) struct Indexed {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) program: String,
}

impl RedisQueue {
    pub(super) async fn list(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        if let Some(batch) = filter.batch {
            return self.list_items(batch, filter, cursor, max).await;
        }
        let since = filter.since.map(|at| at.timestamp_millis());
        let fits = |entry: &Indexed| {
            filter.owner.as_ref().is_none_or(|owner| *owner == entry.owner)
                && filter.program.as_ref().is_none_or(|program| *program == entry.program)
        };
        let (mut items, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
        for _ in 0..SCAN_MAX / SCAN_STEP {
            let wanted = (max - items.len()).min(SCAN_STEP);
            let (ids, next) = self.scan_index("x", cursor.as_deref(), wanted, fits).await?;
            let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<ExecutionId>>>()?;
            let found = self.read_many(&ids).await?.into_iter().flatten();
            items.extend(found.filter(|it| filter.state.is_none_or(|state| it.state == state)));
            let too_old = next.as_deref().and_then(|at| at.split('-').next()?.parse::<i64>().ok());
            cursor = next.filter(|_| too_old.zip(since).is_none_or(|(at, since)| at >= since));
            if cursor.is_none() || items.len() >= max {
                break;
            }
        }
        items.retain(|it| filter.since.is_none_or(|since| it.created_at >= since));
        Ok(Page { items, next: cursor })
    }

    async fn list_items(
        &self,
        batch: crate::BatchId,
        filter: &Filter,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        let it = self.read_batch(batch).await?;
        let owned = filter.owner.as_ref().is_none_or(|owner| *owner == it.spec.owner);
        let from: u64 = cursor.map_or(Some(0), |at| at.parse().ok()).ok_or_else(bad_cursor)?;
        if !owned || from >= it.total {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let to = it.total.min(from + max.min(PAGE_MAX) as u64);
        let index = |at: u64| u32::try_from(at).map_err(|_| bad_cursor());
        let ids = (from..to).map(|at| Ok(batch.item(index(at)?))).collect::<Result<Vec<_>>>()?;
        let found = self.read_many(&ids).await?.into_iter().flatten();
        let items = found.filter(|it| filter.state.is_none_or(|state| it.state == state)).collect();
        Ok(Page { items, next: (to < it.total).then(|| to.to_string()) })
    }

    /// Reads an index backwards from a cursor: up to `max` ids that fit, and the next cursor.
    pub(super) async fn scan_index(
        &self,
        index: &str,
        cursor: Option<&str>,
        max: usize,
        fits: impl Fn(&Indexed) -> bool,
    ) -> Result<(Vec<String>, Option<String>)> {
        let key = self.store.keys.named(index);
        let (mut ids, mut looked) = (Vec::new(), 0);
        let mut from = cursor.map(|at| valid_cursor(at).map(|at| format!("({at}"))).transpose()?;
        while ids.len() < max && looked < SCAN_MAX {
            let start = from.as_deref().unwrap_or("+");
            let mut pipe = redis::pipe();
            pipe.xrevrange_count(&key, start, "-", SCAN_STEP);
            let (rows,): (StreamRangeReply,) = self.store.home.query(&pipe).await?;
            let rows = rows.ids;
            let last_page = rows.len() < SCAN_STEP;
            for row in rows {
                looked += 1;
                let entry = indexed(row.id, &row.map)?;
                from = Some(format!("({}", entry.name));
                if fits(&entry) {
                    ids.push(entry.id);
                }
                if ids.len() == max {
                    return Ok((ids, from.map(|at| at[1..].to_owned())));
                }
            }
            if last_page {
                return Ok((ids, None));
            }
        }
        Ok((ids, from.map(|at| at[1..].to_owned())))
    }

    pub(super) async fn list_dead(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        let key = self.store.keys.named("dead");
        let mut from: isize =
            cursor.map_or(Some(0), |at| at.parse().ok()).ok_or_else(bad_cursor)?;
        let mut items = Vec::new();
        for _ in 0..SCAN_MAX / SCAN_STEP {
            let step = SCAN_STEP.min(max).cast_signed();
            let mut pipe = redis::pipe();
            pipe.zrange(&key, from, from + step - 1);
            let (ids,): (Vec<String>,) = self.store.home.query(&pipe).await?;
            let end = ids.len().cast_signed() < step;
            let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<ExecutionId>>>()?;
            for (at, execution) in (from..).zip(self.read_many(&ids).await?) {
                let fits = |it: &Execution| owner.is_none_or(|owner| it.spec.owner == owner);
                items.extend(execution.filter(fits));
                if items.len() >= max {
                    return Ok(Page { items, next: Some((at + 1).to_string()) });
                }
            }
            from += step;
            if end {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: Some(from.to_string()) })
    }
}

fn indexed(name: String, fields: &HashMap<String, redis::Value>) -> Result<Indexed> {
    let field = |name: &str| -> Result<String> {
        let Some(value) = fields.get(name) else { return Ok(String::new()) };
        redis::from_redis_value_ref(value).map_err(|_| corrupt("an index"))
    };
    Ok(Indexed { name, id: field("j")?, owner: field("o")?, program: field("p")? })
}

fn valid_cursor(text: &str) -> Result<&str> {
    let fits = text.split('-').all(|part| part.parse::<u64>().is_ok());
    if fits { Ok(text) } else { Err(bad_cursor()) }
}

fn bad_cursor() -> Error {
    Error::NotFound("page")
}

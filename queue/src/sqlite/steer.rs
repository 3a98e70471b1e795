//! Changes how a batch goes on: pauses it, resumes it, gives it another budget.

use super::{row::BatchRow, sql::sql, step::Step};
use crate::{BatchId, Error, Result};

/// Pauses a batch, or resumes it.
pub(super) fn steer_batch(step: &mut Step<'_>, id: BatchId, paused: bool) -> Result<()> {
    let there = step.run(sql!("batch.sql", "steer"), (id.to_string(), paused))?;
    step.effects.arrived |= !paused;
    if there > 0 { Ok(()) } else { Err(Error::NotFound("batch")) }
}

/// Sets what a batch may spend on models.
pub(super) fn set_budget(step: &mut Step<'_>, id: BatchId, micros: Option<u64>) -> Result<()> {
    let found = step.one(sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
    let batch = found.ok_or(Error::NotFound("batch"))?;
    let mut spec = std::sync::Arc::unwrap_or_clone(batch.spec);
    spec.allowance.batch_micros = micros;
    step.run(sql!("batch.sql", "set_spec"), (batch.key, serde_json::to_string(&spec)?))?;
    Ok(())
}

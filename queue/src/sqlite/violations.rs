//! Checks what must always hold. What one row can tell, `schema.sql` does not let be written.

use rusqlite::Connection;

use super::{
    sql::sql,
    step::{all, int},
};
use crate::{ATTEMPTS_KEPT, Result};

/// The most that is told.
const MOST: usize = 100;

/// What is broken, in words.
pub(super) fn violations(db: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for check in [
        sql!("violations.sql", "depth"),
        sql!("violations.sql", "lanes"),
        sql!("violations.sql", "owners"),
        sql!("violations.sql", "batches"),
        sql!("violations.sql", "chunks"),
        sql!("violations.sql", "alone"),
        sql!("violations.sql", "stopping"),
        sql!("violations.sql", "holders"),
        sql!("violations.sql", "payloads"),
        sql!("violations.sql", "dead"),
        sql!("violations.sql", "lost"),
        sql!("violations.sql", "totals"),
    ] {
        found.extend(all(db, check, [], |row| Ok(row.get(0)?))?);
    }
    let kept = int(ATTEMPTS_KEPT);
    found.extend(all(db, sql!("violations.sql", "attempts"), [kept], |row| Ok(row.get(0)?))?);
    found.truncate(MOST);
    Ok(found)
}

//! Whose turn it is: classes by stride, 16:4:1, and within a class its lanes by virtual time.

use super::{sql::sql, step::Step};
use crate::{Class, Result};

/// How many turns' worth a class may save up while it waits for room of its kind.
const SAVED_MAX: i64 = 1024;

/// How far one class is.
struct Standing {
    class: Class,
    letter: &'static str,
    /// What it was given, for its weight.
    pass: i64,
    /// The virtual time of the lane that had the last turn; where a lane enters that comes anew.
    clock: i64,
    /// Whether something waits in one of its lanes.
    ready: bool,
}

/// A lane whose turn it is.
pub(super) struct Turn {
    pub(super) letter: &'static str,
    pub(super) lane: String,
    at: usize,
    pass: i64,
}

/// The turns of one claim.
pub(super) struct Turns(Vec<Standing>);

impl Turns {
    pub(super) fn load(step: &Step<'_>) -> Result<Self> {
        let rows = step.all(sql!("claim.sql", "classes"), [], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        let mut standings = Vec::with_capacity(Class::ALL.len());
        for class in Class::ALL {
            let letter = super::submit::letter(class);
            if let Some((_, pass, clock, ready)) = rows.iter().find(|row| row.0 == letter) {
                let (pass, clock, ready) = (*pass, *clock, *ready);
                standings.push(Standing { class, letter, pass, clock, ready });
            }
        }
        Ok(Self(standings))
    }

    /// The lane whose turn it is, of a class that `open` allows; none if nothing waits there.
    pub(super) fn next(
        &mut self,
        step: &Step<'_>,
        bulk: bool,
        batches: bool,
    ) -> Result<Option<Turn>> {
        loop {
            let open = |it: &&(usize, &Standing)| it.1.ready && (bulk || it.1.class != Class::Bulk);
            let standings = self.0.iter().enumerate();
            let first = standings.filter(|it| open(&it)).min_by_key(|(_, it)| it.pass);
            let Some((at, standing)) = first else { return Ok(None) };
            let found =
                step.one(sql!("claim.sql", "next_lane"), (standing.letter, batches), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            match found {
                Some((lane, pass)) => {
                    return Ok(Some(Turn { letter: standing.letter, lane, at, pass }));
                }
                None => self.0[at].ready = false,
            }
        }
    }

    /// Charges a turn: so many executions were handed out.
    pub(super) fn charge(&mut self, step: &Step<'_>, turn: &Turn, cost: usize) -> Result<()> {
        let cost = super::step::int(cost);
        step.run(sql!("claim.sql", "charge"), (turn.letter, &turn.lane, cost))?;
        let standing = &mut self.0[turn.at];
        standing.pass += cost * stride(standing.class);
        standing.clock = standing.clock.max(turn.pass);
        Ok(())
    }

    /// Keeps how far all are. A class that is idle enters again a turn behind the others, so that
    /// it cannot save up turns.
    pub(super) fn save(mut self, step: &Step<'_>) -> Result<()> {
        let fresh = Self::load(step)?;
        let ready = |it: &Standing| fresh.0.iter().any(|new| new.letter == it.letter && new.ready);
        let least = self.0.iter().filter(|it| ready(it)).map(|it| it.pass).min();
        let most = self.0.iter().map(|it| it.pass).max().unwrap_or(0);
        let floor = least.unwrap_or(most);
        for standing in &mut self.0 {
            let entry = floor + stride(standing.class);
            let saved = if ready(standing) { most - SAVED_MAX } else { entry };
            standing.pass = standing.pass.max(saved);
        }
        for standing in &self.0 {
            step.run(
                sql!("claim.sql", "save_class"),
                (standing.letter, standing.pass, standing.clock),
            )?;
        }
        Ok(())
    }
}

/// How far one start takes a class.
fn stride(class: Class) -> i64 {
    i64::from(Class::Interactive.weight() / class.weight())
}

//! The scripts, each one atomic step of the queue. They are called by their hash, so that two
//! versions of dspyx can work on one queue side by side.

use redis::Script;

pub(super) struct Scripts {
    pub(super) submit: Script,
    pub(super) open_batch: Script,
    pub(super) add_part: Script,
    pub(super) seal_batch: Script,
    pub(super) discard_batch: Script,
    pub(super) steer_batch: Script,
    pub(super) pack: Script,
    pub(super) unpack: Script,
    pub(super) claim: Script,
    pub(super) finish: Script,
    pub(super) beat: Script,
    pub(super) tick: Script,
    pub(super) cancel: Script,
    pub(super) cancel_batch: Script,
    pub(super) retry: Script,
    pub(super) retry_items: Script,
    pub(super) read: Script,
    pub(super) depth: Script,
    pub(super) clear: Script,
    pub(super) ahead: Script,
    pub(super) check: Script,
    pub(super) reserve: Script,
    pub(super) hold_off: Script,
    pub(super) recall: Script,
    pub(super) keep: Script,
    pub(super) give_up: Script,
    pub(super) retract: Script,
    pub(super) begin: Script,
    pub(super) tell: Script,
    pub(super) take: Script,
    pub(super) delivered: Script,
}

/// What may run when the server's memory is full: all that gives memory back.
macro_rules! always {
    ($file:literal) => {
        Script::new(concat!(
            "#!lua flags=allow-oom\n",
            include_str!("lua/common.lua"),
            include_str!($file)
        ))
    };
}

macro_rules! with_memory {
    ($file:literal) => {
        Script::new(concat!("#!lua\n", include_str!("lua/common.lua"), include_str!($file)))
    };
}

/// What must be accounted for even then: the money is spent.
macro_rules! ledger {
    ($file:literal) => {
        Script::new(concat!(
            "#!lua flags=allow-oom\n",
            include_str!("lua/common.lua"),
            include_str!("lua/ledger.lua"),
            include_str!($file)
        ))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            submit: with_memory!("lua/submit.lua"),
            open_batch: with_memory!("lua/open_batch.lua"),
            add_part: with_memory!("lua/add_part.lua"),
            seal_batch: with_memory!("lua/seal_batch.lua"),
            discard_batch: always!("lua/discard_batch.lua"),
            steer_batch: always!("lua/steer_batch.lua"),
            pack: always!("lua/pack.lua"),
            unpack: with_memory!("lua/unpack.lua"),
            claim: always!("lua/claim.lua"),
            finish: always!("lua/finish.lua"),
            beat: always!("lua/beat.lua"),
            tick: always!("lua/tick.lua"),
            cancel: always!("lua/cancel.lua"),
            cancel_batch: always!("lua/cancel_batch.lua"),
            retry: with_memory!("lua/retry.lua"),
            retry_items: with_memory!("lua/retry_items.lua"),
            read: always!("lua/read.lua"),
            depth: always!("lua/depth.lua"),
            clear: always!("lua/clear.lua"),
            ahead: always!("lua/ahead.lua"),
            check: always!("lua/check.lua"),
            reserve: ledger!("lua/reserve.lua"),
            hold_off: ledger!("lua/hold_off.lua"),
            recall: ledger!("lua/recall.lua"),
            keep: ledger!("lua/keep.lua"),
            give_up: ledger!("lua/give_up.lua"),
            retract: ledger!("lua/retract.lua"),
            begin: with_memory!("lua/begin.lua"),
            tell: with_memory!("lua/tell.lua"),
            take: always!("lua/take.lua"),
            delivered: always!("lua/delivered.lua"),
        }
    }
}

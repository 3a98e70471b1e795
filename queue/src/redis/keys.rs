//! Every key, and nothing else. The braces keep all of a queue on one node of a cluster.
//!
//! `P` is `dq:{<queue>#0}:`. A lane is `<class letter>:<name>`, where the name is `o:<owner>`,
//! `b:<batch>`, `!` for what goes before all others of its class, `?` for suspects, or `?<batch>`
//! for those of a batch.
//!
//! - `P cfg`: hash; `paused`, `epoch`, how often caches were `cleared`
//! - `P n`: hash; how many executions `waiting` (scheduled too), how many of these are `batched`:
//!   items of batches, and how many are `live` (not ended)
//! - `P l:<lane>`: stream; entries of a lane, waiting or with a worker; group `w`
//! - `P lanes`: set; the lanes that have a stream
//! - `P empty`: sorted set; lanes found empty, by time (ms)
//! - `P turn:<class>`: sorted set; lanes with something to hand out, by virtual time
//! - `P suspects`: set; suspect lanes with something to hand out
//! - `P pass`: hash; virtual times of classes (`i n b now`) and of their lanes (`vi vn vb`)
//! - `P bell`, `P bell:b`: list; wakes waiting workers; `bell:b` for bulk
//! - `P e:<id>`: hash; an execution that has not ended: `l`ane, `s`tream entry (`z` if
//!   scheduled), `p`ayload and `h`istory while scheduled, `g`eneration, lost entries `x`
//! - `P r:<id>`: string; an execution that has ended: head line, envelope, tail; has a TTL
//! - `P z`, `P d`: sorted set; scheduled ids by due time, ids by deadline (ms); of batches, `b:`
//!   for those with a deadline, and `c:` for those that are called off
//! - `P cx`: set; running executions that were called off
//! - `P dead`: sorted set; failed executions by time (ms)
//! - `P x`, `P bx`: stream; index of executions and of batches, by time
//! - `P k:<owner><key>`: string; idempotency key to id and digest; has a TTL
//! - `P c:<fingerprint>`: string; the execution whose result it is; has a TTL
//! - `P u:<item>`: string; the document of a packed item that equal ones were asked for; has a TTL
//! - `P ci:<program>`, `P cp`: sorted set, set; fingerprints of a program by expiry, programs
//!   that have some
//! - `P w`, `P w:<worker>`: sorted set, hash; workers by end of lease (ms); info, last claim
//! - `P o:<worker>`: list; executions that a worker must stop
//! - `P tidy`: string; there while what is old need not be looked for
//! - `P gone`: sorted set; workers declared dead, by time (ms)
//! - `P m:all`, `P m:<minute>`: hash; `<program>|<what>` to count
//! - `P b:<batch>`: hash; a batch and its counts; `phase` while it is uploaded (`open`, `held` if
//!   nobody may see it, `dropped` if it was held and is forgotten), `next` chunk to enter its
//!   lane, `w`: entries of its window
//! - `P b:<batch>:in:<k>`, `:r:<k>`: string, hash; inputs of chunk k; documents of its ended
//!   items
//! - `P b:<batch>:p:<k>`: string; those documents, packed, when all its items have ended
//! - `P b:<batch>:parts`, `:c`: hash, string; parts by their first item, and hashes of custom ids,
//!   while it is uploaded
//! - `P up`: sorted set; batches that are uploaded by the time (ms) they are given up
//! - `P packs`: set; chunks that can be packed
//! - `P parked`: set; lanes of batches that are paused, or of which as much runs as may
//! - `P b:<batch>:done`, `:out`: bitmap; items that have ended; that have a record of their own
//! - `P b:<batch>:o`, `:s`, `:lost`: hash, hash, set; items left by entry; entry by chunk or by
//!   item (`i<index>`), and chunks some of whose items were in entries of their own (`x<k>`); lost
//!   entries
//! - `P old`: sorted set; ended batches by the time (ms) to forget them
//! - `P f:<id>`, `P ft:<id>`: stream, string; what a running execution tells, and who is heard;
//!   have TTLs
//! - `P rate:<rate>`: string; until when (ms) it is used up; has a TTL
//! - `P j:<id>`: hash; replies that an execution has paid for, by place; has a TTL
//! - `P lr:<clearing>:<request>`, `P lf:<request>`: string; the reply to equal calls, and who is
//!   asking for one; have TTLs
//! - `P lrx`: sorted set; the former by the time (ms) they end
//! - `P sp:<scope>`: string; what was spent, in millionths; has a TTL
//! - `P ob:<channel>`, `P obn:<channel>`: sorted set, hash; notices by when (ms) they are due, or
//!   due again if nobody says what became of them; how often each was taken
//! - `P obc`: hash; `<channel>|sent` and `<channel>|dropped` to count
//! - `P on:<subject>`: string; words that are kept with an execution or a batch; has a TTL
//! - `P ot:<text>`: string; a text that what is kept with many executions is about; has a TTL
//! - `P programs`, `P revoked`: hash, sorted set; kept program files; revoked tokens by expiry
//! - `P objects`, `P objects:id`: set, string; forgotten batches whose objects are to be deleted,
//!   and the name of the object by which the object store is known
//! - `P manifests`: hash; what workers found out about programs
//!   (s)

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    queue: String,
    prefix: String,
}

impl Keys {
    pub(super) fn new(queue: &str) -> Self {
        Self { queue: queue.to_owned(), prefix: format!("dq:{{{queue}#0}}:") }
    }

    /// The name of the queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn chunk(&self, batch: crate::BatchId, chunk: usize) -> String {
        format!("{}b:{batch}:in:{chunk}", self.prefix)
    }

    pub(super) fn batch(&self, batch: crate::BatchId) -> String {
        format!("{}b:{batch}", self.prefix)
    }

    pub(super) fn lent(&self, item: crate::ExecutionId) -> String {
        format!("{}u:{item}", self.prefix)
    }

    pub(super) fn packed(&self, batch: crate::BatchId, chunk: usize) -> String {
        format!("{}b:{batch}:p:{chunk}", self.prefix)
    }

    pub(super) fn custom_ids(&self, batch: crate::BatchId) -> String {
        format!("{}b:{batch}:c", self.prefix)
    }

    pub(super) fn results(&self, batch: crate::BatchId, chunk: u32) -> String {
        format!("{}b:{batch}:r:{chunk}", self.prefix)
    }
}

-- The embedded store, version 1. One row for each single execution; a batch is rows of chunks, and
-- a row for each item only once something became of it. Times are ms since the epoch. CHECKs hold
-- the state table; triggers keep what is counted equal to what is there.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO settings (name, value) VALUES ('paused', 0), ('epoch', 0);

-- Single executions, and items of batches that wait or run alone. What a worker is sent lies in
-- payloads, so that a change of state rewrites a small row.
CREATE TABLE executions (
    key        INTEGER PRIMARY KEY,               -- in the order of acceptance
    id         TEXT NOT NULL UNIQUE,
    batch      INTEGER,                           -- of an item alone
    position   INTEGER,
    owner      TEXT NOT NULL,
    program    TEXT NOT NULL,
    class      TEXT NOT NULL CHECK (class IN ('i', 'n', 'b')),
    lane       TEXT NOT NULL,                     -- o:OWNER or b:BATCH
    state      TEXT NOT NULL CHECK (state IN ('scheduled', 'queued', 'running', 'succeeded',
                                              'failed', 'cancelled', 'expired')),
    rank       INTEGER,                           -- place in the line; below 0 is before all lanes
    due        INTEGER,
    since      INTEGER NOT NULL,                  -- when it was queued last
    worker     TEXT,
    delivery   INTEGER,                           -- number of the hand-out, while it runs
    generation INTEGER NOT NULL DEFAULT 0,
    crashes    INTEGER NOT NULL DEFAULT 0,        -- workers lost while they ran it
    cancel     INTEGER NOT NULL DEFAULT 0,
    hit        INTEGER NOT NULL DEFAULT 0,
    dry        INTEGER NOT NULL DEFAULT 0,
    deadline   INTEGER,
    attempts   TEXT,                              -- those before the one that ended it
    report     TEXT,
    created    INTEGER NOT NULL,
    started    INTEGER,
    finished   INTEGER,
    run_micros INTEGER,
    in_lane    INTEGER AS (state = 'queued' AND rank >= 0 AND crashes < 2) VIRTUAL,
    waits      INTEGER AS (state IN ('scheduled', 'queued')) VIRTUAL,
    CHECK ((state = 'queued') = (rank IS NOT NULL)),
    CHECK ((state = 'scheduled') = (due IS NOT NULL)),
    CHECK ((state = 'running') = (delivery IS NOT NULL)),
    CHECK (state <> 'running' OR worker IS NOT NULL),
    CHECK ((state IN ('scheduled', 'queued', 'running')) = (finished IS NULL)),
    CHECK ((state IN ('succeeded', 'failed')) = (report IS NOT NULL)),
    CHECK (cancel = 0 OR state = 'running'),
    CHECK ((batch IS NULL) = (position IS NULL)),
    CHECK (batch IS NULL OR finished IS NULL)     -- an ended item is in items
) STRICT;
CREATE INDEX executions_in_lane ON executions (class, lane, rank)
    WHERE state = 'queued' AND rank >= 0 AND crashes < 2;
CREATE INDEX executions_ahead ON executions (rank)
    WHERE state = 'queued' AND rank < 0 AND crashes < 2;
CREATE INDEX executions_suspect ON executions (rank) WHERE state = 'queued' AND crashes >= 2;
CREATE INDEX executions_due ON executions (due) WHERE state = 'scheduled';
CREATE INDEX executions_held ON executions (worker, delivery) WHERE state = 'running';
CREATE INDEX executions_deadline ON executions (deadline)
    WHERE deadline IS NOT NULL AND finished IS NULL;
CREATE INDEX executions_alone ON executions (batch, position) WHERE batch IS NOT NULL;
CREATE INDEX executions_finished ON executions (finished) WHERE finished IS NOT NULL;

CREATE TABLE payloads (
    key         INTEGER PRIMARY KEY,              -- of the execution
    spec        TEXT NOT NULL,
    inputs      TEXT NOT NULL,
    custom_id   TEXT,
    fingerprint TEXT,
    ttl         INTEGER
) STRICT;

CREATE TABLE batches (
    key        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: leases name it
    id         TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    class      TEXT NOT NULL,
    spec       TEXT NOT NULL,
    ttl        INTEGER,                           -- of cached results for its items
    total      INTEGER NOT NULL,
    succeeded  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    expired    INTEGER NOT NULL DEFAULT 0,
    calling_off INTEGER NOT NULL DEFAULT 0,       -- someone called it off
    deadline   INTEGER,
    created    INTEGER NOT NULL,
    finished   INTEGER,
    prompt     INTEGER NOT NULL DEFAULT 0,        -- tokens
    completion INTEGER NOT NULL DEFAULT 0,
    CHECK ((succeeded + failed + cancelled + expired = total) = (finished IS NOT NULL))
) STRICT;
CREATE INDEX batches_deadline ON batches (deadline)
    WHERE deadline IS NOT NULL AND finished IS NULL;
CREATE INDEX batches_finished ON batches (finished) WHERE finished IS NOT NULL;
CREATE INDEX batches_calling_off ON batches (key) WHERE calling_off = 1 AND finished IS NULL;

-- A chunk is in a lane, with a worker, or at rest: all its items have ended or wait alone.
CREATE TABLE chunks (
    batch    INTEGER NOT NULL,
    chunk    INTEGER NOT NULL,
    owner    TEXT NOT NULL,
    class    TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('queued', 'running', 'idle')),
    open     INTEGER NOT NULL,                    -- items that have not ended and are not alone
    rank     INTEGER,
    since    INTEGER NOT NULL,
    worker   TEXT,
    delivery INTEGER,
    crashes  INTEGER NOT NULL DEFAULT 0,
    started  INTEGER,
    PRIMARY KEY (batch, chunk),
    CHECK ((state = 'idle') = (open = 0)),
    CHECK ((state = 'queued') = (rank IS NOT NULL)),
    CHECK ((state = 'running') = (delivery IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX chunks_in_lane ON chunks (batch, rank) WHERE state = 'queued' AND rank >= 0;
CREATE INDEX chunks_ahead ON chunks (rank) WHERE state = 'queued' AND rank < 0;
CREATE INDEX chunks_held ON chunks (worker, delivery) WHERE state = 'running';

-- The items of a chunk as compressed JSON.
CREATE TABLE chunk_items (
    batch INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    items BLOB NOT NULL,
    PRIMARY KEY (batch, chunk)
) STRICT;

-- What became of items. One without a row is as its chunk is; so is one that is 'open', of which
-- more is known. One that is 'alone' has a row in executions.
CREATE TABLE items (
    batch      INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'alone', 'succeeded', 'failed', 'cancelled',
                                              'expired')),
    cancel     INTEGER NOT NULL DEFAULT 0,
    hit        INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    attempts   TEXT,
    report     TEXT,
    worker     TEXT,
    started    INTEGER,
    finished   INTEGER,
    run_micros INTEGER,
    PRIMARY KEY (batch, position),
    CHECK ((state IN ('open', 'alone')) = (finished IS NULL)),
    CHECK ((state IN ('succeeded', 'failed')) = (report IS NOT NULL)),
    CHECK (cancel = 0 OR state = 'open')
) STRICT, WITHOUT ROWID;

-- Hand-outs that were taken back from dead workers: their results may be accepted late.
CREATE TABLE lost (
    entry    TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    worker   TEXT NOT NULL,
    PRIMARY KEY (entry, delivery)
) STRICT, WITHOUT ROWID;

-- Lanes take turns by virtual time: the one with the smallest is next.
CREATE TABLE lanes (
    class TEXT NOT NULL,
    lane  TEXT NOT NULL,
    pass  INTEGER NOT NULL,
    ready INTEGER NOT NULL,                       -- entries that wait in it
    PRIMARY KEY (class, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_ready ON lanes (class, pass, lane) WHERE ready > 0;
CREATE INDEX lanes_empty ON lanes (class, pass) WHERE ready = 0;

CREATE TABLE classes (
    class TEXT PRIMARY KEY,
    pass  INTEGER NOT NULL,                       -- of the class among the classes
    clock INTEGER NOT NULL                        -- of its lanes
) STRICT, WITHOUT ROWID;
INSERT INTO classes (class, pass, clock) VALUES ('i', 1, 0), ('n', 4, 0), ('b', 16, 0);

CREATE TABLE depth (
    place TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO depth (place, count)
VALUES ('queued', 0), ('running', 0), ('scheduled', 0), ('dead', 0);

CREATE TABLE owners (
    owner   TEXT NOT NULL,
    class   TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    PRIMARY KEY (owner, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id        TEXT PRIMARY KEY,
    info      TEXT NOT NULL,
    slots     INTEGER NOT NULL,
    lease_end INTEGER NOT NULL,
    dead      INTEGER,                            -- since when; a tombstone
    emptied   INTEGER NOT NULL DEFAULT 0,         -- nothing is left to take back from it
    CHECK (emptied = 0 OR dead IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    worker TEXT NOT NULL,
    id     TEXT NOT NULL,
    PRIMARY KEY (worker, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    owner   TEXT NOT NULL,
    key     TEXT NOT NULL,
    digest  TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('execution', 'batch')),
    id      TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expires ON idempotency (expires);

-- Where the newest result of equal executions is.
CREATE TABLE cache (
    fingerprint TEXT PRIMARY KEY,
    program     TEXT NOT NULL,
    source      TEXT NOT NULL,
    finished    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cache_finished ON cache (finished);
CREATE INDEX cache_program ON cache (program);

CREATE TABLE dead (
    key   INTEGER PRIMARY KEY AUTOINCREMENT,
    id    TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL
) STRICT;

-- Counts of a program in a minute; minute -1 is all time.
CREATE TABLE totals (
    minute       INTEGER NOT NULL,
    program      TEXT NOT NULL,
    succeeded    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    cancelled    INTEGER NOT NULL,
    expired      INTEGER NOT NULL,
    dry_runs     INTEGER NOT NULL,
    retries      INTEGER NOT NULL,
    cache_hits   INTEGER NOT NULL,
    cache_misses INTEGER NOT NULL,
    sum_micros   INTEGER NOT NULL,
    min_micros   INTEGER,
    max_micros   INTEGER,
    PRIMARY KEY (minute, program)
) STRICT, WITHOUT ROWID;

CREATE TABLE durations (
    minute  INTEGER NOT NULL,
    program TEXT NOT NULL,
    bucket  INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (minute, program, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE programs (
    id   TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked (
    jti     TEXT PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_enter AFTER INSERT ON executions WHEN NEW.finished IS NULL BEGIN
    UPDATE depth SET count = count + 1 WHERE place = NEW.state;
    INSERT INTO owners (owner, class, waiting) SELECT NEW.owner, NEW.class, 1 WHERE NEW.waits
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
    INSERT INTO lanes (class, lane, pass, ready)
        SELECT class, NEW.lane, clock, 1 FROM classes WHERE class = NEW.class AND NEW.in_lane
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

CREATE TRIGGER executions_leave AFTER DELETE ON executions WHEN OLD.finished IS NULL BEGIN
    UPDATE depth SET count = count - 1 WHERE place = OLD.state;
    UPDATE owners SET waiting = waiting - 1
        WHERE owner = OLD.owner AND class = OLD.class AND OLD.waits;
    UPDATE lanes SET ready = ready - 1
        WHERE class = OLD.class AND lane = OLD.lane AND OLD.in_lane;
END;

CREATE TRIGGER executions_move AFTER UPDATE OF state ON executions WHEN NEW.state <> OLD.state
BEGIN
    UPDATE depth SET count = count + (place = NEW.state) - (place = OLD.state)
        WHERE place IN (OLD.state, NEW.state);
END;

CREATE TRIGGER executions_waits AFTER UPDATE OF state ON executions WHEN NEW.waits <> OLD.waits
BEGIN
    INSERT INTO owners (owner, class, waiting) VALUES (NEW.owner, NEW.class, NEW.waits - OLD.waits)
        ON CONFLICT DO UPDATE SET waiting = waiting + excluded.waiting;
END;

CREATE TRIGGER executions_lane_in AFTER UPDATE OF state, rank, crashes ON executions
WHEN NEW.in_lane > OLD.in_lane
BEGIN
    INSERT INTO lanes (class, lane, pass, ready)
        SELECT class, NEW.lane, clock, 1 FROM classes WHERE class = NEW.class
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

CREATE TRIGGER executions_lane_out AFTER UPDATE OF state, rank, crashes ON executions
WHEN NEW.in_lane < OLD.in_lane
BEGIN
    UPDATE lanes SET ready = ready - 1 WHERE class = OLD.class AND lane = OLD.lane;
END;

CREATE TRIGGER chunks_enter AFTER INSERT ON chunks WHEN NEW.state = 'queued' BEGIN
    UPDATE depth SET count = count + NEW.open WHERE place = 'queued';
    INSERT INTO owners (owner, class, waiting) VALUES (NEW.owner, NEW.class, NEW.open)
        ON CONFLICT DO UPDATE SET waiting = waiting + excluded.waiting;
    INSERT INTO lanes (class, lane, pass, ready)
        SELECT class, 'b:' || NEW.batch, clock, 1 FROM classes WHERE class = NEW.class
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

CREATE TRIGGER chunks_count AFTER UPDATE OF state, open ON chunks
WHEN NEW.state <> OLD.state OR NEW.open <> OLD.open
BEGIN
    UPDATE depth
        SET count = count + iif(place = NEW.state, NEW.open, 0)
                          - iif(place = OLD.state, OLD.open, 0)
        WHERE place IN (OLD.state, NEW.state);
    INSERT INTO owners (owner, class, waiting)
        SELECT NEW.owner, NEW.class,
               iif(NEW.state = 'queued', NEW.open, 0) - iif(OLD.state = 'queued', OLD.open, 0)
        WHERE NEW.state = 'queued' OR OLD.state = 'queued'
        ON CONFLICT DO UPDATE SET waiting = waiting + excluded.waiting;
END;

CREATE TRIGGER chunks_lane AFTER UPDATE OF state, rank ON chunks
WHEN (NEW.state = 'queued' AND NEW.rank >= 0) <> (OLD.state = 'queued' AND OLD.rank >= 0)
BEGIN
    INSERT INTO lanes (class, lane, pass, ready)
        SELECT class, 'b:' || NEW.batch, clock, iif(NEW.state = 'queued' AND NEW.rank >= 0, 1, -1)
        FROM classes WHERE class = NEW.class
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + excluded.ready;
END;

CREATE TRIGGER dead_enter AFTER INSERT ON dead BEGIN
    UPDATE depth SET count = count + 1 WHERE place = 'dead';
END;

CREATE TRIGGER dead_leave AFTER DELETE ON dead BEGIN
    UPDATE depth SET count = count - 1 WHERE place = 'dead';
END;

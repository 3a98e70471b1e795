-- Version 6: batches that come in parts, that are paused, and that are bounded.

CREATE TABLE batches_new (
    key         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: leases name it
    id          TEXT NOT NULL UNIQUE,
    owner       TEXT NOT NULL,
    class       TEXT NOT NULL,
    spec        TEXT NOT NULL,
    ttl         INTEGER,                           -- of cached results for its items
    phase       TEXT NOT NULL DEFAULT 'sealed'     -- held: uploaded, and seen by nobody
                CHECK (phase IN ('held', 'open', 'sealed', 'dropped')),
    total       INTEGER NOT NULL,                  -- so far
    succeeded   INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    cancelled   INTEGER NOT NULL DEFAULT 0,
    expired     INTEGER NOT NULL DEFAULT 0,
    calling_off INTEGER NOT NULL DEFAULT 0,        -- someone called it off
    paused      INTEGER NOT NULL DEFAULT 0,
    concurrency INTEGER,                           -- items that may be with workers at once
    errors_max  INTEGER,                           -- failed items more than borne: one more ends it
    borne       INTEGER NOT NULL DEFAULT 0,        -- items that had failed at the last retry
    misses      INTEGER NOT NULL DEFAULT 0,        -- of the cache, while it is held
    deadline    INTEGER,
    created     INTEGER NOT NULL,
    touched     INTEGER NOT NULL DEFAULT 0,        -- when its last part came
    finished    INTEGER,
    prompt      INTEGER NOT NULL DEFAULT 0,        -- tokens
    completion  INTEGER NOT NULL DEFAULT 0,
    cost        INTEGER NOT NULL DEFAULT 0,        -- millionths of a dollar
    tells       TEXT NOT NULL DEFAULT '',
    CHECK ((succeeded + failed + cancelled + expired = total AND phase = 'sealed')
           = (finished IS NOT NULL))
) STRICT;
INSERT INTO batches_new (key, id, owner, class, spec, ttl, total, succeeded, failed, cancelled,
                         expired, calling_off, deadline, created, finished, prompt, completion,
                         cost, tells)
    SELECT key, id, owner, class, spec, ttl, total, succeeded, failed, cancelled, expired,
           calling_off, deadline, created, finished, prompt, completion, cost, tells
    FROM batches;
UPDATE sqlite_sequence SET seq = max(seq, (SELECT seq FROM sqlite_sequence WHERE name = 'batches'))
    WHERE name = 'batches_new'
      AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'batches');
DROP TABLE batches;
ALTER TABLE batches_new RENAME TO batches;
CREATE INDEX batches_deadline ON batches (deadline)
    WHERE deadline IS NOT NULL AND finished IS NULL;
CREATE INDEX batches_finished ON batches (finished) WHERE finished IS NOT NULL;
CREATE INDEX batches_calling_off ON batches (key) WHERE calling_off = 1 AND finished IS NULL;
CREATE INDEX batches_uploading ON batches (phase, touched) WHERE phase <> 'sealed';

CREATE TRIGGER batches_tell AFTER UPDATE OF finished ON batches
WHEN NEW.tells <> '' AND NEW.finished IS NOT NULL BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, 'b:' || NEW.id, NEW.finished FROM channels
        WHERE instr(NEW.tells, channel) > 0
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

-- Who keeps a record of a batch is told of its beginning too: when it is seen.
CREATE TRIGGER batches_tell_open AFTER INSERT ON batches
WHEN NEW.tells <> '' AND NEW.phase = 'open' BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, 'b:' || NEW.id, NEW.created FROM channels
        WHERE instr(NEW.tells, channel) > 0 AND channel = 't'
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;
CREATE TRIGGER batches_tell_sealed AFTER UPDATE OF phase ON batches
WHEN NEW.tells <> '' AND OLD.phase = 'held' AND NEW.phase = 'sealed' BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, 'b:' || NEW.id, NEW.created FROM channels
        WHERE instr(NEW.tells, channel) > 0 AND channel = 't'
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

-- Parts of a batch, by which one is known that comes again, while it is uploaded.
CREATE TABLE parts (
    batch   INTEGER NOT NULL,
    first   INTEGER NOT NULL,                      -- position of its first item
    content TEXT NOT NULL,
    PRIMARY KEY (batch, first)
) STRICT, WITHOUT ROWID;

-- Hashes of custom ids with the positions of their items, while a batch is uploaded.
CREATE TABLE custom_ids (
    batch   INTEGER NOT NULL,
    start   INTEGER NOT NULL,                      -- how many records are before these
    records BLOB NOT NULL,
    PRIMARY KEY (batch, start)
) STRICT, WITHOUT ROWID;

CREATE INDEX chunks_running ON chunks (batch) WHERE state = 'running';
CREATE INDEX executions_running_alone ON executions (batch)
    WHERE batch IS NOT NULL AND state = 'running';

-- How many more items of a batch may be handed out.
CREATE VIEW batch_room AS
SELECT key,
       CASE WHEN paused THEN 0
            WHEN concurrency IS NULL THEN 4294967295
            ELSE max(0, concurrency
                 - (SELECT coalesce(sum(open), 0) FROM chunks c
                    WHERE c.batch = b.key AND c.state = 'running')
                 - (SELECT count(*) FROM executions e
                    WHERE e.batch = b.key AND e.batch IS NOT NULL AND e.state = 'running'))
       END AS room
FROM batches b;

-- What waits in chunks is bounded by its batch, and not by the queue.
INSERT INTO depth (place, count)
    SELECT 'batched', coalesce(sum(open), 0) FROM chunks WHERE state = 'queued';
UPDATE owners SET waiting = waiting - (
    SELECT coalesce(sum(open), 0) FROM chunks c
    WHERE c.owner = owners.owner AND c.class = owners.class AND c.state = 'queued');

DROP TRIGGER chunks_enter;
CREATE TRIGGER chunks_enter AFTER INSERT ON chunks WHEN NEW.state = 'queued' BEGIN
    UPDATE depth SET count = count + NEW.open WHERE place IN ('queued', 'batched');
    INSERT INTO lanes (class, lane, pass, ready)
        SELECT class, 'b:' || NEW.batch, clock, 1 FROM classes WHERE class = NEW.class
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

DROP TRIGGER chunks_count;
CREATE TRIGGER chunks_count AFTER UPDATE OF state, open ON chunks
WHEN NEW.state <> OLD.state OR NEW.open <> OLD.open
BEGIN
    UPDATE depth
        SET count = count + iif(place = NEW.state, NEW.open, 0)
                          - iif(place = OLD.state, OLD.open, 0)
        WHERE place IN (OLD.state, NEW.state);
    UPDATE depth
        SET count = count + iif(NEW.state = 'queued', NEW.open, 0)
                          - iif(OLD.state = 'queued', OLD.open, 0)
        WHERE place = 'batched' AND (NEW.state = 'queued' OR OLD.state = 'queued');
END;

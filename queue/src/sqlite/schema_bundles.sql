-- Version 8: notices of executions that end in one transaction are one row, until someone takes
-- notices. The code puts them in, beside what wakes those who wait for an end. Rows of the outbox
-- are what such rows become, and notices of batches.

DROP TRIGGER executions_tell;
DROP TRIGGER executions_tell_at_once;

CREATE TABLE bundles (
    number  INTEGER PRIMARY KEY,                  -- in the order of the ends
    channel TEXT NOT NULL REFERENCES channels,
    due     INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    notices BLOB NOT NULL
) STRICT;
CREATE INDEX bundles_in_turn ON bundles (channel, number, due, count);

-- The steps of an execution, while its notice waits by itself.
CREATE TABLE traces (
    name       TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    steps      TEXT NOT NULL
) STRICT;
CREATE TRIGGER outbox_forgets AFTER DELETE ON outbox WHEN OLD.channel = 't' BEGIN
    DELETE FROM traces WHERE name = OLD.name;
END;

-- What follows does as before what it did by lists and SELECTs, for which SQLite makes a table each
-- time: several for each execution. CHECKs are no part of what is stored, so that they can be
-- written anew in place (https://sqlite.org/lang_altertable.html#otheralter).

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(replace(replace(replace(sql,
    '(class IN (''i'', ''n'', ''b''))', '(class = ''i'' OR class = ''n'' OR class = ''b'')'),
    '(state IN (''scheduled'', ''queued'', ''running'', ''succeeded'',
                                              ''failed'', ''cancelled'', ''expired''))',
    '(state = ''scheduled'' OR state = ''queued'' OR state = ''running''
                               OR state = ''succeeded'' OR state = ''failed''
                               OR state = ''cancelled'' OR state = ''expired'')'),
    'AS (state IN (''scheduled'', ''queued''))',
    'AS (state = ''scheduled'' OR state = ''queued'')'),
    '((state IN (''scheduled'', ''queued'', ''running'')) =',
    '((state = ''scheduled'' OR state = ''queued'' OR state = ''running'') ='),
    '((state IN (''succeeded'', ''failed'')) =', '((state = ''succeeded'' OR state = ''failed'') =')
WHERE type = 'table' AND name = 'executions';
UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
    '(state IN (''open'', ''alone'', ''succeeded'', ''failed'', ''cancelled'',
                                              ''expired''))',
    '(state = ''open'' OR state = ''alone'' OR state = ''succeeded'' OR state = ''failed''
                               OR state = ''cancelled'' OR state = ''expired'')'),
    '((state IN (''open'', ''alone'')) =', '((state = ''open'' OR state = ''alone'') ='),
    '((state IN (''succeeded'', ''failed'')) =', '((state = ''succeeded'' OR state = ''failed'') =')
WHERE type = 'table' AND name = 'items';
UPDATE sqlite_schema SET sql = replace(sql,
    '(state IN (''queued'', ''running'', ''idle''))',
    '(state = ''queued'' OR state = ''running'' OR state = ''idle'')')
WHERE type = 'table' AND name = 'chunks';
PRAGMA writable_schema = RESET;

DROP TRIGGER executions_enter;
CREATE TRIGGER executions_enter AFTER INSERT ON executions WHEN NEW.finished IS NULL BEGIN
    UPDATE depth SET count = count + 1 WHERE place = NEW.state;
END;
CREATE TRIGGER executions_enter_waits AFTER INSERT ON executions WHEN NEW.waits BEGIN
    INSERT INTO owners (owner, class, waiting) VALUES (NEW.owner, NEW.class, 1)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER executions_enter_lane AFTER INSERT ON executions WHEN NEW.in_lane BEGIN
    INSERT INTO lanes (class, lane, pass, ready)
        VALUES (NEW.class, NEW.lane, (SELECT clock FROM classes WHERE class = NEW.class), 1)
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

DROP TRIGGER executions_lane_in;
CREATE TRIGGER executions_lane_in AFTER UPDATE OF state, rank, crashes ON executions
WHEN NEW.in_lane > OLD.in_lane
BEGIN
    INSERT INTO lanes (class, lane, pass, ready)
        VALUES (NEW.class, NEW.lane, (SELECT clock FROM classes WHERE class = NEW.class), 1)
        ON CONFLICT DO UPDATE
        SET pass = iif(ready = 0, max(pass, excluded.pass), pass), ready = ready + 1;
END;

DROP TRIGGER executions_move;
CREATE TRIGGER executions_move AFTER UPDATE OF state ON executions WHEN NEW.state <> OLD.state
BEGIN
    UPDATE depth SET count = count - 1 WHERE place = OLD.state;
    UPDATE depth SET count = count + 1 WHERE place = NEW.state;
END;

DROP TRIGGER chunks_count;
CREATE TRIGGER chunks_count AFTER UPDATE OF state, open ON chunks
WHEN NEW.state <> OLD.state OR NEW.open <> OLD.open
BEGIN
    UPDATE depth SET count = count - OLD.open WHERE place = OLD.state;
    UPDATE depth SET count = count + NEW.open WHERE place = NEW.state;
    UPDATE depth
        SET count = count + iif(NEW.state = 'queued', NEW.open, 0)
                          - iif(OLD.state = 'queued', OLD.open, 0)
        WHERE place = 'batched' AND (NEW.state = 'queued' OR OLD.state = 'queued');
END;

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

-- What these did by a SELECT, for which SQLite makes a table each time, they do without.
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

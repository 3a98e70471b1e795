-- Version 7: batches that are run by the provider of their model. Whoever has them run there is told
-- by a channel of its own: when one is whole, and when it has ended. All that names the channels is
-- made anew.

DROP TRIGGER executions_tell;
DROP TRIGGER executions_tell_at_once;
DROP TRIGGER batches_tell;
DROP TRIGGER batches_tell_open;
DROP TRIGGER batches_tell_sealed;

CREATE TABLE channels_new (
    channel TEXT PRIMARY KEY CHECK (channel IN ('w', 't', 'p')),
    sent    INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO channels_new (channel, sent, dropped) SELECT channel, sent, dropped FROM channels;
INSERT INTO channels_new (channel) VALUES ('p');

CREATE TABLE outbox_new (
    channel TEXT NOT NULL REFERENCES channels_new,
    name    TEXT NOT NULL,                        -- an execution's, or b: and a batch's
    due     INTEGER NOT NULL,                     -- or due again if nobody says what became of it
    taken   INTEGER NOT NULL DEFAULT 0,           -- how often
    PRIMARY KEY (channel, name)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_new (channel, name, due, taken) SELECT channel, name, due, taken FROM outbox;

DROP TABLE outbox;
DROP TABLE channels;
ALTER TABLE channels_new RENAME TO channels;
ALTER TABLE outbox_new RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (channel, due);

CREATE TRIGGER executions_tell AFTER UPDATE OF finished ON executions
WHEN NEW.tells <> '' AND NEW.finished IS NOT NULL BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, NEW.id, NEW.finished FROM channels WHERE instr(NEW.tells, channel) > 0
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

CREATE TRIGGER executions_tell_at_once AFTER INSERT ON executions
WHEN NEW.tells <> '' AND NEW.finished IS NOT NULL BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, NEW.id, NEW.finished FROM channels WHERE instr(NEW.tells, channel) > 0
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

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

-- Who has it run by its provider is told when it is whole, and has nothing to do with one that
-- nobody saw.
CREATE TRIGGER batches_tell_sealed AFTER UPDATE OF phase ON batches
WHEN NEW.tells <> '' AND OLD.phase IN ('held', 'open') AND NEW.phase = 'sealed' BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, 'b:' || NEW.id, max(NEW.created, NEW.touched) FROM channels
        WHERE instr(NEW.tells, channel) > 0
          AND (channel = 'p' OR (channel = 't' AND OLD.phase = 'held'))
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

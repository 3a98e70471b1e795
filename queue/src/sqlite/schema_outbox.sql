-- Notices of what has ended, for those who are to be told: since version 5. They are put in by
-- triggers, so that no way to end can forget one. `tells` holds the letters of the channels.

ALTER TABLE executions ADD COLUMN tells TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN tells TEXT NOT NULL DEFAULT '';

CREATE TABLE channels (
    channel TEXT PRIMARY KEY CHECK (channel IN ('w', 't')),
    sent    INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO channels (channel) VALUES ('w'), ('t');

CREATE TABLE outbox (
    channel TEXT NOT NULL REFERENCES channels,
    name    TEXT NOT NULL,                        -- an execution's, or b: and a batch's
    due     INTEGER NOT NULL,                     -- or due again if nobody says what became of it
    taken   INTEGER NOT NULL DEFAULT 0,           -- how often
    PRIMARY KEY (channel, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (channel, due);

-- Words that are kept with an execution or a batch, and texts that many are about.
CREATE TABLE notes (
    name    TEXT PRIMARY KEY,
    words   TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_expire ON notes (expires);

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

-- Who keeps a record of a batch is told of its beginning too.
CREATE TRIGGER batches_tell_at_once AFTER INSERT ON batches WHEN NEW.tells <> '' BEGIN
    INSERT INTO outbox (channel, name, due)
        SELECT channel, 'b:' || NEW.id, NEW.created FROM channels
        WHERE instr(NEW.tells, channel) > 0 AND (channel = 't' OR NEW.finished IS NOT NULL)
        ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0;
END;

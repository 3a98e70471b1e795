-- Notices of what has ended, and words that are kept with it.

-- @waits: Whether a notice of a channel is due.
SELECT 1 WHERE EXISTS (SELECT 1 FROM outbox WHERE channel = ?1 AND due <= ?2)
            OR EXISTS (SELECT 1 FROM bundles WHERE channel = ?1)

-- @bundle: Puts notices of executions in that ended together.
INSERT INTO bundles (channel, due, count, notices) VALUES (?1, ?2, ?3, ?4)

-- @first_bundle: The oldest notices of a channel that are still together.
SELECT number, due, count FROM bundles WHERE channel = ?1 ORDER BY number LIMIT 1

-- @notices: What is in a bundle.
SELECT notices FROM bundles WHERE number = ?1

-- @drop_bundle: Forgets one.
DELETE FROM bundles WHERE number = ?1

-- @put: Puts one in by itself. What ended again gives one notice, as if it had given none before.
INSERT INTO outbox (channel, name, due) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET due = excluded.due, taken = 0

-- @put_trace: Keeps the steps of an execution with its notice.
INSERT OR REPLACE INTO traces (name, generation, steps) VALUES (?1, ?2, ?3)

-- @due: The first notices of a channel that are due.
SELECT name, taken FROM outbox WHERE channel = ?1 AND due <= ?2 ORDER BY due LIMIT ?3

-- @take: Takes one until a time.
UPDATE outbox SET due = ?3, taken = taken + 1 WHERE channel = ?1 AND name = ?2

-- @end: Forgets one that was taken until then.
DELETE FROM outbox WHERE channel = ?1 AND name = ?2 AND due = ?3

-- @later: Makes one that was taken until then due again at another time.
UPDATE outbox SET due = ?4 WHERE channel = ?1 AND name = ?2 AND due = ?3

-- @again: As later, and forgets how often it was taken before, but that it was.
UPDATE outbox SET due = ?4, taken = 1 WHERE channel = ?1 AND name = ?2 AND due = ?3

-- @count_sent: Counts notices that were delivered.
UPDATE channels SET sent = sent + ?2 WHERE channel = ?1

-- @count_dropped: Counts notices that were given up.
UPDATE channels SET dropped = dropped + ?2 WHERE channel = ?1

-- @drop_oldest: Forgets the oldest notices of a channel that were due until ?2, at most ?3.
DELETE FROM outbox WHERE channel = ?1 AND name IN (
    SELECT name FROM outbox WHERE channel = ?1 AND due <= ?2 ORDER BY due LIMIT ?3)

-- @waiting: How many notices of a channel there are.
SELECT (SELECT count(*) FROM outbox WHERE channel = ?1)
       + (SELECT coalesce(sum(count), 0) FROM bundles WHERE channel = ?1)

-- @note: Keeps words.
INSERT OR REPLACE INTO notes (name, words, expires) VALUES (?1, ?2, ?3)

-- @noted: The words that are kept.
SELECT words FROM notes WHERE name = ?1 AND expires > ?2

-- @trim_notes: Forgets words that are too old.
DELETE FROM notes WHERE name IN (SELECT name FROM notes WHERE expires <= ?1 ORDER BY expires LIMIT ?2)

-- @stats: How a channel stands.
SELECT sent, dropped,
       (SELECT count(*) FROM outbox WHERE outbox.channel = channels.channel)
       + (SELECT coalesce(sum(count), 0) FROM bundles WHERE bundles.channel = channels.channel)
FROM channels WHERE channel = ?1

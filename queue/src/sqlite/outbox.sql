-- Notices of what has ended, and words that are kept with it.

-- @waits: Whether a notice of a channel is due.
SELECT 1 FROM outbox WHERE channel = ?1 AND due <= ?2 LIMIT 1

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

-- @drop_oldest: Forgets the oldest notices of a channel but ?2, at most ?3.
DELETE FROM outbox WHERE channel = ?1 AND name IN (
    SELECT name FROM outbox WHERE channel = ?1 ORDER BY due
    LIMIT min(?3, max(0, (SELECT count(*) FROM outbox WHERE channel = ?1) - ?2)))

-- @note: Keeps words.
INSERT OR REPLACE INTO notes (name, words, expires) VALUES (?1, ?2, ?3)

-- @noted: The words that are kept.
SELECT words FROM notes WHERE name = ?1 AND expires > ?2

-- @trim_notes: Forgets words that are too old.
DELETE FROM notes WHERE name IN (SELECT name FROM notes WHERE expires <= ?1 ORDER BY expires LIMIT ?2)

-- @stats: How a channel stands.
SELECT sent, dropped, (SELECT count(*) FROM outbox WHERE outbox.channel = channels.channel)
FROM channels WHERE channel = ?1

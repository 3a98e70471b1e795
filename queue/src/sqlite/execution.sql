-- Single executions, and items alone.

-- @find: One by its id.
SELECT * FROM executions WHERE id = ?1

-- @insert: Accepts one.
INSERT INTO executions (id, batch, position, owner, program, class, lane, state, rank, due, since,
                        generation, crashes, hit, dry, deadline, attempts, report, created,
                        finished, tells)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
        ?21)

-- @insert_payload: Keeps what its worker is sent.
INSERT INTO payloads (key, spec, inputs, custom_id, fingerprint, ttl)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- @end: Ends one.
UPDATE executions
SET state = ?2, report = ?3, started = coalesce(?4, started), run_micros = ?5,
    worker = coalesce(?6, worker), finished = ?7,
    rank = NULL, due = NULL, delivery = NULL, cancel = 0
WHERE key = ?1

-- @delete: Forgets one.
DELETE FROM executions WHERE key = ?1

-- @delete_payload: Forgets what its worker was sent.
DELETE FROM payloads WHERE key = ?1

-- @wait: Puts one that ran back among those that wait: in a line by rank, or until it is due.
UPDATE executions
SET state = ?2, rank = ?3, due = ?4, since = ?5, crashes = ?6, attempts = ?7, started = ?8,
    run_micros = ?9, delivery = NULL, cancel = 0
WHERE key = ?1

-- @due: The first whose time has come.
SELECT key FROM executions WHERE state = 'scheduled' AND due <= ?1 ORDER BY due LIMIT ?2

-- @promote: Puts one into its lane.
UPDATE executions SET state = 'queued', rank = ?2, since = ?3, due = NULL WHERE key = ?1

-- @next_due: When the next one is due.
SELECT min(due) FROM executions WHERE state = 'scheduled'

-- @late: Those whose deadline has passed.
SELECT * FROM executions WHERE deadline IS NOT NULL AND finished IS NULL AND deadline <= ?1
ORDER BY deadline LIMIT ?2

-- @held: What a worker holds.
SELECT * FROM executions WHERE state = 'running' AND worker = ?1 ORDER BY delivery LIMIT ?2

-- @request_cancel: Notes that one is to stop.
UPDATE executions SET cancel = 1 WHERE key = ?1

-- @again: Starts a new generation of an ended one.
UPDATE executions
SET state = 'queued', rank = ?2, since = ?3, attempts = ?4, generation = generation + 1,
    crashes = 0, hit = 0, dry = 0, report = NULL, started = NULL, finished = NULL,
    run_micros = NULL, worker = NULL, delivery = NULL
WHERE key = ?1

-- @alone_in: Items of a batch that wait or run alone, from a place on.
SELECT * FROM executions WHERE batch = ?1 AND position >= ?2 ORDER BY position LIMIT ?3

-- @old: Those that ended too long ago.
SELECT key, id FROM executions WHERE finished IS NOT NULL AND finished < ?1
ORDER BY finished LIMIT ?2

-- @lose: Notes a hand-out that was taken back.
INSERT OR IGNORE INTO lost (entry, delivery, worker) VALUES (?1, ?2, ?3)

-- @was_lost: Whether a hand-out was taken back.
SELECT 1 FROM lost WHERE entry = ?1 AND delivery = ?2 AND worker = ?3

-- @forget_lost: Forgets the hand-outs of an entry.
DELETE FROM lost WHERE entry = ?1

-- @bury: Puts one on the dead list.
INSERT OR IGNORE INTO dead (id, owner) VALUES (?1, ?2)

-- @unbury: Takes one off the dead list.
DELETE FROM dead WHERE id = ?1

-- @dead: The dead list, oldest first, from a place on.
SELECT key, id FROM dead WHERE key > ?1 AND (?2 IS NULL OR owner = ?2) ORDER BY key LIMIT ?3

-- @trim_dead: Forgets the oldest of the dead list but ?1, at most ?2.
DELETE FROM dead WHERE key IN (
    SELECT key FROM dead ORDER BY key
    LIMIT min(?2, max(0, (SELECT count FROM depth WHERE place = 'dead') - ?1)))

-- @remember: Notes where the newest result of equal executions is.
INSERT OR REPLACE INTO cache (fingerprint, program, source, finished) VALUES (?1, ?2, ?3, ?4)

-- @recall: Where the newest result of equal executions is, if it is young enough.
SELECT source FROM cache WHERE fingerprint = ?1 AND finished > ?2

-- @result: The report of a success.
SELECT report FROM executions WHERE id = ?1 AND state = 'succeeded'

-- @item_result: The report of an item that succeeded.
SELECT report FROM items
WHERE batch = (SELECT key FROM batches WHERE id = ?1) AND position = ?2 AND state = 'succeeded'

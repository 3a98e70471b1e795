-- Batches, their chunks, and what became of their items.

-- @find: One by its id.
SELECT * FROM batches WHERE id = ?1

-- @get: One by its key.
SELECT * FROM batches WHERE key = ?1

-- @insert: Accepts one.
INSERT INTO batches (id, owner, class, spec, ttl, total, deadline, created, finished, tells)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- @insert_chunk: Puts a chunk into its lane, or at rest if none of its items waits.
INSERT INTO chunks (batch, chunk, owner, class, state, open, rank, since)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- @insert_items: Keeps the items of a chunk.
INSERT INTO chunk_items (batch, chunk, items) VALUES (?1, ?2, ?3)

-- @items_of: The items of a chunk.
SELECT items FROM chunk_items WHERE batch = ?1 AND chunk = ?2

-- @chunk: A chunk.
SELECT * FROM chunks WHERE batch = ?1 AND chunk = ?2

-- @leave: Items leave a chunk; the last takes it to rest.
UPDATE chunks
SET open = open - ?3, state = iif(open = ?3, 'idle', state), rank = iif(open = ?3, NULL, rank),
    delivery = iif(open = ?3, NULL, delivery)
WHERE batch = ?1 AND chunk = ?2

-- @join: Items come back to a chunk that does not run.
UPDATE chunks
SET open = open + ?3, rank = iif(state = 'queued', rank, ?4),
    since = iif(state = 'queued', since, ?5), crashes = iif(state = 'queued', crashes, 0),
    state = 'queued'
WHERE batch = ?1 AND chunk = ?2

-- @take: Hands a chunk out.
UPDATE chunks
SET state = 'running', rank = NULL, worker = ?3, delivery = ?4, started = ?5
WHERE batch = ?1 AND chunk = ?2

-- @requeue: Puts a chunk that ran before all lanes.
UPDATE chunks SET state = 'queued', rank = ?3, since = ?4, crashes = ?5, delivery = NULL
WHERE batch = ?1 AND chunk = ?2

-- @held: The chunks that a worker holds.
SELECT * FROM chunks WHERE state = 'running' AND worker = ?1 ORDER BY delivery LIMIT ?2

-- @next_unsettled: The chunks of a batch with items that have not ended, from one on.
SELECT * FROM chunks WHERE batch = ?1 AND chunk >= ?2 AND open > 0 ORDER BY chunk LIMIT ?3

-- @queued_chunks: The chunks of a batch that wait.
SELECT * FROM chunks WHERE batch = ?1 AND state = 'queued' ORDER BY chunk LIMIT ?2

-- @item: What is known of an item.
SELECT * FROM items WHERE batch = ?1 AND position = ?2

-- @items: What is known of items in a range.
SELECT * FROM items WHERE batch = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position

-- @end_item: Records an item's end.
INSERT OR REPLACE INTO items (batch, position, state, hit, generation, attempts, report, worker,
                              started, finished, run_micros)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- @open_item: Notes what is known of an item that has not ended.
INSERT OR REPLACE INTO items (batch, position, state, cancel, generation, attempts)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- @count_end: Counts an item's end; the last ends the batch.
UPDATE batches
SET succeeded = succeeded + (?2 = 'succeeded'), failed = failed + (?2 = 'failed'),
    cancelled = cancelled + (?2 = 'cancelled'), expired = expired + (?2 = 'expired'),
    prompt = prompt + ?3, completion = completion + ?4, cost = cost + ?5,
    finished = iif(succeeded + failed + cancelled + expired + 1 = total, ?6, NULL)
WHERE key = ?1

-- @uncount_end: An item that had ended comes back.
UPDATE batches
SET succeeded = succeeded - (?2 = 'succeeded'), failed = failed - (?2 = 'failed'),
    cancelled = cancelled - (?2 = 'cancelled'), expired = expired - (?2 = 'expired'),
    finished = NULL, calling_off = 0
WHERE key = ?1

-- @call_off: Notes that a batch is called off.
UPDATE batches SET calling_off = 1 WHERE key = ?1 AND finished IS NULL

-- @late: Batches whose deadline has passed.
SELECT * FROM batches WHERE deadline IS NOT NULL AND finished IS NULL AND deadline <= ?1
ORDER BY deadline LIMIT ?2

-- @called_off: Batches that were called off and have not ended.
SELECT * FROM batches WHERE calling_off = 1 AND finished IS NULL ORDER BY key LIMIT ?1

-- @to_retry: Items of a batch that did not succeed, from a place on.
SELECT * FROM items
WHERE batch = ?1 AND position >= ?2 AND state IN ('failed', 'cancelled', 'expired')
ORDER BY position LIMIT ?3

-- @old: Batches that ended too long ago.
SELECT key, id FROM batches WHERE finished IS NOT NULL AND finished < ?1 ORDER BY finished LIMIT ?2

-- @trim_items: Forgets items of a batch, at most ?2.
DELETE FROM items WHERE batch = ?1 AND position IN (
    SELECT position FROM items WHERE batch = ?1 ORDER BY position LIMIT ?2)

-- @trim_chunks: Forgets chunks of a batch, at most ?2.
DELETE FROM chunks WHERE batch = ?1 AND chunk IN (
    SELECT chunk FROM chunks WHERE batch = ?1 ORDER BY chunk LIMIT ?2)

-- @trim_chunk_items: Forgets what the items of a batch were, at most ?2 chunks.
DELETE FROM chunk_items WHERE batch = ?1 AND chunk IN (
    SELECT chunk FROM chunk_items WHERE batch = ?1 ORDER BY chunk LIMIT ?2)

-- @forget_lost: Forgets the hand-outs of a batch's chunks: names between ?1 and ?2.
DELETE FROM lost WHERE entry > ?1 AND entry < ?2

-- @unbury: Takes a batch's items off the dead list: names between ?1 and ?2.
DELETE FROM dead WHERE id > ?1 AND id < ?2

-- @delete: Forgets a batch.
DELETE FROM batches WHERE key = ?1

-- @waiting_alone: Items alone of a batch that wait.
SELECT * FROM executions WHERE batch = ?1 AND waits ORDER BY position LIMIT ?2

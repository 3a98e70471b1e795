-- Batches, their chunks, and what became of their items.

-- @find: One by its id, unless nobody may see it.
SELECT * FROM batches WHERE id = ?1 AND phase IN ('open', 'sealed')

-- @find_upload: One by its id, whoever may see it.
SELECT * FROM batches WHERE id = ?1 AND phase <> 'dropped'

-- @get: One by its key.
SELECT * FROM batches WHERE key = ?1

-- @open: Opens one, without items.
INSERT INTO batches (id, owner, class, spec, ttl, deadline, phase, total, concurrency, errors_max,
                     created, touched, tells, paused)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?10, ?11, ?12)

-- @grow: Adds items to one, and misses of the cache.
UPDATE batches SET total = total + ?2, misses = misses + ?3, touched = ?4 WHERE key = ?1

-- @seal: No more items come.
UPDATE batches
SET phase = 'sealed', created = iif(phase = 'held', ?2, created),
    finished = iif(succeeded + failed + cancelled + expired = total, ?2, NULL)
WHERE key = ?1 AND phase IN ('held', 'open')

-- @give_up_errors: Calls one off of which too many items have failed.
UPDATE batches
SET calling_off = 1, phase = 'sealed',
    finished = iif(succeeded + failed + cancelled + expired = total, ?2, NULL)
WHERE key = ?1 AND finished IS NULL AND errors_max IS NOT NULL AND failed - borne > errors_max
  AND phase <> 'held'

-- @drop: Forgets one that is held; the upkeep takes it away.
UPDATE batches SET phase = 'dropped' WHERE id = ?1 AND phase = 'held'

-- @steer: Pauses one, or resumes it.
UPDATE batches SET paused = ?2 WHERE id = ?1 AND phase IN ('open', 'sealed')

-- @set_spec: Changes how the items run that are not handed out.
UPDATE batches SET spec = ?2 WHERE key = ?1

-- @room: How many more items of one may be handed out.
SELECT room FROM batch_room WHERE key = ?1

-- @known_part: What the part at a place was.
SELECT content FROM parts WHERE batch = ?1 AND first = ?2

-- @note_part: Notes a part.
INSERT INTO parts (batch, first, content) VALUES (?1, ?2, ?3)

-- @forget_parts: Forgets the parts of one that is sealed.
DELETE FROM parts WHERE batch = ?1

-- @note_custom_ids: Notes custom ids behind those that are there.
INSERT INTO custom_ids (batch, start, records)
SELECT ?1, coalesce((SELECT start + length(records) / ?3 FROM custom_ids
                     WHERE batch = ?1 ORDER BY start DESC LIMIT 1), 0), ?2

-- @custom_ids: The custom ids of one that the given record is among, or the last ones.
SELECT start, records FROM custom_ids
WHERE batch = ?1 AND start <= ?2 ORDER BY start DESC LIMIT 1

-- @forget_custom_ids: Forgets the custom ids of one that is sealed.
DELETE FROM custom_ids WHERE batch = ?1

-- @release: Puts the chunks of one that was held into its lane.
INSERT INTO chunks (batch, chunk, owner, class, state, open, rank, since)
SELECT ?1, chunk, ?2, ?3, iif(open > 0, 'queued', 'idle'), open, iif(open > 0, ?4 + chunk, NULL), ?5
FROM (
    SELECT c.chunk, min(64, ?6 - c.chunk * 64)
           - (SELECT count(*) FROM items i
              WHERE i.batch = ?1 AND i.position BETWEEN c.chunk * 64 AND c.chunk * 64 + 63) AS open
    FROM chunk_items c WHERE c.batch = ?1
) ORDER BY chunk

-- @stale: Uploads that nobody goes on with.
SELECT * FROM batches WHERE phase = ?1 AND touched < ?2 ORDER BY touched LIMIT ?3

-- @running_chunks: The chunks of a batch that are with workers.
SELECT * FROM chunks WHERE batch = ?1 AND state = 'running' LIMIT ?2

-- @insert_chunk: Puts a chunk into its lane, or at rest if none of its items waits.
INSERT INTO chunks (batch, chunk, owner, class, state, open, rank, since)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- @insert_items: Keeps the items of a chunk.
INSERT OR REPLACE INTO chunk_items (batch, chunk, items) VALUES (?1, ?2, ?3)

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
    finished = iif(succeeded + failed + cancelled + expired + 1 = total AND phase = 'sealed', ?6,
                   NULL)
WHERE key = ?1

-- @uncount_end: An item that had ended comes back.
UPDATE batches
SET succeeded = succeeded - (?2 = 'succeeded'), failed = failed - (?2 = 'failed'),
    cancelled = cancelled - (?2 = 'cancelled'), expired = expired - (?2 = 'expired'),
    finished = NULL, calling_off = 0, borne = failed - (?2 = 'failed')
WHERE key = ?1

-- @call_off: Notes that a batch is called off; no more items come.
UPDATE batches
SET calling_off = 1, phase = 'sealed',
    finished = iif(succeeded + failed + cancelled + expired = total, ?2, NULL)
WHERE key = ?1 AND finished IS NULL

-- @late: Batches whose deadline has passed.
SELECT * FROM batches
WHERE deadline IS NOT NULL AND finished IS NULL AND deadline <= ?1 AND phase IN ('open', 'sealed')
ORDER BY deadline LIMIT ?2

-- @called_off: Batches that were called off and have not ended.
SELECT * FROM batches WHERE calling_off = 1 AND finished IS NULL ORDER BY key LIMIT ?1

-- @to_retry: Items of a batch that did not succeed, from a place on.
SELECT * FROM items
WHERE batch = ?1 AND position >= ?2 AND state IN ('failed', 'cancelled', 'expired')
ORDER BY position LIMIT ?3

-- @old: Batches that ended too long ago.
SELECT key, id FROM batches WHERE finished IS NOT NULL AND finished < ?1 ORDER BY finished LIMIT ?2

-- @dropped: Uploads to be forgotten.
SELECT key, id FROM batches WHERE phase = 'dropped' LIMIT ?1

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

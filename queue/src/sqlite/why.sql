-- What an execution waits for.

-- @single: Where an execution stands in its lane.
SELECT state, worker, cancel, due, rank, crashes, class, lane, batch FROM executions WHERE id = ?1

-- @chunk: Where a chunk stands in its lane.
SELECT state, worker, rank, class FROM chunks WHERE batch = ?1 AND chunk = ?2

-- @before: How many executions of a lane are before a rank.
SELECT count(*) FROM executions
WHERE state = 'queued' AND rank >= 0 AND crashes < 2 AND class = ?1 AND lane = ?2 AND rank < ?3

-- @chunks_before: How many items of a batch are in chunks before a rank.
SELECT coalesce(sum(open), 0) FROM chunks
WHERE state = 'queued' AND rank >= 0 AND batch = ?1 AND rank < ?2

-- @ahead_before: How many executions that are before all lanes are before a rank.
SELECT count(*) + (SELECT coalesce(sum(open), 0) FROM chunks
                   WHERE state = 'queued' AND rank < 0 AND rank < ?1)
FROM executions WHERE state = 'queued' AND rank < 0 AND crashes < 2 AND rank < ?1

-- @suspects_before: How many suspects are before a rank.
SELECT count(*) FROM executions WHERE state = 'queued' AND crashes >= 2 AND rank < ?1

-- @lanes: How many lanes of a class take turns.
SELECT count(*) FROM lanes WHERE class = ?1 AND ready > 0

-- What is handed to a worker, and whose turn it is.

-- @worker: Whether a worker lives.
SELECT 1 FROM workers WHERE id = ?1 AND dead IS NULL

-- @suspect: The first that ran when workers were lost.
SELECT e.*, p.spec, p.inputs, p.fingerprint, p.ttl
FROM executions e JOIN payloads p ON p.key = e.key
WHERE e.state = 'queued' AND e.crashes >= 2 AND (?1 OR e.class <> 'b')
  AND (e.batch IS NULL OR EXISTS (SELECT 1 FROM batch_room WHERE key = e.batch AND room > 0))
ORDER BY e.rank LIMIT 1

-- @ahead: The first execution that is before all lanes.
SELECT e.*, p.spec, p.inputs, p.fingerprint, p.ttl
FROM executions e JOIN payloads p ON p.key = e.key
WHERE e.state = 'queued' AND e.rank < 0 AND e.crashes < 2 AND (?1 OR e.class <> 'b')
  AND (e.batch IS NULL OR EXISTS (SELECT 1 FROM batch_room WHERE key = e.batch AND room > 0))
ORDER BY e.rank LIMIT 1

-- @ahead_chunk: The first chunk that is before all lanes.
SELECT * FROM chunks
WHERE state = 'queued' AND rank < 0 AND (?1 OR class <> 'b')
  AND EXISTS (SELECT 1 FROM batch_room WHERE key = batch AND room > 0)
ORDER BY rank LIMIT 1

-- @one: An execution that waits, by its id.
SELECT e.*, p.spec, p.inputs, p.fingerprint, p.ttl
FROM executions e JOIN payloads p ON p.key = e.key WHERE e.id = ?1 AND e.state = 'queued'

-- @in_lane: The first execution of a lane.
SELECT e.*, p.spec, p.inputs, p.fingerprint, p.ttl
FROM executions e JOIN payloads p ON p.key = e.key
WHERE e.state = 'queued' AND e.rank >= 0 AND e.crashes < 2 AND e.class = ?1 AND e.lane = ?2
ORDER BY e.rank LIMIT 1

-- @rank_in_lane: The place of the first execution of a lane.
SELECT rank FROM executions
WHERE state = 'queued' AND rank >= 0 AND crashes < 2 AND class = ?1 AND lane = ?2
ORDER BY rank LIMIT 1

-- @chunk_in_lane: The first chunk of a batch's lane.
SELECT * FROM chunks WHERE state = 'queued' AND rank >= 0 AND batch = ?1 ORDER BY rank LIMIT 1

-- @take: Hands an execution out.
UPDATE executions
SET state = 'running', rank = NULL, worker = ?2, delivery = ?3, started = ?4, run_micros = NULL
WHERE key = ?1

-- @classes: How far each class and its lanes are.
SELECT class, pass, clock,
       EXISTS (SELECT 1 FROM lanes WHERE lanes.class = classes.class AND ready > 0)
FROM classes

-- @next_lane: The lane whose turn it is; without those of batches unless ?2.
SELECT lane, pass FROM lanes
WHERE class = ?1 AND ready > 0
  AND (lane >= 'o:' OR (?2 AND EXISTS (
      SELECT 1 FROM batch_room WHERE key = CAST(substr(lane, 3) AS INTEGER) AND room > 0)))
ORDER BY pass, lane LIMIT 1

-- @charge: A lane had its turn.
UPDATE lanes SET pass = pass + ?3 WHERE class = ?1 AND lane = ?2

-- @save_class: Keeps how far a class and its lanes are.
UPDATE classes SET pass = ?2, clock = ?3 WHERE class = ?1

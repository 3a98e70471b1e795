-- What must never be: each statement gives a line of text for each thing that is broken.

-- @depth: The counts of what waits and runs are what is there.
SELECT 'depth of ' || place || ' is counted as ' || count || ', and is ' || found FROM (
    SELECT place, count, CASE place
        WHEN 'dead' THEN (SELECT count(*) FROM dead)
        WHEN 'batched' THEN (SELECT coalesce(sum(open), 0) FROM chunks WHERE state = 'queued')
        ELSE (SELECT count(*) FROM executions WHERE state = place)
             + (SELECT coalesce(sum(open), 0) FROM chunks WHERE state = place) END AS found
    FROM depth
) WHERE count <> found LIMIT 100

-- @lanes: What lanes count as ready is what waits in them.
SELECT 'lane ' || class || ' ' || lane || ' is counted as ' || sum(counted) || ', and has '
       || sum(found)
FROM (
    SELECT class, lane, ready AS counted, 0 AS found FROM lanes
    UNION ALL
    SELECT class, lane, 0, 1 FROM executions WHERE in_lane
    UNION ALL
    SELECT class, 'b:' || batch, 0, 1 FROM chunks WHERE state = 'queued' AND rank >= 0
) GROUP BY class, lane HAVING sum(counted) <> sum(found) LIMIT 100

-- @owners: What owners are counted to have waiting is what waits.
SELECT 'owner ' || owner || ' is counted as ' || sum(counted) || ', and has ' || sum(found)
FROM (
    SELECT owner, class, waiting AS counted, 0 AS found FROM owners
    UNION ALL
    SELECT owner, class, 0, 1 FROM executions WHERE waits
) GROUP BY owner, class HAVING sum(counted) <> sum(found) LIMIT 100

-- @batches: A batch's counts are what its items say, and those are not more than it has.
SELECT 'batch ' || b.id || ' counts ' || b.succeeded || ', ' || b.failed || ', ' || b.cancelled
       || ', ' || b.expired || ' ended, and its items are ' || coalesce(i.succeeded, 0) || ', '
       || coalesce(i.failed, 0) || ', ' || coalesce(i.cancelled, 0) || ', '
       || coalesce(i.expired, 0)
FROM batches b LEFT JOIN (
    SELECT batch, sum(state = 'succeeded') AS succeeded, sum(state = 'failed') AS failed,
           sum(state = 'cancelled') AS cancelled, sum(state = 'expired') AS expired
    FROM items GROUP BY batch
) i ON i.batch = b.key
WHERE (b.succeeded, b.failed, b.cancelled, b.expired)
      <> (coalesce(i.succeeded, 0), coalesce(i.failed, 0), coalesce(i.cancelled, 0),
          coalesce(i.expired, 0))
  AND (b.finished IS NULL OR EXISTS (SELECT 1 FROM items WHERE batch = b.key AND position = 0))
LIMIT 100

-- @chunks: A chunk's open items are those that have not ended and are not alone.
SELECT 'chunk ' || c.chunk || ' of batch ' || b.id || ' counts ' || c.open || ' open, and has '
       || (min(64, b.total - c.chunk * 64) - count(i.position))
FROM chunks c JOIN batches b ON b.key = c.batch
LEFT JOIN items i ON i.batch = c.batch AND i.position BETWEEN c.chunk * 64 AND c.chunk * 64 + 63
                  AND i.state <> 'open'
WHERE b.finished IS NULL
GROUP BY c.batch, c.chunk
HAVING c.open <> min(64, b.total - c.chunk * 64) - count(i.position) LIMIT 100

-- @alone: An item alone has a row of its own, and only such a one has.
SELECT 'item ' || i.position || ' of batch ' || i.batch || ' is alone, and has no row'
FROM items i LEFT JOIN executions e ON e.batch = i.batch AND e.position = i.position
WHERE i.state = 'alone' AND e.key IS NULL
UNION ALL
SELECT 'item ' || e.id || ' has a row, and is ' || coalesce(i.state, 'in its chunk')
FROM executions e LEFT JOIN items i ON e.batch = i.batch AND e.position = i.position
WHERE e.batch IS NOT NULL AND i.state IS NOT 'alone' LIMIT 100

-- @stopping: An item that is to stop runs.
SELECT 'item ' || i.position || ' of batch ' || i.batch || ' is to stop, and does not run'
FROM items i JOIN chunks c ON c.batch = i.batch AND c.chunk = i.position / 64
WHERE i.cancel = 1 AND c.state <> 'running' LIMIT 100

-- @holders: What runs is with a worker that is known and not emptied.
SELECT 'execution ' || e.id || ' is with ' || e.worker || ', which holds nothing'
FROM executions e LEFT JOIN workers w ON w.id = e.worker
WHERE e.state = 'running' AND coalesce(w.emptied, 1)
UNION ALL
SELECT 'chunk ' || c.chunk || ' of batch ' || c.batch || ' is with ' || c.worker
       || ', which holds nothing'
FROM chunks c LEFT JOIN workers w ON w.id = c.worker
WHERE c.state = 'running' AND coalesce(w.emptied, 1) LIMIT 100

-- @payloads: Every execution has a payload, and every payload an execution.
SELECT 'execution ' || id || ' has no payload' FROM executions
WHERE key NOT IN (SELECT key FROM payloads)
UNION ALL
SELECT 'payload ' || key || ' is of no execution' FROM payloads
WHERE key NOT IN (SELECT key FROM executions) LIMIT 100

-- @dead: What is on the dead list has failed.
SELECT 'execution ' || d.id || ' is on the dead list, and is ' || coalesce(e.state, 'not there')
FROM dead d LEFT JOIN executions e ON e.id = d.id
WHERE length(d.id) = 36 AND e.state IS NOT 'failed'
UNION ALL
SELECT 'item ' || d.id || ' is on the dead list, and is ' || coalesce(i.state, 'not there')
FROM dead d
LEFT JOIN batches b ON b.id = substr(d.id, 1, 36)
LEFT JOIN items i ON i.batch = b.key AND i.position = CAST(substr(d.id, 38) AS INTEGER)
WHERE length(d.id) > 36 AND i.state IS NOT 'failed' LIMIT 100

-- @lost: Hand-outs are remembered only of what may still end.
SELECT 'hand-out ' || l.delivery || ' of ' || l.entry || ' is remembered for nothing'
FROM lost l LEFT JOIN executions e ON e.id = l.entry
WHERE l.entry NOT LIKE '%.%' AND (e.key IS NULL OR e.finished IS NOT NULL) LIMIT 100

-- @attempts: No more attempts are kept than may be.
SELECT 'execution ' || id || ' has ' || json_array_length(attempts) || ' attempts'
FROM executions WHERE attempts IS NOT NULL AND json_array_length(attempts) > ?1
LIMIT 100

-- @totals: At least as many ended, by the counters, as there are that ended.
SELECT 'of program ' || program || ' ' || state || ' is counted as ' || sum(counted)
       || ', and there are ' || sum(found)
FROM (
    SELECT program, 'succeeded' AS state, succeeded AS counted, 0 AS found
    FROM totals WHERE minute = -1
    UNION ALL SELECT program, 'failed', failed, 0 FROM totals WHERE minute = -1
    UNION ALL SELECT program, 'cancelled', cancelled, 0 FROM totals WHERE minute = -1
    UNION ALL SELECT program, 'expired', expired, 0 FROM totals WHERE minute = -1
    UNION ALL SELECT program, state, 0, 1 FROM executions WHERE finished IS NOT NULL AND dry = 0
    UNION ALL SELECT json_extract(b.spec, '$.p'), i.state, 0, 1
    FROM items i JOIN batches b ON b.key = i.batch
    WHERE i.finished IS NOT NULL AND b.phase IN ('open', 'sealed')
) GROUP BY program, state HAVING sum(counted) < sum(found) LIMIT 100

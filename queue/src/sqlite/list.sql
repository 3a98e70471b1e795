-- Lists, a page at a time.

-- @one: An execution with what its worker is sent.
SELECT e.*, p.spec, p.inputs, p.custom_id, t.steps
FROM executions e JOIN payloads p ON p.key = e.key
LEFT JOIN traces t ON t.name = e.id AND t.generation = e.generation AND e.finished IS NOT NULL
WHERE e.id = ?1

-- @scan: Single executions, newest first, before a key; so many are looked at.
SELECT e.*, p.spec, p.inputs, p.custom_id FROM (
    SELECT * FROM executions WHERE key < ?1 ORDER BY key DESC LIMIT ?2
) e JOIN payloads p ON p.key = e.key
WHERE e.batch IS NULL
  AND (?3 IS NULL OR e.owner = ?3) AND (?4 IS NULL OR e.program = ?4)
  AND (?5 IS NULL OR e.state = ?5) AND (?6 IS NULL OR e.created >= ?6)
ORDER BY e.key DESC LIMIT ?7

-- @scanned: Where a look at so many executions before a key ends; the first of all ever if there
-- are no more.
SELECT min(key), count(*)
FROM (SELECT key FROM executions WHERE key < ?1 ORDER BY key DESC LIMIT ?2)

-- @batches: Batches, newest first, before a key.
SELECT * FROM batches
WHERE key < ?1 AND (?2 IS NULL OR owner = ?2) AND phase IN ('open', 'sealed')
ORDER BY key DESC LIMIT ?3

-- @known: What is known of items in a range.
SELECT * FROM items WHERE batch = ?1 AND position >= ?2 AND position < ?3 ORDER BY position

-- @ended: Items in a range that have ended.
SELECT * FROM items
WHERE batch = ?1 AND position >= ?2 AND position < ?3 AND finished IS NOT NULL
  AND (?4 IS NULL OR state = ?4)
ORDER BY position LIMIT ?5

-- Workers, as their heartbeats tell.

-- @find: Whether a worker was declared dead; no row if it is not known.
SELECT dead IS NOT NULL FROM workers WHERE id = ?1

-- @beat: Registers a worker, or extends its lease.
INSERT INTO workers (id, info, slots, lease_end) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE
SET info = excluded.info, slots = excluded.slots, lease_end = excluded.lease_end

-- @orders: What a worker is to stop.
SELECT id FROM orders WHERE worker = ?1

-- @forget_orders: Forgets what a worker was to stop.
DELETE FROM orders WHERE worker = ?1

-- @forget_order: Forgets one that a worker was to stop.
DELETE FROM orders WHERE worker = ?1 AND id = ?2

-- @order: Tells a worker to stop an execution.
INSERT OR IGNORE INTO orders (worker, id)
SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM workers WHERE id = ?1 AND dead IS NULL)

-- @declare_dead: Leaves a tombstone.
INSERT INTO workers (id, info, slots, lease_end, dead) VALUES (?1, '', 0, 0, ?2)
ON CONFLICT DO UPDATE SET dead = coalesce(dead, excluded.dead)

-- @to_rescue: Workers that are silent, or dead and not yet emptied.
SELECT id FROM workers WHERE emptied = 0 AND (dead IS NOT NULL OR lease_end < ?1)
ORDER BY lease_end LIMIT ?2

-- @emptied: Notes that nothing is left to take back from a worker.
UPDATE workers SET emptied = 1 WHERE id = ?1

-- @live: The live workers.
SELECT info FROM workers WHERE dead IS NULL AND lease_end >= ?1 ORDER BY id LIMIT 10000

-- @slots: How many slots the live workers have, and how many workers there are.
SELECT coalesce(sum(slots), 0), count(*) FROM workers WHERE dead IS NULL AND lease_end >= ?1

-- @orphan: No worker outlives the process that held the file.
UPDATE workers SET lease_end = -1 WHERE dead IS NULL

-- @trim: Forgets tombstones older than ?1, and all but the newest ?2, at most ?3.
DELETE FROM workers WHERE id IN (
    SELECT id FROM workers WHERE emptied = 1 AND dead < ?1
    UNION
    SELECT id FROM (SELECT id FROM workers WHERE emptied = 1 ORDER BY dead DESC LIMIT -1 OFFSET ?2)
    LIMIT ?3)

-- Paid calls: whose turn it is, which replies are known, and what was spent.

-- @used: Until when a rate is used up (ms).
SELECT used FROM rates WHERE name = ?1

-- @use_up: Notes until when a rate is used up.
INSERT INTO rates (name, used) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET used = excluded.used

-- @own: A reply that an execution has paid for.
SELECT reply FROM journal WHERE execution = ?1 AND place = ?2 AND expires > ?3

-- @shared: A reply that serves equal calls.
SELECT reply FROM shared WHERE request = ?1 AND expires > ?2

-- @fill: Keeps a reply at a place that holds none.
INSERT INTO journal (execution, place, reply, expires) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO NOTHING

-- @share: Keeps a reply for equal calls.
INSERT OR REPLACE INTO shared (request, reply, expires) VALUES (?1, ?2, ?3)

-- @retract: Takes a reply out of a journal.
DELETE FROM journal WHERE execution = ?1 AND place = ?2

-- @unshare: Takes a reply away from equal calls.
DELETE FROM shared WHERE request = ?1

-- @forget: Forgets the replies that an execution has paid for.
DELETE FROM journal WHERE execution = ?1

-- @clear: Forgets the replies that serve equal calls.
DELETE FROM shared

-- @spent: What a scope has spent.
SELECT micros FROM spending WHERE scope = ?1

-- @spend: Adds to what a scope has spent.
INSERT INTO spending (scope, micros, expires) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET micros = micros + excluded.micros, expires = excluded.expires

-- @holder: Who has the right to make a call.
SELECT holder FROM flights WHERE request = ?1 AND until > ?2

-- @hold: Gives the right to make a call.
INSERT OR REPLACE INTO flights (request, holder, until) VALUES (?1, ?2, ?3)

-- @give_up: Ends a holder's right.
DELETE FROM flights WHERE request = ?1 AND holder = ?2

-- @trim_journal: Forgets replies that are too old.
DELETE FROM journal WHERE (execution, place) IN (
    SELECT execution, place FROM journal WHERE expires <= ?1 ORDER BY expires LIMIT ?2)

-- @trim_shared: Forgets replies that are too old, and the oldest of too many.
DELETE FROM shared WHERE request IN (
    SELECT request FROM shared ORDER BY expires LIMIT min(?3, max(
        (SELECT count(*) FROM shared WHERE expires <= ?1),
        (SELECT count(*) FROM shared) - ?2)))

-- @trim_spending: Forgets what was spent long ago.
DELETE FROM spending WHERE scope IN (SELECT scope FROM spending WHERE expires <= ?1 LIMIT ?2)

-- @trim_rates: Forgets rates that are not used up.
DELETE FROM rates WHERE name IN (SELECT name FROM rates WHERE used <= ?1 LIMIT ?2)

-- @trim_flights: Forgets rights that have run out.
DELETE FROM flights WHERE request IN (SELECT request FROM flights WHERE until <= ?1 LIMIT ?2)

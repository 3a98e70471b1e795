-- Paid calls: whose turn it is, which replies are known, and what was spent.

-- @used: Until when a rate is used up (ms).
SELECT used FROM rates WHERE name = ?1

-- @use_up: Notes until when a rate is used up.
INSERT INTO rates (name, used) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET used = excluded.used

-- @reply: A reply that is not too old.
SELECT reply FROM replies WHERE key = ?1 AND expires > ?2

-- @fill: Keeps a reply at a place that holds none.
INSERT INTO replies (key, reply, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING

-- @share: Keeps a reply for equal calls.
INSERT OR REPLACE INTO replies (key, reply, expires) VALUES (?1, ?2, ?3)

-- @forget: Forgets the replies between two keys.
DELETE FROM replies WHERE key > ?1 AND key < ?2

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

-- @trim_replies: Forgets replies that are too old.
DELETE FROM replies WHERE key IN (
    SELECT key FROM replies WHERE expires <= ?1 ORDER BY expires LIMIT ?2)

-- @trim_spending: Forgets what was spent long ago.
DELETE FROM spending WHERE scope IN (SELECT scope FROM spending WHERE expires <= ?1 LIMIT ?2)

-- @trim_rates: Forgets rates that are not used up.
DELETE FROM rates WHERE name IN (SELECT name FROM rates WHERE used <= ?1 LIMIT ?2)

-- @trim_flights: Forgets rights that have run out.
DELETE FROM flights WHERE request IN (SELECT request FROM flights WHERE until <= ?1 LIMIT ?2)

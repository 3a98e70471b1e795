-- What the whole fleet agrees on.

-- @get: A number by its name.
SELECT value FROM settings WHERE name = ?1

-- @set: Sets a number.
UPDATE settings SET value = ?2 WHERE name = ?1

-- @raise: Raises a number by one.
UPDATE settings SET value = value + 1 WHERE name = ?1

-- @programs: The kept programs.
SELECT id, text FROM programs ORDER BY id

-- @put_program: Keeps a program's text.
INSERT OR REPLACE INTO programs (id, text) VALUES (?1, ?2)

-- @remove_program: Forgets a program.
DELETE FROM programs WHERE id = ?1

-- @publish_manifest: Keeps what a worker found out about a program, if it is news.
INSERT INTO manifests (program, text)
SELECT ?1, ?2
WHERE (SELECT count(*) FROM manifests) < ?3 OR EXISTS (SELECT 1 FROM manifests WHERE program = ?1)
ON CONFLICT DO UPDATE SET text = excluded.text WHERE text <> excluded.text

-- @manifests: What workers found out about programs.
SELECT program, text FROM manifests ORDER BY program

-- @revoke: Refuses a token until it expires.
INSERT INTO revoked (jti, expires) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)

-- @revoked: The tokens refused now.
SELECT jti FROM revoked WHERE expires > ?1 ORDER BY jti LIMIT 100000

-- @clear_cache: Forgets cached results of one program, or of all.
DELETE FROM cache WHERE ?1 IS NULL OR program = ?1

-- @largest: The largest of the numbers that order lines and hand-outs.
SELECT max(
    (SELECT coalesce(max(rank), 0) FROM executions WHERE state = 'queued' AND rank >= 0),
    (SELECT coalesce(max(rank), 0) FROM chunks WHERE state = 'queued'),
    (SELECT coalesce(max(rank) + 9223372036854775807 + 1, 0) FROM executions
     WHERE state = 'queued' AND rank < 0),
    (SELECT coalesce(max(rank) + 9223372036854775807 + 1, 0) FROM chunks
     WHERE state = 'queued' AND rank < 0),
    (SELECT coalesce(max(delivery), 0) FROM executions WHERE state = 'running'),
    (SELECT coalesce(max(delivery), 0) FROM chunks WHERE state = 'running'),
    (SELECT coalesce(max(delivery), 0) FROM lost))

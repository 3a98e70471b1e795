-- What is too old.

-- @keys: Forgets idempotency keys after their window.
DELETE FROM idempotency WHERE (owner, key) IN (
    SELECT owner, key FROM idempotency WHERE expires <= ?1 ORDER BY expires LIMIT ?2)

-- @cache: Forgets where results are that are too old to be kept.
DELETE FROM cache WHERE fingerprint IN (
    SELECT fingerprint FROM cache WHERE finished < ?1 ORDER BY finished LIMIT ?2)

-- @tokens: Forgets refused tokens that have expired.
DELETE FROM revoked WHERE jti IN (SELECT jti FROM revoked WHERE expires <= ?1 LIMIT ?2)

-- @lanes: Forgets lanes that are empty and not ahead of the others.
DELETE FROM lanes WHERE (class, lane) IN (
    SELECT l.class, l.lane FROM classes c JOIN lanes l ON l.class = c.class
    WHERE l.ready = 0 AND l.pass <= c.clock LIMIT ?1)

-- @owners: Forgets owners of whom nothing waits.
DELETE FROM owners WHERE (owner, class) IN (
    SELECT owner, class FROM owners WHERE waiting = 0 LIMIT ?1)

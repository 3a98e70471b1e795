-- What is asked before something is accepted.

-- @known_key: What an idempotency key was used for.
SELECT digest, kind, id FROM idempotency WHERE owner = ?1 AND key = ?2 AND expires > ?3

-- @keep_key: Notes what an idempotency key is used for.
INSERT OR REPLACE INTO idempotency (owner, key, digest, kind, id, expires)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- @waiting: How many executions wait in all, but for those in the chunks of batches.
SELECT (SELECT count FROM depth WHERE place = 'queued')
       + (SELECT count FROM depth WHERE place = 'scheduled')
       - (SELECT count FROM depth WHERE place = 'batched')

-- @waiting_of_owner: How many of one owner and class wait.
SELECT waiting FROM owners WHERE owner = ?1 AND class = ?2

-- @batch_known: Whether a batch is there.
SELECT finished IS NOT NULL FROM batches WHERE id = ?1 AND phase IN ('open', 'sealed')

-- @execution_state: Where an execution stands.
SELECT state FROM executions WHERE id = ?1

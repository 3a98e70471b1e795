-- Totals and durations of programs, by the minute and for all time.

-- @add: Adds counts of a program to a minute.
INSERT INTO totals (minute, program, succeeded, failed, cancelled, expired, dry_runs, retries,
                    cache_hits, cache_misses, sum_micros, min_micros, max_micros)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT DO UPDATE SET
    succeeded = succeeded + excluded.succeeded,
    failed = failed + excluded.failed,
    cancelled = cancelled + excluded.cancelled,
    expired = expired + excluded.expired,
    dry_runs = dry_runs + excluded.dry_runs,
    retries = retries + excluded.retries,
    cache_hits = cache_hits + excluded.cache_hits,
    cache_misses = cache_misses + excluded.cache_misses,
    sum_micros = sum_micros + excluded.sum_micros,
    min_micros = min(coalesce(min_micros, excluded.min_micros),
                     coalesce(excluded.min_micros, min_micros)),
    max_micros = max(coalesce(max_micros, excluded.max_micros),
                     coalesce(excluded.max_micros, max_micros))

-- @add_duration: Adds durations of a program to a bucket of a minute.
INSERT INTO durations (minute, program, bucket, count) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET count = count + excluded.count

-- @totals: Adds up the minutes from ?1 to ?2, of one program or of all.
SELECT coalesce(sum(succeeded), 0), coalesce(sum(failed), 0), coalesce(sum(cancelled), 0),
       coalesce(sum(expired), 0), coalesce(sum(dry_runs), 0), coalesce(sum(retries), 0),
       coalesce(sum(cache_hits), 0), coalesce(sum(cache_misses), 0), coalesce(sum(sum_micros), 0),
       min(min_micros), max(max_micros)
FROM totals WHERE minute BETWEEN ?1 AND ?2 AND (?3 IS NULL OR program = ?3)

-- @durations: Adds up the buckets of the minutes from ?1 to ?2, of one program or of all.
SELECT bucket, sum(count) FROM durations
WHERE minute BETWEEN ?1 AND ?2 AND (?3 IS NULL OR program = ?3) GROUP BY bucket

-- @depth: What waits and runs.
SELECT place, count FROM depth

-- @oldest: When the first of each line was queued, the earliest of them.
SELECT min(since) FROM (
    SELECT (SELECT since FROM executions WHERE state = 'queued' AND rank >= 0 AND crashes < 2
            AND class = lanes.class AND lane = lanes.lane ORDER BY rank LIMIT 1) AS since
    FROM lanes WHERE ready > 0
    UNION ALL
    SELECT (SELECT since FROM chunks WHERE state = 'queued' AND rank >= 0
            AND batch = CAST(substr(lane, 3) AS INTEGER) ORDER BY rank LIMIT 1)
    FROM lanes WHERE ready > 0 AND lane >= 'b:' AND lane < 'b;'
    UNION ALL
    SELECT * FROM (SELECT since FROM executions WHERE state = 'queued' AND rank < 0 AND crashes < 2
                   ORDER BY rank LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT since FROM executions WHERE state = 'queued' AND crashes >= 2
                   ORDER BY rank LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT since FROM chunks WHERE state = 'queued' AND rank < 0
                   ORDER BY rank LIMIT 1)
)

-- @trim: Forgets minutes before ?1, at most ?2.
DELETE FROM totals WHERE (minute, program) IN (
    SELECT minute, program FROM totals WHERE minute >= 0 AND minute < ?1 LIMIT ?2)

-- @trim_durations: Forgets the buckets of minutes before ?1, at most ?2.
DELETE FROM durations WHERE (minute, program, bucket) IN (
    SELECT minute, program, bucket FROM durations WHERE minute >= 0 AND minute < ?1 LIMIT ?2)

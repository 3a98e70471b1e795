-- Calls off what has not ended of one chunk of a batch.
-- KEYS[1] prefix   ARGV: clock, ttl, batch, chunk
-- Returns 1 if there is a further chunk, 0 at the end, -1 if there is no such batch.
local now, ttl, batch, k = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'total', 'finished')
if not v[1] then return -1 end
if v[2] or v[1] == '0' then return 0 end
call('HSET', key, 'stop', now)
local more = end_chunk(batch, k, 'cancelled', now)
sweep(now)
flush(now, ttl)
return more and 1 or 0

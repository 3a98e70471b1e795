-- Calls off what has not ended of one chunk of a batch.
-- KEYS[1] prefix   ARGV: clock, ttl, batch, chunk
-- Returns 1 if there is a further chunk, 0 at the end, -1 if there is no such batch.
local now, ttl, batch, k = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'total', 'finished', 'phase', 'stop')
if not v[1] or is_hidden(v[3]) then return -1 end
if v[2] then return 0 end
if not v[4] then
  call('HSET', key, 'stop', now)
  call('ZADD', P .. 'd', now, 'c:' .. batch) -- the upkeep goes on if we do not
end
if v[3] then
  end_upload(batch)
  close_batch(batch, now, ttl)
end
if v[1] == '0' then return 0 end
local more = end_chunk(batch, k, 'cancelled', now)
sweep(now)
flush(now, ttl)
return more and 1 or 0

-- Calls off what has not ended of one chunk of a batch.
-- KEYS[1] prefix   ARGV: clock, ttl, batch, chunk
-- Returns 1 if there is a further chunk, 0 at the end, -1 if there is no such batch.
local now, ttl, batch, k = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'total', 'program')
if not v[1] then return -1 end
local total = tonumber(v[1])
call('HSET', key, 'stop', now)
for index = k * CHUNK, math.min(total, (k + 1) * CHUNK) - 1 do
  local id = batch .. '-' .. index
  if call('GETBIT', key .. ':done', index) == 0 then
    local outside = call('HMGET', P .. 'e:' .. id, 'l', 's')
    local lane, entry = outside[1], outside[2]
    if not lane then lane, entry = place(batch, index) end
    local consumer = entry and entry ~= 'z' and holder(lane, entry)
    settle_item(batch, index, 'cancelled', 0, '', bare_tail(), now)
    bump(v[2], 'cx', 1)
    if consumer then
      call('RPUSH', P .. 'o:' .. consumer, id)
      call('PEXPIRE', P .. 'o:' .. consumer, 60000)
    else
      waiting = waiting - 1
    end
    if outside[1] then
      call('DEL', P .. 'e:' .. id)
      call('SETBIT', key .. ':out', index, 0)
      if entry == 'z' then call('ZREM', P .. 'z', id) else drop(lane, entry) end
    elseif lane then
      leave(batch, lane, entry)
    end
  end
end
sweep(now)
flush(now, ttl)
return (k + 1) * CHUNK < total and 1 or 0

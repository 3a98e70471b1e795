-- Ends the upload of a batch: no more items come. One that was held is accepted now, or forgotten if its
-- key is another's.
-- KEYS[1] prefix   ARGV: clock, ttl, idempotency ttl, batch, total or '', key or '', digest
-- Returns {word, id, items of the batch}: word is new, known, replayed, conflict, step or none.
local now, ttl, key_ttl, batch, total, name, digest = clock(ARGV[1]), ARGV[2], ARGV[3], unpack(ARGV, 4, 7)
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'total', 'phase', 'owner', 'program', 'deadline', 'tells')
if not v[1] or v[2] == 'dropped' then return { 'none', batch, 0 } end
local has, held = tonumber(v[1]), v[2] == 'held'
local key_at = name ~= '' and P .. 'k:' .. #v[3] .. ':' .. v[3] .. name
local known = key_at and call('GET', key_at)
if known then
  local first, body = known:match('^(%S+) (.*)$')
  if first ~= batch then
    if held then forget_held(batch, now) end
    return { body == digest and 'replayed' or 'conflict', first, has }
  end
end
if total ~= '' and tonumber(total) ~= has then return { 'step', batch, has } end
if not v[2] then return { 'known', batch, has } end

end_upload(batch)
local n = call('HMGET', key, 'succeeded', 'failed', 'hits', 'misses')
local ended = (n[1] or 0) + (n[2] or 0)
if held then
  live = has - ended
  count_waiting(live, batch)
  if n[2] then bump(v[4], 'bad', tonumber(n[2])) end
  if n[1] then bump(v[4], 'ok', tonumber(n[1])) end
  if n[3] then bump(v[4], 'hit', tonumber(n[3])) end
  if n[4] then bump(v[4], 'miss', tonumber(n[4])) end
  if v[5] then call('ZADD', P .. 'd', v[5], 'b:' .. batch) end
  call('HSET', key, 'created', now)
  if v[6] and v[6]:find('t', 1, true) then give_notice('b:' .. batch, 't') end
  call('XADD', P .. 'bx', stamp, 'j', batch, 'o', v[3])
end
if v[6] and v[6]:find('p', 1, true) then give_notice('b:' .. batch, 'p') end
if key_at then call('SET', key_at, batch .. ' ' .. digest, 'PX', key_ttl) end
close_batch(batch, now, ttl)
fill(batch)
if has % CHUNK > 0 then touch(batch, math.floor(has / CHUNK)) end
sweep(now)
flush(now, ttl)
return { 'new', batch, has }

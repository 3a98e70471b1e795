-- Accepts a batch whose chunks of inputs were stored before, or nothing of it.
-- KEYS[1] prefix
-- ARGV: clock, ttl, waiting_max, idempotency ttl, id, class, owner, program, spec, cache ttl or '',
--   total, key or '', digest, deadline ms or '', channels that are told or '', how many items are
--   invalid, these by 2 (index, tail), then the items that could be cached by 2 (index, fingerprint)
-- Returns {word, id}: word is new, known, replayed, conflict or full.
local now, ttl, most, key_ttl = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local id, class, owner, program, spec, max_age = unpack(ARGV, 5, 10)
local total, name, digest, deadline = tonumber(ARGV[11]), ARGV[12], ARGV[13], ARGV[14]
local tells, cacheable = ARGV[15], 17 + 2 * tonumber(ARGV[16])
local key = P .. 'b:' .. id
local key_at = name ~= '' and P .. 'k:' .. #owner .. ':' .. owner .. name
local known = key_at and call('GET', key_at)
if known then
  local first, body = known:match('^(%S+) (.*)$')
  return { body == digest and 'replayed' or 'conflict', first }
end
if call('EXISTS', key) == 1 then return { 'known', id } end
if tonumber(call('HGET', P .. 'n', 'waiting') or 0) + total > most then return { 'full', id } end

call('HSET', key, 'spec', spec, 'total', total, 'created', now, 'class', class, 'owner', owner,
  'program', program, 'age', max_age)
if tells ~= '' then call('HSET', key, 'tells', tells) end
if tells:find('t', 1, true) then give_notice('b:' .. id, 't') end
live = live + total
for i = 17, cacheable - 1, 2 do
  settle_item(id, tonumber(ARGV[i]), 'failed', 0, '', ARGV[i + 1], now)
  bump(program, 'bad', 1)
end
for i = cacheable, #ARGV, 2 do
  local tail = cached(ARGV[i + 1], tonumber(max_age), now)
  if tail then
    settle_item(id, tonumber(ARGV[i]), 'succeeded', 0, 'c', tail, now)
    bump(program, 'ok', 1)
  end
  bump(program, tail and 'hit' or 'miss', 1)
end
if deadline ~= '' then
  call('HSET', key, 'deadline', deadline)
  call('ZADD', P .. 'd', deadline, 'b:' .. id)
end
if total == 0 then
  if tells ~= '' then give_notice('b:' .. id, tells) end
  call('HSET', key, 'finished', now)
  call('ZADD', P .. 'old', now + ttl, id)
end
local lane = class .. ':b:' .. id
for k = 0, math.ceil(total / CHUNK) - 1 do
  local size = math.min(CHUNK, total - k * CHUNK)
  call('PERSIST', key .. ':in:' .. k)
  local done = call('BITCOUNT', key .. ':done', k * CHUNK / 8, k * CHUNK / 8 + CHUNK / 8 - 1)
  if done < size then
    local entry = push(lane, 'b', id, 'k', k)
    place_at(id, k, size - done, lane, entry)
    waiting = waiting + size - done
  end
end
if waiting > 0 then ring(lane) end
call('XADD', P .. 'bx', stamp, 'j', id, 'o', owner)
if key_at then call('SET', key_at, id .. ' ' .. digest, 'PX', key_ttl) end
flush(now, ttl)
return { 'new', id }

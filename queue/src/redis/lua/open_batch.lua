-- Opens a batch whose items come in parts.
-- KEYS[1] prefix
-- ARGV: clock, upload ttl, waiting_max, idempotency ttl, id, class, owner, program, spec, cache ttl or '',
--   key or '', digest, deadline ms or '', concurrency or '', errors_max or '', how many items come at
--   least, 1 if nobody may see it before it is sealed, channels that are told or '',
--   1 if there is an object store
-- Returns {word, id}: word is new, known, replayed, conflict, full or none.
local now, ttl, most, key_ttl = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local id, class, owner, program, spec, max_age = unpack(ARGV, 5, 10)
local name, digest, deadline, limit, errors_max = unpack(ARGV, 11, 15)
local least, held, tells = tonumber(ARGV[16]), ARGV[17] == '1', ARGV[18]
local key = P .. 'b:' .. id
local key_at = name ~= '' and P .. 'k:' .. #owner .. ':' .. owner .. name
local known = key_at and call('GET', key_at)
if known then
  local first, body = known:match('^(%S+) (.*)$')
  return { body == digest and 'replayed' or 'conflict', first }
end
if call('HGET', key, 'phase') == 'dropped' then return { 'none', id } end
if call('EXISTS', key) == 1 then return { 'known', id } end
local n = call('HMGET', P .. 'n', 'waiting', 'batched')
if least > 0 and (n[1] or 0) - (n[2] or 0) + least > most then return { 'full', id } end

call('HSET', key, 'spec', spec, 'total', 0, 'created', now, 'class', class, 'owner', owner,
  'program', program, 'age', max_age, 'phase', held and 'held' or 'open')
if limit ~= '' then
  -- Small pieces, so that several workers have some of what may run at once.
  local piece = math.max(1, math.min(CHUNK, math.floor(limit / 8)))
  call('HSET', key, 'limit', limit, 'piece', piece)
end
if ARGV[19] == '1' then note_objects(id) end
if tells ~= '' then call('HSET', key, 'tells', tells) end
-- Its provider is told, and resumes it.
if tells:find('p', 1, true) then call('HSET', key, 'paused', 1) end
if errors_max ~= '' then call('HSET', key, 'errors_max', errors_max) end
if deadline ~= '' then call('HSET', key, 'deadline', deadline) end
call('ZADD', P .. 'up', string.format('%d', now + ttl), id)
if not held then
  if deadline ~= '' then call('ZADD', P .. 'd', deadline, 'b:' .. id) end
  call('XADD', P .. 'bx', stamp, 'j', id, 'o', owner)
  if key_at then call('SET', key_at, id .. ' ' .. digest, 'PX', key_ttl) end
end
if not held and tells:find('t', 1, true) then give_notice('b:' .. id, 't') end
flush(now, ttl)
return { 'new', id }

-- Adds a part to an open batch, or nothing of it.
-- KEYS[1] prefix
-- ARGV: clock, ttl, upload ttl, the same while nobody may see it, batch, index of the first item, how
--   many, digest or '', records of custom ids, 1 if an object was written for it, how many chunks, these
--   by 2 (number, inputs), how many items are invalid, these by 2 (index, tail), then the items that could
--   be cached by 2 (index, fingerprint)
-- Returns {word, items of the batch, equal items}: word is added, known, step, sealed or none, or packed
-- if equal items are to be lent first.
local now, ttl, upload_ttl, held_ttl, batch = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local first, count, digest, names = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
if ARGV[10] == '1' then note_objects(batch) end
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'total', 'phase', 'stop', 'program', 'age', 'next')
if not v[1] or v[2] == 'dropped' then return { 'none', 0, {} } end
local total, held = tonumber(v[1]), v[2] == 'held'
local content = count .. ' ' .. digest
if first < total and call('HGET', key .. ':parts', first) == content then return { 'known', total, {} } end
if not v[2] or v[3] then return { 'sealed', total, {} } end
if first ~= total then return { 'step', total, {} } end

local at = 12
local invalid_at = at + 2 * tonumber(ARGV[11])
local invalid = tonumber(ARGV[invalid_at])
local equal_at, tails = invalid_at + 1 + 2 * invalid, {}
for i = equal_at, #ARGV, 2 do tails[i] = cached(ARGV[i + 1], tonumber(v[5]), now) or false end
if #packed > 0 then return { 'packed', total, packed } end

for _ = 1, tonumber(ARGV[11]) do
  call('SET', key .. ':in:' .. ARGV[at], ARGV[at + 1])
  at = at + 2
end
call('HSET', key, 'total', total + count)
call('HSET', key .. ':parts', first, content)
if names ~= '' and not held then call('APPEND', key .. ':c', names) end
call('ZADD', P .. 'up', string.format('%d', now + (held and held_ttl or upload_ttl)), batch)

local hits, misses, settled, program = 0, 0, 0, v[4]
at = invalid_at + 1
for _ = 1, invalid do
  settle_item(batch, tonumber(ARGV[at]), 'failed', 0, '', ARGV[at + 1], now)
  at = at + 2
end
for i = equal_at, #ARGV, 2 do
  if tails[i] then
    settle_item(batch, tonumber(ARGV[i]), 'succeeded', 0, 'c', tails[i], now)
    hits = hits + 1
  else
    misses = misses + 1
  end
end
settled = invalid + hits
if held then
  -- It is counted when it is sealed: until then there is nothing.
  live, told = 0, {}
  note_whole()
  if hits + misses > 0 then
    call('HINCRBY', key, 'hits', hits)
    call('HINCRBY', key, 'misses', misses)
  end
else
  live = live + count
  count_waiting(count - settled, batch)
  if invalid > 0 then bump(program, 'bad', invalid) end
  if hits > 0 then
    bump(program, 'ok', hits)
    bump(program, 'hit', hits)
  end
  if misses > 0 then bump(program, 'miss', misses) end
  -- What is added to a chunk that has entered already enters for itself.
  call('HSET', key, 'next', math.min(tonumber(v[6] or 0), math.floor(first / CHUNK)))
  fill(batch)
  sweep(now)
end
flush(now, ttl)
return { 'added', total + count, {} }

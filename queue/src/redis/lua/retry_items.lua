-- Runs ended items of one chunk again, as a new generation: those named, or all that did not succeed.
-- KEYS[1] prefix   ARGV: clock, ttl, batch, chunk, then indexes, or none for all
-- Returns how many; -1 if the chunk is packed and has to be unpacked.
local now, ttl, batch, k = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local key = P .. 'b:' .. batch
local results = key .. ':r:' .. k
local wanted
if #ARGV > 4 then
  wanted = {}
  for i = 5, #ARGV do wanted[ARGV[i]] = true end
end
-- What is packed tells by its letters whether there is anything to run again.
local letters = call('GETRANGE', key .. ':p:' .. k, 0, CHUNK - 1)
for at in letters:gmatch('()[fcx]') do
  if not wanted or wanted[tostring(k * CHUNK + at - 1)] then return -1 end
end
if letters ~= '' then return 0 end
local rows, picked = call('HGETALL', results), {}
local v = call('HMGET', key, 'program', 'deadline', 'class', 'piece', 'next', 'failed')
local program, failed = v[1], tonumber(v[6] or 0)
for i = 1, #rows, 2 do
  local index, doc = rows[i], rows[i + 1]
  local state = doc:match('^%a+')
  if index:match('^%d+$') and state ~= 'succeeded' and (not wanted or wanted[index]) then
    picked[#picked + 1] = index
    call('HDEL', results, index)
    call('HSET', results, 'h' .. index, doc)
    call('SETBIT', key .. ':done', index, 0)
    call('ZREM', P .. 'dead', batch .. '-' .. index)
    in_batch(batch, state, -1)
    if state == 'failed' then failed = failed - 1 end
    bump(program, 'again_' .. COUNT[state], 1)
  end
end
if #picked == 0 then return 0 end
table.sort(picked, function(a, b) return tonumber(a) < tonumber(b) end)
call('HSET', key, 'base', failed) -- those that stay failed were borne before
call('HDEL', key, 'finished', 'stop', 'expiring', 'stopping')
call('HINCRBY', key, 'again', 1)
if v[2] then call('ZADD', P .. 'd', v[2], 'b:' .. batch) end
call('ZREM', P .. 'd', 'c:' .. batch)
call('ZREM', P .. 'old', batch)
count_waiting(#picked, batch)
live = live + #picked
if #open_items(batch, k, picked, false) < #picked then
  -- They were part of an entry that is still there, and must not be taken for part of it again.
  local lane = v[3] .. ':b:' .. batch
  push_items(batch, k, picked, lane, tonumber(v[4]) or CHUNK)
  ring(lane)
else
  call('HSET', key, 'next', math.min(tonumber(v[5] or 0), tonumber(k)))
  fill(batch)
end
flush(now, ttl)
return #picked

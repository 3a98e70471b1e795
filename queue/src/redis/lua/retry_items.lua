-- Runs ended items of one chunk again, as a new generation: those named, or all that did not succeed.
-- KEYS[1] prefix   ARGV: clock, ttl, batch, chunk, then indexes, or none for all
-- Returns how many.
local now, ttl, batch, k = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local key = P .. 'b:' .. batch
local results = key .. ':r:' .. k
local wanted
if #ARGV > 4 then
  wanted = {}
  for i = 5, #ARGV do wanted[ARGV[i]] = true end
end
local rows, picked = call('HGETALL', results), {}
local program = call('HGET', key, 'program')
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
    bump(program, 'again_' .. COUNT[state], 1)
  end
end
if #picked == 0 then return 0 end
call('HDEL', key, 'finished', 'stop', 'expiring')
local deadline = call('HGET', key, 'deadline')
if deadline then call('ZADD', P .. 'd', deadline, 'b:' .. batch) end
call('ZREM', P .. 'old', batch)
local lane = call('HGET', key, 'class') .. ':b:' .. batch
local entry = push(lane, 'b', batch, 'k', k, 'i', table.concat(picked, ','))
place_at(batch, picked, #picked, lane, entry)
waiting, live = waiting + #picked, live + #picked
ring(lane)
flush(now, ttl)
return #picked

-- Runs an ended execution again, as a new generation.
-- KEYS[1] prefix   ARGV: clock, ttl, id, lane, generation it must have, history,
--   deadline ms or ''
-- Returns 1, or 0 if it is not what the caller read.
local now, ttl, id, lane, generation, history = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local doc = call('GET', P .. 'r:' .. id)
if not doc then return 0 end
local state, was, length, from = doc:match('^(%a+)|(%d+)|%d+|%a*|(%d+)\n()')
if was ~= generation or state == 'succeeded' then return 0 end
local envelope = doc:sub(from, from + tonumber(length) - 1)
call('DEL', P .. 'r:' .. id)
call('ZREM', P .. 'dead', id)
local entry = push(lane, 'j', id, 'p', envelope, 'h', history, 'g', generation + 1)
call('HSET', P .. 'e:' .. id, 'l', lane, 's', entry, 'g', generation + 1)
if ARGV[7] ~= '' then call('ZADD', P .. 'd', ARGV[7], id) end
waiting, live = waiting + 1, live + 1
bump(envelope:match('^(.-)\n') or '', 'again_' .. COUNT[state], 1)
ring(lane)
flush(now, ttl)
return 1

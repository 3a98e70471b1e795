-- Lets nobody have a turn of a rate for a time.
-- KEYS[1] prefix   ARGV: clock, name, ms
local now, key = clock(ARGV[1]), P .. 'rate:' .. ARGV[2]
use_up(key, math.max(tonumber(call('GET', key) or 0), now + tonumber(ARGV[3])), now)

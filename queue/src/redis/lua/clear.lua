-- Forgets a page of one program's cached results.
-- KEYS[1] prefix   ARGV: program, most
-- Returns {how many there were, whether there is more}.
local key = P .. 'ci:' .. ARGV[1]
local page = call('ZRANGE', key, 0, ARGV[2] - 1)
local cleared = 0
for _, fingerprint in ipairs(page) do cleared = cleared + call('DEL', P .. 'c:' .. fingerprint) end
if #page > 0 then call('ZREM', key, unpack(page)) end
if call('EXISTS', key) == 1 then return { cleared, 1 } end
call('SREM', P .. 'cp', ARGV[1])
return { cleared, 0 }

-- Puts the documents of a packed chunk back in a hash, so that some of them can change.
-- KEYS[1] prefix   ARGV: batch, chunk, then field and document by 2
local key, k = P .. 'b:' .. ARGV[1], ARGV[2]
if call('DEL', key .. ':p:' .. k) == 0 then return 0 end
call('HSET', key .. ':r:' .. k, unpack(ARGV, 3))
return 1

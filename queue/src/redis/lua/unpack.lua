-- Puts the documents of a packed chunk back in a hash, so that some of them can change.
-- Those of a pack that was replaced since it was read stay away: others have ended since.
-- KEYS[1] prefix   ARGV: batch, chunk, retries of the batch when it was read, then field and document by 2
local key, k = P .. 'b:' .. ARGV[1], ARGV[2]
if (call('HGET', key, 'again') or '0') ~= ARGV[3] then return 0 end
if call('DEL', key .. ':p:' .. k) == 0 then return 0 end
call('HSET', key .. ':r:' .. k, unpack(ARGV, 4))
return 1

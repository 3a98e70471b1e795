-- Puts the documents of a whole chunk in one string, if they are still as they were read.
-- KEYS[1] prefix   ARGV: batch, chunk, how many fields were read, retries of the batch then, the string
local key, k = P .. 'b:' .. ARGV[1], ARGV[2]
local documents = key .. ':r:' .. k
if not is_whole(ARGV[1], k) then return 0 end
if call('HLEN', documents) ~= tonumber(ARGV[3]) then return 0 end
if (call('HGET', key, 'again') or '0') ~= ARGV[4] then return 0 end
call('SET', key .. ':p:' .. k, ARGV[5])
call('UNLINK', documents)
return 1

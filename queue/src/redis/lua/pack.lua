-- Puts the documents of a whole chunk in one string, if they are still as they were read, or as no field,
-- which they are when they came packed and are taken out now. The chunk is
-- no longer among those that can be packed then, nor if it need not be: what changed in between, and is
-- whole, comes again.
-- KEYS[1] prefix   ARGV: batch, chunk, how many fields were read, retries of the batch then, the string,
--   1 if an object was written for it
local key, k = P .. 'b:' .. ARGV[1], ARGV[2]
if ARGV[6] == '1' then note_objects(ARGV[1]) end
local documents, pack = key .. ':r:' .. k, key .. ':p:' .. k
local fields, changed = call('HLEN', documents), (call('HGET', key, 'again') or '0') ~= ARGV[4]
if (fields > 0 or call('EXISTS', pack) == 1) and is_whole(ARGV[1], k) then
  if fields ~= tonumber(ARGV[3]) or changed then return 0 end
  call('SET', pack, ARGV[5])
  call('UNLINK', documents)
end
call('SREM', P .. 'packs', ARGV[1] .. ':' .. k)
return 1

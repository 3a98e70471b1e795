-- Counts what is before a queued execution.
-- KEYS[1] prefix   ARGV: id, class, most to count
-- Returns {entries of its lane before it that wait, lanes of its class that take turns}.
local id, class, most = ARGV[1], ARGV[2], ARGV[3]
local lanes = call('ZCARD', P .. 'turn:' .. class)
local v = call('HMGET', P .. 'e:' .. id, 'l', 's')
local lane, entry = v[1], v[2]
local batch, index = item_of(id)
if not entry and batch then lane, entry = place(batch, index) end
if not entry and batch then
  -- It waits behind the batch's window.
  local v = call('HMGET', P .. 'b:' .. batch, 'w', 'next')
  return { (v[1] or 0) + math.max(0, math.floor(index / CHUNK) - (v[2] or 0)), lanes }
end
if not entry or entry == 'z' then return { 0, lanes } end
local last = '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', P .. 'l:' .. lane)
for i = 1, #(groups[1] or {}), 2 do
  if groups[1][i] == 'last-delivered-id' then last = groups[1][i + 1] end
end
return { #call('XRANGE', P .. 'l:' .. lane, '(' .. last, '(' .. entry, 'COUNT', most), lanes }

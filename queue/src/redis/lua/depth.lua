-- Counts what waits and runs now.
-- KEYS[1] prefix   ARGV: clock, most lanes to look at for the oldest
-- Returns {waiting, live, scheduled, dead, age of the oldest queued one in ms or -1, paused, lanes by class…}.
local now, most = clock(ARGV[1]), tonumber(ARGV[2])
local n = call('HMGET', P .. 'n', 'waiting', 'live')
local oldest = math.huge
local looked = 0
for _, lane in ipairs(call('SMEMBERS', P .. 'lanes')) do
  looked = looked + 1
  if looked > most then break end
  local groups = redis.pcall('XINFO', 'GROUPS', P .. 'l:' .. lane)
  if not groups.err and groups[1] then
    local last
    for i = 1, #groups[1], 2 do
      if groups[1][i] == 'last-delivered-id' then last = groups[1][i + 1] end
    end
    local first = call('XRANGE', P .. 'l:' .. lane, '(' .. last, '+', 'COUNT', 1)[1]
    if first then oldest = math.min(oldest, tonumber(first[1]:match('^%d+'))) end
  end
end
local age = oldest < math.huge and math.max(0, now - oldest) or -1
return { n[1] or '0', n[2] or '0', call('ZCARD', P .. 'z'), call('ZCARD', P .. 'dead'),
  string.format('%d', age), call('HEXISTS', P .. 'cfg', 'paused'), string.format('%d', now) }

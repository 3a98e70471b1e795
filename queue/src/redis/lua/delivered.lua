-- Notes what became of notices, unless they were taken by another or put in anew since then.
-- KEYS[1] prefix   ARGV: clock, then per notice: channel, name, until when it was taken, what
--   (sent, dropped, or later or again and the ms after which it is due)
local now = clock(ARGV[1])
for i = 2, #ARGV, 4 do
  local channel, name, till, what = unpack(ARGV, i, i + 3)
  local key = P .. 'ob:' .. channel
  local score = call('ZSCORE', key, name)
  if score and tonumber(score) == tonumber(till) then
    local how, delay = string.match(what, '^(%a+) (%d+)$')
    if delay then
      call('ZADD', key, string.format('%d', now + delay), name)
      if how == 'again' then
        call('HSET', P .. 'obn:' .. channel, name, 1)
      end
    else
      call('ZREM', key, name)
      call('HDEL', P .. 'obn:' .. channel, name)
      call('HINCRBY', P .. 'obc', channel .. '|' .. what, 1)
    end
  end
end

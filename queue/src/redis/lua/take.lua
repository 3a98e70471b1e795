-- Takes notices of a channel that are due, the oldest first.
-- KEYS[1] prefix   ARGV: clock, channel, most, lease ms
-- Returns {until when they are taken, then per notice: name, how often it was taken before}.
local now, channel = clock(ARGV[1]), ARGV[2]
local key, till = P .. 'ob:' .. channel, string.format('%d', now + ARGV[4])
local answer = { till }
for _, name in ipairs(call('ZRANGEBYSCORE', key, '-inf', string.format('%d', now), 'LIMIT', 0, ARGV[3])) do
  call('ZADD', key, till, name)
  answer[#answer + 1] = name
  answer[#answer + 1] = tostring(call('HINCRBY', P .. 'obn:' .. channel, name, 1) - 1)
end
return answer

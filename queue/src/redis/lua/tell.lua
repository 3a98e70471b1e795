-- Tells more of an attempt, unless another one has begun.
-- KEYS[1] prefix   ARGV: execution, teller, most to keep, kept ms, then per news: event, data
local feed, teller = P .. 'f:' .. ARGV[1], P .. 'ft:' .. ARGV[1]
local now = call('GET', teller)
if now and now ~= ARGV[2] then return end
for i = 5, #ARGV, 2 do
  call('XADD', feed, 'MAXLEN', ARGV[3], '*', 'e', ARGV[i], 'd', ARGV[i + 1])
end
call('PEXPIRE', feed, ARGV[4])
call('SET', teller, ARGV[2], 'PX', ARGV[4])
call('PUBLISH', P .. 'ended', 'f:' .. ARGV[1])

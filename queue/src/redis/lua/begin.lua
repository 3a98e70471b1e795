-- Begins to tell of an attempt. What others told is forgotten; the stream stays, for its last mark.
-- KEYS[1] prefix   ARGV: execution, teller, event and data of the notice, kept ms
local feed, teller = P .. 'f:' .. ARGV[1], P .. 'ft:' .. ARGV[1]
local before = call('GET', teller)
call('SET', teller, ARGV[2], 'PX', ARGV[5])
if before ~= ARGV[2] and call('XLEN', feed) > 0 then
  call('XTRIM', feed, 'MAXLEN', 0)
  call('XADD', feed, '*', 'e', ARGV[3], 'd', ARGV[4])
  call('PEXPIRE', feed, ARGV[5])
  call('PUBLISH', P .. 'ended', 'f:' .. ARGV[1])
end

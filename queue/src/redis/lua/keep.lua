-- Keeps a reply that was paid for. A place that is filled stays as it is, and is not counted again.
-- KEYS[1] prefix   ARGV: clock, execution, place, request, holder, reply, kept ms, shared ms or '',
-- most shared replies, ms that costs are kept, how many costs, then per cost: scope, micros; then per rate: name, ms it took
local now, request = clock(ARGV[1]), ARGV[4]
local journal = P .. 'j:' .. ARGV[2]
if call('HSETNX', journal, ARGV[3], ARGV[6]) == 1 then
  call('PEXPIRE', journal, ARGV[7])
  local costs = tonumber(ARGV[11])
  for i = 12, 11 + 2 * costs, 2 do
    call('INCRBY', P .. 'sp:' .. ARGV[i], ARGV[i + 1])
    call('PEXPIRE', P .. 'sp:' .. ARGV[i], ARGV[10])
  end
  for i = 12 + 2 * costs, #ARGV, 2 do
    local key = P .. 'rate:' .. ARGV[i]
    use_up(key, math.max(tonumber(call('GET', key) or 0), now) + tonumber(ARGV[i + 1]), now)
  end
end
if ARGV[8] ~= '' then
  local key = shared_reply(request)
  call('SET', key, ARGV[6], 'PX', ARGV[8])
  call('ZADD', P .. 'lrx', now + tonumber(ARGV[8]), key)
  local beyond = call('ZCARD', P .. 'lrx') - tonumber(ARGV[9])
  local oldest = beyond > 0 and call('ZPOPMIN', P .. 'lrx', math.min(beyond, 100)) or {}
  for i = 1, #oldest, 2 do call('UNLINK', oldest[i]) end
  call('ZREMRANGEBYSCORE', P .. 'lrx', '-inf', now)
end
end_flight(request, ARGV[5])

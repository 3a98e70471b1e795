-- Forgets a batch that was held and is not sealed; the upkeep takes its parts away.
-- KEYS[1] prefix   ARGV: clock, batch
local now, batch = clock(ARGV[1]), ARGV[2]
if call('HGET', P .. 'b:' .. batch, 'phase') == 'held' then
  forget_held(batch, now)
end

-- Pauses a batch, resumes it, or changes how its items run.
-- KEYS[1] prefix   ARGV: batch, pause | resume | spec, the spec
-- Returns whether there is such a batch.
local batch, what, spec = ARGV[1], ARGV[2], ARGV[3]
local key = P .. 'b:' .. batch
local v = call('HMGET', key, 'class', 'phase')
if not v[1] or is_hidden(v[2]) then return 0 end
if what == 'pause' then
  call('HSET', key, 'paused', 1)
elseif what == 'resume' then
  call('HDEL', key, 'paused')
  reopen(v[1], batch)
else
  call('HSET', key, 'spec', spec)
end
return 1

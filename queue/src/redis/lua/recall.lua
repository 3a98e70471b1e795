-- Looks for the reply to a call, or says who is to make it.
-- KEYS[1] prefix   ARGV: execution, place, request, shared or '', holder, hold ms, then scope, most…
-- Returns {'own' or 'shared', reply} · {'yours'} · {'elsewhere'} · {'spent', scope}.
local own = call('HGET', P .. 'j:' .. ARGV[1], ARGV[2])
if own then return { 'own', own } end
local request, shared, holder = ARGV[3], ARGV[4] ~= '', ARGV[5]
if shared then
  local reply = call('GET', shared_reply(request))
  if reply then return { 'shared', reply } end
end
for i = 7, #ARGV, 2 do
  if tonumber(call('GET', P .. 'sp:' .. ARGV[i]) or 0) >= tonumber(ARGV[i + 1]) then return { 'spent', ARGV[i] } end
end
if not shared then return { 'yours' } end
local flight = P .. 'lf:' .. request
local before = call('GET', flight)
if before and before ~= holder then return { 'elsewhere' } end
call('SET', flight, holder, 'PX', ARGV[6])
return { 'yours' }

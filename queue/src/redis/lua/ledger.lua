-- Put before the scripts of the ledger, behind common.lua.

-- Notes until when (ms) a rate is used up; forgotten when that is past.
local function use_up(key, at, now)
  if at <= now then
    call('DEL', key)
  else
    call('SET', key, string.format('%.3f', at), 'PX', math.ceil(at - now) + 60000)
  end
end

-- The key of the reply that serves equal calls. Clearing the caches gives all of them other keys.
local function shared_reply(request)
  return P .. 'lr:' .. (call('HGET', P .. 'cfg', 'cleared') or '0') .. ':' .. request
end

local function end_flight(request, holder)
  local flight = P .. 'lf:' .. request
  if call('GET', flight) == holder then call('DEL', flight) end
end

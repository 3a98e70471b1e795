-- Takes the next moment at which all rates allow a call: each keeps the time until which it is used up.
-- KEYS[1] prefix   ARGV: clock, longest wait ms, then per rate: name, ms it takes, ms of burst
-- Returns {whether it is taken, ms until then}.
local now, most = clock(ARGV[1]), tonumber(ARGV[2])
local at, rates = now, {}
for i = 3, #ARGV, 3 do
  local key = P .. 'rate:' .. ARGV[i]
  local used = tonumber(call('GET', key) or 0)
  at = math.max(at, used - tonumber(ARGV[i + 2]))
  rates[#rates + 1] = { key, math.max(used, now) + tonumber(ARGV[i + 1]) }
end
local wait = math.ceil(at - now)
if wait > most then return { 0, wait } end
for _, rate in ipairs(rates) do use_up(rate[1], rate[2], now) end
return { 1, wait }

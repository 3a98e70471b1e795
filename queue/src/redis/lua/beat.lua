-- Shows that a worker lives; registers it with its first beat.
-- KEYS[1] prefix   ARGV: clock, lease ms, worker, info
-- Returns {declared dead, paused, epoch, whether upkeep is due, ms until the next due time or '', orders…}.
local now, lease, worker, info = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
if call('ZSCORE', P .. 'gone', worker) then return { 1, 0, '0', 0, '' } end
local quiet = call('ZRANGE', P .. 'w', 0, 0, 'WITHSCORES')
call('ZADD', P .. 'w', now + lease, worker)
call('HSET', P .. 'w:' .. worker, 'info', info)
local orders = call('LRANGE', P .. 'o:' .. worker, 0, -1)
if #orders > 0 then call('DEL', P .. 'o:' .. worker) end
local cfg = call('HMGET', P .. 'cfg', 'paused', 'epoch')
local due = call('ZRANGE', P .. 'z', 0, 0, 'WITHSCORES')[2]
local late = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')[2]
local first = math.min(tonumber(due or math.huge), tonumber(late or math.huge))
local untidy = call('SET', P .. 'tidy', 1, 'NX', 'PX', 10000)
local upkeep = untidy or (quiet[2] and tonumber(quiet[2]) < now) or first <= now
local wait = first < math.huge and string.format('%d', math.max(0, first - now)) or ''
return { 0, cfg[1] and 1 or 0, cfg[2] or '0', upkeep and 1 or 0, wait, unpack(orders) }

-- Shows that a worker lives; registers it with its first beat.
-- KEYS[1] prefix   ARGV: clock, lease ms, worker, info, then orders it has heard
-- Returns {declared dead, paused, epoch, ms until upkeep may be due or '', orders…}.
local ORDERS_MAX = 4000 -- with one beat: Lua can return no more than some 8,000 values
local now, lease, worker, info = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
if call('ZSCORE', P .. 'gone', worker) then return { 1, 0, '0', '' } end
call('ZADD', P .. 'w', now + lease, worker)
call('HSET', P .. 'w:' .. worker, 'info', info)
-- An order is given again until the worker has heard it, and those beyond the most after that.
for i = 5, #ARGV do call('LREM', P .. 'o:' .. worker, 1, ARGV[i]) end
local orders = call('LRANGE', P .. 'o:' .. worker, 0, ORDERS_MAX - 1)
local cfg = call('HMGET', P .. 'cfg', 'paused', 'epoch')
-- What is due next: a scheduled execution, a deadline, an upload given up, the end of a lease, or tidying up.
local next_due = math.huge
for _, key in ipairs({ 'z', 'd', 'w', 'up' }) do
  local due = call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')[2]
  next_due = math.min(next_due, tonumber(due or math.huge))
end
if call('SET', P .. 'tidy', 1, 'NX', 'PX', 10000) then next_due = now end
local wait = string.format('%d', math.max(0, next_due - now))
return { 0, cfg[1] and 1 or 0, cfg[2] or '0', wait, unpack(orders) }

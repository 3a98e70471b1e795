-- A bounded round of upkeep.
-- KEYS[1] prefix   ARGV: clock, ttl, most of each kind, crashes_max, worker to give up or '', outbox_max
-- Returns {promoted, rescued, expired, ms until the next due time or '', whether there is more}.
local now, ttl, most, crashes_max, given_up = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local promoted, rescued, expired, more = 0, 0, 0, false

local function program_of(envelope, batch)
  if batch then return call('HGET', P .. 'b:' .. batch, 'program') end
  return envelope:match('^(.-)\n') or ''
end

local function promote()
  local due = call('ZRANGEBYSCORE', P .. 'z', '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(due) do
    local v = call('HMGET', P .. 'e:' .. id, 'l', 'p', 'h', 'g')
    call('ZREM', P .. 'z', id)
    if v[2] then
      local entry = push(v[1], 'j', id, 'p', v[2], 'h', v[3] or '[]', 'g', v[4] or 0)
      call('HSET', P .. 'e:' .. id, 's', entry)
      call('HDEL', P .. 'e:' .. id, 'p', 'h')
      ring(v[1])
      promoted = promoted + 1
    end
  end
  more = more or #due == most
end

-- The second loss makes a suspect, which runs alone; each loss of a suspect is charged to it.
local function lane_after(class, losses, batch)
  return losses >= 2 and class .. ':?' .. (batch or '') or lane_back(class, batch)
end

local function lose_single(lane, entry, fields)
  local id, losses = fields.j, tonumber(fields.cr or 0) + 1
  local batch = item_of(id)
  drop(lane, entry)
  if call('SREM', P .. 'cx', id) == 1 then
    settle(id, 'cancelled', tonumber(fields.g or 0), fields.p, bare_tail(fields.h), now, ttl)
    bump(program_of(fields.p, batch), 'cx', 1)
  elseif losses - 2 >= crashes_max then
    local why = 'its worker was lost ' .. losses .. ' times while it ran'
    settle(id, 'failed', tonumber(fields.g or 0), fields.p, bare_tail(fields.h, 'worker_lost', why), now, ttl)
    bump(program_of(fields.p, batch), 'bad', 1)
    call('ZADD', P .. 'dead', now, id)
  else
    local to = lane_after(lane:sub(1, 1), losses, batch)
    local again = push(to, 'j', id, 'p', fields.p, 'h', fields.h or '[]', 'g', fields.g or 0, 'cr', losses)
    local lost = call('HGET', P .. 'e:' .. id, 'x') or ' '
    call('HSET', P .. 'e:' .. id, 'l', to, 's', again, 'x', lost .. entry .. ' ')
    ring(to)
    count_waiting(1, batch)
    return
  end
  call('ZREM', P .. 'd', id)
end

-- Ends the items that were called off while they ran, and gives the others.
local function without_cancelled(batch, items)
  local rest = {}
  for _, index in ipairs(items) do
    if call('SREM', P .. 'cx', batch .. '-' .. index) == 1 then
      settle_item(batch, index, 'cancelled', generation_of(batch, index), '', bare_tail(), now)
      bump(call('HGET', P .. 'b:' .. batch, 'program'), 'cx', 1)
    else
      rest[#rest + 1] = index
    end
  end
  return rest
end

local function fail_item(fields, index, losses)
  local why = 'its worker was lost ' .. losses .. ' times while it ran'
  local generation = generation_of(fields.b, index)
  if settle_item(fields.b, index, 'failed', generation, '', bare_tail(nil, 'worker_lost', why), now) then
    bump(call('HGET', P .. 'b:' .. fields.b, 'program'), 'bad', 1)
    call('ZADD', P .. 'dead', now, fields.b .. '-' .. index)
  end
end

-- A chunk lost twice falls apart, so that one item cannot take the others with it.
local function lose_chunk(lane, entry, fields)
  local losses, rest = tonumber(fields.cr or 0) + 1, items_of(fields, lane, entry)
  local key = P .. 'b:' .. fields.b
  rest = without_cancelled(fields.b, rest)
  close_entry(fields.b, lane, entry)
  call('SADD', key .. ':lost', lane .. '\n' .. entry)
  if losses - 2 >= crashes_max then
    for _, index in ipairs(rest) do fail_item(fields, index, losses) end
    return
  end
  local to = lane_after(lane:sub(1, 1), losses, fields.b)
  local piece = losses >= 2 and 1 or tonumber(call('HGET', key, 'piece') or CHUNK)
  push_items(fields.b, fields.k, rest, to, piece, 'cr', losses)
  count_waiting(#rest, fields.b)
  ring(to)
end

-- Takes back what one dead worker holds; true when nothing is left.
local function rescue(worker)
  for _, lane in ipairs(call('SMEMBERS', P .. 'lanes')) do
    local rows = redis.pcall('XPENDING', P .. 'l:' .. lane, GROUP, '-', '+', most, worker)
    for _, row in ipairs(rows.err and {} or rows) do
      if rescued >= most then return false end
      local fields = entry_fields(lane, row[1])
      if not fields then
        drop(lane, row[1])
      elseif fields.b then
        lose_chunk(lane, row[1], fields)
      else
        lose_single(lane, row[1], fields)
      end
      rescued = rescued + 1
    end
    if not rows.err then redis.pcall('XGROUP', 'DELCONSUMER', P .. 'l:' .. lane, GROUP, worker) end
  end
  call('ZREM', P .. 'w', worker)
  call('DEL', P .. 'w:' .. worker, P .. 'o:' .. worker)
  return true
end

local function rescue_dead()
  for _, worker in ipairs(call('ZRANGEBYSCORE', P .. 'w', '-inf', '(' .. string.format('%d', now), 'LIMIT', 0, most)) do
    call('ZADD', P .. 'gone', now, worker)
    if not rescue(worker) then
      more = true
      return
    end
  end
end

local function expire_one(id)
  local v = call('HMGET', P .. 'e:' .. id, 'l', 's', 'p', 'h', 'g')
  if not v[2] then return end
  local fields, batch = { p = v[3], h = v[4] or nil, g = v[5] or 0 }, item_of(id)
  if v[2] == 'z' then
    call('ZREM', P .. 'z', id)
    count_waiting(-1, batch)
  else
    local consumer = holder(v[1], v[2])
    if consumer then order(consumer, id) else count_waiting(-1, batch) end
    fields = entry_fields(v[1], v[2]) or { p = '' }
    drop(v[1], v[2])
  end
  call('SREM', P .. 'cx', id)
  settle(id, 'expired', tonumber(fields.g or 0), fields.p, bare_tail(fields.h), now, ttl)
  bump(program_of(fields.p, batch), 'ex', 1)
  expired = expired + 1
end

-- No more items come to a batch.
local function close_upload(batch)
  if call('HEXISTS', P .. 'b:' .. batch, 'phase') == 0 then return end
  end_upload(batch)
  close_batch(batch, now, ttl)
end

-- Ends a few chunks of a batch that is too late (`b:`) or called off (`c:`); the rest comes with the
-- next rounds.
local function end_batch(member)
  local batch = member:sub(3)
  local key = P .. 'b:' .. batch
  local state, mark = 'expired', 'expiring'
  if member:sub(1, 2) == 'c:' then state, mark = 'cancelled', 'stopping' end
  close_upload(batch)
  local v = call('HMGET', key, mark, 'total', 'finished')
  local k, further = tonumber(v[1] or 0), v[2] and not v[3] and tonumber(v[2]) > 0
  for _ = 1, 4 do
    if not further then break end
    further = end_chunk(batch, k, state, now)
    k = k + 1
    if state == 'expired' then expired = expired + 1 end
  end
  if further then
    call('HSET', key, mark, k)
    more = true
  else
    call('ZREM', P .. 'd', member)
  end
end

-- Gives uploads up that nobody goes on with: what nobody saw is forgotten, the rest called off.
local function give_uploads_up()
  local stale = call('ZRANGEBYSCORE', P .. 'up', '-inf', now, 'LIMIT', 0, most)
  for _, batch in ipairs(stale) do
    local key = P .. 'b:' .. batch
    if call('HGET', key, 'phase') == 'held' then
      forget_held(batch, now)
    else
      call('ZREM', P .. 'up', batch)
      call('HSET', key, 'stop', now)
      call('ZADD', P .. 'd', now, 'c:' .. batch)
    end
  end
  more = more or #stale > 0
end

local function expire()
  local late = call('ZRANGEBYSCORE', P .. 'd', '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(late) do
    if id:sub(2, 2) == ':' then
      end_batch(id)
    else
      call('ZREM', P .. 'd', id)
      expire_one(id)
    end
  end
  more = more or #late == most
end

-- Forgets what is too old, and lanes that stay empty.
local function trim()
  for _, lane in ipairs(call('ZRANGEBYSCORE', P .. 'empty', '-inf', now - 60000, 'LIMIT', 0, most)) do
    call('ZREM', P .. 'empty', lane)
    if call('XLEN', P .. 'l:' .. lane) == 0 then
      call('DEL', P .. 'l:' .. lane)
      call('SREM', P .. 'lanes', lane)
      call('ZREM', P .. 'turn:' .. lane:sub(1, 1), lane)
      call('SREM', P .. 'suspects', lane)
    end
  end
  local horizon = string.format('%d', now - ttl)
  call('XTRIM', P .. 'x', 'MINID', '~', horizon, 'LIMIT', 1000)
  call('XTRIM', P .. 'bx', 'MINID', '~', horizon, 'LIMIT', 1000)
  call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', horizon)
  call('ZREMRANGEBYSCORE', P .. 'gone', '-inf', now - 3600000)
  call('ZREMRANGEBYRANK', P .. 'gone', 0, -10001)
  for _, channel in ipairs({ 'w', 't' }) do
    local beyond = call('ZCARD', P .. 'ob:' .. channel) - ARGV[6]
    local oldest = beyond > 0 and call('ZPOPMIN', P .. 'ob:' .. channel, math.min(beyond, 1000)) or {}
    for i = 1, #oldest, 2 do call('HDEL', P .. 'obn:' .. channel, oldest[i]) end
    if beyond > 0 then call('HINCRBY', P .. 'obc', channel .. '|dropped', #oldest / 2) end
    more = more or beyond > 1000
  end
  for _, batch in ipairs(call('ZRANGEBYSCORE', P .. 'old', '-inf', now, 'LIMIT', 0, 1)) do
    local key = P .. 'b:' .. batch
    local chunks = math.ceil(tonumber(call('HGET', key, 'total') or 0) / CHUNK)
    local from = tonumber(call('HGET', key, 'trimmed') or 0)
    local to = math.min(chunks, from + 500)
    for k = from, to - 1 do call('UNLINK', key .. ':in:' .. k, key .. ':r:' .. k, key .. ':p:' .. k) end
    if to == chunks then
      if call('HEXISTS', key, 'objects') == 1 then call('SADD', P .. 'objects', batch) end
      call('UNLINK', key, key .. ':done', key .. ':out', key .. ':o', key .. ':s', key .. ':lost',
        key .. ':parts', key .. ':c')
      call('ZREM', P .. 'old', batch)
    else
      call('HSET', key, 'trimmed', to)
      more = true
    end
  end
end

if given_up ~= '' then
  call('ZADD', P .. 'gone', now, given_up)
  more = not rescue(given_up)
else
  promote()
  rescue_dead()
  give_uploads_up()
  expire()
  trim()
end
sweep(now)
flush(now, ttl)
local due = call('ZRANGE', P .. 'z', 0, 0, 'WITHSCORES')[2]
return { promoted, rescued, expired, due and string.format('%d', math.max(0, due - now)) or '', more and 1 or 0 }

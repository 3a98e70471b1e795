-- Calls executions off: at once those that wait, by an order to their worker those that run.
-- KEYS[1] prefix   ARGV: clock, ttl, ids of single executions or items
-- Returns per id its state, with '!' before it if it had ended otherwise; '' if there is none.
local now, ttl = clock(ARGV[1]), ARGV[2]
local answers = {}

local function program_of(envelope, batch)
  if batch then return call('HGET', P .. 'b:' .. batch, 'program') end
  return envelope:match('^(.-)\n') or ''
end

local function take_out(id, lane, entry, batch, row)
  local fields = row or entry_fields(lane, entry) or {}
  if not row then drop(lane, entry) end
  settle(id, 'cancelled', tonumber(fields.g or 0), fields.p or '', bare_tail(fields.h), now, ttl)
  count_waiting(-1, batch)
  bump(program_of(fields.p or '', batch), 'cx', 1)
  call('ZREM', P .. 'd', id)
  return 'cancelled'
end

-- Of an execution with a record of its own.
local function cancel_record(id, batch)
  local v = call('HMGET', P .. 'e:' .. id, 'l', 's', 'p', 'h', 'g')
  if not v[2] then return nil end
  if v[2] == 'z' then
    call('ZREM', P .. 'z', id)
    return take_out(id, nil, nil, batch, { p = v[3], h = v[4] or nil, g = v[5] or 0 })
  end
  local consumer = holder(v[1], v[2])
  if not consumer then return take_out(id, v[1], v[2], batch) end
  call('SADD', P .. 'cx', id)
  order(consumer, id)
  return 'running'
end

-- Of an item in its chunk.
local function cancel_item(id, batch, index)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'phase')
  if not v[1] or is_hidden(v[2]) or index >= tonumber(v[1]) then return '' end
  local ended = packed_state(batch, index)
  if ended then return ended == 'cancelled' and ended or '!' .. ended end
  local doc = call('HGET', key .. ':r:' .. math.floor(index / CHUNK), index)
  if doc then
    local state = doc:match('^%a+')
    return state == 'cancelled' and state or '!' .. state
  end
  local lane, entry = place(batch, index)
  local consumer = lane and holder(lane, entry)
  if consumer then
    call('SADD', P .. 'cx', id)
    order(consumer, id)
    return 'running'
  end
  settle_item(batch, index, 'cancelled', generation_of(batch, index), '', bare_tail(), now)
  bump(call('HGET', key, 'program'), 'cx', 1)
  count_waiting(-1, batch)
  if lane then leave(batch, lane, entry) end
  return 'cancelled'
end

for i = 3, #ARGV do
  local id = ARGV[i]
  local head = call('GETRANGE', P .. 'r:' .. id, 0, 15):match('^%a+')
  local batch, index = item_of(id)
  local answer
  if head then
    answer = head == 'cancelled' and head or '!' .. head
  else
    answer = cancel_record(id, batch) or (batch and cancel_item(id, batch, index)) or ''
  end
  answers[#answers + 1] = answer
end
sweep(now)
flush(now, ttl)
return answers

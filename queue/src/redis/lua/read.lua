-- Reads executions and items as they stand at one moment.
-- KEYS[1] prefix   ARGV: clock, ids
-- Returns per id: {'r', document} ended · {'e', record, entry fields or false, consumer, idle ms} with a
-- record · {'b', batch's spec, created, chunk's inputs, document, earlier document, consumer, idle ms,
-- record or false, called off, packed documents or false} for an item · {} if there is none.
local now = clock(ARGV[1])
local answers = {}

local function open_record(id)
  local record = call('HGETALL', P .. 'e:' .. id)
  if #record == 0 then return nil end
  local v = call('HMGET', P .. 'e:' .. id, 'l', 's')
  local entry, consumer, idle = false, false, 0
  if v[2] ~= 'z' then
    local rows = call('XRANGE', P .. 'l:' .. v[1], v[2], v[2])
    entry = rows[1] and rows[1][2] or false
    consumer, idle = holder(v[1], v[2])
  end
  local due = call('ZSCORE', P .. 'z', id)
  local cancel = call('SISMEMBER', P .. 'cx', id)
  return { 'e', record, entry, consumer or false, idle or 0, due or false, cancel }
end

local function item(id, batch, index)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'spec', 'created', 'total', 'phase')
  if not v[1] or is_hidden(v[4]) or index >= tonumber(v[3]) then return {} end
  local k = math.floor(index / CHUNK)
  local docs = call('HMGET', key .. ':r:' .. k, index, 'h' .. index)
  local consumer, idle, record = false, 0, false
  local packed = not docs[1] and call('GET', key .. ':p:' .. k)
  if not docs[1] and not packed then
    record = open_record(id) or false
    local lane, entry = place(batch, index)
    if not record and lane then consumer, idle = holder(lane, entry) end
  end
  return { 'b', v[1], v[2], call('GET', key .. ':in:' .. k), docs[1], docs[2], consumer or false, idle or 0, record,
    call('SISMEMBER', P .. 'cx', id), packed or false }
end

for i = 2, #ARGV do
  local id = ARGV[i]
  local doc = call('GET', P .. 'r:' .. id)
  local batch, index = item_of(id)
  if doc then
    answers[#answers + 1] = { 'r', doc }
  elseif batch then
    answers[#answers + 1] = item(id, batch, index)
  else
    answers[#answers + 1] = open_record(id) or {}
  end
end
return { now, answers }

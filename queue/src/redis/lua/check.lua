-- Checks the invariants, and says what is broken.
-- KEYS[1] prefix   ARGV: most entries to look at
-- Returns at most 100 sentences.
local left, wrong = tonumber(ARGV[1]), {}
local waits, waits_batched, runs, seen = 0, 0, 0, {}

local function say(text, ...)
  if #wrong < 100 then wrong[#wrong + 1] = string.format(text, ...) end
end

local function see_waiting(n, batch)
  waits = waits + n
  if batch then waits_batched = waits_batched + n end
end

local function check_single(lane, entry, fields, consumer)
  local id = fields.j
  if seen[id] then say('%s is in two places: %s and %s', id, seen[id], lane) end
  seen[id] = lane
  local v = call('HMGET', P .. 'e:' .. id, 'l', 's')
  if v[1] ~= lane or v[2] ~= entry then say('the record of %s does not know its entry in %s', id, lane) end
  if call('EXISTS', P .. 'r:' .. id) == 1 then say('%s has ended and is in lane %s', id, lane) end
  if consumer then runs = runs + 1 else see_waiting(1, item_of(id)) end
end

local function check_chunk(lane, entry, fields, consumer)
  local key = P .. 'b:' .. fields.b
  local items = items_of(fields, lane, entry)
  local rest = #items
  for _, index in ipairs(items) do
    local id = fields.b .. '-' .. index
    if seen[id] then say('%s is in two places: %s and %s', id, seen[id], lane) end
    seen[id] = lane
  end
  local noted = tonumber(call('HGET', key .. ':o', lane .. '\n' .. entry) or 0)
  if noted ~= rest then say('chunk %s of batch %s notes %d items left, and has %d', fields.k, fields.b, noted, rest) end
  if consumer then runs = runs + rest else see_waiting(rest, fields.b) end
end

for _, lane in ipairs(call('SMEMBERS', P .. 'lanes')) do
  local key, from, waiting_here = P .. 'l:' .. lane, '-', false
  local held = {}
  local rows = redis.pcall('XPENDING', key, GROUP, '-', '+', left)
  for _, row in ipairs(rows.err and {} or rows) do
    held[row[1]] = row[2]
    if not call('ZSCORE', P .. 'w', row[2]) then say('%s of lane %s is with %s, which is no worker', row[1], lane, row[2]) end
  end
  while left > 0 do
    local page = call('XRANGE', key, from, '+', 'COUNT', 1000)
    for _, row in ipairs(page) do
      local fields = {}
      for i = 1, #row[2], 2 do fields[row[2][i]] = row[2][i + 1] end
      waiting_here = waiting_here or not held[row[1]]
      if fields.b then
        check_chunk(lane, row[1], fields, held[row[1]])
      else
        check_single(lane, row[1], fields, held[row[1]])
      end
      held[row[1]] = nil
      from = '(' .. row[1]
    end
    left = left - #page
    if #page < 1000 then break end
  end
  if left > 0 then
    for entry in pairs(held) do say('%s of lane %s is with a worker and is not there', entry, lane) end
  end
  local class, name = lane:sub(1, 1), lane:sub(3)
  local open
  if name:sub(1, 1) == '?' then
    open = call('SISMEMBER', P .. 'suspects', lane) == 1
  else
    open = call('ZSCORE', P .. 'turn:' .. class, lane)
  end
  if waiting_here and not open and call('SISMEMBER', P .. 'parked', lane) == 0 then say('lane %s has something to hand out and takes no turn', lane) end
end

for _, id in ipairs(call('ZRANGE', P .. 'z', 0, left)) do
  if seen[id] then say('%s is scheduled, and in lane %s', id, seen[id]) end
  seen[id] = 'z'
  if call('HGET', P .. 'e:' .. id, 's') ~= 'z' then say('%s is scheduled and its record does not say so', id) end
  see_waiting(1, item_of(id))
end

-- Batches: what waits behind their windows, and their counts.
local batches = call('XRANGE', P .. 'bx', '-', '+', 'COUNT', 1000)
for _, row in ipairs(batches) do
  local batch = row[2][2]
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'succeeded', 'failed', 'cancelled', 'expired', 'next', 'w', 'finished', 'phase')
  if v[1] then
    local total, next_chunk = tonumber(v[1]), tonumber(v[6] or 0)
    local ended = (v[2] or 0) + (v[3] or 0) + (v[4] or 0) + (v[5] or 0)
    local done = call('BITCOUNT', key .. ':done')
    if ended ~= done then say('batch %s counts %d ended items, and has %d', batch, ended, done) end
    if done > total then say('batch %s has more ended items than items', batch) end
    if v[8] and done < total then say('batch %s is finished, and %d items are left', batch, total - done) end
    if done == total and not v[8] and not v[9] then say('batch %s has ended and is not finished', batch) end
    for k = next_chunk, math.ceil(total / CHUNK) - 1 do
      left = left - 1
      if left <= 0 then break end
      see_waiting(#open_items(batch, k, indexes_of(k, total), false), batch)
    end
    local entries = tonumber(v[7] or 0)
    if entries < 0 or entries >= WINDOW + CHUNK then say('batch %s counts %d entries', batch, entries) end
    if entries == 0 and next_chunk * CHUNK < total and done < total then
      say('batch %s has chunks that wait, and none that lets them in', batch)
    end
  end
end

if left > 0 and #batches < 1000 then
  local n = call('HMGET', P .. 'n', 'waiting', 'live', 'batched')
  local waiting_noted, live_noted, batched_noted = tonumber(n[1] or 0), tonumber(n[2] or 0), tonumber(n[3] or 0)
  if batched_noted ~= waits_batched then
    say('%d items of batches are counted as waiting, and %d wait', batched_noted, waits_batched)
  end
  if waiting_noted ~= waits then say('%d executions are counted as waiting, and %d wait', waiting_noted, waits) end
  if live_noted ~= waits + runs then say('%d executions are counted as not ended, and there are %d', live_noted, waits + runs) end
end

for _, id in ipairs(call('SMEMBERS', P .. 'cx')) do
  local batch, index = item_of(id)
  local open = batch and call('GETBIT', P .. 'b:' .. batch .. ':done', index) == 0
  if not open and call('EXISTS', P .. 'e:' .. id) == 0 then say('%s was called off and is not there', id) end
end

for _, id in ipairs(call('ZRANGE', P .. 'dead', 0, 10000)) do
  local batch, index = item_of(id)
  local head
  if batch then
    local doc = call('HGET', P .. 'b:' .. batch .. ':r:' .. math.floor(index / CHUNK), index)
    head = doc and doc:match('^%a+') or packed_state(batch, index)
  else
    head = call('GETRANGE', P .. 'r:' .. id, 0, 15):match('^%a+')
  end
  if head and head ~= 'failed' then say('%s is on the dead list and has %s', id, head) end
end
return wrong

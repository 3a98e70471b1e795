-- Hands entries to a worker: suspects first, then classes by stride (16:4:1), lanes by virtual time.
-- KEYS[1] prefix   ARGV: worker, number of this claim, slots, bulk, whether a suspect may come, clock
-- Returns {word, entry…}: word is ok, paused or unknown; an entry is {lane, entry id, fields} and for
-- a chunk also the batch's spec, the chunk's inputs, the items to run as index or, of a later one, index:generation (* for a full chunk that never ran), whether it was called off, and the earlier documents of items that ran before.
-- Repeating a claim by its number gives the same entries again, so a lost answer loses nothing.
local worker, number, slots, bulk = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local me = P .. 'w:' .. worker
local now = clock(ARGV[6])
local got, names, chunk = {}, {}, false

local function take_in(lane, row)
  local entry = { lane, row[1], row[2] }
  local fields, cost, batch = row[2], 1, item_of(row[2][2])
  if fields[1] == 'b' then
    local k = tonumber(fields[4])
    batch = fields[2]
    local key = P .. 'b:' .. batch
    entry[4] = call('HGET', key, 'spec')
    entry[7] = call('HEXISTS', key, 'stop')
    entry[5] = call('GET', key .. ':in:' .. k)
    local items = items_of({ b = batch, k = k, i = fields[5] == 'i' and fields[6] or nil }, lane, row[1])
    entry[6], entry[8] = '*', {}
    if #items < CHUNK or call('HEXISTS', key, 'again') == 1 then
      local each = {}
      for n, generation in ipairs(generations(batch, k, items)) do
        each[n] = items[n]
        if generation > 0 then
          each[n] = items[n] .. ':' .. generation
          entry[8][#entry[8] + 1] = items[n]
          entry[8][#entry[8] + 1] = call('HGET', key .. ':r:' .. k, 'h' .. items[n])
        end
      end
      entry[6] = table.concat(each, ',')
    end
    chunk = true
    cost = tonumber(call('HGET', key .. ':o', lane .. '\n' .. row[1]) or 1)
  end
  got[#got + 1] = entry
  names[#names + 1] = lane .. '\n' .. row[1]
  count_waiting(-cost, batch)
  return cost
end

local function read(lane, most)
  local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', most, 'STREAMS', P .. 'l:' .. lane, '>')
  if not reply or reply.err then return {} end
  return reply[1][2]
end

-- Gives again what the same claim gave before.
local function repeated(list)
  for lane, entry in list:gmatch('([^\n]+)\n([^\n]+)\n') do
    local rows = holder(lane, entry) == worker and call('XRANGE', P .. 'l:' .. lane, entry, entry)
    if rows and rows[1] then take_in(lane, rows[1]) end
  end
  waiting, batched = 0, 0 -- they were counted when they were first given
end

-- How many items of a batch run that were handed out of one of its lanes.
local function running_of(key, lane, most)
  local rows, running = redis.pcall('XPENDING', P .. 'l:' .. lane, GROUP, '-', '+', most), 0
  for _, row in ipairs(rows.err and {} or rows) do
    running = running + (call('HGET', key .. ':o', lane .. '\n' .. row[1]) or 1)
  end
  return running
end

-- Whether a lane may hand out: its batch is not paused, and below the bound of what may run at once.
local function is_open(lane)
  local batch = batch_of(lane)
  if not batch then return true end
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'paused', 'limit', 'piece')
  if v[1] or not v[2] then return not v[1] end
  local own, suspects = lanes_of(lane:sub(1, 1), batch)
  return running_of(key, own, v[2]) + running_of(key, suspects, v[2]) + v[3] <= tonumber(v[2])
end

local function suspect()
  for _, lane in ipairs(call('SMEMBERS', P .. 'suspects')) do
    if lane:sub(1, 1) ~= 'b' or bulk > 0 then
      local open = is_open(lane)
      local rows = open and read(lane, 1) or {}
      if rows[1] then
        slots = slots - math.min(slots, take_in(lane, rows[1]))
        if lane:sub(1, 1) == 'b' then bulk = bulk - 1 end
        ring(lane) -- another worker may take the next
        return
      end
      call('SREM', P .. 'suspects', lane)
      if not open then call('SADD', P .. 'parked', lane) end
    end
  end
end

-- Puts what came back of a batch before it was paused into the batch's own lane.
local function set_aside(lane, row)
  local f = {}
  for i = 1, #row[2], 2 do f[row[2][i]] = row[2][i + 1] end
  local batch = f.b or item_of(f.j)
  if lane:sub(3) ~= '!' or not batch or call('HEXISTS', P .. 'b:' .. batch, 'paused') == 0 then return false end
  local to = lane:sub(1, 2) .. 'b:' .. batch
  if f.j then
    call('HSET', P .. 'e:' .. f.j, 'l', to, 's', push(to, unpack(row[2])))
  else
    local items = items_of(f, lane, row[1])
    close_entry(batch, lane, row[1])
    push_items(batch, f.k, items, to, CHUNK, 'cr', f.cr or 0)
  end
  drop(lane, row[1])
  return true
end

local WEIGHT = { i = 16, n = 4, b = 1 }
local CLASSES = { 'i', 'n', 'b' }
local pass, lanes, clocks = {}, {}, {}

local function look(class)
  lanes[class] = call('ZRANGE', P .. 'turn:' .. class, 0, 1, 'WITHSCORES')
end

-- The class with something to take that was served least for its weight.
local function next_class()
  local class, open = nil, 0
  for _, c in ipairs(CLASSES) do
    if #lanes[c] > 0 and (c ~= 'b' or (bulk > 0 and not chunk)) then
      open = open + 1
      if not class or pass[c] < pass[class] then class = c end
    end
  end
  return class, open == 1
end

-- How many entries one turn takes: all it can when nobody else waits, else its fair share.
local function share(class, lane, alone)
  if lane:sub(3, 4) == 'b:' or (class == 'b' and lane:sub(3) == '!') then return 1 end
  if #lanes[class] > 2 then return 1 end
  local most = alone and slots or math.min(slots, WEIGHT[class])
  return class == 'b' and math.min(most, bulk) or most
end

-- Takes a turn of the class's first lane.
local function turn(class, alone)
  local lane, vt = lanes[class][1], tonumber(lanes[class][2])
  local most, cost = share(class, lane, alone), 0
  local open = is_open(lane)
  local rows = open and read(lane, most) or {}
  if not open then call('SADD', P .. 'parked', lane) end
  for _, row in ipairs(rows) do
    if not set_aside(lane, row) then cost = cost + take_in(lane, row) end
  end
  slots = slots - math.min(cost, slots)
  if class == 'b' then bulk = bulk - cost end
  pass[class] = pass[class] + cost / WEIGHT[class]
  if vt ~= FIRST then clocks[class] = vt end
  if #rows < most then
    call('ZREM', P .. 'turn:' .. class, lane)
  elseif vt ~= FIRST then
    call('ZADD', P .. 'turn:' .. class, vt + cost, lane)
  end
  look(class)
end

-- A class that comes back from idleness enters where the others are, so that it cannot hoard.
local function take_turns()
  local v = call('HMGET', P .. 'pass', 'i', 'n', 'b', 'now')
  local base, active = tonumber(v[4] or 0), {}
  for at, c in ipairs(CLASSES) do
    look(c)
    active[c] = #lanes[c] > 0
    pass[c] = math.max(tonumber(v[at] or 0), base)
  end
  while slots > 0 do
    local class, alone = next_class()
    if not class then break end
    turn(class, alone)
  end
  local least = math.huge
  for _, c in ipairs(CLASSES) do
    if active[c] then least = math.min(least, pass[c]) end
  end
  if least < math.huge then
    local args = { 'i', pass.i, 'n', pass.n, 'b', pass.b, 'now', math.max(base, least) }
    for c, vt in pairs(clocks) do
      args[#args + 1] = 'v' .. c
      args[#args + 1] = vt
    end
    call('HSET', P .. 'pass', unpack(args))
  end
end

if not call('ZSCORE', P .. 'w', worker) then return { 'unknown' } end
local last = call('HMGET', me, 'claim', 'claimed')
if last[1] == number then
  repeated(last[2])
  return { 'ok', unpack(got) }
end
if call('HGET', P .. 'cfg', 'paused') then return { 'paused' } end
if ARGV[5] == '1' and slots > 0 then suspect() end
take_turns()
if #got > 0 then
  call('HSET', me, 'claim', number, 'claimed', table.concat(names, '\n') .. '\n')
  -- What is left may be for another worker that sleeps.
  if #lanes.i + #lanes.n > 0 then ring('i') end
  if #lanes.b > 0 then ring('b') end
elseif #lanes.i + #lanes.n + #lanes.b == 0 then
  call('DEL', P .. 'bell', P .. 'bell:b')
end
sweep(now)
flush(now, 0)
return { 'ok', unpack(got) }

-- Put before every script that writes. KEYS[1] is the prefix of all keys; keys.rs has their table.
local P = KEYS[1]
local call = redis.call
local GROUP = 'w'
local UUID = 36 -- characters of an id; an item of a batch has '-' and its index after them
local CHUNK = 64 -- items of a chunk; CHUNK_ITEMS in batch.rs
local FIRST = -9007199254740991 -- the turn of what goes before all others of its class

-- The name of the next entry of a stream, which begins with its time.
local stamp = '*'

-- The time in ms: the server's own, or the one that a test has set.
local function clock(manual)
  if manual ~= '' then
    stamp = manual .. '-*'
    return tonumber(manual)
  end
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A batch item's batch and index; nothing for a single execution.
local function item_of(id)
  if #id > UUID then return id:sub(1, UUID), tonumber(id:sub(UUID + 2)) end
end

-- Bumps of counters wait here until the end of the script, so that equal ones become one command.
local bumps, shortest, longest, ended_in, waiting, live, told = {}, {}, {}, {}, 0, 0, {}

local function bump(program, what, n)
  local field = program .. '|' .. what
  bumps[field] = (bumps[field] or 0) + n
end

-- Counts how long a program ran.
local function bump_time(program, micros, bucket)
  bump(program, 'us', micros)
  bump(program, 'b' .. bucket, 1)
  if micros < (shortest[program] or math.huge) then shortest[program] = micros end
  if micros > (longest[program] or -1) then longest[program] = micros end
end

local function stretch(key)
  for program, low in pairs(shortest) do
    local lo, hi = program .. '|lo', program .. '|hi'
    local was = call('HMGET', key, lo, hi)
    if not was[1] or low < tonumber(was[1]) then call('HSET', key, lo, low) end
    if not was[2] or longest[program] > tonumber(was[2]) then call('HSET', key, hi, longest[program]) end
  end
end

-- Notices for the outbox wait here too, as name and letters of channels by turns.
local notices = {}
local function give_notice(name, channels)
  notices[#notices + 1] = name
  notices[#notices + 1] = channels
end

-- Gives notice of an execution's end to the channels that its envelope names.
local function tell_end(id, envelope)
  local channels = envelope:match('^[^\n]*\n!(%a+)\n')
  if channels then give_notice(id, channels) end
end

local function put_out(now)
  for i = 1, #notices, 2 do
    for channel in notices[i + 1]:gmatch('%a') do
      call('ZADD', P .. 'ob:' .. channel, now, notices[i])
      call('HDEL', P .. 'obn:' .. channel, notices[i])
    end
  end
end

-- Writes all bumps, ends batches whose last item ended, and tells waiters. Last in every script.
local function flush(now, ttl)
  if next(bumps) then
    local minute = P .. 'm:' .. math.floor(now / 60000)
    for field, n in pairs(bumps) do
      call('HINCRBY', P .. 'm:all', field, n)
      call('HINCRBY', minute, field, n)
    end
    stretch(P .. 'm:all')
    stretch(minute)
    call('EXPIRE', minute, 90000)
  end
  if waiting ~= 0 then call('HINCRBY', P .. 'n', 'waiting', waiting) end
  if live ~= 0 then call('HINCRBY', P .. 'n', 'live', live) end
  for batch, states in pairs(ended_in) do
    local key = P .. 'b:' .. batch
    for state, n in pairs(states) do call('HINCRBY', key, state, n) end
    local v = call('HMGET', key, 'total', 'succeeded', 'failed', 'cancelled', 'expired', 'tells')
    local ended = (v[2] or 0) + (v[3] or 0) + (v[4] or 0) + (v[5] or 0)
    if v[1] and ended == tonumber(v[1]) then
      if v[6] then give_notice('b:' .. batch, v[6]) end
      call('HSET', key, 'finished', now)
      call('ZADD', P .. 'old', now + ttl, batch)
    end
  end
  put_out(now)
  if #told > 0 then call('PUBLISH', P .. 'ended', table.concat(told, ' ')) end
end

local function in_batch(batch, what, n)
  local states = ended_in[batch] or {}
  ended_in[batch] = states
  states[what] = (states[what] or 0) + n
end

-- Puts an entry at the end of a lane, and the lane among those that take turns.
local opened = {}
local function push(lane, ...)
  local key = P .. 'l:' .. lane
  if not opened[lane] then
    opened[lane] = true
    if call('SADD', P .. 'lanes', lane) == 1 then
      redis.pcall('XGROUP', 'CREATE', key, GROUP, '0', 'MKSTREAM')
    end
    local class, name = lane:sub(1, 1), lane:sub(3)
    if name == '?' then
      call('SADD', P .. 'suspects', lane)
    elseif name == '!' then
      call('ZADD', P .. 'turn:' .. class, FIRST, lane)
    else
      call('ZADD', P .. 'turn:' .. class, 'NX', call('HGET', P .. 'pass', 'v' .. class) or 0, lane)
    end
  end
  return call('XADD', key, stamp, ...)
end

-- Wakes a worker that waits: one that takes all classes for bulk, any for the others.
local rung = {}
local function ring(lane)
  local bell = P .. (lane:sub(1, 1) == 'b' and 'bell:b' or 'bell')
  if rung[bell] then return end
  rung[bell] = true
  if call('LLEN', bell) < 64 then call('RPUSH', bell, 1) end
end

-- Takes an entry out of its lane.
local gone = {}
local function drop(lane, entry)
  local key = P .. 'l:' .. lane
  redis.pcall('XACK', key, GROUP, entry)
  call('XDEL', key, entry)
  gone[lane] = true
end

-- Notes lanes that may be empty now; the upkeep deletes those that stay so.
local function sweep(now)
  for lane in pairs(gone) do
    if call('XLEN', P .. 'l:' .. lane) == 0 then call('ZADD', P .. 'empty', now, lane) end
  end
end

-- The consumer that holds an entry; nothing if it waits or is not there.
local function holder(lane, entry)
  local rows = redis.pcall('XPENDING', P .. 'l:' .. lane, GROUP, entry, entry, 1)
  if rows.err or not rows[1] then return nil end
  return rows[1][2], rows[1][3]
end

-- Tells a worker to stop an execution.
local function order(consumer, id)
  call('RPUSH', P .. 'o:' .. consumer, id)
  call('PEXPIRE', P .. 'o:' .. consumer, 60000)
end

-- The fields of an entry by name; nothing if it is not there.
local function entry_fields(lane, entry)
  local rows = call('XRANGE', P .. 'l:' .. lane, entry, entry)
  if not rows[1] then return nil end
  local fields = {}
  for i = 1, #rows[1][2], 2 do fields[rows[1][2][i]] = rows[1][2][i + 1] end
  return fields
end

local function document(state, generation, now, flags, envelope, tail)
  local head = { state, generation, string.format('%d', now), flags, #envelope }
  return table.concat(head, '|') .. '\n' .. envelope .. tail
end

-- Ends a batch's item, once: false if it has ended before.
local function settle_item(batch, index, state, generation, flags, tail, now)
  local key = P .. 'b:' .. batch
  if call('SETBIT', key .. ':done', index, 1) == 1 then return false end
  local doc = document(state, generation, now, flags, '', tail)
  call('HSET', key .. ':r:' .. math.floor(index / CHUNK), index, doc)
  in_batch(batch, state, 1)
  live = live - 1
  told[#told + 1] = batch .. '-' .. index
  return true
end

-- Ends an execution or an item that lies outside its chunk. Its record goes, its document stays.
local function settle(id, state, generation, envelope, tail, now, ttl)
  local batch, index = item_of(id)
  if batch then
    call('SETBIT', P .. 'b:' .. batch .. ':out', index, 0)
    settle_item(batch, index, state, generation, '', tail, now)
  else
    call('SET', P .. 'r:' .. id, document(state, generation, now, '', envelope, tail), 'PX', ttl)
    live = live - 1
    told[#told + 1] = id
    tell_end(id, envelope)
  end
  call('DEL', P .. 'e:' .. id)
end

-- What is left of an execution that ended without a report: its past attempts, and why.
local function bare_tail(history, kind, message)
  local report = ''
  if kind then report = ',"r":' .. cjson.encode({ e = { kind = kind, message = message } }) end
  return '{"a":' .. (history or '[]') .. report .. '}'
end

-- The tail of an equal execution that succeeded not too long ago.
local function cached(fingerprint, max_age, now)
  local id = call('GET', P .. 'c:' .. fingerprint)
  if not id then return nil end
  local batch, index = item_of(id)
  local doc
  if batch then
    doc = call('HGET', P .. 'b:' .. batch .. ':r:' .. math.floor(index / CHUNK), index)
  else
    doc = call('GET', P .. 'r:' .. id)
  end
  if not doc then return nil end
  local state, at, length, from = doc:match('^(%a+)|%d+|(%d+)|%a*|(%d+)\n()')
  if state ~= 'succeeded' or now - tonumber(at) > max_age then return nil end
  return doc:sub(from + tonumber(length))
end

local COUNT = { succeeded = 'ok', failed = 'bad', cancelled = 'cx', expired = 'ex' }

-- Notes which entry a batch's items wait in: a whole chunk's, or the one of some of its items.
local function place_at(batch, items, count, lane, entry)
  local key, at = P .. 'b:' .. batch, lane .. '\n' .. entry
  call('HSET', key .. ':o', at, count)
  if type(items) == 'table' then
    for _, index in ipairs(items) do call('HSET', key .. ':s', 'i' .. index, at) end
  else
    call('HSET', key .. ':s', items, at)
  end
end

-- The generations of a chunk's items: one more than what they ended with before, if they did.
local function generations(batch, k, indexes)
  if #indexes == 0 then return {} end
  local names, found = {}, {}
  for n, index in ipairs(indexes) do names[n] = 'h' .. index end
  for n, doc in ipairs(call('HMGET', P .. 'b:' .. batch .. ':r:' .. k, unpack(names))) do
    found[n] = doc and tonumber(doc:match('^%a+|(%d+)')) + 1 or 0
  end
  return found
end

local function generation_of(batch, index)
  return generations(batch, math.floor(index / CHUNK), { index })[1]
end

-- The lane and entry that an item of a batch waits in or is run from.
local function place(batch, index)
  local v = call('HMGET', P .. 'b:' .. batch .. ':s', 'i' .. index, math.floor(index / CHUNK))
  local at = v[1] or v[2]
  if at then return at:match('^(.*)\n(.*)$') end
end

local function bit_at(bytes, at)
  local byte = bytes:byte(math.floor(at / 8) + 1) or 0
  return math.floor(byte / 2 ^ (7 - at % 8)) % 2 == 1
end

-- The items that an entry stands for: not ended, without a record of their own, in no later entry.
local function items_of(fields, lane, entry)
  local key, k, asked, names = P .. 'b:' .. fields.b, tonumber(fields.k), {}, {}
  if fields.i then
    for index in fields.i:gmatch('%d+') do asked[#asked + 1] = tonumber(index) end
  else
    local total = tonumber(call('HGET', key, 'total') or 0)
    for index = k * CHUNK, math.min(total, (k + 1) * CHUNK) - 1 do asked[#asked + 1] = index end
  end
  if #asked == 0 then return {} end
  for n, index in ipairs(asked) do names[n] = 'i' .. index end
  local at, whole = call('HMGET', key .. ':s', unpack(names)), call('HGET', key .. ':s', k)
  local from, to = k * CHUNK / 8, (k + 1) * CHUNK / 8 - 1
  local done, out = call('GETRANGE', key .. ':done', from, to), call('GETRANGE', key .. ':out', from, to)
  local items, here = {}, lane .. '\n' .. entry
  for n, index in ipairs(asked) do
    local open = not bit_at(done, index % CHUNK) and not bit_at(out, index % CHUNK)
    if open and (at[n] or whole) == here then items[#items + 1] = index end
  end
  return items
end

-- One item less in an entry; the entry goes with the last.
local function leave(batch, lane, entry)
  local key, at = P .. 'b:' .. batch .. ':o', lane .. '\n' .. entry
  if call('HINCRBY', key, at, -1) <= 0 then
    call('HDEL', key, at)
    drop(lane, entry)
  end
end

-- Ends what has not ended of one chunk. Workers that run some of it are told to stop; what is only
-- called off ends when they do.
local function end_chunk(batch, k, state, now)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'program')
  for index = k * CHUNK, math.min(tonumber(v[1]), (k + 1) * CHUNK) - 1 do
    local id = batch .. '-' .. index
    if call('GETBIT', key .. ':done', index) == 0 then
      local own = call('HMGET', P .. 'e:' .. id, 'l', 's', 'h', 'g')
      local lane, entry = own[1], own[2]
      if not lane then lane, entry = place(batch, index) end
      local tail, generation = bare_tail(), generation_of(batch, index)
      if own[1] then
        local source = entry ~= 'z' and entry_fields(lane, entry) or { h = own[3], g = own[4] }
        tail, generation = bare_tail(source.h or nil), source.g or generation
      end
      local consumer = entry and entry ~= 'z' and holder(lane, entry)
      if consumer then order(consumer, id) else waiting = waiting - 1 end
      if consumer and state == 'cancelled' then
        call('SADD', P .. 'cx', id)
      else
        settle_item(batch, index, state, generation, '', tail, now)
        bump(v[2], COUNT[state], 1)
        call('SREM', P .. 'cx', id)
        if own[1] then
          call('DEL', P .. 'e:' .. id)
          call('SETBIT', key .. ':out', index, 0)
          if entry == 'z' then call('ZREM', P .. 'z', id) else drop(lane, entry) end
        elseif lane then
          leave(batch, lane, entry)
        end
      end
    end
  end
  return (k + 1) * CHUNK < tonumber(v[1])
end

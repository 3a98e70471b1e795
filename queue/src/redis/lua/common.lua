-- Put before every script that writes. KEYS[1] is the prefix of all keys; keys.rs has their table.
local P = KEYS[1]
local call = redis.call
local GROUP = 'w'
local UUID = 36 -- characters of an id; an item of a batch has '-' and its index after them
local CHUNK = 64 -- items of a chunk; CHUNK_ITEMS in batch.rs
local WINDOW = 256 -- entries of one batch that are in lanes or with workers at once
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
local batched, whole_chunks = 0, {}

-- Counts executions that wait from now on, or no more; apart from others those of a batch.
local function count_waiting(n, batch)
  waiting = waiting + n
  if batch then batched = batched + n end
end

local function bump(program, what, n)
  local field = program .. '|' .. what
  bumps[field] = (bumps[field] or 0) + n
end

-- Counts how long a program ran: in all, the shortest, the longest, and how often so long.
local function bump_time(program, micros, low, high, buckets)
  bump(program, 'us', micros)
  for bucket, n in pairs(buckets) do bump(program, 'b' .. bucket, n) end
  local lo, hi = program .. '|lo', program .. '|hi'
  shortest[lo] = math.min(low, shortest[lo] or math.huge)
  longest[hi] = math.max(high, longest[hi] or -1)
end

-- Writes all bumps into one hash: two commands, where one for each takes most of a script's time.
local function write_bumps(key)
  local fields, values = {}, {}
  for _, counted in ipairs({ bumps, shortest, longest }) do
    for field in pairs(counted) do fields[#fields + 1] = field end
  end
  for n, was in ipairs(call('HMGET', key, unpack(fields))) do
    local field, known = fields[n], tonumber(was)
    local low, high = shortest[field], longest[field]
    values[2 * n - 1] = field
    values[2 * n] = low and math.min(low, known or low) or high and math.max(high, known or high)
      or bumps[field] + (known or 0)
  end
  call('HSET', key, unpack(values))
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

-- Notes that no more items come to a batch, and forgets what only an upload needs.
local function end_upload(batch)
  local key = P .. 'b:' .. batch
  call('HDEL', key, 'phase')
  call('ZREM', P .. 'up', batch)
  call('DEL', key .. ':parts', key .. ':c')
end

-- Forgets a batch that was held and nobody has seen; the upkeep takes its parts away.
local function forget_held(batch, now)
  call('HSET', P .. 'b:' .. batch, 'phase', 'dropped')
  call('ZREM', P .. 'up', batch)
  call('ZADD', P .. 'old', now, batch)
end

-- Whether nobody may see a batch: it is held, or was and is forgotten.
local function is_hidden(phase)
  return phase == 'held' or phase == 'dropped'
end

-- Ends a batch whose last item ended; calls off the rest of one in which too many failed.
local function close_batch(batch, now, ttl)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'succeeded', 'failed', 'cancelled', 'expired', 'phase', 'errors_max', 'stop', 'base', 'tells')
  if not v[1] then return end
  local ended = (v[2] or 0) + (v[3] or 0) + (v[4] or 0) + (v[5] or 0)
  local left, open = tonumber(v[1]) - ended, v[6]
  local bears = not v[7] or v[8] or open == 'held' or (v[3] or 0) - (v[9] or 0) <= tonumber(v[7])
  if not bears and (open or left > 0) then
    call('HSET', key, 'stop', now)
    call('ZADD', P .. 'd', now, 'c:' .. batch)
    end_upload(batch)
    open = false
  end
  if left == 0 and not open then
    if v[10] then give_notice('b:' .. batch, v[10]) end
    call('HSET', key, 'finished', now)
    call('ZADD', P .. 'old', now + ttl, batch)
  end
end

-- Writes all bumps, ends batches whose last item ended, and tells waiters. Last in every script.
local function flush(now, ttl)
  if next(bumps) then
    local minute = P .. 'm:' .. math.floor(now / 60000)
    write_bumps(P .. 'm:all')
    write_bumps(minute)
    call('EXPIRE', minute, 90000)
  end
  if waiting ~= 0 then call('HINCRBY', P .. 'n', 'waiting', waiting) end
  if live ~= 0 then call('HINCRBY', P .. 'n', 'live', live) end
  if batched ~= 0 then call('HINCRBY', P .. 'n', 'batched', batched) end
  for batch, states in pairs(ended_in) do
    for state, n in pairs(states) do call('HINCRBY', P .. 'b:' .. batch, state, n) end
    close_batch(batch, now, ttl)
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
    if name:sub(1, 1) == '?' then
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

-- Notes a chunk whose items have perhaps all ended: it can be packed then.
local function touch(batch, k)
  whole_chunks[batch .. ':' .. k] = true
end

-- Ends a batch's item, once: false if it has ended before.
local function settle_item(batch, index, state, generation, flags, tail, now)
  local key = P .. 'b:' .. batch
  if call('SETBIT', key .. ':done', index, 1) == 1 then return false end
  local doc = document(state, generation, now, flags, '', tail)
  call('HSET', key .. ':r:' .. math.floor(index / CHUNK), index, doc)
  in_batch(batch, state, 1)
  touch(batch, math.floor(index / CHUNK))
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

local STATE_OF = { s = 'succeeded', f = 'failed', c = 'cancelled', x = 'expired' }

-- How an item of a packed chunk ended; nothing if the chunk is not packed.
local function packed_state(batch, index)
  local at = index % CHUNK
  return STATE_OF[call('GETRANGE', P .. 'b:' .. batch .. ':p:' .. math.floor(index / CHUNK), at, at)]
end

-- Items that equal ones were asked for, and whose documents are in packs: the caller reads them there,
-- lends them for a minute, and calls again.
local packed = {}

-- The tail of an equal execution that succeeded not too long ago.
local function cached(fingerprint, max_age, now)
  local id = call('GET', P .. 'c:' .. fingerprint)
  if not id then return nil end
  local batch, index = item_of(id)
  local doc
  if batch then
    doc = call('HGET', P .. 'b:' .. batch .. ':r:' .. math.floor(index / CHUNK), index)
    if not doc and packed_state(batch, index) == 'succeeded' then
      doc = call('GET', P .. 'u:' .. id)
      if not doc then packed[#packed + 1] = id end
    end
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
    call('HSET', key .. ':s', 'x' .. math.floor(items[1] / CHUNK), 1)
  else
    call('HSET', key .. ':s', items, at)
  end
end

-- The generations of a chunk's items: one more than what they ended with before, if they did.
local function generations(batch, k, indexes)
  local names, found, again = {}, {}, call('HEXISTS', P .. 'b:' .. batch, 'again') == 1
  for n, index in ipairs(indexes) do names[n], found[n] = 'h' .. index, 0 end
  if not again or #names == 0 then return found end
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

-- The items of a list, or of a whole chunk, that have not ended, have no record of their own, and
-- wait in the given place; in none if that is false.
local function open_items(batch, k, asked, here)
  local key, names, at = P .. 'b:' .. batch, {}, {}
  if #asked == 0 then return {} end
  local v = call('HMGET', key .. ':s', k, 'x' .. k)
  local whole, apart = v[1], v[2]
  if apart then
    for n, index in ipairs(asked) do names[n] = 'i' .. index end
    at = call('HMGET', key .. ':s', unpack(names))
  elseif whole ~= here then
    return {}
  end
  local from, to = k * CHUNK / 8, (k + 1) * CHUNK / 8 - 1
  local done, out = call('GETRANGE', key .. ':done', from, to), call('GETRANGE', key .. ':out', from, to)
  if not apart and not done:find('[^%z]') and not out:find('[^%z]') then return asked end
  local items = {}
  for n, index in ipairs(asked) do
    local open = not bit_at(done, index % CHUNK) and not bit_at(out, index % CHUNK)
    if open and (at[n] or whole) == here then items[#items + 1] = index end
  end
  return items
end

local function indexes_of(k, total)
  local indexes = {}
  for index = k * CHUNK, math.min(total, (k + 1) * CHUNK) - 1 do indexes[#indexes + 1] = index end
  return indexes
end

local function listed(list)
  local indexes = {}
  for index in list:gmatch('%d+') do indexes[#indexes + 1] = tonumber(index) end
  return indexes
end

-- The items that an entry stands for: not ended, without a record of their own, in no later entry.
local function items_of(fields, lane, entry)
  local k = tonumber(fields.k)
  local total = not fields.i and tonumber(call('HGET', P .. 'b:' .. fields.b, 'total') or 0)
  local asked = fields.i and listed(fields.i) or indexes_of(k, total)
  return open_items(fields.b, k, asked, lane .. '\n' .. entry)
end

-- Puts items of one chunk into a lane: as one entry, or as several of at most `piece`. Says how many.
local function push_items(batch, k, items, lane, piece, ...)
  local pushed = 0
  for from = 1, #items, piece do
    local some = {}
    for n = from, math.min(from + piece - 1, #items) do some[#some + 1] = items[n] end
    local entry = push(lane, 'b', batch, 'k', k, 'i', table.concat(some, ','), ...)
    place_at(batch, some, #some, lane, entry)
    pushed = pushed + 1
  end
  return pushed
end

-- Puts what waits for it of a chunk into the batch's lane, and says how many entries that took.
local function enter(batch, k, total, lane, piece, sealed)
  local items = open_items(batch, k, indexes_of(k, total), false)
  if #items == 0 then return 0 end
  -- A chunk that may grow is no whole one: what is added to it enters later.
  local whole = sealed or (k + 1) * CHUNK <= total
  if piece or not whole then return push_items(batch, k, items, lane, piece or CHUNK, 'w', 1) end
  place_at(batch, k, #items, lane, push(lane, 'b', batch, 'k', k, 'w', 1))
  return 1
end

-- Lets chunks into the batch's lane, in order, as far as its window is open.
local function fill(batch)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'phase', 'class', 'next', 'w', 'piece')
  if not v[1] or is_hidden(v[2]) then return end
  local total, lane, piece = tonumber(v[1]), v[3] .. ':b:' .. batch, v[6] and tonumber(v[6])
  local k, w = tonumber(v[4] or 0), tonumber(v[5] or 0)
  local before = w
  while w < WINDOW do
    local open = call('BITPOS', key .. ':done', 0, k * CHUNK / 8)
    k = math.max(k, math.floor(open / CHUNK))
    if k * CHUNK >= total then break end
    w = w + enter(batch, k, total, lane, piece, not v[2])
    k = k + 1
  end
  call('HSET', key, 'next', k, 'w', w)
  if w > before then ring(lane) end
end

-- Takes an entry of a batch out of its lane, and forgets that items waited there.
local refill = {}
local function close_entry(batch, lane, entry)
  local key, at, fields = P .. 'b:' .. batch, lane .. '\n' .. entry, entry_fields(lane, entry)
  call('HDEL', key .. ':o', at)
  drop(lane, entry)
  if not fields then return end
  local names = { fields.k }
  if fields.i then
    names = listed(fields.i)
    for n, index in ipairs(names) do names[n] = 'i' .. index end
  end
  for n, place in ipairs(call('HMGET', key .. ':s', unpack(names))) do
    if place == at then call('HDEL', key .. ':s', names[n]) end
  end
  if fields.w then
    call('HINCRBY', key, 'w', -1)
    refill[batch] = true
  end
end

-- Where items of a batch wait that come back: before all others, unless it is paused or bounded.
local function lane_back(class, batch)
  local v = batch and call('HMGET', P .. 'b:' .. batch, 'paused', 'limit')
  if v and (v[1] or v[2]) then return class .. ':b:' .. batch end
  return class .. ':!'
end

-- Items less in an entry; the entry goes with the last.
local lighter = {}
local function leave(batch, lane, entry, n)
  if call('HINCRBY', P .. 'b:' .. batch .. ':o', lane .. '\n' .. entry, -(n or 1)) <= 0 then
    close_entry(batch, lane, entry)
  end
  lighter[lane] = true
end

-- A batch's own lane, and the one of its suspects.
local function lanes_of(class, batch)
  return class .. ':b:' .. batch, class .. ':?' .. batch
end

-- The batch whose lane it is; nothing if it is of no batch.
local function batch_of(lane)
  return lane:match('^%a:b:(.+)$') or lane:match('^%a:%?(.+)$')
end

-- Opens a batch's lanes again that were closed as it had reached its bound, or was paused.
local function reopen(class, batch)
  local own, suspects = lanes_of(class, batch)
  if call('SREM', P .. 'parked', own) == 1 then
    call('ZADD', P .. 'turn:' .. class, 'NX', call('HGET', P .. 'pass', 'v' .. class) or 0, own)
    ring(own)
  end
  if call('SREM', P .. 'parked', suspects) == 1 then
    call('SADD', P .. 'suspects', suspects)
    ring(suspects)
  end
end

-- Notes that a batch may have objects; those of one that is forgotten already can be deleted.
local function note_objects(batch)
  if call('EXISTS', P .. 'b:' .. batch) == 1 then
    call('HSET', P .. 'b:' .. batch, 'objects', 1)
  else
    call('SADD', P .. 'objects', batch)
  end
end

-- Whether all items of a chunk have ended, and it can be packed.
local function is_whole(batch, k)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'phase')
  local size = math.min(CHUNK, tonumber(v[1] or 0) - k * CHUNK)
  if size < CHUNK and v[2] then return false end
  return size == call('BITCOUNT', key .. ':done', k * CHUNK / 8, (k + 1) * CHUNK / 8 - 1)
end

-- Notes chunks that are whole now.
local function note_whole()
  for chunk in pairs(whole_chunks) do
    if is_whole(chunk:match('^(.*):(%d+)$')) then call('SADD', P .. 'packs', chunk) end
  end
end

-- Follows up on what left lanes: fills windows, notes lanes that may be empty now (the upkeep
-- deletes those that stay so), and chunks that are whole.
local function sweep(now)
  for batch in pairs(refill) do fill(batch) end
  for lane in pairs(gone) do
    if call('XLEN', P .. 'l:' .. lane) == 0 then call('ZADD', P .. 'empty', now, lane) end
    lighter[lane] = true
  end
  for lane in pairs(lighter) do
    local batch = batch_of(lane)
    if batch then reopen(lane:sub(1, 1), batch) end
  end
  note_whole()
end

-- Ends a chunk that has never been in a lane, and of which nothing has ended, with few commands; false,
-- if each of its items has to be looked at.
local function end_untouched(batch, k, total, program, state, now)
  local key, from, to = P .. 'b:' .. batch, k * CHUNK / 8, (k + 1) * CHUNK / 8 - 1
  local places = call('HMGET', key .. ':s', k, 'x' .. k)
  local done, out = call('GETRANGE', key .. ':done', from, to), call('GETRANGE', key .. ':out', from, to)
  local touched = places[1] or places[2] or done:find('[^%z]') or out:find('[^%z]')
  if touched or total < (k + 1) * CHUNK or call('HEXISTS', key, 'again') == 1 then return false end
  local doc, documents, indexes = document(state, 0, now, '', '', bare_tail()), {}, indexes_of(k, total)
  for n, index in ipairs(indexes) do documents[2 * n - 1], documents[2 * n] = index, doc end
  call('SETRANGE', key .. ':done', from, string.rep('\255', CHUNK / 8))
  call('HSET', key .. ':r:' .. k, unpack(documents))
  in_batch(batch, state, CHUNK)
  bump(program, COUNT[state], CHUNK)
  count_waiting(-CHUNK, batch)
  live = live - CHUNK
  told[#told + 1] = batch .. '-' .. table.concat(indexes, ',')
  touch(batch, k)
  return true
end

-- Ends what has not ended of one chunk. Workers that run some of it are told to stop; what is only
-- called off ends when they do.
local function end_chunk(batch, k, state, now)
  local key = P .. 'b:' .. batch
  local v = call('HMGET', key, 'total', 'program')
  local total = tonumber(v[1])
  if end_untouched(batch, k, total, v[2], state, now) then return (k + 1) * CHUNK < total end
  for index = k * CHUNK, math.min(total, (k + 1) * CHUNK) - 1 do
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
      if consumer then order(consumer, id) else count_waiting(-1, batch) end
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
  return (k + 1) * CHUNK < total
end
